//! The core's peers: one file per kind of peer, each with a table of what that peer may say in which phase, and what is
//! done with it.
//!
//! A peer that says something else is dropped. A [`Link`] is the core's end of one socket: its two tasks only move frames;
//! everything is decided in the core's one loop.

pub mod access;
mod audit_file;
pub mod connector;
pub mod control;
pub mod egress;
pub mod launcher;
pub mod worker;

use crate::core::Input;
use bartizan_proto::channel::Channel;
use bartizan_proto::frame;
use bartizan_proto::stream::{self, Descriptors};
use bartizan_proto::{FrameError, Role, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Whether a peer may say something now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Never: the peer is dropped.
    Deny,
    /// Once: a second time is [`Permit::Deny`].
    Once,
    /// Whenever it likes.
    Allow,
}

/// What a link reports.
#[derive(Debug)]
pub enum Event<M> {
    /// The peer is who belongs here.
    Greeted,
    /// It said this.
    Said(M),
    /// It is gone; why, for the log.
    Gone(String),
    /// It sent what is no message of this socket; how, for log and audit. Nothing more is read of it.
    Broke(String),
}

impl<M> Event<M> {
    /// An end of the stream is a process that ended; what was sent whole and wrong is a process that cannot be believed.
    fn of(error: &FrameError) -> Self {
        match error {
            FrameError::Io(_) | FrameError::Truncated => Event::Gone(error.to_string()),
            FrameError::TooLarge(_) | FrameError::Malformed(_) | FrameError::Trailing(_) | FrameError::Descriptors => {
                Event::Broke(error.to_string())
            }
        }
    }
}

/// One frame on its way to a peer.
#[derive(Debug)]
pub struct Outgoing {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl Outgoing {
    /// A message, with descriptors.
    ///
    /// # Errors
    /// [`FrameError`] when it does not fit a frame.
    pub fn new<M: Serialize>(message: &M, fds: Vec<OwnedFd>) -> Result<Self, FrameError> {
        Ok(Self { bytes: frame::encode(message)?, fds })
    }
}

/// Frames that wait for one peer to read. A peer that lets more wait is dropped.
const MAX_WAITING: usize = 512;

/// The core's end of one socket. Dropping it closes the socket.
#[derive(Debug)]
pub struct Link {
    out: mpsc::Sender<Outgoing>,
    reader: AbortHandle,
    writer: AbortHandle,
}

impl Link {
    /// Starts the two tasks. The first frame out is the core's version; `wrap` makes the loop's input of what comes in.
    ///
    /// # Errors
    /// When the socket cannot be registered.
    pub fn open<M, W>(channel: Channel, peer: Role, inputs: mpsc::Sender<Input>, wrap: W) -> io::Result<Link>
    where
        M: DeserializeOwned + Send + 'static,
        W: Fn(Event<M>) -> Input + Send + 'static,
    {
        let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse)?;
        let (out, mut waiting) = mpsc::channel::<Outgoing>(MAX_WAITING);
        let reader = tokio::spawn(async move {
            let end = match receiver.greeting(peer).await {
                Err(error) => Event::of(&error),
                Ok(()) => {
                    if inputs.send(wrap(Event::Greeted)).await.is_err() {
                        return;
                    }
                    loop {
                        match receiver.next::<M>().await {
                            Ok(Some(message)) => {
                                if inputs.send(wrap(Event::Said(message))).await.is_err() {
                                    return;
                                }
                            }
                            Ok(None) => break Event::Gone("closed its channel".to_owned()),
                            Err(error) => break Event::of(&error),
                        }
                    }
                }
            };
            let _the_core_is_gone = inputs.send(wrap(end)).await;
        });
        let writer = tokio::spawn(async move {
            let mut alive = sender.send(&Version::of(Role::Core)).await.is_ok();
            while let Some(Outgoing { mut bytes, fds }) = waiting.recv().await {
                // What waits already goes out in one write, up to a frame that carries descriptors.
                let mut held = None;
                while fds.is_empty() && bytes.len() < 64 * 1024 {
                    match waiting.try_recv() {
                        Ok(more) if more.fds.is_empty() => bytes.extend_from_slice(&more.bytes),
                        Ok(more) => {
                            held = Some(more);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(OwnedFd::as_fd).collect();
                alive = alive && sender.write(&bytes, &borrowed).await.is_ok();
                if let Some(Outgoing { bytes, fds }) = held {
                    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(OwnedFd::as_fd).collect();
                    alive = alive && sender.write(&bytes, &borrowed).await.is_ok();
                }
                // A peer that does not take it is noticed by the reader, which sees its end of the socket close.
            }
        });
        Ok(Link { out, reader: reader.abort_handle(), writer: writer.abort_handle() })
    }

    /// Hands a frame to the writer. `false` when the peer lets too many wait: it is to be dropped.
    #[must_use]
    pub fn hand(&self, frame: Outgoing) -> bool {
        self.out.try_send(frame).is_ok()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::{Permit, connector, egress, launcher, worker};

    #[test]
    fn a_peer_may_say_only_what_its_phase_allows() {
        use connector::{Kind as C, Phase as CP};
        for kind in [C::Connected, C::Disconnected, C::Post, C::Reaction, C::ReactionsMissed, C::Seen, C::Delivered] {
            assert_eq!(connector::permits(CP::Starting, kind), Permit::Deny, "{kind:?}");
            assert_eq!(connector::permits(CP::Running, kind), Permit::Allow, "{kind:?}");
        }
        use egress::{Kind as E, Phase as EP};
        assert_eq!(egress::permits(EP::Starting, E::Attested), Permit::Deny);
        assert_eq!(egress::permits(EP::Starting, E::Ready), Permit::Once);
        assert_eq!(egress::permits(EP::Ready, E::Ready), Permit::Deny);
        use launcher::{Kind as L, Which};
        assert_eq!(launcher::permits(Which::Egress, L::Terminate), Permit::Deny);
        assert_eq!(launcher::permits(Which::Service, L::Terminate), Permit::Allow);
        use worker::{Kind as W, Phase as WP};
        for kind in [W::Running, W::Refused, W::Output, W::Inspected, W::Finished, W::Call, W::Hangup, W::Misused] {
            assert_eq!(worker::permits(WP::Idle, kind), Permit::Deny, "{kind:?}");
            assert_eq!(worker::permits(WP::Over, kind), Permit::Deny, "{kind:?}");
        }
        assert_eq!(worker::permits(WP::Ordered, W::Output), Permit::Deny, "no output before it runs");
        assert_eq!(worker::permits(WP::Ordered, W::Finished), Permit::Deny, "no end before it runs");
        assert_eq!(worker::permits(WP::Ordered, W::Call), Permit::Deny, "no call before it runs");
        assert_eq!(worker::permits(WP::Running, W::Running), Permit::Deny, "it runs once");
    }
}
