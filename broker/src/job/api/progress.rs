//! `progress`: how far a job says that it is, for its live post.

use crate::core::{Core, CoreError};
use bartizan_proto::ids::JobId;
use bartizan_proto::script::Answer;
use bartizan_proto::worker::CallId;

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// In percent, at most 100.
    pub percent: Option<u8>,
    /// What it does now, as it may be shown, on one line.
    pub text: String,
    /// How often it said something else than before: for the live post, that there is something new.
    pub changes: u64,
}

impl Core {
    /// Only the newest counts, so there may be as much of it as there may be calls; the live post has its own pace.
    pub(super) fn progressed(
        &mut self,
        job: JobId,
        call: CallId,
        percent: Option<u8>,
        text: &str,
    ) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let text = entry.cleaned(text).split_whitespace().collect::<Vec<_>>().join(" ");
        let changes = entry.api.progress.as_ref().map_or(0, |before| before.changes);
        entry.api.progress =
            Some(Progress { percent: percent.map(|percent| percent.min(100)), text, changes: changes + 1 });
        if changes == 0 {
            self.live_is_worth_it(job);
        }
        self.answer_call(job, call, Answer::Done)
    }
}
