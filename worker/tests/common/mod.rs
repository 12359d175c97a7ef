//! The core's side of a worker, for tests: starts the real program as the launcher does, and talks to it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use bartizan_proto::channel::Channel;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::script::Call;
use bartizan_proto::worker::{
    CallId, Ending, FromWorker, Given, InForce, Layer, LayerState, Limits, Order, Profile, ToWorker, Usage,
};
use bartizan_proto::{List, Role, Text};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A worker that waits for its order.
pub struct Worker {
    pub child: Child,
    pub channel: Channel,
}

impl Worker {
    /// As the launcher starts it: no environment, `/`, its channel as descriptor 0.
    pub fn start() -> Self {
        Self::start_by(|_| {})
    }

    /// The same, with something changed about how.
    pub fn start_by(change: impl FnOnce(&mut Command)) -> Self {
        let (mut channel, theirs) = Channel::pair().expect("socketpair");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan-worker"));
        command.env_clear().current_dir("/").stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        change(&mut command);
        let child = command.spawn().expect("starts");
        channel.greet(Role::Core, Role::Worker).expect("greets");
        Self { child, channel }
    }

    pub fn send(&mut self, message: &ToWorker) {
        self.channel.send(message).expect("send");
    }

    pub fn order(&mut self, order: Order, script: &File) {
        self.channel.send_with(&ToWorker::Order(Box::new(order)), &[script.as_fd()]).expect("send");
    }

    /// An order with secrets: their values in a pipe, as the core hands them over.
    pub fn order_with(&mut self, order: Order, script: &File, values: &[&[u8]]) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        File::from(OwnedFd::from(writer)).write_all(&values.concat()).expect("fits");
        let fds = [script.as_fd(), reader.as_fd()];
        self.channel.send_with(&ToWorker::Order(Box::new(order)), &fds).expect("send");
    }

    pub fn next(&mut self) -> Option<FromWorker> {
        self.channel.receive().expect("receive")
    }

    /// The message that says that the script runs.
    pub fn running(&mut self) -> (u32, Vec<InForce>, Vec<Given>) {
        match self.next().expect("a message") {
            FromWorker::Running { pid, layers, given } => (pid, layers.into_vec(), given.into_vec()),
            other => panic!("not running: {other:?}"),
        }
    }

    /// Everything up to the end.
    pub fn finish(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(message) = self.next() {
            match message {
                FromWorker::Running { pid, layers, given } => {
                    outcome.pid = pid;
                    outcome.layers = layers.into_vec();
                    outcome.given = given.into_vec();
                }
                FromWorker::Output(bytes) => outcome.output.extend_from_slice(&bytes),
                FromWorker::Finished { ending, usage } => {
                    outcome.ending = Some(ending);
                    outcome.usage = usage;
                }
                FromWorker::Refused { step, why } => outcome.refused = Some((step.to_string(), why.to_string())),
                FromWorker::Misused(why) => outcome.misused = Some(why.to_string()),
                FromWorker::Call { call, what } => outcome.calls.push((call, *what)),
                FromWorker::Inspected { .. } | FromWorker::Hangup(_) => {}
            }
        }
        self.child.wait().expect("wait");
        outcome
    }
}

/// What became of a job.
#[derive(Debug, Default)]
pub struct Outcome {
    pub pid: u32,
    pub layers: Vec<InForce>,
    pub given: Vec<Given>,
    pub output: Vec<u8>,
    pub ending: Option<Ending>,
    pub usage: Usage,
    pub refused: Option<(String, String)>,
    pub misused: Option<String>,
    pub calls: Vec<(CallId, Call)>,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    pub fn code(&self) -> Option<i32> {
        match self.ending {
            Some(Ending::Ended(ExitStatus::Code(code))) => Some(code),
            _ => None,
        }
    }

    /// Exit 0, or the test ends with everything that is known.
    pub fn success(self) -> String {
        assert_eq!(self.code(), Some(0), "{:?} {:?}\n{}", self.ending, self.refused, self.text());
        self.text()
    }

    pub fn state(&self, layer: Layer) -> Option<LayerState> {
        self.layers.iter().find(|line| line.layer == layer).map(|line| line.state)
    }
}

/// A directory with a script in it, and the order to run it.
pub struct Script {
    pub directory: TempDir,
    pub path: PathBuf,
    pub order: Order,
}

impl Script {
    pub fn new(content: &str) -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("script");
        write_program(&path, content);
        let order = Order {
            job: JobId(7),
            name: "test".parse().expect("a name"),
            path: Text::new(path.to_str().expect("UTF-8")).expect("short"),
            arguments: List::default(),
            environment: List::default(),
            secrets: List::default(),
            alone: false,
            api: false,
            sealed: false,
            sockets: false,
            plan: false,
            daemon: None,
            profile: Profile {
                read: List::default(),
                write: List::default(),
                exec: List::default(),
                network: List::default(),
                limits: Limits::default(),
            },
            require: List::default(),
            timeout_ms: 30_000,
            grace_ms: 1_000,
            max_output: 1 << 20,
            without: List::default(),
        };
        Self { directory, path, order }
    }

    pub fn bash(content: &str) -> Self {
        Self::new(&format!("#!/bin/bash\n{content}\n"))
    }

    /// Python with what probes of the kernel need.
    pub fn python(content: &str) -> Self {
        Self::new(&format!(
            "#!/usr/bin/python3\nimport ctypes, errno, os, socket, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n\
             def call(number, *arguments):\n    ctypes.set_errno(0)\n    result = libc.syscall(ctypes.c_long(number), *[\n        \
             ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments])\n    \
             return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]\n\
             def tried(what):\n    try:\n        what()\n        return 'ok'\n    except OSError as error:\n        \
             return errno.errorcode[error.errno]\n{content}\n"
        ))
    }

    pub fn with(mut self, change: impl FnOnce(&mut Order)) -> Self {
        change(&mut self.order);
        self
    }

    pub fn without(self, layers: &[Layer]) -> Self {
        self.with(|order| order.without = List::new(layers).expect("few"))
    }

    pub fn arguments(self, arguments: &[&str]) -> Self {
        let texts: Vec<_> = arguments.iter().map(|argument| Text::new(*argument).expect("short")).collect();
        self.with(|order| order.arguments = List::new(texts).expect("few"))
    }

    pub fn start(&self) -> Worker {
        let mut worker = Worker::start();
        worker.order(self.order.clone(), &File::open(&self.path).expect("the script"));
        worker
    }

    pub fn run(&self) -> Outcome {
        self.start().finish()
    }
}

pub fn paths<const MAX: usize>(paths: &[&Path]) -> List<Text<{ bartizan_proto::limits::MAX_PATH }>, MAX> {
    let texts: Vec<_> = paths.iter().map(|path| Text::new(path.to_str().expect("UTF-8")).expect("short")).collect();
    List::new(texts).expect("few")
}

pub fn write_program(path: &Path, content: &str) {
    fs::write(path, content).expect("write");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// Says that a test cannot run here; `make test` counts it as skipped.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    match std::env::var_os("BARTIZAN_SKIPS").map(|path| OpenOptions::new().append(true).create(true).open(path)) {
        Some(Ok(mut file)) => file.write_all(line.as_bytes()).expect("the list of skips"),
        Some(Err(_)) | None => eprint!("skipped {line}"),
    }
}

pub fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Whether a process is there and not a zombie.
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

/// Waits until a condition holds, at most five seconds.
pub fn soon(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("not within a minute: {what}");
}
