//! The websocket's life: connect by way of egress, converse, come back.
//!
//! | what happens | what follows |
//! |---|---|
//! | dropped, nothing wrong | resume with the connection id: missed events come again with their old numbers |
//! | a frame too large, not UTF-8, not websocket | drop it and do **not** resume: the same frame would come again |
//! | no `hello` in time, numbers that make no sense | drop it, and do not resume |
//! | egress is gone | wait for new ends, then resume |
//!
//! What is said on an open connection is [`super::conversation`]'s.

use crate::backoff::Backoff;
use crate::broker_link::Link;
use crate::mattermost::carried::{self, Ends, Piece};
use crate::mattermost::conversation::{Conversation, Ended, Memory, Unheard};
use crate::mattermost::event::Post;
use bartizan_proto::carrier::{Attempt, FromCarrier, ToCarrier};
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{FromConnector, Reaction};
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{FrameError, Role, Text, Version};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A connection that lived as long was one: the next wait is the shortest again.
const LIVED: Duration = Duration::from_secs(2);

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For egress to connect.
    pub connect: Duration,
    /// For `hello`, or a sign that the server resumed. The server drops an unknown token after 5 s.
    pub hello: Duration,
    /// Between two pings of ours.
    pub ping: Duration,
    /// Without any byte, pongs included, the connection is dead.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(45),
            hello: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            silence: Duration::from_secs(55),
        }
    }
}

/// What the websocket brings.
#[derive(Debug)]
pub enum Heard {
    /// A new connection: whatever happened before it is unknown.
    Fresh,
    /// Events are missing.
    Gap,
    /// Somebody reacted to a post.
    Reacted(Reaction),
    /// Somebody posted.
    Posted {
        /// The post.
        post: Box<Post>,
        /// Whether in a direct message.
        direct: bool,
    },
}

/// The websocket's task.
#[derive(Debug)]
pub struct Socket {
    /// For [`FromConnector::Connected`] and `Disconnected`.
    pub link: Link,
    /// Where events go.
    pub heard: mpsc::Sender<Heard>,
    /// How patient to be.
    pub timing: Timing,
    attempt: u32,
    memory: Memory,
    backoff: Backoff,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Down {
    #[error("egress could not connect ({status}): {why}")]
    Refused { status: u16, after: Option<Duration>, why: String },
    #[error("egress did not connect in time")]
    Slow,
    #[error("closed: {0}")]
    Closed(String),
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// The websocket cannot go on with these ends.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Carrier(#[from] FrameError),
    #[error("egress closed its end")]
    Gone,
    #[error(transparent)]
    Unheard(#[from] Unheard),
}

impl Socket {
    /// A task that is not connected yet.
    pub fn new(link: Link, heard: mpsc::Sender<Heard>, timing: Timing) -> Self {
        Self { link, heard, timing, attempt: 0, memory: Memory::default(), backoff: Backoff::default() }
    }

    /// Stays connected by way of the newest of `ends`. Ends with the last of them.
    pub async fn run(mut self, mut ends: mpsc::Receiver<Channel>) {
        let mut next = ends.recv().await;
        while let Some(channel) = next {
            // Dropping `serve` anywhere is safe: a number counts only after its event was handed on.
            next = tokio::select! {
                newer = ends.recv() => newer,
                broken = self.serve(channel) => {
                    let why = Text::cut(broken.to_string());
                    tracing::warn!(%why, "the carrier is gone; waiting for another");
                    self.link.say(FromConnector::Disconnected { why, retry_ms: 0 }).await;
                    ends.recv().await
                }
            };
        }
    }

    /// Connects again and again with one pair of ends.
    async fn serve(&mut self, channel: Channel) -> Broken {
        match self.serve_until_broken(channel).await {
            Ok(never) => match never {},
            Err(broken) => broken,
        }
    }

    async fn serve_until_broken(&mut self, channel: Channel) -> Result<Infallible, Broken> {
        let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse).map_err(FrameError::Io)?;
        sender.send(&Version::of(Role::Connector)).await?;
        receiver.greeting(Role::Egress).await?;
        loop {
            let down = self.connection(&sender, &mut receiver).await?;
            if self.memory.take_greeted_for() >= LIVED {
                self.backoff.reset();
            }
            let after = match &down {
                Down::Refused { after, .. } => *after,
                Down::Slow | Down::Closed(_) | Down::Ended(_) => None,
            };
            sender.send(&ToCarrier::Close { attempt: Attempt(self.attempt) }).await?;
            let wait = self.backoff.next(after);
            tracing::info!(why = %down, ?wait, "the websocket is down");
            let retry_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
            self.link.say(FromConnector::Disconnected { why: Text::cut(down.to_string()), retry_ms }).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Only leftovers can come, and the end of the socket.
                broken = leftovers(&mut receiver) => return Err(broken),
            }
        }
    }

    /// One connection, from opening it to its end.
    async fn connection(&mut self, sender: &Sender, receiver: &mut Receiver) -> Result<Down, Broken> {
        self.attempt = self.attempt.wrapping_add(1);
        let attempt = Attempt(self.attempt);
        sender.send(&ToCarrier::Open { attempt, resume: self.memory.resume() }).await?;
        match tokio::time::timeout(self.timing.connect, opened(receiver, attempt)).await {
            Err(_) => return Ok(Down::Slow),
            Ok(outcome) => {
                if let Some(down) = outcome? {
                    return Ok(down);
                }
            }
        }
        let (carried, Ends { incoming, outgoing }) = carried::pair();
        let (closed, why_closed) = oneshot::channel();
        let conversation =
            Conversation { link: &self.link, heard: &self.heard, timing: self.timing, memory: &mut self.memory };
        tokio::select! {
            ended = conversation.hold(carried) => match ended? {
                // The carrier knows better why the bytes ended.
                Ended::Closed(seen) => Ok(Down::Closed(why_closed.await.unwrap_or(seen))),
                other => Ok(other.into()),
            },
            broken = bring(receiver, attempt, incoming, closed) => Err(broken),
            broken = take(sender, attempt, outgoing) => Err(broken),
        }
    }
}

/// Waits for the answer to an attempt.
async fn opened(receiver: &mut Receiver, attempt: Attempt) -> Result<Option<Down>, Broken> {
    loop {
        match receiver.next::<FromCarrier>().await?.ok_or(Broken::Gone)? {
            FromCarrier::Opened { attempt: of } if of == attempt => return Ok(None),
            FromCarrier::Refused { attempt: of, status, retry_after_ms, why } if of == attempt => {
                let after = retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
                return Ok(Some(Down::Refused { status, after, why: why.into_string() }));
            }
            FromCarrier::Closed { attempt: of, why } if of == attempt => {
                return Ok(Some(Down::Closed(why.into_string())));
            }
            FromCarrier::Opened { .. }
            | FromCarrier::Refused { .. }
            | FromCarrier::Data { .. }
            | FromCarrier::Closed { .. } => {}
        }
    }
}

/// The server's bytes to the websocket, until egress is gone. A closed connection ends the stream only.
async fn bring(
    receiver: &mut Receiver,
    attempt: Attempt,
    incoming: mpsc::Sender<Piece>,
    closed: oneshot::Sender<String>,
) -> Broken {
    let mut open = Some((incoming, closed));
    loop {
        let message = match receiver.next::<FromCarrier>().await {
            Ok(Some(message)) => message,
            Ok(None) => return Broken::Gone,
            Err(error) => return error.into(),
        };
        match message {
            FromCarrier::Data { attempt: of, bytes } if of == attempt => {
                if let Some((incoming, _)) = &open {
                    // The websocket ended by itself: nobody wants the rest.
                    let _ended = incoming.send(bytes).await;
                }
            }
            FromCarrier::Closed { attempt: of, why } if of == attempt => {
                if let Some((_incoming, closed)) = open.take() {
                    let _ended = closed.send(why.into_string());
                }
            }
            FromCarrier::Opened { .. }
            | FromCarrier::Refused { .. }
            | FromCarrier::Data { .. }
            | FromCarrier::Closed { .. } => {}
        }
    }
}

/// The websocket's control frames to the server.
async fn take(sender: &Sender, attempt: Attempt, mut outgoing: mpsc::Receiver<Piece>) -> Broken {
    while let Some(bytes) = outgoing.recv().await {
        if let Err(error) = sender.send(&ToCarrier::Data { attempt, bytes }).await {
            return error.into();
        }
    }
    std::future::pending().await
}

/// Reads what still comes between two connections.
async fn leftovers(receiver: &mut Receiver) -> Broken {
    loop {
        match receiver.next::<FromCarrier>().await {
            Ok(Some(_)) => {}
            Ok(None) => return Broken::Gone,
            Err(error) => return error.into(),
        }
    }
}
