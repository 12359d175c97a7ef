//! A pause: what is asked for waits in the queue until the host says that it goes on. What runs goes on, and so does what belongs to
//! it: the tasks of a pipeline that has begun, and jobs of a scheduler that are followed.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::command::lockdown::reason_of;
use crate::job::Job;
use crate::store::pause::Pause;
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::control::{self, Answer, PauseState};
use bartizan_proto::ids::JobId;

impl Core {
    /// Begins one. One that holds already stays as it is.
    pub(super) fn pause(&mut self, reason: &str, by: &str) -> Result<Answer, CoreError> {
        let reason = match reason.trim().is_empty() {
            true => Ok(String::new()),
            false => reason_of(reason),
        };
        let reason = match reason {
            Ok(reason) => reason,
            Err(why) => return Ok(Answer::Refused { refusal: control::Refusal::Usage, why: Text::cut(why) }),
        };
        if self.paused.is_none() {
            let pause = Pause { reason, by_name: format!("the host ({by})"), since_ms: crate::store::now_ms() };
            tracing::warn!(by, reason = pause.reason, "paused: what is asked for waits");
            self.store.put_service_pause(Some(&pause))?;
            self.record_first(&record(true, &pause.reason, &pause.by_name));
            let shown = format!("paused by {}", pause.by_name);
            self.announce(words::pause::begun(&pause, self.jobs.running()), &shown)?;
            self.paused = Some(pause);
        }
        Ok(self.pause_answer())
    }

    /// Ends it.
    pub(super) fn resume(&mut self, by: &str) -> Result<Answer, CoreError> {
        if let Some(Pause { reason, .. }) = self.paused.take() {
            let by_name = format!("the host ({by})");
            tracing::warn!(by, "the pause is over");
            self.store.put_service_pause(None)?;
            self.record_first(&record(false, &reason, &by_name));
            self.announce(words::pause::over(&by_name, self.jobs.queue.len()), "the pause is over")?;
            self.dispatch_jobs()?;
        }
        Ok(self.pause_answer())
    }

    /// Whether a job in the queue waits for the end of a pause.
    pub(crate) fn is_held(&self, job: &Job) -> bool {
        self.paused.is_some() && job.intent.part_of.is_none() && job.follows.is_none()
    }

    /// How many jobs in the queue are not held by a pause. Where one holds, these have begun in all but name: nothing has been drained
    /// before they are over.
    pub(super) fn due(&self) -> u64 {
        let due = |job: &&JobId| self.jobs.all.get(job).is_some_and(|entry| !self.is_held(entry));
        u64::try_from(self.jobs.queue.iter().filter(due).count()).unwrap_or(u64::MAX)
    }

    /// What `status` shows.
    pub(super) fn pause_state(&self) -> Option<PauseState> {
        self.paused.as_ref().map(|pause| PauseState {
            by: Text::cut(pause.by_name.as_str()),
            reason: Text::cut(pause.reason.as_str()),
            since_ms: pause.since_ms,
        })
    }

    fn pause_answer(&self) -> Answer {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let (running, queued) = (count(self.jobs.running()), count(self.jobs.queue.len()));
        Answer::Pause { pause: self.pause_state(), running, queued }
    }
}

fn record(on: bool, reason: &str, by_name: &str) -> Record {
    Record::Pause { on, reason: reason.to_owned(), by_name: by_name.to_owned() }
}
