//! `GET /api/v4/websocket`: one task per socket that sends what the hub has queued and carries out actions.
//! Who the peer is comes from the upgrade's token or from the `authentication_challenge` action; without
//! either, or with a bad token in the header, the socket ends after 5 s without a close frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, Query, State as Shares};
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::actions;
use super::answer::{Answer, ApiError};
use super::caller::Token;
use super::faults::Fault;
use super::hub::{Frame, Outgoing, Socket};
use super::ids::is_id;
use super::listen::Link;
use super::state::{Shared, State};

/// The longest message a client may send.
const LONGEST: usize = 8 * 1024;

/// How long a peer may stay unknown.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(5);

/// A peer that has not been heard of for this long is gone.
const PONG_WITHIN: Duration = Duration::from_secs(100);

/// How long an event that is to be overtaken waits for another one to do so.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(1);

static SERIAL: AtomicU64 = AtomicU64::new(1);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resume {
    connection_id: String,
    sequence_number: String,
}

impl Resume {
    /// The connection and the number to go on from, if any. A client that names a connection which is there has to say
    /// a number, too; one that does not is cut off.
    fn from(&self, state: &mut State, user_id: &str) -> Result<Option<(&str, u64)>, Nonsense> {
        if self.connection_id.is_empty() {
            return Ok(None);
        }
        if !is_id(&self.connection_id) {
            return Err(Nonsense);
        }
        if !state.hub.is_resumable(user_id, &self.connection_id) {
            return Ok(None);
        }
        let number = self.sequence_number.parse().map_err(|_| Nonsense)?;
        Ok(Some((&self.connection_id, number)))
    }
}

/// What a client asked to resume makes no sense.
struct Nonsense;

/// The upgrade. A bad token is no reason to refuse it.
pub(crate) async fn upgrade(
    Shares(shared): Shares<Arc<Shared>>,
    ConnectInfo(link): ConnectInfo<Link>,
    Query(resume): Query<Resume>,
    token: Token,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Answer {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST))
        && origin.split_once("://").map(|(_, rest)| rest) != Some(host)
    {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "api.web_socket.connect.upgrade.app_error",
            "Failed to upgrade websocket connection.",
        ));
    }
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST);
    Ok(upgrade.on_upgrade(move |socket| run(shared, link, token.0, resume, socket)))
}

/// What a socket's task knows of its peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) serial: u64,
    /// The token it showed, once it was found good; it may have been revoked since.
    pub(crate) token: Option<String>,
    pub(crate) user_id: Option<String>,
}

/// What came of a client's message.
#[derive(Debug)]
pub(crate) enum Done {
    /// Go on.
    Continue,
    /// End the connection without a word.
    Cut,
}

async fn run(shared: Arc<Shared>, link: Link, token: Option<String>, resume: Resume, socket: WebSocket) {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let wake = Arc::new(Notify::new());
    let handle = Socket { serial, link: link.clone(), wake: Arc::clone(&wake) };
    let mut peer = Peer { serial, token: None, user_id: None };
    if let Some(token) = token {
        let mut state = shared.lock();
        let user = state.session(&token).map(|user| user.id.clone());
        if let Some(user_id) = user {
            let Ok(from) = resume.from(&mut state, &user_id) else { return link.cut() };
            state.hub.join(&user_id, from, handle.clone());
            state.came_online(&user_id);
            peer = Peer { serial, token: Some(token), user_id: Some(user_id) };
        }
    }
    wake.notify_one();

    let (sink, stream) = socket.split();
    let sender = Sender { shared: Arc::clone(&shared), serial, wake, sink };
    let known = Arc::new(Notify::new());
    if peer.user_id.is_some() {
        known.notify_one();
    }
    // Two halves, so that a peer that does not read is still listened to.
    tokio::select! {
        () = sender.run() => {}
        () = receive(&shared, &handle, &mut peer, &known, stream) => {}
        () = stay_unknown(&known) => {}
    }
    // The peer sees the end of TCP and nothing before it, except for a close frame already sent.
    link.cut();
    let mut state = shared.lock();
    state.hub.leave(serial);
    if let Some(user_id) = peer.user_id {
        state.went_offline(&user_id);
    }
}

/// Ends when nobody has said in time who they are.
async fn stay_unknown(known: &Notify) {
    tokio::select! {
        () = sleep(AUTHENTICATE_WITHIN) => {}
        () = known.notified() => std::future::pending().await,
    }
}

struct Sender {
    shared: Arc<Shared>,
    serial: u64,
    wake: Arc<Notify>,
    sink: SplitSink<WebSocket, Message>,
}

impl Sender {
    /// Sends until the socket fails or the hub has given it up.
    async fn run(mut self) {
        let every = self.shared.options.ping_every;
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // An event that is to arrive after the one that follows it.
        let mut overtaken: Option<String> = None;
        loop {
            let next = self.shared.lock().hub.next(self.serial);
            let Some(frame) = next else {
                tokio::select! {
                    () = self.wake.notified() => {}
                    _ = pings.tick() => if self.sink.send(Message::Ping(Default::default())).await.is_err() { return },
                    () = sleep(OVERTAKEN_WITHIN), if overtaken.is_some() => {
                        if self.send(overtaken.take()).await.is_err() { return }
                    }
                }
                continue;
            };
            let (text, chat) = match frame {
                Frame::Text { text, chat } => (text, chat),
                Frame::Ping => {
                    if self.sink.send(Message::Ping(Default::default())).await.is_err() {
                        return;
                    }
                    continue;
                }
                Frame::Close(code) => {
                    let _ = self.sink.send(Message::Close(Some(CloseFrame { code, reason: Default::default() }))).await;
                    return;
                }
            };
            let fault = if chat { self.fault() } else { None };
            let sent = match fault {
                Some(Fault::Drop { .. }) => Ok(()),
                Some(Fault::Reorder { .. }) if overtaken.is_none() => {
                    overtaken = Some(text);
                    continue;
                }
                Some(Fault::Duplicate { .. }) => {
                    let first = self.send(Some(text.clone())).await;
                    first.and(self.send(Some(text)).await)
                }
                Some(Fault::Delay { by, .. }) => {
                    sleep(by).await;
                    self.send(Some(text)).await
                }
                _ => self.send(Some(text)).await,
            };
            let then = self.send(overtaken.take()).await;
            if sent.and(then).is_err() {
                return;
            }
        }
    }

    fn fault(&self) -> Option<Fault> {
        let mut state = self.shared.lock();
        let user_id = state.hub.user_of(self.serial)?;
        state.faults.for_event(&user_id)
    }

    async fn send(&mut self, text: Option<String>) -> Result<(), axum::Error> {
        match text {
            Some(text) => self.sink.send(Message::Text(text.into())).await,
            None => Ok(()),
        }
    }
}

async fn receive(
    shared: &Arc<Shared>,
    socket: &Socket,
    peer: &mut Peer,
    known: &Notify,
    mut stream: SplitStream<WebSocket>,
) {
    loop {
        let message = match tokio::time::timeout(PONG_WITHIN, stream.next()).await {
            Ok(Some(Ok(message))) => message,
            // Silent for too long, gone, or broken: nothing is said. Too long a frame: 1009.
            Ok(Some(Err(error))) => {
                if error.to_string().contains("too long") {
                    say_too_big(shared, socket).await;
                }
                return;
            }
            Ok(None) | Err(_) => return,
        };
        let bytes = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return,
        };
        let Ok(request) = serde_json::from_slice::<actions::Request>(bytes) else { return };
        let was_known = peer.user_id.is_some();
        match actions::carry_out(shared, socket, peer, request) {
            Done::Continue => {}
            Done::Cut => return,
        }
        if !was_known && peer.user_id.is_some() {
            known.notify_one();
        }
    }
}

/// The one close frame that this server starts; the sending half ends with it.
async fn say_too_big(shared: &Shared, socket: &Socket) {
    shared.lock().hub.push(socket.serial, Outgoing::Close(close_code::SIZE));
    sleep(Duration::from_secs(1)).await;
}

/// An answer to an action, as the client expects it.
pub(crate) fn reply(sequence: u64, data: Option<Value>) -> String {
    match data {
        Some(data) => json!({ "status": "OK", "seq_reply": sequence, "data": data }).to_string(),
        None => json!({ "status": "OK", "seq_reply": sequence }).to_string(),
    }
}
