//! What the tests of the real program share: a small server that answers as it is told, and the two peers of egress.
//!
//! Every byte that egress says to the connector or writes to its log is searched for the token when a test ends.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub mod server;

pub use server::{Answer, Server};

use bartizan_proto::carrier::{FromCarrier, ToCarrier};
use bartizan_proto::egress::{FromEgress, Outcome, QuestionId, Ready, Setup, Subject, ToEgress};
use bartizan_proto::frame::{self, Decoder};
use bartizan_proto::ids::{ChannelId, PostId, TeamId, UserId};
use bartizan_proto::verbs::{FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::{Bytes, Confidential, Role, Text, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const TOKEN: &str = "canary7tokencanary7tokenca";
pub const BOT: &str = "botbotbotbotbotbotbotbot11";
pub const TEAM: &str = "teamteamteamteamteamteam11";
pub const ALICE: &str = "alicealicealicealicealice1";
pub const OPS: &str = "opsopsopsopsopsopsopsops11";
pub const POST: &str = "postpostpostpostpostpost11";
pub const OTHER: &str = "otherotherotherotherother1";

const PATIENCE: Duration = Duration::from_secs(20);

pub fn id<T: FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a valid id")
}

pub fn post() -> PostId {
    id(POST)
}

pub fn ops() -> ChannelId {
    id(OPS)
}

pub fn alice() -> UserId {
    id(ALICE)
}

pub fn team() -> TeamId {
    id(TEAM)
}

pub fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("short")
}

/// One end of a socket, with all bytes that ever came over it.
pub struct End {
    pub socket: UnixStream,
    decoder: Decoder,
    pub bytes: Vec<u8>,
}

impl End {
    fn pair() -> (End, OwnedFd) {
        let (own, theirs) = UnixStream::pair().expect("socketpair");
        own.set_read_timeout(Some(PATIENCE)).expect("timeout");
        (End { socket: own, decoder: Decoder::default(), bytes: Vec::new() }, theirs.into())
    }

    pub fn send<T: Serialize>(&mut self, message: &T) {
        self.write(&frame::encode(message).expect("encode")).expect("egress reads");
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// The next message; `None` when egress closed its end.
    pub fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            if let Some(message) = self.decoder.take().expect("well formed") {
                return Some(message);
            }
            let mut buffer = [0; 64 * 1024];
            let read = match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came from egress: {error}"),
            };
            self.bytes.extend_from_slice(&buffer[..read]);
            self.decoder.push(&buffer[..read]);
        }
    }

    pub fn greet(&mut self, own: Role) {
        self.send(&Version::of(own));
        let version: Version = self.next().expect("a first frame");
        version.check(Role::Egress).expect("egress");
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let found = self.bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!found || std::thread::panicking(), "the token came out of egress");
    }
}

/// The real program, and the core's end of its channel.
pub struct Egress {
    pub core: End,
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Egress {
    /// Starts it and exchanges versions.
    pub fn start() -> Self {
        Self::start_as(Role::Core)
    }

    /// Starts it with a peer of this role.
    pub fn start_as(role: Role) -> Self {
        // Nobody sets these in earnest; they must not count.
        Self::start_in(role, &[("https_proxy", "http://127.0.0.1:9"), ("http_proxy", "http://127.0.0.1:9")])
    }

    /// Starts it with a peer of this role, in this environment.
    pub fn start_in(role: Role, environment: &[(&str, &str)]) -> Self {
        let (mut core, theirs) = End::pair();
        let mut child = Command::new(env!("CARGO_BIN_EXE_bartizan-egress"))
            .env_clear()
            .envs(environment.iter().copied())
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bartizan-egress starts");
        let mut stderr = child.stderr.take().expect("piped");
        let log = std::thread::spawn(move || {
            let mut all = Vec::new();
            stderr.read_to_end(&mut all).expect("stderr");
            String::from_utf8_lossy(&all).into_owned()
        });
        core.greet(role);
        Self { core, child, log: Some(log) }
    }

    /// Starts it and sets it up for a server.
    pub fn with(server: &Server) -> Self {
        let mut egress = Self::start();
        egress.core.send(&setup(&server.url, &server.ca));
        egress
    }

    /// Starts it for a server and waits until that can be used.
    pub fn ready(server: &Server) -> Self {
        let mut egress = Self::with(server);
        egress.expect_ready();
        egress
    }

    pub fn next(&mut self) -> FromEgress {
        self.core.next().expect("egress lives")
    }

    pub fn expect_ready(&mut self) -> Ready {
        match self.next() {
            FromEgress::Ready(ready) => *ready,
            other => panic!("not ready: {other:?}"),
        }
    }

    pub fn expect_unready(&mut self) -> (String, u32) {
        match self.next() {
            FromEgress::Unready { why, retry_ms } => (why.into_string(), retry_ms),
            other => panic!("not unready: {other:?}"),
        }
    }

    pub fn attest(&mut self, subject: Subject) -> Outcome {
        self.core.send(&ToEgress::Attest { question: QuestionId(7), subject });
        loop {
            match self.next() {
                FromEgress::Attested { question: QuestionId(7), outcome } => return outcome,
                // What was said of a connector before.
                FromEgress::Dropped { .. } => {}
                other => panic!("not attested: {other:?}"),
            }
        }
    }

    /// Attaches a connector that says who it is: its verbs and its carrier.
    pub fn attach(&mut self) -> (End, End) {
        let (mut verbs, mut carrier) = self.attach_silent();
        verbs.greet(Role::Connector);
        carrier.greet(Role::Connector);
        (verbs, carrier)
    }

    /// Attaches two ends on which nothing was said yet.
    pub fn attach_silent(&mut self) -> (End, End) {
        let ((verbs, their_verbs), (carrier, their_carrier)) = (End::pair(), End::pair());
        self.send_with(&ToEgress::Attach, &[their_verbs, their_carrier]);
        (verbs, carrier)
    }

    pub fn send_with(&mut self, message: &ToEgress, ends: &[OwnedFd]) {
        let socket = self.core.socket.try_clone().expect("dup");
        let ends: Vec<_> = ends.iter().map(AsFd::as_fd).collect();
        bartizan_proto::channel::Channel::from(socket).send_with(message, &ends).expect("egress reads");
    }

    /// Closes the core's end as the death of the core does.
    pub fn hang_up(&mut self) {
        let (other, _) = UnixStream::pair().expect("socketpair");
        drop(std::mem::replace(&mut self.core.socket, other));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("egress does not end");
    }

    /// Waits for the end and gives the log.
    pub fn log_at_end(&mut self) -> String {
        self.wait();
        let log = self.log.take().expect("asked once").join().expect("the log is read");
        assert!(!log.contains(TOKEN), "the token is in the log: {log}");
        log
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        // Only this test's own child; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take() {
            let log = log.join().unwrap_or_default();
            if std::thread::panicking() {
                eprintln!("the log of bartizan-egress:\n{log}");
            } else {
                assert!(!log.contains(TOKEN), "the token is in the log: {log}");
            }
        }
    }
}

pub fn setup(url: &str, ca: &[u8]) -> ToEgress {
    ToEgress::Setup(Box::new(Setup {
        url: text(url),
        token: Confidential::copy_of(TOKEN.as_bytes()).expect("short"),
        ca: Bytes::new(ca).expect("short"),
        team: text("main"),
        proxy: None,
        client: None,
    }))
}

/// Makes one call and waits for what comes of it.
pub fn call(verbs: &mut End, verb: Verb) -> FromVerbs {
    verbs.send(&ToVerbs::Call { request: RequestId(3), verb: Box::new(verb) });
    verbs.next().expect("an answer")
}

pub fn carried(carrier: &mut End) -> FromCarrier {
    carrier.next().expect("egress carries")
}

pub fn tell(carrier: &mut End, message: ToCarrier) {
    carrier.send(&message);
}
