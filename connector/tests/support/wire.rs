//! Egress's end of the carrier with the server's side of the websocket behind it.

use super::soon;
use bartizan_proto::carrier::{Attempt, FromCarrier, Resume, ToCarrier};
use bartizan_proto::channel::Channel;
use bartizan_proto::limits::MAX_CARRIED;
use bartizan_proto::stream::{self, Descriptors, Sender};
use bartizan_proto::{Bytes, Role, Text, Version};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as Side;

type Opened = (Attempt, Option<Resume>);
type Current = Arc<Mutex<Option<(Attempt, mpsc::UnboundedSender<Vec<u8>>)>>>;

#[derive(Default)]
pub struct Wire {
    sender: Option<Arc<tokio::sync::Mutex<Sender>>>,
    opens: Option<mpsc::UnboundedReceiver<Opened>>,
    current: Current,
    reader: Option<JoinHandle<()>>,
}

impl Wire {
    pub fn is_unused(&self) -> bool {
        self.sender.is_none()
    }

    pub fn open(channel: Channel) -> Wire {
        let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse).expect("channel");
        let sender = Arc::new(tokio::sync::Mutex::new(sender));
        let (opened, opens) = mpsc::unbounded_channel();
        let current = Current::default();
        let (their_current, greeter) = (Arc::clone(&current), Arc::clone(&sender));
        let reader = tokio::spawn(async move {
            greeter.lock().await.send(&Version::of(Role::Egress)).await.expect("greets");
            receiver.greeting(Role::Connector).await.expect("the connector");
            while let Ok(Some(message)) = receiver.next().await {
                match message {
                    ToCarrier::Open { attempt, resume } => opened.send((attempt, resume)).expect("test"),
                    ToCarrier::Data { attempt, bytes } => {
                        assert_control_frames(&bytes);
                        if let Some((of, server)) = &*their_current.lock().expect("current")
                            && *of == attempt
                        {
                            let _closed = server.send(bytes.into_vec());
                        }
                    }
                    ToCarrier::Close { .. } => {}
                }
            }
        });
        Wire { sender: Some(sender), opens: Some(opens), current, reader: Some(reader) }
    }

    /// The next attempt to connect.
    pub async fn asked(&mut self) -> Opened {
        soon("an attempt", self.opens.as_mut().expect("open").recv()).await.expect("open")
    }

    pub async fn refuse(&mut self, status: u16, retry_after_ms: Option<u32>) {
        let (attempt, _) = self.asked().await;
        self.say(&FromCarrier::Refused { attempt, status, retry_after_ms, why: Text::cut("as ordered") }).await;
    }

    /// Takes the next attempt; nothing is said on it yet.
    pub async fn accept(&mut self) -> Conn {
        let (attempt, resume) = self.asked().await;
        self.say(&FromCarrier::Opened { attempt }).await;
        Conn::new(self.sender.clone().expect("open"), attempt, resume, &self.current).await
    }

    /// Takes the next attempt as a new connection.
    pub async fn welcome(&mut self, connection: &str) -> Conn {
        let mut conn = self.accept().await;
        conn.hello(connection).await;
        conn
    }

    async fn say(&self, message: &FromCarrier) {
        self.sender.as_ref().expect("open").lock().await.send(message).await.expect("the connector reads");
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
    }
}

/// What egress would let pass: whole masked control frames (RFC 6455, section 5).
fn assert_control_frames(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        assert!(bytes.len() >= 6 && bytes[0] & 0x88 == 0x88 && bytes[1] & 0x80 == 0x80, "not a control frame");
        bytes = bytes.get(6 + usize::from(bytes[1] & 0x7f)..).expect("a whole frame");
    }
}

/// One connection, from the server's side. Answers pings by itself.
pub struct Conn {
    sender: Arc<tokio::sync::Mutex<Sender>>,
    pub attempt: Attempt,
    pub resume: Option<Resume>,
    frames: mpsc::UnboundedSender<Message>,
    tasks: Vec<JoinHandle<()>>,
    pub seq: u64,
}

impl Conn {
    async fn new(
        sender: Arc<tokio::sync::Mutex<Sender>>,
        attempt: Attempt,
        resume: Option<Resume>,
        current: &Current,
    ) -> Conn {
        let (server, carried) = tokio::io::duplex(64 * 1024);
        let (mut from_server, mut to_server): (_, WriteHalf<DuplexStream>) = tokio::io::split(carried);
        let (client, mut client_bytes) = mpsc::unbounded_channel::<Vec<u8>>();
        *current.lock().expect("current") = Some((attempt, client));
        let (frames, mut ordered) = mpsc::unbounded_channel();
        let mut websocket = WebSocketStream::from_raw_socket(server, Side::Server, None).await;
        let out = Arc::clone(&sender);
        let tasks = vec![
            tokio::spawn(async move {
                while let Some(bytes) = client_bytes.recv().await {
                    let _closed = to_server.write_all(&bytes).await;
                }
            }),
            tokio::spawn(async move {
                let mut buffer = vec![0; MAX_CARRIED];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    let bytes = Bytes::new(&buffer[..read]).expect("fits");
                    let _gone = out.lock().await.send(&FromCarrier::Data { attempt, bytes }).await;
                }
            }),
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        frame = ordered.recv() => match frame {
                            Some(frame) => { let _closed = websocket.send(frame).await; }
                            None => return,
                        },
                        message = websocket.next() => if !matches!(message, Some(Ok(_))) { return },
                    }
                }
            }),
        ];
        Conn { sender, attempt, seq: resume.as_ref().map_or(0, |resume| resume.sequence), resume, frames, tasks }
    }

    pub async fn hello(&mut self, connection: &str) {
        self.seq = 0;
        self.event("hello", json!({"connection_id": connection, "server_version": "x"}));
    }

    /// An event with the next number.
    pub fn event(&mut self, name: &str, data: Value) {
        let event = json!({"event": name, "data": data, "broadcast": {}, "seq": self.seq});
        self.seq += 1;
        self.text(event.to_string());
    }

    /// A post in an open channel.
    pub fn posted(&mut self, post: &Value) {
        self.posted_in(post, "O");
    }

    pub fn posted_in(&mut self, post: &Value, channel_type: &str) {
        self.event("posted", json!({"post": post.to_string(), "channel_type": channel_type, "sender_name": "@alice"}));
    }

    pub fn text(&self, text: String) {
        self.frame(Message::Text(text.into()));
    }

    pub fn frame(&self, frame: Message) {
        self.frames.send(frame).expect("connection");
    }

    /// Bytes past the server's websocket, as a broken server would send them.
    pub async fn raw(&self, bytes: &[u8]) {
        for piece in bytes.chunks(MAX_CARRIED) {
            let bytes = Bytes::new(piece).expect("fits");
            let attempt = self.attempt;
            self.sender.lock().await.send(&FromCarrier::Data { attempt, bytes }).await.expect("the connector reads");
        }
    }

    /// Stops answering, pings included; the connection stays.
    pub fn freeze(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Drops the connection without a close frame.
    pub async fn drop_it(self) {
        self.freeze();
        let gone = FromCarrier::Closed { attempt: self.attempt, why: Text::cut("reset by the server") };
        self.sender.lock().await.send(&gone).await.expect("the connector reads");
    }
}
