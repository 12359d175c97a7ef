//! The asynchronous channel of frames, for the processes that run tokio: the core, egress, the connector.
//!
//! A [`Receiver`] may be dropped in the middle of `next` (in `select!`) without losing bytes; a [`Sender`] may not, and
//! belongs in a task of its own or in a loop that awaits nothing else.

use crate::channel::{Channel, receive_descriptors, send_descriptors};
use crate::frame::{self, Decoder, FrameError};
use crate::limits::MAX_DESCRIPTORS;
use crate::version::{Role, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whether descriptors may come with frames on this socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptors {
    /// Any descriptor is an error: the peer is dropped.
    Refuse,
    /// They are kept, at most [`MAX_DESCRIPTORS`] at a time, until [`Receiver::take_descriptors`].
    Accept,
}

/// Makes both halves of an asynchronous channel. Needs a running tokio runtime.
///
/// # Errors
/// When the socket cannot be made non-blocking or registered.
pub fn open(channel: Channel, descriptors: Descriptors) -> io::Result<(Sender, Receiver)> {
    let socket = channel.into_socket();
    socket.set_nonblocking(true)?;
    // For reading only. A socket that is watched for writing, too, wakes its process once for every frame that the peer
    // has read; there is nearly always room, and where there is none, the sender asks.
    let socket = Arc::new(watch(socket, Interest::READABLE)?);
    let receiver = Receiver {
        socket: Arc::clone(&socket),
        decoder: Decoder::default(),
        buffer: vec![0; 16 * 1024].into_boxed_slice(),
        descriptors,
        held: Vec::new(),
    };
    Ok((Sender { socket }, receiver))
}

#[allow(
    deprecated,
    reason = "unsound only for types whose descriptor changes; that of a UnixStream lives as long as it"
)]
fn watch(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

/// The sending half.
#[derive(Debug)]
pub struct Sender {
    socket: Arc<AsyncFd<UnixStream>>,
}

impl Sender {
    /// Sends one message, waiting while the peer does not read.
    ///
    /// # Errors
    /// [`FrameError`].
    pub async fn send<T: Serialize>(&self, message: &T) -> Result<(), FrameError> {
        self.write(&frame::encode(message)?, &[]).await
    }

    /// Sends one message with at most [`MAX_DESCRIPTORS`] descriptors.
    ///
    /// # Errors
    /// [`FrameError`].
    pub async fn send_with<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<(), FrameError> {
        self.write(&frame::encode(message)?, fds).await
    }

    /// Sends frames that were encoded before, in one write where the socket takes it.
    ///
    /// # Errors
    /// [`FrameError`].
    pub async fn write(&self, mut bytes: &[u8], mut fds: &[BorrowedFd<'_>]) -> Result<(), FrameError> {
        while !bytes.is_empty() {
            match send_descriptors(self.socket.as_fd(), bytes, fds) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    fds = &[];
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.room().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until the peer has read something.
    async fn room(&self) -> io::Result<()> {
        let watched = watch(self.socket.get_ref().try_clone()?, Interest::WRITABLE)?;
        watched.writable().await?.retain_ready();
        Ok(())
    }

    /// Tells the peer that nothing more comes; what it sends can still be read.
    pub fn close(&self) {
        let _already_gone = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Both);
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiver {
    socket: Arc<AsyncFd<UnixStream>>,
    decoder: Decoder,
    buffer: Box<[u8]>,
    descriptors: Descriptors,
    held: Vec<OwnedFd>,
}

impl Receiver {
    /// The next message; `None` when the peer closed its end between two frames. Safe to drop and call again.
    ///
    /// # Errors
    /// [`FrameError`]; the peer is to be dropped.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        loop {
            if let Some(message) = self.decoder.take()? {
                return Ok(Some(message));
            }
            let socket = &self.socket;
            let buffer = &mut self.buffer;
            let (read, mut fds) =
                socket.async_io(Interest::READABLE, |socket| receive_descriptors(socket.as_fd(), buffer)).await?;
            self.held.append(&mut fds);
            if self.held.len() > MAX_DESCRIPTORS || (self.descriptors == Descriptors::Refuse && !self.held.is_empty()) {
                return Err(FrameError::Descriptors);
            }
            match read {
                0 if self.decoder.is_empty() => return Ok(None),
                0 => return Err(FrameError::Truncated),
                read => {
                    self.decoder.push(&self.buffer[..read]);
                    // It may have been a secret.
                    self.buffer[..read].fill(0);
                }
            }
        }
    }

    /// A message that has arrived already, if there is one whole; never waits.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn ready<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        self.decoder.take()
    }

    /// The first frame of the peer, checked.
    ///
    /// # Errors
    /// [`FrameError`]; another role or version is [`FrameError::Malformed`].
    pub async fn greeting(&mut self, peer: Role) -> Result<(), FrameError> {
        let version: Version = self.next().await?.ok_or(FrameError::Truncated)?;
        version.check(peer).map_err(|error| FrameError::Malformed(error.to_string()))
    }

    /// The descriptors that came with frames so far, in order.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.held)
    }
}
