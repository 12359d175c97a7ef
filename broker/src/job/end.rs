//! The end of a job: told in its thread, recorded, remembered for a while.

use super::REMEMBERED;
use super::api::Rest;
use crate::audit::Record;
use crate::core::{Core, CoreError, Effect, Timer};
use crate::output::limit;
use crate::peer::Outgoing;
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_proto::connector::{Attachment, Body};
use bartizan_proto::control::JobState;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::{Ending, ToWorker, Usage};
use bartizan_proto::{Bytes, Text};
use std::time::Duration;

impl Core {
    /// It ended, and everything it printed has come.
    pub(super) fn job_finished(&mut self, job: JobId, ending: Ending, usage: Usage) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let usage = entry.since_it_began(usage);
        let intent = entry.intent.clone();
        let whole = !entry.output.is_cut(usage.output);
        let shown = limit::limit(entry.shown(!whole), self.config.limits.output);
        entry.usage = usage;
        entry.ending = Some(ending);
        let name = intent.script.as_str();
        let mut head = words::result(&intent.title(), ending, usage);
        if ending == Ending::Stopped && self.stopping.is_some() {
            head.push_str(words::stopped_by(self.is_restarting()));
        }
        let mut attachment = None;
        if let Some(file) = shown.file {
            head.push_str(&words::cut(shown.characters, whole));
            attachment = attach(name, job, file, self.config.limits.attachment);
        } else if shown.post.is_empty() {
            head.push_str(words::NO_OUTPUT);
        }
        let body = if shown.post.is_empty() {
            Body::Markup(Text::cut(head))
        } else {
            Body::Output { head: Text::cut(head), output: Text::cut(shown.post) }
        };
        if !self.did_nothing(job, ending) {
            self.reply_with(intent.channel, intent.post, intent.root, "result", body, attachment)?;
        }
        self.post_cards_at_end(job, ending == Ending::Ended(ExitStatus::Code(0)))?;
        self.react_finally(&intent, words::emoji(ending))?;
        if ending == Ending::TimedOut {
            self.job_ran_out_of_time(job, Duration::from_micros(usage.elapsed_us))?;
        }
        self.close_job(job, &intent, Some(ending), usage, None)
    }

    /// Whether it was only the beginning of its steps, and ended well: they are told about.
    fn did_nothing(&self, job: JobId, ending: Ending) -> bool {
        let begun = self.jobs.all.get(&job).and_then(|entry| entry.launched.as_ref());
        let nothing = begun.is_some_and(|launched| launched.path.as_os_str() == crate::config::NOTHING);
        let well = ending == Ending::Ended(ExitStatus::Code(0));
        let whole = self.jobs.all.get(&job).and_then(|entry| entry.intent.part_of).unwrap_or(job);
        nothing && well && self.jobs.pipelines.is_going(whole)
    }

    /// The worker refused to run it, or could not.
    pub(super) fn job_not_started(&mut self, job: JobId, why: &str) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        let intent = entry.intent.clone();
        tracing::error!(job = job.0, script = %intent.script, why, "not started");
        let text = words::not_started(&intent.title());
        self.reply(intent.channel, intent.post, intent.root, "result", text)?;
        self.react_finally(&intent, words::FAILED)?;
        self.hosts_over(job, Rest::NotBegun);
        self.close_job(job, &intent, None, Usage::default(), Some(why))
    }

    /// Its worker died before it said how the job ended.
    pub(super) fn job_lost(&mut self, job: JobId, why: &str) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job).filter(|entry| entry.state != JobState::Done) else {
            return Ok(());
        };
        tracing::error!(job = job.0, script = %entry.intent.script, why, "its worker died");
        if self.is_followed_on(job)? {
            return Ok(());
        }
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        let intent = entry.intent.clone();
        let usage = entry.since_it_began(entry.usage);
        let output = limit::limit(entry.shown(true), self.config.limits.output).post;
        let head = words::lost(&intent.title());
        let body = if output.is_empty() {
            Body::Markup(Text::cut(head))
        } else {
            Body::Output { head: Text::cut(head), output: Text::cut(output) }
        };
        self.reply_with(intent.channel, intent.post, intent.root, "result", body, None)?;
        self.post_cards_at_end(job, false)?;
        self.react_finally(&intent, words::REFUSED)?;
        self.close_job(job, &intent, None, usage, Some(&format!("worker died: {why}")))
    }

    /// Writes down that a job is over, and forgets the oldest that is.
    pub(super) fn close_job(
        &mut self,
        job: JobId,
        intent: &Intent,
        ending: Option<Ending>,
        usage: Usage,
        error: Option<&str>,
    ) -> Result<(), CoreError> {
        let ended = ending.map_or_else(|| error.unwrap_or("unknown").to_owned(), |ending| format!("{ending:?}"));
        self.job_ran(job);
        if self.jobs.all.get(&job).is_some_and(|entry| entry.worker.is_some()) {
            self.metrics.ran(&intent.script, ending, Duration::from_micros(usage.elapsed_us));
        }
        self.store.job_done(job, &ended)?;
        self.hosts_over(job, Rest::of(ending));
        let hosts = self.jobs.all.get(&job).map(|entry| entry.api.hosts.counts()).unwrap_or_default();
        self.record(&Record::JobEnd {
            job,
            intent: Box::new(intent.clone()),
            ending,
            usage,
            hosts,
            error: error.map(str::to_owned),
        });
        if let Some(entry) = self.jobs.all.remove(&job) {
            let words = match ending {
                Some(ending) => words::ended(ending, Duration::from_micros(usage.elapsed_us)),
                None => words::DID_NOT_END.to_owned(),
            };
            let kept = self.keep_past(job, &entry, words);
            let receipt = self.end_receipt(job, Some(&entry), (ending, usage, error));
            self.jobs.all.insert(job, entry);
            kept.and(receipt)?;
        } else {
            self.end_receipt(job, None, (ending, usage, error))?;
        }
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.state = JobState::Done;
            entry.worker = None;
            entry.forget();
            self.jobs.ended.push_back(job);
        }
        self.live_ends(job)?;
        self.forget_stops(job);
        self.api_over(job)?;
        self.pipeline_goes_on(job, intent.part_of, ending == Some(Ending::Ended(ExitStatus::Code(0))))?;
        self.tags_are_free()?;
        if intent.actor != Actor::Person {
            self.schedules_soon();
        }
        self.answer_inspection(job);
        while self.jobs.ended.len() > REMEMBERED {
            if let Some(oldest) = self.jobs.ended.pop_front() {
                self.jobs.all.remove(&oldest);
            }
        }
        Ok(())
    }

    /// Stops a job: politely, then for good.
    pub(crate) fn stop_job(&mut self, job: JobId, grace: Duration) -> Result<(), CoreError> {
        let Some(intent) = self.jobs.all.get(&job).map(|entry| entry.intent.clone()) else { return Ok(()) };
        let grace = grace.max(self.to_cancel(&intent));
        self.remember_to_stop(job)?;
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        match (entry.state, entry.worker) {
            (JobState::Starting | JobState::Running, Some(child)) => {
                entry.state = JobState::Stopping;
                let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
                self.effects.push(Effect::Worker(child, Outgoing::new(&ToWorker::Stop { grace_ms }, Vec::new())?));
                self.timers.after(grace + Duration::from_secs(2), Timer::Overdue(child));
                Ok(())
            }
            // It goes on: it is stopped once it is followed again.
            (JobState::Queued, _) if entry.follows.is_some() => {
                entry.stop_wanted = true;
                Ok(())
            }
            (JobState::Queued, _) => {
                self.jobs.queue.retain(|queued| *queued != job);
                self.stop_asking(Some(job))?;
                self.job_finished(job, Ending::Stopped, Usage::default())
            }
            (JobState::Starting | JobState::Running, None) | (JobState::Stopping | JobState::Done, _) => Ok(()),
        }
    }

    /// The service ends: what runs is stopped, what waits stays queued for the next start.
    pub(crate) fn stop_all_jobs(&mut self, grace: Duration) -> Result<(), CoreError> {
        let running: Vec<JobId> =
            self.jobs.all.iter().filter(|(_, entry)| entry.worker.is_some()).map(|(job, _)| *job).collect();
        for job in running {
            self.stop_job(job, grace)?;
        }
        self.stop_asking(None)
    }
}

/// The whole output as a file.
fn attach(name: &str, job: JobId, content: String, limit: usize) -> Option<Attachment> {
    let mut bytes = content.into_bytes();
    bytes.truncate(limit);
    let content = Bytes::new(bytes).ok()?;
    Some(Attachment { name: Text::cut(format!("{name}-{job}.txt")), content })
}
