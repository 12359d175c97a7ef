//! How egress, the connector and a worker begin: with the core's channel, from the launcher or by way of systemd.
//!
//! | started by | descriptor 0 | arguments |
//! |---|---|---|
//! | the launcher, as its child | the core's channel | none |
//! | systemd, for a connection to one of its sockets | that connection (`StandardInput=socket`) | `--unit` |
//!
//! In the second case the launcher is at the other end of the connection, and hands the channel over on it. After that the
//! connection is what a parent is elsewhere: when the launcher closes it, or ends, the kernel kills this process, and systemd
//! what it leaves behind; and when nothing is left, systemd closes its own copy, by which the launcher knows.
//!
//! Of whoever is at the other end nothing is believed but what the kernel says: that the socket is open to one user alone, and
//! that this is the user who connected.

use crate::system;
use bartizan_proto::channel::Channel;
use bartizan_proto::{FrameError, Role, Version};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, getuid};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The one argument of a process that systemd starts.
pub const ARGUMENT: &str = "--unit";

/// The launcher says what it wants as soon as it has connected.
const PATIENCE: Duration = Duration::from_secs(10);

/// Not started by anybody that may.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// Descriptor 0.
    #[error("started by bartizan-launcher, or by systemd, with a socket as descriptor 0: {0}")]
    Channel(io::Error),
    /// Arguments that nobody gives it.
    #[error("takes no argument but --unit, which systemd's unit gives")]
    Arguments,
    /// What the kernel says of the connection.
    #[error("the unit's connection: {what}: {error}")]
    Connection {
        /// What was asked.
        what: &'static str,
        /// The answer.
        error: io::Error,
    },
    /// The socket that systemd listens on is not the broker's alone.
    #[error(
        "the unit's socket {path} has mode {mode:04o} and belongs to uid {owner}, and uid {peer} connected: it must be \
         the broker's alone (SocketUser=, SocketMode=0600), who is neither root nor this process's user"
    )]
    Socket {
        /// Its path.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// Whose it is.
        owner: u32,
        /// Who connected.
        peer: u32,
    },
    /// What came over it.
    #[error("the launcher's connection: {0}")]
    Frame(#[from] FrameError),
}

/// The core's channel, by the program's arguments after its name. Nothing was said on it yet.
///
/// # Errors
/// [`UnitError`]; the process must end.
pub fn channel(own: Role, arguments: impl Iterator<Item = OsString>) -> Result<Channel, UnitError> {
    let arguments: Vec<OsString> = arguments.take(2).collect();
    let first = || Channel::from_stdin().map_err(UnitError::Channel);
    match arguments.as_slice() {
        [] => first(),
        [argument] if argument == ARGUMENT => handed_over(own, first()?.into_socket()),
        [..] => Err(UnitError::Arguments),
    }
}

/// The channel that comes over systemd's connection, which is kept for life.
fn handed_over(own: Role, connection: UnixStream) -> Result<Channel, UnitError> {
    let failed = |what| move |error| UnitError::Connection { what, error };

    // 1. Who connected.
    one_user_alone(&connection)?;

    // 2. The channel, from a launcher of this version.
    connection.set_read_timeout(Some(PATIENCE)).map_err(failed("a time limit"))?;
    let mut connection = Channel::from(connection);
    let (version, fds) = connection.receive_with::<Version>()?.ok_or(FrameError::Truncated)?;
    version.check(Role::Launcher).map_err(|error| FrameError::Malformed(error.to_string()))?;
    let [channel] = <[_; 1]>::try_from(fds).map_err(|_| FrameError::Descriptors)?;

    // 3. No life without it.
    system::die_with(connection.as_fd()).map_err(failed("to end with it"))?;

    // 4. The launcher learns from the kernel who this is.
    connection.send(&Version::of(own))?;

    // 5. It may have hung up before the third step.
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut gone = [PollFd::new(&connection, PollFlags::IN | PollFlags::RDHUP)];
    if poll(&mut gone, Some(&now)).map_err(|error| failed("a look at it")(error.into()))? > 0 {
        return Err(FrameError::Truncated.into());
    }
    // Open as long as the process lives, and closed at every exec.
    let _for_life = connection.into_socket().into_raw_fd();
    Ok(channel.into())
}

/// The path that was connected to is open to one user, and it is that user who connected. Only root can have had systemd
/// listen there.
fn one_user_alone(connection: &UnixStream) -> Result<(), UnitError> {
    let failed = |what| move |error| UnitError::Connection { what, error };
    let peer = socket_peercred(connection).map_err(|error| failed("who connected")(error.into()))?.uid.as_raw();
    let address = connection.local_addr().map_err(failed("its name"))?;
    let path = address.as_pathname().ok_or_else(|| failed("its name")(io::ErrorKind::InvalidInput.into()))?;
    let stat = std::fs::symlink_metadata(path).map_err(failed("its name"))?;
    let mode = stat.mode() & 0o7777;
    let own = [getuid().as_raw(), geteuid().as_raw()];
    if mode & 0o077 != 0 || stat.uid() != peer || peer == 0 || own.contains(&peer) {
        let path = String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned();
        return Err(UnitError::Socket { path, mode, owner: stat.uid(), peer });
    }
    Ok(())
}
