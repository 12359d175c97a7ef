//! The socket to the core once there is an order: nothing here ever blocks, so that a core which does not read can still
//! stop the job, and one that went away is noticed.

use bartizan_proto::frame::{self, Decoder};
use bartizan_proto::script::Answer;
use bartizan_proto::worker::{CallId, FromWorker, ToWorker};
use bartizan_proto::{FrameError, channel::Channel};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The core's end is gone, or spoke out of turn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The core closed the channel: everything of the job ends.
    #[error("the core closed the channel")]
    Closed,
    /// Not a frame of this socket.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message that is out of place now.
    #[error("{0} after the order")]
    WrongPhase(&'static str),
}

/// What the core may say once it has given its order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// End the script.
    Stop { grace_ms: u32 },
    /// Report.
    Inspect,
    /// Tell the script.
    Answer(CallId, Answer),
}

/// The one table of what the core may say now.
fn permitted(message: ToWorker) -> Result<Command, LinkError> {
    match message {
        ToWorker::Order(_) => Err(LinkError::WrongPhase("a second Order")),
        ToWorker::Probe { .. } => Err(LinkError::WrongPhase("Probe")),
        ToWorker::Stop { grace_ms } => Ok(Command::Stop { grace_ms }),
        ToWorker::Inspect => Ok(Command::Inspect),
        ToWorker::Answer { call, answer } => Ok(Command::Answer(call, answer)),
    }
}

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UnixStream,
    decoder: Decoder,
    /// Encoded and not sent yet, from `sent` on.
    pending: Vec<u8>,
    sent: usize,
}

impl Link {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { socket: channel.into_socket(), decoder: Decoder::default(), pending: Vec::new(), sent: 0 }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether everything has been sent.
    pub(crate) fn idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sends a message, as much of it as the socket takes now.
    pub(crate) fn send(&mut self, message: &FromWorker) -> Result<(), LinkError> {
        self.pending.extend_from_slice(&frame::encode(message)?);
        self.flush()
    }

    /// Sends more of what is pending.
    pub(crate) fn flush(&mut self) -> Result<(), LinkError> {
        while self.sent < self.pending.len() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(&self.socket, &self.pending[self.sent..], flags) {
                Ok(sent) => self.sent += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(_) => return Err(LinkError::Closed),
            }
        }
        self.pending.clear();
        self.sent = 0;
        Ok(())
    }

    /// What has arrived. Descriptors that somebody sends along are closed by the kernel: this reads bytes only.
    pub(crate) fn receive(&mut self) -> Result<Vec<Command>, LinkError> {
        let mut bytes = [0; 4096];
        match rustix::net::recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(LinkError::Closed),
            Ok((received, _)) => self.decoder.push(&bytes[..received]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Err(LinkError::Closed),
        }
        let mut commands = Vec::new();
        while let Some(message) = self.decoder.take::<ToWorker>()? {
            commands.push(permitted(message)?);
        }
        Ok(commands)
    }
}
