//! Where is listened: an address of this host alone, or a Unix socket, whose folder and mode say who may connect.

use crate::exit::CtlError;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let bad = || format!("\"{text}\" is neither ADDRESS:PORT, like 127.0.0.1:9465, nor a path that begins with /");
        text.parse().map(Self::Tcp).map_err(|_| bad())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What listens.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Place {
    /// Listens there. A socket file of ours that nobody answers at is replaced; anything else is left as it is.
    ///
    /// # Errors
    /// [`CtlError::Listen`].
    pub(crate) fn bind(&self) -> Result<Listener, CtlError> {
        let failed = |error| CtlError::Listen { place: self.to_string(), error };
        match self {
            Self::Tcp(address) if !address.ip().is_loopback() => {
                let why = "is not a loopback address: whoever reaches it reads what happens here; let a program on this host fetch it, or ssh -L";
                Err(failed(io::Error::new(io::ErrorKind::InvalidInput, why)))
            }
            Self::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp).map_err(failed),
            Self::Unix(path) => bind(path).map(Listener::Unix).map_err(failed),
        }
    }
}

/// The socket has mode 0660 from its first moment: for its user and that user's group.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let refused = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
    let folder = path.parent().unwrap_or(Path::new("/"));
    let around = std::fs::metadata(folder)?;
    if around.mode() & 0o002 != 0 && around.mode() & 0o1000 == 0 {
        return refused("everybody may write in its folder, and could put another socket in its place");
    }
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        // A link is not a socket: what it leads to is not replaced.
        Ok(there) if !there.file_type().is_socket() => return refused("something else than a socket is there"),
        Ok(there) if there.uid() != rustix::process::geteuid().as_raw() => {
            return refused("a socket of somebody else's is there");
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already"));
        }
        Ok(_) => std::fs::remove_file(path)?,
    }
    // One thread: nothing else is made meanwhile.
    let usual = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o117));
    let listener = UnixListener::bind(path);
    rustix::process::umask(usual);
    listener
}

impl Listener {
    /// As it is written to be found: an address, or the socket's path.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|error| error.to_string(), |address| format!("http://{address}/"))
            }
            Self::Unix(listener) => {
                let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
                path.unwrap_or_default().display().to_string()
            }
        }
    }

    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn read_within(&mut self, time: Duration, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(time)).and_then(|()| stream.read(into)),
            Self::Unix(stream) => stream.set_read_timeout(Some(time)).and_then(|()| stream.read(into)),
        }
    }

    pub(super) fn write_within(&mut self, time: Duration, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(time)).and_then(|()| stream.write(bytes)),
            Self::Unix(stream) => stream.set_write_timeout(Some(time)).and_then(|()| stream.write(bytes)),
        }
    }

    pub(super) fn end_writing(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn place(text: &str) -> Place {
        text.parse().expect("a place")
    }

    #[test]
    fn it_listens_on_loopback_and_nowhere_else() {
        for address in ["0.0.0.0:0", "192.0.2.1:9464", "[::]:0"] {
            assert!(matches!(place(address).bind(), Err(CtlError::Listen { .. })), "{address}");
        }
        assert!(place("127.0.0.1:0").bind().is_ok());
        for bad in ["localhost", "9465", "relative/path", ""] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socket_is_for_its_group_and_only_a_dead_one_of_ours_is_replaced() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("page.sock");
        let socket = Place::Unix(path.clone());
        let listener = socket.bind().expect("bound");
        assert_eq!(std::fs::symlink_metadata(&path).expect("there").mode() & 0o7777, 0o660);
        assert!(socket.bind().is_err(), "somebody listens");
        drop(listener);
        drop(socket.bind().expect("the dead one is replaced"));

        std::fs::remove_file(&path).expect("removed");
        let target = folder.path().join("precious");
        std::fs::write(&target, "kept").expect("written");
        for there in ["link", "file"] {
            match there {
                "link" => symlink(&target, &path).expect("a link"),
                _ => std::fs::write(&path, "kept").expect("written"),
            }
            assert!(socket.bind().is_err(), "{there}");
            assert_eq!(std::fs::read_to_string(&path).expect("untouched"), "kept");
            std::fs::remove_file(&path).expect("removed");
        }
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
        assert!(socket.bind().is_err(), "a folder of everybody's");
    }
}
