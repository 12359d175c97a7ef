//! An installed service that runs.

use super::{OPERATOR, Place};
use crate::house::seen;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that is waited for; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The processes of a service, by what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processes {
    /// `bartizan-launcher service`, the main process.
    pub main: u32,
    /// `bartizan-broker`.
    pub core: u32,
    /// `bartizan-launcher egress`.
    pub egress_launcher: u32,
    /// `bartizan-egress`.
    pub egress: u32,
    /// `bartizan-connector`.
    pub connector: u32,
    /// Everything that is or comes from a worker.
    pub workers: Vec<u32>,
}

impl Processes {
    /// Those that run as the program's owner.
    pub fn of_service(&self) -> [u32; 3] {
        [self.core, self.egress_launcher, self.egress]
    }

    /// Those that run as whoever started it.
    pub fn of_invoker(&self) -> Vec<u32> {
        [vec![self.main, self.connector], self.workers.clone()].concat()
    }

    /// Every one.
    pub fn all(&self) -> Vec<u32> {
        [self.of_service().to_vec(), self.of_invoker()].concat()
    }
}

/// Dropping it kills whatever of it still runs.
#[derive(Debug)]
pub struct Running<'place> {
    place: &'place Place,
    main: Child,
    log: PathBuf,
    seen: Vec<u32>,
}

impl<'place> Running<'place> {
    pub(super) fn begin(place: &'place Place, mut command: Command) -> Self {
        let log = place.path("log");
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        let main = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("it starts");
        let mut running = Self { place, main, log, seen: Vec::new() };
        running.wait("the connection", |running| {
            if let Some(status) = running.main.try_wait().expect("waited") {
                panic!("it ended with {status}: {}", running.log());
            }
            running.status()?["connected"].as_bool().filter(|connected| *connected)
        });
        running.seen = seen::below(running.main.id());
        running
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What `bartizan status --json` tells an operator.
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = self.place.bartizan(OPERATOR, &["status", "--json"]);
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Its processes; waits until all are there.
    pub fn processes(&mut self) -> Processes {
        let main = self.main.id();
        let found = self.wait("all processes", |_| {
            let all = seen::below(main);
            let named = |name: &str| all.iter().copied().filter(|pid| seen::name(*pid) == name).collect::<Vec<_>>();
            let launchers = named("bartizan-launch");
            Some(Processes {
                main,
                core: *named("bartizan-broker").first()?,
                egress_launcher: *launchers.iter().find(|pid| **pid != main)?,
                egress: *named("bartizan-egress").first()?,
                connector: *named("bartizan-connec").first()?,
                workers: Some(named("bartizan-worker")).filter(|workers| !workers.is_empty())?,
            })
        });
        self.seen.extend(found.all());
        found
    }

    /// Says something in chat and waits for the bot's first answer.
    pub fn ask(&mut self, who: &str, text: &str) -> String {
        let server = &self.place.server;
        let post = server.say(who, "ops", text).expect("such a person and channel");
        let bot = server.file().bot.id;
        self.wait("an answer", |_| {
            let replies = server.replies(&post);
            let reply = replies.iter().find(|reply| reply["user_id"] == *bot)?;
            Some(reply["message"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// A command goes all the way through.
    pub fn works(&mut self) {
        let reply = self.ask("carol", "!hello Works");
        assert!(reply.contains("exit 0") && reply.contains("Hello, Works!"), "{reply}");
    }

    /// Waits for the main process's end, and that nothing of the service is left after it. Its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.wait("the end", |running| running.main.try_wait().expect("waited"));
        let seen = self.seen.clone();
        self.wait("the end of every process", |_| (!seen.iter().any(|pid| seen::alive(*pid))).then_some(()));
        status.code()
    }

    /// Waits for a condition; with the log when it does not come.
    pub fn wait<T>(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(found) = condition(self) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("waited in vain for {what}; the log: {}", self.log());
    }

    /// Sends a signal as root.
    pub fn kill(&self, pid: u32, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid"));
        let _ended_already = nix::sys::signal::kill(pid, signal);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let left: Vec<u32> = seen::below(self.main.id()).into_iter().chain(self.seen.iter().copied()).collect();
        let ours = |pid: &u32| seen::alive(*pid) && seen::name(*pid).starts_with("bartizan-");
        for pid in left.iter().filter(|pid| ours(pid)) {
            self.kill(*pid, nix::sys::signal::Signal::SIGKILL);
        }
        let _reaped_already = self.main.wait();
        // The next service in this place finds nobody.
        let end = Instant::now() + PATIENCE;
        while left.iter().any(ours) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
