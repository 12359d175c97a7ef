//! Ending in order: nothing new is begun, what runs ends or is stopped, what there is to say is said, and the log is closed.
//!
//! | asked by | what runs | what comes | exit code |
//! |---|---|---|---|
//! | SIGTERM | is stopped, within `shutdown-grace` | is taken into the inbox, and obeyed by the next start | 0 |
//! | `bartizan restart` | may end, within `drain`, then as above | is answered; what starts a script waits, and is told so | [`RESTART`] |

use super::timers::Timer;
use super::{Core, CoreError};
use crate::audit::Record;
use bartizan_proto::control::Answer;
use bartizan_proto::launcher::RESTART;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// For the last words after the jobs are gone.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Before the end, so that the operator who asked for it is answered.
const TO_TELL: Duration = Duration::from_millis(200);

/// That the service ends.
#[derive(Debug)]
pub struct Stopping {
    /// What runs may still end by itself.
    draining: bool,
    /// It is to be started again.
    again: bool,
    overdue: bool,
    since: Instant,
}

/// How the core ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Whoever asked wanted it to end.
    ForGood,
    /// The service manager is to start it again.
    ForRestart,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::ForGood => ExitCode::SUCCESS,
            Ended::ForRestart => ExitCode::from(RESTART),
        }
    }
}

impl Core {
    /// Whether what runs is still waited for before a restart.
    pub(crate) fn is_draining(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| stopping.draining)
    }

    /// Whether the end has come so near that nothing is decided any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| !stopping.draining)
    }

    /// Whether it is to be started again after its end.
    pub(crate) fn is_restarting(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| stopping.again)
    }

    /// The main process was asked to end.
    pub(crate) fn begin_shutdown(&mut self) -> Result<(), CoreError> {
        if self.is_ending() {
            return Ok(());
        }
        tracing::info!("ending");
        self.end_with(false)
    }

    /// An operator wants the service to start anew. What runs has `drain` to end by itself; `now` spares it that.
    pub(crate) fn begin_restart(&mut self, now: bool, by: &str) -> Result<Answer, CoreError> {
        let drain = if now { Duration::ZERO } else { self.config.limits.drain };
        let running = u64::try_from(self.jobs.running()).unwrap_or(u64::MAX);
        if !self.is_ending() {
            tracing::info!(by, running, drain_s = drain.as_secs(), "an operator restarts the service");
            self.timers.cancel(&Timer::Drained);
            self.timers.after(drain.max(TO_TELL), Timer::Drained);
            self.stopping = Some(Stopping { draining: true, again: true, overdue: false, since: Instant::now() });
            self.timers.after(TO_TELL, Timer::Told);
            // What goes on without it needs no time to end.
            self.leave_jobs()?;
            // What waits for an authorizer's word is asked about by the next start.
            self.stop_asking(None)?;
        }
        let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
        Ok(Answer::Restarting { running, drain_ms })
    }

    /// What runs has had its time.
    pub(crate) fn drained(&mut self) -> Result<(), CoreError> {
        if self.is_draining() { self.end_with(true) } else { Ok(()) }
    }

    fn end_with(&mut self, again: bool) -> Result<(), CoreError> {
        self.stopping = Some(Stopping { draining: false, again, overdue: false, since: Instant::now() });
        let grace = self.config.limits.shutdown_grace;
        self.timers.after(grace + LAST_WORDS, Timer::Shutdown);
        self.manager_ends(grace + LAST_WORDS)?;
        self.leave_jobs()?;
        self.stop_all_jobs(grace)
    }

    /// The time is over.
    pub(crate) fn shutdown_overdue(&mut self) {
        if let Some(stopping) = &mut self.stopping {
            tracing::warn!("not everything ended in time");
            stopping.overdue = true;
        }
    }

    /// Whether the loop may end, and how: jobs gone, last words delivered, or the time over.
    pub(crate) fn is_stopped(&mut self) -> Result<Option<Ended>, CoreError> {
        let told = self.stopping.as_ref().is_some_and(|stopping| stopping.since.elapsed() >= TO_TELL);
        if self.is_draining() && told && self.jobs.none_running() {
            self.drained()?;
        }
        let said = self.outbox.is_empty() || !self.supervisor.connector_running();
        let finished = self.jobs.none_running() && said;
        let Some(Stopping { draining: false, again, overdue, .. }) = &self.stopping else { return Ok(None) };
        if !overdue && !finished {
            return Ok(None);
        }
        let ended = if *again { Ended::ForRestart } else { Ended::ForGood };
        self.store.end_start()?;
        self.record_first(&Record::Stop);
        self.checkpoint()?;
        self.settle_deliveries(true)?;
        self.finish_turn()?;
        self.audit.close()?;
        tracing::info!("ended");
        Ok(Some(ended))
    }
}
