//! A broker's orders and a target, for tests: the real program, started as a daemon of SSH would start it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use bartizan_proto::frame::{self, Decoder, HEADER};
use bartizan_proto::ids::JobId;
use bartizan_proto::remote::{DOMAIN, FORMAT, FromRemote, RemoteOrder, SignedOrder, ToRemote};
use bartizan_proto::worker::{Limits, Profile};
use bartizan_proto::{Bytes, List, Text};
use base64::Engine as _;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::SystemTime;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_bartizan-remote");

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// One that signs.
pub struct Broker(pub SigningKey);

impl Broker {
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    pub fn public_key(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.0.verifying_key().as_bytes())
    }

    pub fn order(&self, target: &str, script: &[u8]) -> RemoteOrder {
        RemoteOrder {
            broker: Text::cut("test"),
            job: JobId(7),
            digest: [0; 32],
            target: target.parse().expect("a name"),
            expires_s: now_s() + 300,
            nonce: rand::random(),
            name: "hello".parse().expect("a name"),
            sha256: Sha256::digest(script).into(),
            arguments: List::default(),
            environment: List::default(),
            profile: Profile {
                read: List::default(),
                write: List::default(),
                exec: List::default(),
                network: List::default(),
                limits: Limits::default(),
            },
            require: List::default(),
            timeout_ms: 60_000,
            grace_ms: 1000,
            max_output: 1 << 20,
        }
    }

    pub fn sign(&self, order: &RemoteOrder) -> SignedOrder {
        let bytes = frame::encode(order).expect("small")[HEADER..].to_vec();
        let signature = self.0.sign(&[DOMAIN, &bytes].concat()).to_bytes().to_vec();
        SignedOrder {
            format: FORMAT,
            order: Bytes::new(bytes).expect("small"),
            signature: Bytes::new(signature).expect("64 bytes"),
        }
    }
}

/// A machine that takes orders, as `bartizan remote enroll` sets it up.
pub struct Target {
    pub name: String,
    pub directory: TempDir,
}

impl Target {
    pub fn new(name: &str, broker: &Broker) -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        fs::write(directory.path().join("broker.pub"), broker.public_key()).expect("write");
        fs::create_dir(directory.path().join("state")).expect("mkdir");
        Self { name: name.to_owned(), directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn arguments(&self) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        let (key, state) = (shown(&self.path("broker.pub")), shown(&self.path("state")));
        ["serve", "--target", &self.name, "--broker-key", &key, "--state", &state].map(str::to_owned).to_vec()
    }

    pub fn start(&self) -> Connection {
        let mut command = Command::new(PROGRAM);
        command.args(self.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What a client could ask for is not looked at.
        command.env("SSH_ORIGINAL_COMMAND", "touch /tmp/never");
        let mut child = command.spawn().expect("starts");
        let stdin = child.stdin.take();
        // Nobody reads its errors: as over a connection that has gone, writing them fails.
        drop(child.stderr.take());
        Connection { child, stdin, decoder: Decoder::default() }
    }

    /// Sends an order and takes everything up to the end.
    pub fn run(&self, order: &SignedOrder, script: &[u8]) -> Outcome {
        let mut connection = self.start();
        connection.order(order, script);
        connection.finish()
    }
}

/// One connection to it.
pub struct Connection {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    decoder: Decoder,
}

impl Connection {
    pub fn send(&mut self, bytes: &[u8]) {
        // The other side may have refused before it read all of it.
        let _gone = self.stdin.as_mut().expect("open").write_all(bytes);
    }

    pub fn order(&mut self, order: &SignedOrder, script: &[u8]) {
        let script = Bytes::new(script.to_vec()).expect("small");
        self.send(&frame::encode(&ToRemote::Order { order: order.clone(), script }).expect("fits"));
    }

    pub fn next(&mut self) -> Option<FromRemote> {
        loop {
            if let Some(message) = self.decoder.take().expect("well formed") {
                return Some(message);
            }
            let mut piece = [0; 4096];
            match self.child.stdout.as_mut().expect("piped").read(&mut piece).expect("read") {
                0 => return None,
                read => self.decoder.push(&piece[..read]),
            }
        }
    }

    pub fn finish(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(message) = self.next() {
            match message {
                FromRemote::Running { given, .. } => {
                    outcome.given = given.iter().filter(|given| !given.by.is_empty()).count();
                }
                FromRemote::Output(bytes) => outcome.output.push_str(&String::from_utf8_lossy(&bytes)),
                FromRemote::Finished { ending, .. } => outcome.ending = Some(ending),
                FromRemote::Refused { step, why } => outcome.refused = Some((step.to_string(), why.to_string())),
            }
        }
        self.child.wait().expect("wait");
        outcome
    }
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    pub given: usize,
    pub output: String,
    pub ending: Option<bartizan_proto::worker::Ending>,
    pub refused: Option<(String, String)>,
}

impl Outcome {
    /// The refusal, or the test ends with everything that is known.
    pub fn why(&self) -> (&str, &str) {
        match &self.refused {
            Some((step, why)) => (step, why),
            None => panic!("not refused: {self:?}"),
        }
    }
}
