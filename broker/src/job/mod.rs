//! Jobs: queued, started once, watched, ended, told about.
//!
//! Before anything else `sandbox` finds out what this machine can give. `queue` accepts and dispatches, `launch` turns a cleared right into a worker's order, `watch` takes in what the worker
//! says, `api` what its script calls, `end` tells chat and log. What may start is decided by the gates, at the moment it starts.

pub mod api;
pub mod authorize;
pub mod backend;
pub mod end;
pub mod follow;
pub mod launch;
pub mod live;
pub mod pipeline;
pub mod printed;
pub mod queue;
pub mod recover;
pub mod room;
pub mod sandbox;
pub mod watch;
pub mod workers;

use crate::brain::job::JobSecrets;
use crate::output::collect::Collected;
use crate::output::redact::{self, Cut};
use crate::output::strip::strip;
use crate::peer::Outgoing;
use crate::store::jobs::Intent;
use bartizan_proto::connector::DeliveryId;
use bartizan_proto::control::{Answer, JobState};
use bartizan_proto::ids::{JobId, UserId};
use bartizan_proto::launcher::ChildId;
use bartizan_proto::worker::{Ending, Given, InForce, Limits, Usage};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Ended jobs that `inspect` still knows.
pub(crate) const REMEMBERED: usize = 100;

/// A job, as long as the core remembers it.
#[derive(Debug)]
pub struct Job {
    /// What was asked for.
    pub intent: Intent,
    /// Where it is.
    pub state: JobState,
    /// When it was asked for.
    pub queued: Instant,
    /// The same by the server's clock, ms since 1970; after a restart when it was taken up again.
    pub asked_ms: u64,
    /// What its script's authorizer said, used once.
    pub grants: Vec<crate::gate::authorizer::Grant>,
    /// The worker that runs it.
    pub worker: Option<ChildId>,
    /// What was known when it was launched.
    pub launched: Option<Launched>,
    /// What the worker read back from the kernel.
    pub layers: Vec<InForce>,
    /// What that gives.
    pub given: Vec<Given>,
    /// The secrets that it was given, for as long as what it prints may have them in it.
    pub secrets: Option<JobSecrets>,
    /// What it printed.
    pub output: Collected,
    /// How far that is written down.
    pub kept: printed::Kept,
    /// What it used, as last heard.
    pub usage: Usage,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Its processes, as last heard.
    pub pids: Vec<u32>,
    /// Operators who wait for an inspection.
    pub inspectors: Vec<oneshot::Sender<Answer>>,
    /// How it is shown while it runs.
    pub live: live::Live,
    /// What its script may call, and has called.
    pub api: api::Api,
    /// Jobs that it had run beside it.
    pub spawned: u32,
    /// When it was begun, in ms since 1970, where it goes on by itself and is only to be followed.
    pub follows: Option<u64>,
    /// It is to be stopped as soon as that is done.
    pub stop_wanted: bool,
    /// How often it was followed anew because its worker died.
    pub followed: u32,
}

impl Job {
    /// One that waits from now on, and of whose output so many bytes are kept.
    pub fn queued(intent: Intent, most_output: usize) -> Job {
        Job {
            intent,
            state: JobState::Queued,
            queued: Instant::now(),
            asked_ms: 0,
            grants: Vec::new(),
            worker: None,
            launched: None,
            layers: Vec::new(),
            given: Vec::new(),
            secrets: None,
            output: Collected::new(most_output),
            kept: printed::Kept::Whole,
            usage: Usage::default(),
            ending: None,
            pids: Vec::new(),
            inspectors: Vec::new(),
            live: live::Live::default(),
            api: api::Api::default(),
            spawned: 0,
            follows: None,
            stop_wanted: false,
            followed: 0,
        }
    }

    /// What it used, with all of its time where it is only followed: its worker knows its own.
    fn since_it_began(&self, usage: Usage) -> Usage {
        let Some(begun_ms) = self.follows else { return usage };
        let elapsed_us = crate::store::now_ms().saturating_sub(begun_ms).saturating_mul(1000);
        Usage { elapsed_us: elapsed_us.max(usage.elapsed_us), ..usage }
    }

    /// Its output from the beginning, as it may be shown.
    pub fn shown(&self, is_cut: bool) -> String {
        let cut = if is_cut { Cut::End } else { Cut::None };
        redact::redact(strip(self.output.head()), self.secrets.as_ref(), cut)
    }

    /// The end of its output, as it may be shown.
    pub fn shown_tail(&self) -> String {
        shown_tail(self.output.tail(), self.output.is_longer_than_its_tail(), self.secrets.as_ref())
    }

    /// It is over: what it printed was shown, and its secrets are forgotten.
    pub fn forget(&mut self) {
        let (secrets, longer) = (self.secrets.take(), self.output.is_longer_than_its_tail());
        self.output.forget_head(|tail| shown_tail(tail, longer, secrets.as_ref()));
    }
}

fn shown_tail(tail: &[u8], longer: bool, secrets: Option<&JobSecrets>) -> String {
    redact::redact(strip(tail), secrets, if longer { Cut::Both } else { Cut::End })
}

/// What was known when a job was launched.
#[derive(Debug, Clone)]
pub struct Launched {
    /// The script's file.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: String,
    /// The limits it was given.
    pub limits: Limits,
    /// Its time-out.
    pub timeout: Duration,
    /// Where it runs, in words, if not here.
    pub place: Option<String>,
}

/// All jobs and workers.
#[derive(Debug, Default)]
pub struct Jobs {
    /// By number, ended ones included for a while.
    pub all: BTreeMap<JobId, Job>,
    /// Those that wait, in order.
    pub queue: VecDeque<JobId>,
    /// When people had their last turn, counted in jobs.
    pub turns: HashMap<UserId, u64>,
    /// When people were told last that a job of theirs waits.
    pub told_waiting: HashMap<UserId, Instant>,
    /// Whether a timer is set to write down what they print.
    pub keeping: bool,
    /// Ended ones, oldest first.
    pub ended: VecDeque<JobId>,
    /// The first worker, while it tries the sandbox out.
    pub trying: Option<ChildId>,
    /// Every worker that was ordered and has not ended.
    pub workers: HashMap<ChildId, workers::Worker>,
    /// Waiting workers that died one after the other.
    pub failed_workers: u32,
    /// No worker is ordered before then.
    pub no_worker_before: Option<Instant>,
    /// Deliveries of live posts and of their changes.
    pub live: HashMap<DeliveryId, JobId>,
    /// No live post is written or changed before then.
    pub no_edit_before: Option<Instant>,
    /// Jobs started since the service started.
    pub started: u64,
    /// How fast scripts may post, all together.
    pub posts: api::Pace,
    /// What scripts remember for a while.
    pub memories: crate::brain::short::ShortTerm,
    /// Questions of scripts that nobody has answered yet.
    pub questions: api::Questions,
    /// Pipelines that are not over.
    pub pipelines: pipeline::Pipelines,
}

impl Jobs {
    /// How many have a worker.
    pub fn running(&self) -> usize {
        self.workers.values().filter(|worker| worker.is_busy()).count()
    }

    /// How many of these are asked to authorize a job, and run none.
    pub fn asking(&self) -> usize {
        self.workers.values().filter(|worker| worker.is_busy() && worker.asking.is_some()).count()
    }

    /// Whether none has.
    pub fn none_running(&self) -> bool {
        self.running() == 0
    }

    /// Hands a worker a frame; one that does not read is noticed when its channel closes.
    pub fn hand(&mut self, child: ChildId, frame: Outgoing) {
        if let Some(worker) = self.workers.get_mut(&child)
            && let Some(link) = &worker.link
            && !link.hand(frame)
        {
            worker.link = None;
        }
    }
}
