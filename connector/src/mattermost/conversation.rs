//! One open connection: `hello`, events in order, pings, and the signs that it is dead.
//!
//! | what happens | what follows |
//! |---|---|
//! | a `hello` | a new connection: numbers begin again, [`Heard::Fresh`] |
//! | a number is missing | [`Heard::Gap`], and on |
//! | a number came before | left out |
//!
//! An event is handed on before its number counts as seen, so that dropping a conversation at any moment loses nothing.

use crate::broker_link::Link;
use crate::mattermost::carried::Carried;
use crate::mattermost::event::{self, Event, Frame};
use crate::mattermost::socket::{Heard, Timing};
use bartizan_proto::carrier::Resume;
use bartizan_proto::connector::FromConnector;
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role as Side, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// The largest frame or message. A post has at most 64 KiB of text; the rest of its event is a few KiB.
const MAX_FRAME: usize = 4 * 1024 * 1024;
/// No gap is as wide: the server keeps 128 events. Such a number is nonsense, and would make its successors look old.
const FAR: u64 = 100_000;

/// What outlives a connection.
#[derive(Debug, Default)]
pub struct Memory {
    /// The connection to resume, and the number that comes next on it. Its id is empty where the server cannot resume;
    /// the number still shows gaps.
    resume: Option<Resume>,
    greeted_at: Option<Instant>,
    dropped: u64,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// No `hello`, nor a sign that the server resumed.
    #[error("no hello in time")]
    NoHello,
    /// Half-open.
    #[error("nothing heard for too long")]
    Silence,
    /// By the server, or on the way.
    #[error("closed: {0}")]
    Closed(String),
    /// Too large, not UTF-8, or not websocket.
    #[error("not to be read: {0}")]
    Unreadable(#[source] tungstenite::Error),
    /// Numbers that no server counts.
    #[error("event {seq} came where {expected} was next")]
    OutOfStep {
        /// The number that came.
        seq: u64,
        /// The number that was next.
        expected: u64,
    },
}

impl Ended {
    /// Whether the same connection may go on. Otherwise the same trouble would come again with it.
    fn resumable(&self) -> bool {
        match self {
            Ended::Silence | Ended::Closed(_) => true,
            Ended::NoHello | Ended::Unreadable(_) | Ended::OutOfStep { .. } => false,
        }
    }
}

impl From<tungstenite::Error> for Ended {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            // An end without a close frame: a restart of the server, or of the network.
            tungstenite::Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
            ) => Ended::Closed(error.to_string()),
            tungstenite::Error::Capacity(_) | tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => {
                Ended::Unreadable(error)
            }
            other => Ended::Closed(other.to_string()),
        }
    }
}

/// Nobody wants the events: the process is ending.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("nobody listens")]
pub struct Unheard;

/// Why the loop is left.
enum Leave {
    Ended(Ended),
    Unheard,
}

impl<E: Into<Ended>> From<E> for Leave {
    fn from(error: E) -> Self {
        Leave::Ended(error.into())
    }
}

impl Memory {
    /// What the next connection is to resume, if anything.
    pub fn resume(&self) -> Option<Resume> {
        self.resume.clone().filter(|resume| !resume.connection.is_empty())
    }

    /// How long ago the connection that ended was greeted; nothing where it never was.
    pub fn take_greeted_for(&mut self) -> Duration {
        self.greeted_at.take().map(|at| at.elapsed()).unwrap_or_default()
    }

    /// Logged at 1, 2, 4, 8 …: a flood of garbage is not to flood the log.
    fn count_dropped(&mut self, what: &str) {
        self.dropped += 1;
        if self.dropped.is_power_of_two() {
            tracing::warn!(what, in_all = self.dropped, "dropped from the websocket");
        }
    }
}

/// One connection to be held.
#[derive(Debug)]
pub struct Conversation<'a> {
    /// For [`FromConnector::Connected`].
    pub link: &'a Link,
    /// Where events go.
    pub heard: &'a mpsc::Sender<Heard>,
    /// How patient to be.
    pub timing: Timing,
    /// What is known from before.
    pub memory: &'a mut Memory,
}

impl Conversation<'_> {
    /// Speaks the websocket protocol until the connection ends.
    ///
    /// # Errors
    /// [`Unheard`].
    pub async fn hold(mut self, carried: Carried) -> Result<Ended, Unheard> {
        match self.talk(carried).await {
            Leave::Unheard => Err(Unheard),
            Leave::Ended(ended) => {
                if !ended.resumable() {
                    self.memory.resume = None;
                }
                Ok(ended)
            }
        }
    }

    async fn talk(&mut self, carried: Carried) -> Leave {
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let mut websocket = WebSocketStream::from_raw_socket(carried, Side::Client, Some(limits)).await;
        let mut pulse = Pulse::new(self.timing);
        self.memory.greeted_at = None;
        let resuming = self.memory.resume().is_some();
        // A server that resumes says nothing until something happens: its pong is the sign that it is there.
        let mut ping_now = resuming;
        loop {
            if std::mem::take(&mut ping_now)
                && let Err(error) = websocket.send(Message::Ping(Vec::new().into())).await
            {
                return error.into();
            }
            let message = tokio::select! {
                message = websocket.next() => message,
                () = tokio::time::sleep_until(pulse.deadline(self.memory.greeted_at.is_some())) => {
                    return if self.memory.greeted_at.is_some() { Ended::Silence } else { Ended::NoHello }.into();
                }
                _ = pulse.ping.tick() => {
                    ping_now = true;
                    continue;
                }
            };
            let outcome = match message {
                Some(Ok(Message::Text(text))) => self.frame(&text, resuming).await,
                Some(Ok(Message::Pong(_))) if resuming => self.greeted(true).await,
                Some(Ok(Message::Pong(_) | Message::Ping(_) | Message::Frame(_))) => Ok(()),
                Some(Ok(Message::Binary(_))) => {
                    self.memory.count_dropped("a binary frame");
                    Ok(())
                }
                Some(Ok(Message::Close(why))) => {
                    let code = why.map_or(1005, |why| u16::from(why.code));
                    Err(Ended::Closed(format!("the server said goodbye with {code}")).into())
                }
                Some(Err(error)) => Err(error.into()),
                None => Err(Ended::Closed("the bytes ended".to_owned()).into()),
            };
            if let Err(leave) = outcome {
                return leave;
            }
            // Taken now: handing on may have waited for the core for long.
            pulse.heard_at = Instant::now();
        }
    }

    async fn frame(&mut self, text: &str, resuming: bool) -> Result<(), Leave> {
        match event::parse(text) {
            Ok(Frame::Event { seq, event: Event::Hello { connection } }) => {
                self.greeted(false).await?;
                self.tell(Heard::Fresh).await?;
                self.memory.resume = Some(Resume { connection, sequence: seq.saturating_add(1) });
            }
            Ok(Frame::Event { seq, event }) if resuming || self.memory.greeted_at.is_some() => {
                self.greeted(true).await?;
                self.hand_on(seq, event).await?;
            }
            Ok(Frame::Event { .. }) => self.memory.count_dropped("an event before hello"),
            Ok(Frame::Reply) => {}
            Err(error) => self.memory.count_dropped(&error.to_string()),
        }
        Ok(())
    }

    /// Tells the core that the server is there: at every hello, and once where it resumed.
    async fn greeted(&mut self, resumed: bool) -> Result<(), Leave> {
        if !resumed || self.memory.greeted_at.is_none() {
            self.memory.greeted_at = Some(Instant::now());
            self.link.say(FromConnector::Connected { resumed }).await;
        }
        Ok(())
    }

    /// Passes an event on, and counts it.
    async fn hand_on(&mut self, seq: u64, event: Event) -> Result<(), Leave> {
        let expected = self.memory.resume.as_ref().map_or(0, |resume| resume.sequence);
        if seq.abs_diff(expected) > FAR {
            return Err(Ended::OutOfStep { seq, expected }.into());
        }
        if seq < expected {
            tracing::debug!(seq, expected, "an event came twice");
            return Ok(());
        }
        if seq > expected {
            tracing::warn!(seq, expected, "events are missing; catching up");
            self.tell(Heard::Gap).await?;
        }
        match event {
            Event::Posted { post, direct } => self.tell(Heard::Posted { post, direct }).await?,
            Event::Reacted(reaction) => self.tell(Heard::Reacted(reaction)).await?,
            Event::Unreadable => self.memory.count_dropped("a post that cannot be read"),
            Event::Other | Event::Hello { .. } => {}
        }
        if let Some(resume) = &mut self.memory.resume {
            resume.sequence = seq.saturating_add(1);
        }
        Ok(())
    }

    async fn tell(&self, heard: Heard) -> Result<(), Leave> {
        self.heard.send(heard).await.map_err(|_| Leave::Unheard)
    }
}

/// When to ping, and when to give up.
struct Pulse {
    timing: Timing,
    begun: Instant,
    heard_at: Instant,
    ping: Interval,
}

impl Pulse {
    fn new(timing: Timing) -> Self {
        let begun = Instant::now();
        let mut ping = tokio::time::interval_at(begun + timing.ping, timing.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { timing, begun, heard_at: begun, ping }
    }

    fn deadline(&self, greeted: bool) -> Instant {
        if greeted { self.heard_at + self.timing.silence } else { self.begun + self.timing.hello }
    }
}
