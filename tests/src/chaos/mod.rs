//! Chaos: commands are asked, processes are killed and the server misbehaves, all by one seed; then everything is counted.
//!
//! A *run* is one command with one kill or ordered death, or with two faults of the server's, or with both. At the end every command must have
//! been answered once, its script started once at most, nothing of it left running, and every answer must be one that is
//! explained by what was done. Each house is a server and a service of its own.

mod count;

pub use count::Count;

use crate::house::{House, Plan, programs, seen};
use bartizan_playground::server::{Fault, Server};
use bartizan_playground::service::Role;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The service manager gives a service up that ends five times in ten seconds.
const DEATHS: (usize, Duration) = (3, Duration::from_secs(11));

/// How long the last answers may take.
const TO_SETTLE: Duration = Duration::from_secs(150);

/// What a turn of the core's dies at, as `broker/src/core/fault.rs` names it.
const POINTS: [&str; 5] = ["before-commit", "after-commit", "after-audit", "after-effects", "after-deliveries"];

/// What the server does wrong. Every two of them come together.
const FAULTS: [&str; 9] =
    ["drop", "duplicate", "reorder", "429", "500", "restart", "half-open", "lose-answer", "hang-up"];

/// Where commands are asked.
const CHANNELS: [&str; 3] = ["ops", "random", "deployments"];

/// Who dies, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// Nobody.
    None,
    /// `kill -9`, so long after the command was asked.
    Killed(Role, Duration),
    /// The core, the so many-th time that it comes to a point of its turn.
    At(&'static str, u32),
}

/// One command.
#[derive(Debug)]
struct Asked {
    number: u64,
    post: String,
    what: String,
}

/// A house that is being troubled.
#[derive(Debug)]
struct Trouble {
    house: House,
    folder: TempDir,
    word: String,
    rng: StdRng,
    deaths: Vec<Instant>,
    asked: Vec<Asked>,
}

/// Runs so many, by this seed, in one house.
pub async fn run(seed: u64, runs: u64) -> Count {
    let mut trouble = Trouble::open(seed).await;
    for number in 0..runs {
        trouble.one(number).await;
    }
    trouble.settle().await
}

impl Trouble {
    async fn open(seed: u64) -> Self {
        programs();
        let folder = tempfile::Builder::new().prefix("bartizan-chaos-").tempdir_in("/tmp").expect("a directory");
        let word = folder.path().file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let path = folder.path().display();
        let content = format!(
            "echo run >> {path}/$1\n(setsid bash -c 'while :; do sleep 0.1; done' {word} &) </dev/null >/dev/null 2>&1\n\
             sleep 0.$(($1 % 4))\necho \"Done $1!\""
        );
        let config = format!(
            "[limits]\nstale-after = \"1h\"\n[rate]\nuser = \"none\"\nthread-replies = \"none\"\nchannel-replies = \"none\"\n\
             [profiles.chaos]\nwrite = [\"{path}\"]\n"
        );
        let entry = "profile = \"chaos\"\n[scripts.arguments.number]\ntype = \"number\"\nrequired = true";
        let house = House::build(Plan::default().config(&config).bash("mark", &content, entry)).await;
        // A channel begins where it is first read: what is said before that, and its event lost, was never promised anything.
        for channel in CHANNELS {
            let answer = house.ask("carol", channel, "!hello first").await;
            assert!(answer.contains("Hello, first!"), "{answer}");
        }
        Self { house, folder, word, rng: StdRng::seed_from_u64(seed), deaths: Vec::new(), asked: Vec::new() }
    }

    /// One command, and what goes wrong meanwhile.
    async fn one(&mut self, number: u64) {
        let pairs = FAULTS.len() * (FAULTS.len() + 1) / 2;
        let (one, other) = pair(usize::try_from(number).unwrap_or(0) % pairs);
        let with_faults = self.rng.random_range(0..3) > 0;
        let death = self.death(with_faults && (one == "half-open" || other == "half-open"));
        if let Death::At(point, count) = death {
            let line = format!("{point} {count}\n");
            std::fs::write(self.house.service.state().join("fault-point"), line).expect("the order");
            self.die(Role::Core, 2).await;
        }
        if with_faults {
            for fault in [one, other] {
                misbehave(&self.house.server, fault);
            }
        }
        let channel = CHANNELS[self.rng.random_range(0..CHANNELS.len())];
        let post = self.house.say("carol", channel, &format!("!mark {number}"));
        if let Death::Killed(role, after) = death {
            tokio::time::sleep(after).await;
            self.die(role, 1).await;
        }
        let faults = if with_faults { format!("{one} and {other}") } else { "no fault".to_owned() };
        self.asked.push(Asked { number, post: post.clone(), what: format!("{death:?}, {faults}") });
        // Most of the time the next command comes when this one is answered, now and then in the middle of it.
        if self.rng.random_range(0..10) < 6 {
            let end = Instant::now() + Duration::from_secs(2);
            while self.house.said(&post).is_empty() && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    fn death(&mut self, must: bool) -> Death {
        let after = Duration::from_millis(self.rng.random_range(0..350));
        match self.rng.random_range(0..10) {
            0 if !must => Death::None,
            0..3 => Death::Killed(Role::Connector, after),
            3 | 4 => Death::Killed(Role::Egress, after),
            5 if !must => Death::Killed(Role::Worker, after),
            5 | 6 => Death::Killed(Role::Core, after),
            7 => Death::Killed(Role::Launcher, after),
            _ => Death::At(POINTS[self.rng.random_range(0..POINTS.len())], self.rng.random_range(1..40)),
        }
    }

    /// Kills somebody; the service's own deaths only as fast as its manager puts up with.
    async fn die(&mut self, role: Role, deaths: usize) {
        if matches!(role, Role::Core | Role::Launcher) {
            loop {
                self.deaths.retain(|death| death.elapsed() < DEATHS.1);
                if self.deaths.len() + deaths <= DEATHS.0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.deaths.extend(std::iter::repeat_n(Instant::now(), deaths));
        }
        // A process that is between two lives cannot be killed.
        let _between_lives = self.house.service.kill(role).await;
    }

    /// Waits for the last answers, then counts.
    async fn settle(mut self) -> Count {
        let end = Instant::now() + TO_SETTLE;
        let mut nudged = Instant::now();
        while Instant::now() < end && self.asked.iter().any(|asked| self.house.said(&asked.post).is_empty()) {
            if nudged.elapsed() > Duration::from_secs(5) {
                // A gap in the events is noticed by the next one.
                nudged = Instant::now();
                self.house.say("alice", "ops", "just talk");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What comes twice comes soon after.
        self.house.works().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut count = Count::default();
        for asked in std::mem::take(&mut self.asked) {
            let runs = std::fs::read_to_string(self.folder.path().join(asked.number.to_string())).unwrap_or_default();
            let said = self.house.said(&asked.post);
            let right = count.add(&said, runs.lines().count(), &format!("Done {}!", asked.number), &asked.what);
            if !right {
                count.details.extend(self.story(&asked.post));
            }
        }
        count.orphans(seen::with_word(&self.word).len());
        let log = self.house.service.state().join("audit.jsonl");
        if !count.is_clean() {
            let kept = std::env::temp_dir().join(format!("{}.log", self.word));
            let written = std::fs::write(&kept, self.house.service.log_tail(usize::MAX));
            count.details.push(format!("the service's log is kept: {} ({written:?})", kept.display()));
        }
        count.log(&verify(&log, self.house.operator(&["audit", "verify", "--json"]).await.success()));
        count
    }

    /// What the audit log has of a command, for whoever looks for the reason.
    fn story(&self, post: &str) -> Vec<String> {
        let records = self.house.audit().into_iter().filter(|record| record["postId"] == post);
        records.map(|record| format!("    {record}")).collect()
    }
}

/// The log as `bartizan audit verify` has it.
fn verify(log: &Path, verified: bool) -> Result<(), String> {
    if verified { Ok(()) } else { Err(format!("{} does not verify", log.display())) }
}

/// The so many-th pair; a fault comes also with itself.
fn pair(number: usize) -> (&'static str, &'static str) {
    let pairs = (0..FAULTS.len()).flat_map(|one| (one..FAULTS.len()).map(move |other| (FAULTS[one], FAULTS[other])));
    pairs.into_iter().nth(number).unwrap_or((FAULTS[0], FAULTS[0]))
}

fn misbehave(server: &Server, fault: &str) {
    match fault {
        "restart" => server.restart(),
        other => server.fault(other.parse::<Fault>().expect("a fault")),
    }
}
