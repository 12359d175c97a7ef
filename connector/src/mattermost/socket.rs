//! The websocket: connect by way of egress, wait for `hello`, read events in order, notice silence, come back.
//!
//! | what happens | what follows |
//! |---|---|
//! | dropped, nothing wrong | resume with the connection id: missed events come again with their old numbers |
//! | a `hello` | a new connection: numbers begin again, [`Heard::Fresh`] |
//! | a number is missing | [`Heard::Gap`], and on |
//! | a frame too large, not UTF-8, not websocket | drop it and do **not** resume: the same frame would come again |
//! | no `hello` in time | drop it, and do not resume |
//!
//! What is read is handed on before its number counts as seen, so a drop at any moment loses nothing.

use crate::backoff::Backoff;
use crate::broker_link::Link;
use crate::mattermost::carried::{self, Carried, Ends, Piece};
use crate::mattermost::event::{self, Event, Frame, Post};
use bartizan_proto::carrier::{Attempt, FromCarrier, Resume, ToCarrier};
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::FromConnector;
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{FrameError, Role, Text, Version};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role as Side, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// The largest frame or message. A post has at most 64 KiB of text; the rest of its event is a few KiB.
const MAX_FRAME: usize = 4 * 1024 * 1024;

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
    state: State,
}

/// What outlives a connection.
#[derive(Debug, Default)]
struct State {
    attempt: u32,
    /// The connection to resume, and the number that comes next on it.
    resume: Option<Resume>,
    backoff: Backoff,
    dropped: u64,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Down {
    #[error("egress could not connect ({status}): {why}")]
    Refused { status: u16, after: Option<Duration>, why: String },
    #[error("egress did not connect in time")]
    Slow,
    #[error("no hello in time")]
    NoHello,
    #[error("nothing heard for too long")]
    Silence,
    #[error("closed: {0}")]
    Closed(String),
    #[error("not to be read: {0}")]
    Unreadable(tungstenite::Error),
}

/// The websocket cannot go on with these ends.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Carrier(#[from] FrameError),
    #[error("egress closed its end")]
    Gone,
    /// Nobody listens: the process is ending.
    #[error("nobody listens")]
    Unheard,
}

impl Socket {
    /// A task that is not connected yet.
    pub fn new(link: Link, heard: mpsc::Sender<Heard>, timing: Timing) -> Self {
        Self { link, heard, timing, state: State::default() }
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

    async fn serve_until_broken(&mut self, channel: Channel) -> Result<std::convert::Infallible, Broken> {
        let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse).map_err(FrameError::Io)?;
        sender.send(&Version::of(Role::Connector)).await?;
        receiver.greeting(Role::Egress).await?;
        loop {
            let down = self.connection(&sender, &mut receiver).await?;
            let after = match &down {
                Down::Refused { after, .. } => *after,
                Down::Unreadable(_) | Down::NoHello => {
                    self.state.resume = None;
                    None
                }
                Down::Slow | Down::Silence | Down::Closed(_) => None,
            };
            sender.send(&ToCarrier::Close { attempt: Attempt(self.state.attempt) }).await?;
            let wait = self.state.backoff.next(after);
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
        self.state.attempt = self.state.attempt.wrapping_add(1);
        let attempt = Attempt(self.state.attempt);
        sender.send(&ToCarrier::Open { attempt, resume: self.state.resume.clone() }).await?;
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
        tokio::select! {
            down = self.converse(carried) => match down? {
                // The carrier knows better why the bytes ended.
                Down::Closed(seen) => Ok(Down::Closed(why_closed.await.unwrap_or(seen))),
                other => Ok(other),
            },
            broken = bring(receiver, attempt, incoming, closed) => Err(broken),
            broken = take(sender, attempt, outgoing) => Err(broken),
        }
    }

    /// The websocket protocol, until the connection ends.
    async fn converse(&mut self, carried: Carried) -> Result<Down, Broken> {
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let mut websocket = WebSocketStream::from_raw_socket(carried, Side::Client, Some(limits)).await;
        let resuming = self.state.resume.is_some();
        let begun = Instant::now();
        let mut heard_at = begun;
        let mut greeted = false;
        let mut ping = tokio::time::interval_at(begun + self.timing.ping, self.timing.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if resuming {
            // A server that resumes says nothing until something happens: its pong is the sign of life.
            if let Err(error) = websocket.send(Message::Ping(Vec::new().into())).await {
                return Ok(ended(error));
            }
        }
        loop {
            let deadline = if greeted { heard_at + self.timing.silence } else { begun + self.timing.hello };
            let message = tokio::select! {
                message = websocket.next() => message,
                () = tokio::time::sleep_until(deadline) => {
                    return Ok(if greeted { Down::Silence } else { Down::NoHello });
                }
                _ = ping.tick() => {
                    if let Err(error) = websocket.send(Message::Ping(Vec::new().into())).await {
                        return Ok(ended(error));
                    }
                    continue;
                }
            };
            let frame = match message {
                Some(Ok(Message::Text(text))) => self.read(&text),
                Some(Ok(Message::Pong(_))) => None,
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => {
                    heard_at = Instant::now();
                    continue;
                }
                Some(Ok(Message::Binary(_))) => {
                    self.count_dropped("a binary frame");
                    continue;
                }
                Some(Ok(Message::Close(why))) => {
                    let code = why.map_or(1005, |why| u16::from(why.code));
                    return Ok(Down::Closed(format!("the server said goodbye with {code}")));
                }
                Some(Err(error)) => return Ok(ended(error)),
                None => return Ok(Down::Closed("the bytes ended".to_owned())),
            };
            let sign = match &frame {
                Some(Frame::Event { event: Event::Hello { .. }, .. }) => Sign::Hello,
                Some(Frame::Event { .. }) if resuming => Sign::Resumed,
                None if resuming && !greeted => Sign::Resumed,
                Some(_) | None => Sign::Nothing,
            };
            match sign {
                Sign::Hello => {
                    greeted = true;
                    self.link.say(FromConnector::Connected { resumed: false }).await;
                }
                Sign::Resumed if !greeted => {
                    greeted = true;
                    self.link.say(FromConnector::Connected { resumed: true }).await;
                }
                Sign::Resumed | Sign::Nothing => {}
            }
            if let Some(Frame::Event { seq, event }) = frame {
                if !greeted {
                    self.count_dropped("an event before hello");
                    continue;
                }
                self.hand_on(seq, event).await?;
            }
            // After handing on, which may have waited for the core for long.
            heard_at = Instant::now();
            if greeted && heard_at.duration_since(begun) >= self.timing.hello {
                self.state.backoff.reset();
            }
        }
    }

    fn read(&mut self, text: &str) -> Option<Frame> {
        match event::parse(text) {
            Ok(frame) => Some(frame),
            Err(error) => {
                self.count_dropped(&error.to_string());
                // Distinct from a pong: nothing that cannot be read is a sign of life.
                Some(Frame::Reply)
            }
        }
    }

    /// Numbers an event and passes it on; what comes twice is left out.
    async fn hand_on(&mut self, seq: u64, event: Event) -> Result<(), Broken> {
        if let Event::Hello { connection } = event {
            self.tell(Heard::Fresh).await?;
            self.state.resume = Some(Resume { connection, sequence: seq.saturating_add(1) });
            return Ok(());
        }
        let expected = self.state.resume.as_ref().map_or(0, |resume| resume.sequence);
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
            Event::Unreadable => self.count_dropped("a post that cannot be read"),
            Event::Other | Event::Hello { .. } => {}
        }
        if let Some(resume) = &mut self.state.resume {
            resume.sequence = seq.saturating_add(1);
        }
        Ok(())
    }

    async fn tell(&self, heard: Heard) -> Result<(), Broken> {
        self.heard.send(heard).await.map_err(|_| Broken::Unheard)
    }

    /// Logged at 1, 2, 4, 8 …: a flood of garbage is not to flood the log.
    fn count_dropped(&mut self, what: &str) {
        self.state.dropped += 1;
        if self.state.dropped.is_power_of_two() {
            tracing::warn!(what, in_all = self.state.dropped, "dropped from the websocket");
        }
    }
}

/// What a frame says about the connection.
enum Sign {
    Hello,
    Resumed,
    Nothing,
}

/// Whether coming back to the same connection would bring the same trouble.
fn ended(error: tungstenite::Error) -> Down {
    match error {
        tungstenite::Error::Capacity(_) | tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => {
            match error {
                // An end without a close frame: a restart of the server, or of the network.
                tungstenite::Error::Protocol(
                    tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
                    | tungstenite::error::ProtocolError::SendAfterClosing,
                ) => Down::Closed(error.to_string()),
                unreadable => Down::Unreadable(unreadable),
            }
        }
        other => Down::Closed(other.to_string()),
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
