//! Who hears what over websockets. Each connection has a queue of what is still to be sent and remembers the
//! last events it did send; both outlive the socket for a while, so that a client may resume. The sizes and
//! rules are those of the real server (`app/web_conn.go`, `app/web_hub.go`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::ids::new_id;
use super::listen::Link;
use super::state::State;

/// What may wait for a connection that reads slowly, or for one that is away; one more and it is closed.
const QUEUE: usize = 256;

/// From this many waiting on, what nobody misses is left out.
const SLOW: usize = QUEUE / 2;

/// How many sent events are kept for resuming.
const BUFFER: usize = 128;

/// How long a connection without a socket can be resumed.
const RESUMABLE: Duration = Duration::from_secs(300);

/// The version this server says it is.
pub(crate) const VERSION: &str = "5.37.0";

/// The value of `X-Version-Id` and of `server_version` in `hello`: version, build, configuration hash, licence.
pub(crate) const VERSION_ID: &str = "5.37.0.5.37.0.ba471c0nba471c0nba471c0nba471c0n.false";

/// One event before it is sent to anyone.
#[derive(Debug)]
pub(crate) struct Event {
    name: &'static str,
    data: Map<String, Value>,
    to: To,
    omit: Option<String>,
}

/// Who hears an event.
#[derive(Debug)]
pub(crate) enum To {
    /// Every connection of one user.
    User(String),
    /// One user, about a channel.
    UserInChannel(String, String),
    /// Every member of a channel.
    Channel(String),
    /// Every member of the team.
    Team(String),
    /// Everybody.
    All,
}

impl Event {
    pub(crate) fn new(name: &'static str, to: To, data: Value) -> Event {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Event { name, data, to, omit: None }
    }

    /// The same, but not to this user.
    pub(crate) fn except(mut self, user_id: &str) -> Event {
        self.omit = Some(user_id.to_owned());
        self
    }

    /// The frame up to the sequence number.
    fn head(&self) -> String {
        let (user, channel, team) = match &self.to {
            To::User(user) => (user.as_str(), "", ""),
            To::UserInChannel(user, channel) => (user.as_str(), channel.as_str(), ""),
            To::Channel(channel) => ("", channel.as_str(), ""),
            To::Team(team) => ("", "", team.as_str()),
            To::All => ("", "", ""),
        };
        let omit = self.omit.as_ref().map(|user| json!({ user: true }));
        let broadcast = json!({ "omit_users": omit, "user_id": user, "channel_id": channel, "team_id": team });
        let data = super::answer::go_json(&self.data);
        let name = self.name;
        format!(r#"{{"event":"{name}","data":{data},"broadcast":{broadcast},"seq":"#)
    }

    /// Whether a fault on events counts this one: it carries a post or a reaction.
    fn is_chat(&self) -> bool {
        self.data.contains_key("post") || self.data.contains_key("reaction")
    }

    /// Whether it is left out for a slow reader.
    fn is_minor(&self) -> bool {
        matches!(self.name, "typing" | "status_change" | "channel_viewed")
    }
}

/// Something to write to a socket.
#[derive(Debug, Clone)]
pub(crate) enum Outgoing {
    /// An event, without its sequence number.
    Event { head: Arc<str>, chat: bool },
    /// The answer to an action; it has no sequence number.
    Reply(String),
    /// A ping; whatever was injected below goes out before it.
    Ping,
    /// A close frame with this code, and then the end.
    Close(u16),
}

/// What a socket's task writes next.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A text frame; `chat` when a fault on events may strike it.
    Text { text: String, chat: bool },
    /// A ping.
    Ping,
    /// The last frame.
    Close(u16),
}

/// All connections, with and without a socket.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    connections: Vec<Connection>,
}

/// One connection as the client knows it by `connection_id`.
#[derive(Debug)]
struct Connection {
    id: String,
    user_id: String,
    /// Numbers the sockets, so that an old one's end does not end a resumed connection.
    socket: Option<Socket>,
    away_since: Instant,
    queue: VecDeque<Outgoing>,
    sent: VecDeque<(u64, Arc<str>)>,
    next: u64,
}

/// The socket a connection has at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) serial: u64,
    pub(crate) link: Link,
    pub(crate) wake: Arc<Notify>,
}

impl Hub {
    /// Adds a connection for a user, resuming the one with this id if that one lost its socket and still has
    /// what comes from `sequence` on. Returns the id it goes by; a new one means a new `hello`.
    pub(crate) fn join(&mut self, user_id: &str, resume: Option<(&str, u64)>, socket: Socket) -> String {
        self.connections.retain(|one| one.socket.is_some() || one.away_since.elapsed() < RESUMABLE);
        if let Some((id, sequence)) = resume
            && let Some(old) =
                self.connections.iter_mut().find(|one| one.id == id && one.user_id == user_id && one.socket.is_none())
        {
            if let Some(position) = old.sent.iter().position(|(number, _)| *number == sequence) {
                // What was sent before the break goes out once more, with the numbers it had.
                let again: Vec<_> = old.sent.drain(position..).collect();
                for (_, head) in again.into_iter().rev() {
                    old.queue.push_front(Outgoing::Event { head, chat: false });
                }
            } else if old.sent.back().is_some_and(|(number, _)| *number + 1 != sequence) {
                // Something was lost: the connection starts anew, with what is still waiting for it.
                old.id = new_id();
                old.sent.clear();
                old.queue.push_front(hello(&old.id, user_id));
                old.next = 0;
                old.socket = Some(socket);
                return old.id.clone();
            }
            old.next = sequence;
            old.socket = Some(socket);
            return old.id.clone();
        }
        let id = new_id();
        self.connections.push(Connection {
            queue: VecDeque::from([hello(&id, user_id)]),
            id: id.clone(),
            user_id: user_id.to_owned(),
            socket: Some(socket),
            away_since: Instant::now(),
            sent: VecDeque::new(),
            next: 0,
        });
        id
    }

    /// Whether this is a connection of the user's that has lost its socket and is still kept.
    pub(crate) fn is_resumable(&self, user_id: &str, id: &str) -> bool {
        let kept = |one: &Connection| one.socket.is_none() && one.away_since.elapsed() < RESUMABLE;
        self.connections.iter().any(|one| one.id == id && one.user_id == user_id && kept(one))
    }

    /// The socket is gone; the connection waits to be resumed.
    pub(crate) fn leave(&mut self, serial: u64) {
        for one in &mut self.connections {
            if one.socket.as_ref().is_some_and(|socket| socket.serial == serial) {
                one.socket = None;
                one.away_since = Instant::now();
            }
        }
    }

    /// Forgets every connection, as a new server process does.
    pub(crate) fn forget_all(&mut self) {
        self.connections.clear();
    }

    /// The next thing this socket is to send. An event gets its number here.
    pub(crate) fn next(&mut self, serial: u64) -> Option<Frame> {
        let one = self.by_serial(serial)?;
        match one.queue.pop_front()? {
            Outgoing::Reply(text) => Some(Frame::Text { text, chat: false }),
            Outgoing::Ping => Some(Frame::Ping),
            Outgoing::Close(code) => Some(Frame::Close(code)),
            Outgoing::Event { head, chat } => {
                let number = one.next;
                one.next += 1;
                let text = format!("{head}{number}}}");
                if one.sent.len() == BUFFER {
                    one.sent.pop_front();
                }
                one.sent.push_back((number, head));
                Some(Frame::Text { text, chat })
            }
        }
    }

    /// Queues something for one socket alone.
    pub(crate) fn push(&mut self, serial: u64, outgoing: Outgoing) {
        if let Some(one) = self.by_serial(serial) {
            one.queue.push_back(outgoing);
            one.wake();
        }
    }

    /// Whose socket this is.
    pub(crate) fn user_of(&mut self, serial: u64) -> Option<String> {
        self.by_serial(serial).map(|one| one.user_id.clone())
    }

    /// The open sockets of a user.
    pub(crate) fn sockets(&self, user_id: &str) -> Vec<Socket> {
        self.connections.iter().filter(|one| one.user_id == user_id).filter_map(|one| one.socket.clone()).collect()
    }

    fn by_serial(&mut self, serial: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|one| one.socket.as_ref().is_some_and(|socket| socket.serial == serial))
    }

    fn deliver(&mut self, event: &Event, wanted: impl Fn(&str) -> bool) {
        let mut head: Option<Arc<str>> = None;
        self.connections.retain_mut(|one| {
            if !wanted(&one.user_id) || (one.queue.len() >= SLOW && event.is_minor()) {
                return true;
            }
            if one.queue.len() >= QUEUE {
                if let Some(socket) = &one.socket {
                    socket.link.cut();
                }
                return false;
            }
            let head = head.get_or_insert_with(|| event.head().into());
            one.queue.push_back(Outgoing::Event { head: Arc::clone(head), chat: event.is_chat() });
            one.wake();
            true
        });
    }
}

impl Connection {
    fn wake(&self) {
        if let Some(socket) = &self.socket {
            socket.wake.notify_one();
        }
    }
}

impl State {
    /// Sends an event to everyone it is for.
    pub(crate) fn publish(&mut self, event: &Event) {
        let (hub, members, team) = (&mut self.hub, &self.members, &self.team_members);
        let kept = |user: &str| event.omit.as_deref() != Some(user);
        match &event.to {
            To::User(id) | To::UserInChannel(id, _) => hub.deliver(event, |user| user == id && kept(user)),
            To::Channel(id) => {
                let members = members.get(id);
                hub.deliver(event, |user| kept(user) && members.is_some_and(|members| members.contains_key(user)));
            }
            To::Team(_) => hub.deliver(event, |user| kept(user) && team.iter().any(|member| member == user)),
            To::All => hub.deliver(event, kept),
        }
    }
}

fn hello(connection_id: &str, user_id: &str) -> Outgoing {
    let event = Event::new(
        "hello",
        To::User(user_id.to_owned()),
        json!({ "connection_id": connection_id, "server_version": VERSION_ID }),
    );
    Outgoing::Event { head: event.head().into(), chat: false }
}
