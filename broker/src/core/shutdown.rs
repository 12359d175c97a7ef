//! Ending in order: nothing new is begun, running jobs are stopped, what there is to say is said, and the log is closed.

use super::timers::Timer;
use super::{Core, CoreError};
use crate::audit::Record;
use std::time::Duration;

/// For the last words after the jobs are gone.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// That the service ends.
#[derive(Debug)]
pub struct Stopping {
    overdue: bool,
}

impl Core {
    /// The main process was asked to end.
    pub(crate) fn begin_shutdown(&mut self) -> Result<(), CoreError> {
        if self.stopping.is_some() {
            return Ok(());
        }
        tracing::info!("ending");
        self.stopping = Some(Stopping { overdue: false });
        let grace = self.config.limits.shutdown_grace;
        self.timers.after(grace + LAST_WORDS, Timer::Shutdown);
        self.stop_all_jobs(grace)
    }

    /// The time is over.
    pub(crate) fn shutdown_overdue(&mut self) {
        if let Some(stopping) = &mut self.stopping {
            tracing::warn!("not everything ended in time");
            stopping.overdue = true;
        }
    }

    /// Whether the loop may end: jobs gone, last words delivered, or the time over.
    pub(crate) fn is_stopped(&mut self) -> Result<bool, CoreError> {
        let Some(stopping) = &self.stopping else { return Ok(false) };
        let said = self.outbox.is_empty() || !self.supervisor.connector_running();
        let finished = self.jobs.none_running() && said;
        if !stopping.overdue && !finished {
            return Ok(false);
        }
        self.record_first(&Record::Stop);
        self.checkpoint()?;
        self.settle_deliveries(true)?;
        self.finish_turn()?;
        self.audit.close()?;
        tracing::info!("ended");
        Ok(true)
    }
}
