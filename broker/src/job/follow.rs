//! What goes on by itself when the service does not (`slurm`): left alone at the service's end, found and followed again at its next
//! start, or when the worker that followed it died. Nothing is begun here.

use super::live::Live;
use super::pipeline::asked_by;
use super::{Job, backend, launch};
use crate::audit::Record;
use crate::command::parse;
use crate::command::without_run;
use crate::core::{Core, CoreError};
use crate::gate::{self, Cause, Clearance, Proofs};
use crate::policy::{Place, Requester};
use crate::store::jobs::{Actor, Intent, Unfinished};
use crate::words;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ChildId;
use bartizan_proto::worker::Usage;
use std::time::Duration;

/// So often a job is followed anew because the worker that did so died.
const MOST: u32 = 3;

impl Core {
    /// Whether a job's work goes on without the service.
    fn goes_on(&self, job: &Job) -> bool {
        self.config.allowlist.get(&job.intent.script).is_some_and(|script| backend::of(script).outlives())
    }

    /// It is to be stopped, and goes on where nobody does so: the next start of the service knows, too.
    pub(super) fn remember_to_stop(&mut self, job: JobId) -> Result<(), CoreError> {
        if self.jobs.all.get(&job).is_some_and(|entry| self.goes_on(entry)) {
            self.store.job_is_to_stop(job)?;
        }
        Ok(())
    }

    /// For how long at least a job's driver has when it is stopped.
    pub(super) fn to_cancel(&self, intent: &Intent) -> Duration {
        self.config.allowlist.get(&intent.script).map_or(Duration::ZERO, |script| backend::of(script).cancel())
    }

    /// The service ends: what goes on without it is left alone, as it is in the database, for the next start. What is being stopped is
    /// not.
    pub(crate) fn leave_jobs(&mut self) -> Result<(), CoreError> {
        let left = self.jobs.all.iter().filter(|(_, job)| {
            matches!(job.state, JobState::Starting | JobState::Running) && job.worker.is_some() && self.goes_on(job)
        });
        let left: Vec<(JobId, Option<ChildId>)> = left.map(|(id, job)| (*id, job.worker)).collect();
        for (job, child) in left {
            tracing::info!(job = job.0, "left to itself");
            if let Some(entry) = self.jobs.all.get_mut(&job) {
                entry.worker = None;
            }
            let Some(child) = child else { continue };
            if let Some(worker) = self.jobs.workers.get_mut(&child) {
                worker.job = None;
            }
            // Its sandbox ends at once, and without a word to what it follows.
            self.drop_worker(child)?;
        }
        Ok(())
    }

    /// The last run of the service left it: it is looked for as soon as there is a worker, and its thread is told.
    pub(super) fn follow_again(&mut self, unfinished: Unfinished, begun_ms: u64) -> Result<(), CoreError> {
        let Unfinished { job, intent, stop_wanted, .. } = unfinished;
        self.store.job_waits(job)?;
        let text = words::followed(intent.script.as_str());
        self.reply(intent.channel, intent.post, intent.root, &format!("followed-{}", crate::store::now_ms()), text)?;
        self.remember(job, intent);
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.follows = Some(begun_ms);
            entry.stop_wanted = stop_wanted;
        }
        self.live_is_taken_up(job)
    }

    /// The worker that followed it died: whether another one does.
    pub(super) fn is_followed_on(&mut self, job: JobId) -> Result<bool, CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(false) };
        let runs = matches!(entry.state, JobState::Starting | JobState::Running);
        if !runs || entry.followed >= MOST || !self.goes_on(entry) {
            return Ok(false);
        }
        let begun_ms = self.store.job_begun(job)?.unwrap_or_else(crate::store::now_ms);
        self.store.job_waits(job)?;
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(false) };
        entry.follows = Some(begun_ms);
        entry.followed += 1;
        entry.state = JobState::Queued;
        entry.worker = None;
        // It is told from its beginning once more.
        entry.output = crate::output::collect::Collected::new(self.config.limits.attachment);
        self.jobs.queue.push_back(job);
        Ok(true)
    }

    /// Gives a worker the order to follow it.
    pub(super) fn follow_job(&mut self, job: JobId, child: ChildId, begun_ms: u64) -> Result<(), CoreError> {
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get(&job)) else { return Ok(()) };
        let (intent, stops) = (entry.intent.clone(), entry.stop_wanted);
        let command = match parse::command(&intent.command) {
            Ok(Some(command)) => Ok(without_run(command)),
            Ok(None) => Err(Cause("the stored command is empty".to_owned())),
            Err(error) => Err(Cause(format!("the stored command: {error}"))),
        };
        let cleared = command.and_then(|command| {
            let cleared = gate::follow::clear(&command, policy, &self.opener)?;
            Ok((cleared, command))
        });
        let (cleared, command) = match cleared {
            Ok(cleared) => cleared,
            Err(Cause(why)) => return self.cannot_follow(job, &intent, &why),
        };
        // What is being cancelled is never begun again.
        let idempotent = cleared.script().idempotent && !stops;
        let begins = idempotent && self.may_be_begun(&intent, &command, &cleared.file().sha256)?;
        let age = Duration::from_millis(crate::store::now_ms().saturating_sub(begun_ms));
        let launch = match launch::follow((job, intent.post), (age, begins), &cleared, policy, &self.opener) {
            Ok(Some(launch)) => launch,
            Ok(None) => return self.cannot_follow(job, &intent, "its entry names another backend now"),
            Err(error) => return self.cannot_follow(job, &intent, &error.to_string()),
        };
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.api = super::api::Api::of(&cleared);
            entry.state = JobState::Starting;
            entry.worker = Some(child);
            entry.launched = Some(launch.launched.clone());
        }
        self.record_first(&Record::JobFollowed { job, intent: Box::new(intent) });
        self.store.job_starting(job)?;
        self.hand_order(job, child, launch)
    }

    /// Whether what is not found may be begun: if it were asked for now, its person would still have it done, by this very file, and
    /// nothing waits. What nobody asked for comes again by itself.
    fn may_be_begun(&self, intent: &Intent, command: &parse::Command, sha256: &str) -> Result<bool, CoreError> {
        let Some(policy) = self.policy.as_ref().filter(|_| self.paused.is_none()) else { return Ok(false) };
        if intent.actor != Actor::Person {
            return Ok(false);
        }
        let requester = Requester { user: intent.user, name: intent.user_name.clone(), restricted: intent.restricted };
        let place = Place {
            channel: intent.channel,
            name: intent.channel_name.clone(),
            direct: intent.direct,
            private: intent.private,
        };
        let approved = self.store.approved(intent.post)?;
        let proofs = Proofs {
            post: intent.post,
            elevated: self.store.elevated(asked_by(&self.jobs.pipelines, intent))?,
            approved: approved.as_ref(),
            glass: self.store.broken_glass(intent.post)?.map(|(user, _)| user),
            grants: &[],
        };
        Ok(match gate::clear(command, &requester, &place, policy, &self.opener, proofs) {
            Ok(Clearance::Start(cleared)) => cleared.file().sha256 == sha256,
            // Nobody asks an elevator or authorizer twice for one thing.
            Ok(Clearance::Ask(..)) => false,
            Err((_, Cause(why))) => {
                tracing::info!(script = intent.script.as_str(), why, "it is followed, and would not be begun now");
                false
            }
        })
    }

    /// It goes on, and nobody here knows how to follow it.
    fn cannot_follow(&mut self, job: JobId, intent: &Intent, why: &str) -> Result<(), CoreError> {
        tracing::error!(job = job.0, why, "it is not followed, and goes on");
        let text = words::not_followed(intent.script.as_str(), why);
        self.reply(intent.channel, intent.post, intent.root, "result", text)?;
        self.react_finally(intent, words::REFUSED)?;
        self.close_job(job, intent, None, Usage::default(), Some(&format!("it is not followed, and goes on: {why}")))
    }

    /// Its live post of before is edited from now on, where there is one; else there will be one.
    fn live_is_taken_up(&mut self, job: JobId) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        let intent = entry.intent.clone();
        let is_async = self.config.allowlist.get(&intent.script).is_some_and(|script| script.is_async);
        let kind = if is_async { "accepted" } else { "live" };
        let age = Duration::from_micros(entry.since_it_began(Usage::default()).elapsed_us);
        let text = words::live(&intent.title(), job, age);
        self.reply_again(&intent, kind, text)?;
        let delivery = self.outbox.written;
        self.jobs.live.insert(delivery, job);
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.live = Live::ordered(delivery, true);
        }
        Ok(())
    }
}
