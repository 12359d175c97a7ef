//! What a worker says of its job, taken in.

use crate::audit::Record;
use crate::core::{Core, CoreError};
use crate::peer::worker::Phase;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ChildId;
use bartizan_proto::worker::{Ending, FromWorker, Usage};
use std::time::Duration;

/// The conversation's next phase.
pub(super) fn next_phase(phase: Phase, message: &FromWorker) -> Phase {
    match message {
        FromWorker::Running { .. } => Phase::Running,
        FromWorker::Refused { .. } | FromWorker::Finished { .. } => Phase::Over,
        FromWorker::Output(_)
        | FromWorker::Inspected { .. }
        | FromWorker::Call { .. }
        | FromWorker::Hangup(_)
        | FromWorker::Misused(_) => phase,
    }
}

impl Core {
    /// A worker speaks of its job, in a phase where it may.
    pub(super) fn on_job(&mut self, job: JobId, child: ChildId, message: FromWorker) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        match message {
            FromWorker::Running { pid, layers, given } => {
                if entry.state == JobState::Starting {
                    entry.state = JobState::Running;
                }
                entry.layers = layers.into_vec();
                entry.given = given.into_vec();
                entry.pids = vec![pid];
                self.layers.clone_from(&entry.layers);
                self.given.clone_from(&entry.given);
                let record = Record::JobRunning { job, layers: self.layers.clone() };
                self.record(&record);
                self.job_runs(job);
                self.live_begins(job);
                self.warn_later(job);
                match self.jobs.all.get_mut(&job).is_some_and(|entry| std::mem::take(&mut entry.stop_wanted)) {
                    true => self.stop_job(job, Duration::ZERO),
                    false => Ok(()),
                }
            }
            FromWorker::Output(bytes) => {
                entry.output.push(&bytes);
                self.printed(job);
                Ok(())
            }
            FromWorker::Call { call, what } => self.on_call(job, child, call, *what),
            FromWorker::Hangup(call) => self.on_hangup(job, call),
            FromWorker::Misused(why) => self.on_misused(job, &why),
            FromWorker::Inspected { layers, usage, pids } => {
                entry.layers = layers.into_vec();
                entry.usage = usage;
                entry.pids = pids.into_vec();
                self.answer_inspection(job);
                Ok(())
            }
            FromWorker::Refused { step, why } => {
                // Told to stop before its script ran: it was stopped, and nothing is wrong.
                let stopped = entry.state == JobState::Stopping;
                self.release(child)?;
                if stopped {
                    return self.job_finished(job, Ending::Stopped, Usage::default());
                }
                self.job_not_started(job, &format!("{step}: {why}"))
            }
            FromWorker::Finished { ending, usage } => {
                self.release(child)?;
                self.job_finished(job, ending, usage)
            }
        }
    }

    /// The worker has done its one job.
    fn release(&mut self, child: ChildId) -> Result<(), CoreError> {
        if let Some(worker) = self.jobs.workers.get_mut(&child) {
            worker.job = None;
        }
        self.drop_worker(child)
    }
}
