//! Jobs that take long, or that ran out of their time: operators are told, in one place, with the end of the output.
//!
//! What was asked in a direct message or a private channel is told of without its output: that stays where it was said.

use super::{Core, CoreError};
use crate::job::Job;
use crate::words;
use bartizan_proto::control::JobState;
use bartizan_proto::egress::Target;
use bartizan_proto::ids::{ChannelId, JobId};
use bartizan_proto::text::escape;
use std::time::Duration;

/// So many characters of output stand in a notice.
const CHARACTERS: usize = 1500;

impl Core {
    /// A job runs: when it does so for longer than its `warn-after`, operators are told.
    pub(crate) fn warn_later(&mut self, job: JobId) {
        let Some(entry) = self.jobs.all.get(&job) else { return };
        let after = self.config.allowlist.get(&entry.intent.script).and_then(|script| script.warn_after);
        if let Some(after) = after {
            self.timers.after(after, super::Timer::Slow(job));
        }
    }

    /// It does.
    pub(crate) fn job_is_slow(&mut self, job: JobId) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job).filter(|entry| entry.state == JobState::Running) else {
            return Ok(());
        };
        let age = entry.live.age().unwrap_or_default();
        let head = words::slow_job(entry.intent.script.as_str(), job, &entry.intent.user_name, &place(entry), age);
        let text = with_tail(head, entry);
        self.tell_operators(&format!("slow-{job}"), &text)
    }

    /// It ran out of its time.
    pub(crate) fn job_ran_out_of_time(&mut self, job: JobId, after: Duration) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        let head = words::overdue_job(entry.intent.script.as_str(), job, &entry.intent.user_name, &place(entry), after);
        let text = with_tail(head, entry);
        self.tell_operators(&format!("overdue-{job}"), &text)
    }

    /// Posts to `[alerts] jobs-channel`, or else to that of the alerts. Where there is neither, the job's thread has to do.
    fn tell_operators(&mut self, key: &str, text: &str) -> Result<(), CoreError> {
        let Some(channel) = self.operators_channel() else { return Ok(()) };
        // Numbers of jobs begin anew with a new database.
        let key = format!("{key}-{}", crate::store::now_ms());
        self.write_protected(Target::Channel(channel), None, &key, text)
    }

    pub(super) fn operators_channel(&self) -> Option<ChannelId> {
        let policy = self.policy.as_ref()?;
        let name = policy.config.job_notices.as_ref().or(policy.config.alerts.as_ref())?;
        policy.channels.get(name).copied().or_else(|| name.parse().ok())
    }
}

fn is_open(job: &Job) -> bool {
    !job.intent.direct && !job.intent.private
}

/// Where it was asked, in words.
fn place(job: &Job) -> String {
    match (job.intent.direct, job.intent.private) {
        (true, _) => "a direct message".to_owned(),
        (false, true) => "a private channel".to_owned(),
        (false, false) => format!("#{}", escape(&job.intent.channel_name)),
    }
}

fn with_tail(head: String, job: &Job) -> String {
    let tail = if is_open(job) { job.shown_tail() } else { String::new() };
    let tail = tail.trim_end();
    if tail.is_empty() {
        return head;
    }
    let skip = tail.chars().count().saturating_sub(CHARACTERS);
    let last: String = tail.chars().skip(skip).collect();
    format!("{head} It printed last:\n{}", words::fenced(&last))
}
