//! `jobs`, `job`, `tail` and `kill` in chat: who may see a job is asked in one place, for looking and for stopping alike.
//!
//! A job that somebody may not see does not exist for them. One that they may see but that was asked in another place is
//! shown in a direct message only: its words and its output stay where they were said.

use super::{Core, CoreError};
use crate::command::Builtin;
use crate::command::jobs::{is_here, list, may_see, number, one};
use crate::command::parse::Command;
use crate::gate::Refusal;
use crate::job::Job;
use crate::output::limit;
use crate::policy::{Place, Requester};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::{Body, Report};
use bartizan_proto::control::JobState;
use bartizan_proto::ids::JobId;

impl Core {
    /// A command about jobs.
    pub(super) fn jobs_command(
        &mut self,
        report: &Report,
        builtin: Builtin,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if builtin == Builtin::Jobs {
            let mine = self.jobs.all.iter().map(|(id, job)| (*id, job));
            let mine = mine
                .filter(|(_, job)| job.state != JobState::Done && may_see(&(*job).into(), requester, place, policy));
            let text = list(mine, |id| self.waits_behind(id), place, |line| self.without_secrets(line));
            return self.answer(report, Vec::new(), text);
        }
        let id = match number(&command.words) {
            Ok(id) => id,
            Err(error) => return self.refuse_usage(report, builtin, error, Vec::new()),
        };
        let Some(job) = self.jobs.all.get(&id).filter(|job| may_see(&(*job).into(), requester, place, policy)) else {
            let cause = format!("job {id} is not there, or not for {}", requester.user);
            return self.refuse(report, Refusal::NoJob(id), &cause, Vec::new());
        };
        if builtin == Builtin::Kill {
            return self.kill_from_chat(report, id, requester);
        }
        if !is_here(&job.into(), place) {
            let cause = format!("job {id} was asked in another place");
            return self.refuse(report, Refusal::JobElsewhere(id), &cause, Vec::new());
        }
        if builtin == Builtin::Tail {
            let (head, output) = tail(id, job, self.config.limits.output);
            return self.answer_with(report, body(head, output));
        }
        let text = one(id, job, self.waits_behind(id), |line| self.without_secrets(line));
        self.answer(report, Vec::new(), text)
    }

    /// Stops a job for somebody who may see it.
    fn kill_from_chat(&mut self, report: &Report, id: JobId, requester: &Requester) -> Result<(), CoreError> {
        let Some(job) = self.jobs.all.get(&id) else { return Ok(()) };
        let name = job.intent.script.to_string();
        match job.state {
            JobState::Done if self.jobs.pipelines.is_going(id) => {
                self.record_stop(id, Some(requester.user), requester.name.to_string(), "command");
                self.answer(report, Vec::new(), words::pipeline::cleaning_up(&name, id))?;
                self.stop_pipeline(id, super::answers::KILL_GRACE).map(drop)
            }
            JobState::Done => {
                let cause = format!("job {id} has ended already");
                self.refuse(report, Refusal::Denied(cause.clone()), &cause, Vec::new())
            }
            JobState::Queued | JobState::Starting | JobState::Running | JobState::Stopping => {
                self.record_stop(id, Some(requester.user), requester.name.to_string(), "command");
                self.answer(report, Vec::new(), words::stopping(&name, id))?;
                self.stop_job(id, super::answers::KILL_GRACE)
            }
        }
    }
}

/// The end of what a job printed, and what stands above it.
fn tail(id: JobId, job: &Job, most: usize) -> (String, String) {
    let name = job.intent.script.as_str();
    let shown = job.shown_tail();
    let shown = shown.trim_end();
    if shown.is_empty() {
        return (words::no_output_yet(name, id), String::new());
    }
    let skip = shown.chars().count().saturating_sub(most);
    let last: String = shown.chars().skip(skip).collect();
    (words::tail(name, id), limit::limit(last, most).post)
}

fn body(head: String, output: String) -> Body {
    if output.is_empty() {
        Body::Markup(Text::cut(head))
    } else {
        Body::Output { head: Text::cut(head), output: Text::cut(output) }
    }
}
