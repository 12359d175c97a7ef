//! What a running job has printed so far is written down now and then: should the core die, its thread is told.
//!
//! Only what would stand in its post is kept, as it may be shown: once that is full, nothing more is written.

use crate::core::{Core, CoreError, Timer};
use crate::output::limit;
use bartizan_proto::ids::JobId;
use std::time::Duration;

/// How old what is kept may be.
const EVERY: Duration = Duration::from_millis(500);

/// How far what a job printed is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it, so far.
    Whole,
    /// There is more.
    Behind,
    /// As much as a post holds.
    Full,
}

impl Core {
    /// It printed something.
    pub(super) fn printed(&mut self, job: JobId) {
        let Some(entry) = self.jobs.all.get_mut(&job).filter(|entry| entry.kept == Kept::Whole) else { return };
        entry.kept = Kept::Behind;
        if !std::mem::replace(&mut self.jobs.keeping, true) {
            self.timers.after(EVERY, Timer::Printed);
        }
    }

    /// Writes down what is new.
    pub(crate) fn keep_printed(&mut self) -> Result<(), CoreError> {
        self.jobs.keeping = false;
        let most = self.config.limits.output;
        for (job, entry) in self.jobs.all.iter_mut().filter(|(_, entry)| entry.kept == Kept::Behind) {
            let shown = limit::limit(entry.shown(true), most);
            entry.kept = if shown.file.is_some() { Kept::Full } else { Kept::Whole };
            if entry.worker.is_some() {
                self.store.job_printed(*job, &shown.post)?;
            }
        }
        Ok(())
    }
}
