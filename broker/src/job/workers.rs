//! Worker processes: ordered from the launcher, kept waiting for an order, used once.
//!
//! A few workers always wait, so that a job does not wait for a process to start; they hold nothing and may do nothing
//! until their order comes.

use super::watch;
use crate::core::{Core, CoreError, Input, Timer, Topic};
use crate::peer::launcher::Which;
use crate::peer::{Event, Link, Permit, worker};
use bartizan_proto::Role;
use bartizan_proto::channel::Channel;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::{ChildId, ToLauncher};
use bartizan_proto::worker::FromWorker;
use std::time::{Duration, Instant};

/// Workers that wait for an order beyond those that the queue needs.
const SPARE: usize = 2;

/// A worker has this long to end after its channel was closed.
const TO_END: Duration = Duration::from_secs(5);

/// After a waiting worker died, the delay before the next grows from the first to the second.
const DELAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A worker process.
#[derive(Debug)]
pub struct Worker {
    /// The core's end; `None` once it was dropped.
    pub link: Option<Link>,
    /// Its process id; 0 until the launcher said it.
    pub pid: u32,
    /// Its user; 0 until then.
    pub uid: u32,
    /// Whether it said who it is.
    pub greeted: bool,
    /// Where the conversation is.
    pub phase: worker::Phase,
    /// Its job.
    pub job: Option<JobId>,
    /// The job that it is asked about, where it runs an authorizer.
    pub asking: Option<super::authorize::Asking>,
    /// How it ended, as the launcher said, while its last words are still being read.
    pub ended: Option<String>,
}

impl Worker {
    /// Whether it has something to do.
    pub fn is_busy(&self) -> bool {
        self.job.is_some() || self.asking.is_some()
    }
}

impl Core {
    /// Orders as many workers as the queue can use, and the spare ones.
    pub(crate) fn keep_spare_workers(&mut self) -> Result<(), CoreError> {
        self.order_workers(SPARE)
    }

    /// Orders as many workers as the queue can use, and so many more.
    pub(crate) fn order_workers(&mut self, spare: usize) -> Result<(), CoreError> {
        if self.jobs.trying.is_some() {
            return Ok(());
        }
        let held = self.jobs.no_worker_before.is_some_and(|at| Instant::now() < at);
        if self.stopping.is_some() || held {
            return Ok(());
        }
        let idle = self.jobs.workers.values().filter(|w| !w.is_busy() && w.link.is_some()).count();
        let room = self.config.limits.jobs.saturating_sub(self.jobs.running());
        let wanted = self.startable(room) + spare;
        for _ in idle..wanted {
            let _waits = self.order_worker()?;
        }
        Ok(())
    }

    pub(super) fn order_worker(&mut self) -> Result<ChildId, CoreError> {
        let child = self.supervisor.next_child();
        let (ours, theirs) =
            Channel::pair().map_err(|error| CoreError::Start(format!("cannot make a socket pair: {error}")))?;
        let inputs = self.inputs.clone();
        let link = Link::open(ours, Role::Worker, inputs, move |event| Input::Worker(child, event))
            .map_err(|error| CoreError::Start(format!("worker: {error}")))?;
        let worker = Worker {
            link: Some(link),
            pid: 0,
            uid: 0,
            greeted: false,
            phase: worker::Phase::Idle,
            job: None,
            asking: None,
            ended: None,
        };
        self.jobs.workers.insert(child, worker);
        self.order(Which::Service, &ToLauncher::Start { child, role: Role::Worker }, vec![theirs.into()])?;
        Ok(child)
    }

    /// The launcher started it.
    pub(crate) fn worker_started(&mut self, child: ChildId, pid: u32, uid: u32) {
        if let Some(worker) = self.jobs.workers.get_mut(&child) {
            (worker.pid, worker.uid) = (pid, uid);
        }
    }

    /// A worker speaks.
    pub(crate) fn on_worker(&mut self, child: ChildId, event: Event<FromWorker>) -> Result<(), CoreError> {
        let Some(worker) = self.jobs.workers.get_mut(&child).filter(|worker| worker.link.is_some()) else {
            return Ok(());
        };
        let message = match event {
            Event::Greeted => {
                worker.greeted = true;
                self.jobs.failed_workers = 0;
                self.jobs.no_worker_before = None;
                return if self.jobs.trying == Some(child) { self.ask_sandbox(child) } else { Ok(()) };
            }
            Event::Gone(why) => {
                tracing::debug!(child = child.0, why, "worker gone");
                return self.drop_worker(child);
            }
            Event::Broke(how) => {
                tracing::error!(child = child.0, how, "a worker broke the rules of its socket");
                self.alert(Topic::Worker, &format!("worker dropped: {how}"))?;
                return self.drop_worker(child);
            }
            Event::Said(message) => message,
        };
        if worker::permits(worker.phase, worker::kind(&message)) == Permit::Deny {
            tracing::error!(child = child.0, kind = ?worker::kind(&message), "a worker said what it may not say now");
            self.alert(Topic::Worker, "worker dropped: it said what it may not say now")?;
            return self.drop_worker(child);
        }
        if self.jobs.trying == Some(child) {
            return self.on_sandbox(child, message);
        }
        if worker.asking.is_some() {
            return self.on_authorizer(child, message);
        }
        let Some(job) = worker.job else { return self.drop_worker(child) };
        worker.phase = watch::next_phase(worker.phase, &message);
        self.on_job(job, child, message)
    }

    /// Closes its channel: the worker ends, and everything of its job with it. Killed if it does not.
    pub(crate) fn drop_worker(&mut self, child: ChildId) -> Result<(), CoreError> {
        if let Some(worker) = self.jobs.workers.get_mut(&child)
            && worker.link.take().is_some()
        {
            if let Some(ended) = worker.ended.take() {
                return self.worker_ended(child, &ended);
            }
            self.timers.after(TO_END, Timer::Overdue(child));
        }
        Ok(())
    }

    /// It did not end.
    pub(crate) fn kill_worker(&mut self, child: ChildId) -> Result<(), CoreError> {
        if !self.jobs.workers.contains_key(&child) {
            return Ok(());
        }
        tracing::warn!(child = child.0, "a worker did not end and is killed");
        self.order(Which::Service, &ToLauncher::Kill { child }, Vec::new())
    }

    /// The launcher reaped it, or could not start it. If it had a job that had not finished, that job is lost.
    pub(crate) fn worker_ended(&mut self, child: ChildId, why: &str) -> Result<(), CoreError> {
        // The launcher's word comes on another socket than the worker's own: what the worker said last is read first.
        if let Some(worker) = self.jobs.workers.get_mut(&child).filter(|worker| worker.link.is_some()) {
            worker.ended = Some(why.to_owned());
            return Ok(());
        }
        let Some(worker) = self.jobs.workers.remove(&child) else { return Ok(()) };
        if self.jobs.trying == Some(child) {
            return self.sandbox_unknown(why);
        }
        self.timers.cancel(&Timer::Overdue(child));
        if let Some(asking) = worker.asking {
            self.authorized(asking, None, why)?;
        } else if let Some(job) = worker.job {
            self.job_lost(job, why)?;
        } else if worker.phase == worker::Phase::Idle && self.stopping.is_none() {
            // A worker that cannot even wait will not do better at once.
            let delay = (DELAY.0 * 2u32.saturating_pow(self.jobs.failed_workers)).min(DELAY.1);
            tracing::error!(child = child.0, why, retry_ms = delay.as_millis(), "a waiting worker is gone");
            self.jobs.failed_workers = self.jobs.failed_workers.saturating_add(1);
            self.jobs.no_worker_before = Some(Instant::now() + delay);
            self.timers.after(delay, Timer::Spare);
        }
        Ok(())
    }
}
