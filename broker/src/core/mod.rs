//! The core: one loop that takes in what its peers say, decides, makes the decision durable, and only then acts on it.
//!
//! A *turn* handles every input that waits. Its writes are one transaction, its audit records one append; if either
//! fails the service ends with nothing done ([`Core::finish_turn`]). Questions to egress change nothing and go out at
//! once; everything else goes out after the commit. The core has no network and starts no process: both are orders to
//! others.

mod alert;
mod answers;
mod approval_votes;
mod approvals;
mod audit;
mod brain;
mod break_glass;
mod careful;
mod checks;
mod contexts;
mod decided;
mod deliver;
mod elevation;
mod elevation_host;
mod factor;
mod fault;
mod groups;
mod history;
mod jobs;
mod keys_host;
mod line;
mod lockdown;
mod manager;
mod metrics;
mod obey;
mod pause;
mod people;
mod people_files;
mod people_host;
mod posts;
mod protected;
mod questions;
mod receipts;
mod reload;
mod rights;
mod roster;
mod schedule_commands;
mod schedules;
mod secret;
mod setup;
mod shutdown;
mod slow_jobs;
mod stop_votes;
mod subscriptions;
mod targets_host;
mod timers;
mod token;
mod triggers;
mod wanted;

pub use alert::Topic;
use fault::Point;
pub(crate) use obey::{MAX_QUEUED, MAX_QUEUED_OF_ONE};
pub(crate) use people::NOT_NOW;
pub(crate) use questions::TOLERANCE_MS;
pub(crate) use receipts::Started;
pub use shutdown::Ended;
pub use timers::Timer;

use crate::audit::{Audit, AuditError, Record};
use crate::brain::Brain;
use crate::config::Config;
use crate::gate::file::Opener;
use crate::gate::rate::Limiter;
use crate::job::Jobs;
use crate::peer::control::Asked;
use crate::peer::launcher::Which;
use crate::peer::{Event, Outgoing};
use crate::policy::Policy;
use crate::startup::CoreStart;
use crate::store::{Store, StoreError};
use crate::supervise::Supervisor;
use bartizan_proto::FrameError;
use bartizan_proto::connector::FromConnector;
use bartizan_proto::control::{Answer, Mode};
use bartizan_proto::egress::FromEgress;
use bartizan_proto::launcher::{ChildId, FromLauncher};
use bartizan_proto::worker::{FromWorker, Given, InForce};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Inputs that wait for the loop; a peer that has more to say is not read until there is room.
const MAX_INPUTS: usize = 64;

/// What the loop takes in.
#[derive(Debug)]
pub enum Input {
    /// Of a launcher.
    Launcher(Which, Event<FromLauncher>),
    /// Of egress.
    Egress(ChildId, Event<FromEgress>),
    /// Of the connector.
    Connector(ChildId, Event<FromConnector>),
    /// Of a worker.
    Worker(ChildId, Event<FromWorker>),
    /// Of an operator.
    Control(Asked),
}

/// What is done after the commit.
#[derive(Debug)]
pub enum Effect {
    /// A frame for a launcher.
    Launcher(Which, Outgoing),
    /// A frame for a worker.
    Worker(ChildId, Outgoing),
    /// An answer for an operator.
    Answer(oneshot::Sender<Answer>, Box<Answer>),
}

/// Why the core ends although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A message of ours that does not fit a frame.
    #[error("a message does not fit a frame: {0}")]
    Frame(#[from] FrameError),
    /// A launcher is gone: with it goes everything it started.
    #[error("the {0:?} launcher is gone: {1}")]
    Launcher(Which, String),
    /// Something that the start needs.
    #[error("{0}")]
    Start(String),
    /// The sandbox that the configuration requires cannot be had here: starting again would not help.
    #[error("{0}")]
    Sandbox(String),
}

/// Everything that the core knows.
#[derive(Debug)]
pub struct Core {
    pub(crate) mode: Mode,
    /// The user that jobs run as.
    pub(crate) workers: u32,
    pub(crate) config: Config,
    /// `None` until egress and the server answered and every name is resolved.
    pub(crate) policy: Option<Policy>,
    pub(crate) roster: roster::Roster,
    pub(crate) groups: groups::Groups,
    pub(crate) rights: rights::Rights,
    pub(crate) store: Store,
    pub(crate) audit: Audit,
    pub(crate) brain: Brain,
    /// A new token that egress asks the server about.
    pub(crate) new_token: Option<token::NewToken>,
    pub(crate) opener: Opener,
    pub(crate) supervisor: Supervisor,
    pub(crate) jobs: Jobs,
    /// Who wants jobs stopped.
    pub(crate) stop_votes: stop_votes::StopVotes,
    pub(crate) schedules: schedules::Schedules,
    /// Commands that others must agree to.
    pub(crate) approvals: approvals::Waiting,
    /// Second factors, and commands that wait for a code.
    pub(crate) elevation: elevation::Elevations,
    pub(crate) posts: posts::Posts,
    /// Commands whose authors are asked for an argument.
    pub(crate) questions: questions::Questions,
    /// What was left over by a core that died.
    pub(crate) careful: careful::Careful,
    /// Commands that their authors are asked about.
    pub(crate) wanted: wanted::Wanted,
    /// What people named last.
    pub(crate) contexts: contexts::Contexts,
    /// People who are being looked up.
    pub(crate) lookups: people::Lookups,
    /// How often people and channels have asked of late.
    pub(crate) limiter: Limiter,
    /// What is counted for operators' monitoring.
    pub(crate) metrics: crate::metrics::Metrics,
    /// The emergency stop, while it holds; the policy has it, too.
    pub(crate) subscriptions: subscriptions::Subscriptions,
    pub(crate) lockdown: Option<crate::gate::lockdown::Lockdown>,
    /// What is asked for waits.
    pub(crate) paused: Option<crate::store::pause::Pause>,
    /// How much the server's clock is ahead of ours, in ms.
    pub(crate) server_ahead_ms: i64,
    pub(crate) outbox: deliver::Outbox,
    pub(crate) protected: protected::Protected,
    pub(crate) alerts: alert::Alerts,
    /// The audit log's newest checkpoint, until it is known where it is to be posted.
    pub(crate) unposted_checkpoint: Option<String>,
    pub(crate) timers: timers::Timers,
    /// Whether a timer is set for when it is quiet again.
    pub(crate) quiet_soon: bool,
    pub(crate) effects: Vec<Effect>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) started: Instant,
    pub(crate) refused: u64,
    /// What the last worker read back from the kernel.
    pub(crate) layers: Vec<InForce>,
    pub(crate) given: Vec<Given>,
    pub(crate) stopping: Option<shutdown::Stopping>,
    /// Where a service manager listens.
    pub(crate) manager: Option<manager::Manager>,
    /// Whether `bz` lies beside the other programs.
    pub(crate) has_bz: bool,
    /// Where it is to die, in a test.
    pub(crate) faults: fault::Faults,
    /// Held as long as the core lives.
    _lock: crate::startup::Lock,
}

/// Runs the core until the service ends. Exit code 0 when it was asked to end and ended in order, 75 when it is
/// to be started again, 2 when it cannot work here.
pub fn run(start: CoreStart) -> ExitCode {
    setup::log();
    match setup::runtime(start) {
        Ok(ended) => ended.into(),
        Err(error) => {
            tracing::error!(%error, "the service ends");
            match error {
                CoreError::Sandbox(_) => ExitCode::from(2),
                CoreError::Store(_)
                | CoreError::Audit(_)
                | CoreError::Frame(_)
                | CoreError::Launcher(..)
                | CoreError::Start(_) => ExitCode::FAILURE,
            }
        }
    }
}

impl Core {
    /// The loop.
    async fn serve(mut self, mut inputs: mpsc::Receiver<Input>) -> Result<Ended, CoreError> {
        let mut batch = Vec::with_capacity(MAX_INPUTS);
        loop {
            let timer = self.timers.next();
            tokio::select! {
                biased;
                _ = inputs.recv_many(&mut batch, MAX_INPUTS) => {}
                () = timers::until(timer) => {}
            }
            for input in batch.drain(..) {
                self.handle(input)?;
            }
            self.fire_timers()?;
            self.dispatch_jobs()?;
            self.finish_turn()?;
            self.judge_marked()?;
            if let Some(ended) = self.is_stopped()? {
                return Ok(ended);
            }
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), CoreError> {
        match input {
            Input::Launcher(which, event) => self.on_launcher(which, event),
            Input::Egress(child, event) => self.on_egress(child, event),
            Input::Connector(child, event) => self.on_connector(child, event),
            Input::Worker(child, event) => self.on_worker(child, event),
            Input::Control(asked) => self.on_operator(asked),
        }
    }

    /// Makes the turn durable, then acts on it.
    fn finish_turn(&mut self) -> Result<(), CoreError> {
        self.settle_deliveries(false)?;
        if let Some(checkpoint) = self.brain.take_unrecorded() {
            self.record(&Record::BrainCheckpoint(checkpoint));
        }
        self.record_lines()?;
        self.tell_manager()?;
        let turn = self.store.is_writing();
        self.reach(turn, Point::BeforeCommit);
        self.store.commit()?;
        if turn && !std::mem::replace(&mut self.quiet_soon, true) {
            self.timers.after(bartizan_confine::memory::QUIET, Timer::Quiet);
        }
        self.reach(turn, Point::AfterCommit);
        self.write_audit()?;
        self.reach(turn, Point::AfterAudit);
        if self.brain.take_remains() {
            self.store.erase_remains(&mut |_| {})?;
        }
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Launcher(which, frame) => self.supervisor.hand_launcher(which, frame)?,
                Effect::Worker(child, frame) => self.jobs.hand(child, frame),
                Effect::Answer(asked, answer) => {
                    if asked.send(*answer).is_err() {
                        tracing::debug!("an operator did not wait for the answer");
                    }
                }
            }
        }
        self.reach(turn, Point::AfterEffects);
        self.pump_protected()?;
        self.pump_outbox()?;
        self.reach(turn, Point::AfterDeliveries);
        Ok(())
    }

    /// Where a test has it die: only in turns that write something.
    fn reach(&self, turn: bool, point: Point) {
        if turn {
            self.faults.at(point);
        }
    }

    /// Records something that nothing is done after.
    pub(crate) fn record(&mut self, record: &Record) {
        self.audit.append(record);
    }

    /// Records something that must be durable before this turn is acted on.
    pub(crate) fn record_first(&mut self, record: &Record) {
        self.audit.append(record);
        self.store.must_last();
    }

    /// Orders something of a launcher, after the commit.
    pub(crate) fn order(
        &mut self,
        which: Which,
        message: &bartizan_proto::launcher::ToLauncher,
        fds: Vec<OwnedFd>,
    ) -> Result<(), CoreError> {
        self.effects.push(Effect::Launcher(which, Outgoing::new(message, fds)?));
        Ok(())
    }
}
