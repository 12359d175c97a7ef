//! A blocking channel of frames over an inherited socket pair, for the processes without a runtime: the launcher, the
//! worker, `bartizan`, and every process's first steps before it confines itself.
//!
//! Descriptors travel with the first byte of the frame they belong to (SCM_RIGHTS), so a receiver that reads a header
//! on its own knows which message brought them.

use crate::frame::{self, FrameError, HEADER};
use crate::limits::MAX_DESCRIPTORS;
use crate::version::{Role, Version};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// One end of a socket pair that carries frames.
#[derive(Debug)]
pub struct Channel {
    socket: UnixStream,
}

impl Channel {
    /// Two connected ends, both close-on-exec.
    ///
    /// # Errors
    /// What `socketpair(2)` gives.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (a, b) = UnixStream::pair()?;
        Ok((a.into(), b.into()))
    }

    /// The channel that this process was started with: descriptor 0, moved away and replaced by `/dev/null`.
    ///
    /// # Errors
    /// When descriptor 0 is not a socket, or `/dev/null` cannot be opened.
    pub fn from_stdin() -> io::Result<Channel> {
        let stdin = rustix::stdio::stdin();
        rustix::net::sockopt::socket_type(stdin)?;
        let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        Ok(UnixStream::from(socket).into())
    }

    /// Says who this is, and checks who the peer is. The first thing on every socket.
    ///
    /// # Errors
    /// [`FrameError`]; another role or version is [`FrameError::Malformed`].
    pub fn greet(&mut self, own: Role, peer: Role) -> Result<(), FrameError> {
        self.send(&Version::of(own))?;
        let version: Version = self.receive()?.ok_or(FrameError::Truncated)?;
        version.check(peer).map_err(|error| FrameError::Malformed(error.to_string()))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<(), FrameError> {
        self.socket.write_all(&frame::encode(message)?)?;
        Ok(())
    }

    /// Sends one message with at most [`MAX_DESCRIPTORS`] descriptors.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn send_with<T: Serialize>(&mut self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), FrameError> {
        let bytes = frame::encode(message)?;
        let sent = send_descriptors(self.socket.as_fd(), &bytes, fds)?;
        self.socket.write_all(&bytes[sent..])?;
        Ok(())
    }

    /// The next message; `None` when the peer closed its end between two frames. Descriptors are refused.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        match self.receive_with()? {
            Some((message, fds)) if fds.is_empty() => Ok(Some(message)),
            Some(_) => Err(FrameError::Descriptors),
            None => Ok(None),
        }
    }

    /// The next message and the descriptors that came with it.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn receive_with<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, FrameError> {
        let mut header = [0; HEADER];
        let mut fds = Vec::new();
        let mut filled = 0;
        while filled < HEADER {
            let (read, mut more) = receive_descriptors(self.socket.as_fd(), &mut header[filled..])?;
            fds.append(&mut more);
            match read {
                0 if filled == 0 => return Ok(None),
                0 => return Err(FrameError::Truncated),
                read => filled += read,
            }
        }
        let mut payload = vec![0; frame::announced(header)?];
        self.socket.read_exact(&mut payload).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => FrameError::Truncated,
            _ => FrameError::Io(error),
        })?;
        Ok(Some((frame::decode(&payload)?, fds)))
    }

    /// Another handle on the same end, for a second thread.
    ///
    /// # Errors
    /// What `dup(2)` gives.
    pub fn try_clone(&self) -> io::Result<Channel> {
        Ok(self.socket.try_clone()?.into())
    }

    /// The socket itself.
    pub fn into_socket(self) -> UnixStream {
        self.socket
    }
}

impl From<UnixStream> for Channel {
    fn from(socket: UnixStream) -> Self {
        Self { socket }
    }
}

impl From<OwnedFd> for Channel {
    fn from(fd: OwnedFd) -> Self {
        UnixStream::from(fd).into()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket.into()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One `sendmsg(2)`: as many of `bytes` as the socket takes, with `fds` on the first of them.
pub(crate) fn send_descriptors(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MAX_DESCRIPTORS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one frame"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room for the descriptors"));
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// One `recvmsg(2)`. More descriptors than [`MAX_DESCRIPTORS`] are an error; the kernel has closed the surplus.
pub(crate) fn receive_descriptors(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more descriptors than a frame may carry"));
    }
    Ok((received.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_arrive_with_the_frame_that_they_were_sent_with() {
        let (mut a, mut b) = Channel::pair().expect("socketpair");
        let file = std::fs::File::open("/dev/null").expect("null");
        a.send(&1u32).expect("send");
        a.send_with(&2u32, &[file.as_fd(), file.as_fd()]).expect("send");
        a.send(&3u32).expect("send");
        let counts: Vec<(u32, usize)> = (0..3)
            .map(|_| b.receive_with::<u32>().expect("receive").expect("open"))
            .map(|(message, fds)| (message, fds.len()))
            .collect();
        assert_eq!(counts, [(1, 0), (2, 2), (3, 0)]);
    }

    #[test]
    fn descriptors_where_none_belong_are_refused() {
        let (mut a, mut b) = Channel::pair().expect("socketpair");
        a.send_with(&2u32, &[std::io::stdin().as_fd()]).expect("send");
        assert!(matches!(b.receive::<u32>(), Err(FrameError::Descriptors)));
    }

    #[test]
    fn a_peer_of_another_role_is_refused() {
        let (mut a, mut b) = Channel::pair().expect("socketpair");
        b.send(&Version::of(Role::Worker)).expect("send");
        assert!(matches!(a.greet(Role::Core, Role::Egress), Err(FrameError::Malformed(_))));
    }
}
