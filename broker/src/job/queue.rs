//! Accepting jobs, and starting them in order when there is a place. Rights are asked for again at the start.

use super::launch::Launch;
use super::live::Live;
use super::pipeline::asked_by;
use super::{Job, launch};
use crate::audit::{Ran, Record};
use crate::brain::BrainError;
use crate::brain::job::JobSecrets;
use crate::command::parse;
use crate::command::without_run;
use crate::config::Backend;
use crate::core::{Core, CoreError, Effect, Started, Timer};
use crate::gate::{self, Cause, Clearance, Cleared, Proofs, Refusal, Verdict};
use crate::peer::{Outgoing, worker};
use crate::policy::{Place, Requester};
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::{JobId, ScriptName, UserId};
use bartizan_proto::launcher::ChildId;
use bartizan_proto::worker::{ToWorker, Usage};
use std::collections::HashSet;
use std::time::Duration;

/// How much later than its time and grace allow a job may be told to have ended.
const TO_GIVE_UP: Duration = Duration::from_secs(4);

/// People whose last turn is remembered.
const MOST_TURNS: usize = 10_000;

/// A job that is not `async` waits so long before its thread is told so.
const WAITS: Duration = Duration::from_secs(1);

/// Before a spare worker takes the place of one that was given an order.
const LATER: Duration = Duration::from_millis(25);

impl Core {
    /// Accepts a job: stored, shown as running, and started when there is a place.
    pub(crate) fn queue_job(&mut self, intent: Intent) -> Result<(), CoreError> {
        let Some(job) = self.store.queue_job(&intent)? else { return Ok(()) };
        let place = self.place_in_line(&intent, None);
        // The announcement of a schedule is the core's own post: nothing of the connector's stands on it.
        if !matches!(intent.actor, Actor::Schedule(_)) {
            self.react(intent.post, words::RUNNING)?;
        }
        if self.is_draining() {
            let text = words::waits(&intent.title(), job);
            self.reply(intent.channel, intent.post, intent.root, "waits", text)?;
        } else if let Some(pause) = &self.paused {
            let text = words::pause::waits(&intent.title(), job, pause);
            self.reply(intent.channel, intent.post, intent.root, "waits", text)?;
        } else if self.config.allowlist.get(&intent.script).is_some_and(|script| script.is_async) {
            let text = words::accepted(&intent.title(), job, place);
            self.reply(intent.channel, intent.post, intent.root, "accepted", text)?;
            let delivery = self.outbox.written;
            self.remember(job, intent);
            self.jobs.live.insert(delivery, job);
            if let Some(entry) = self.jobs.all.get_mut(&job) {
                entry.live = Live::ordered(delivery, place.is_some());
            }
            return Ok(());
        } else if place.is_some() {
            self.timers.after(WAITS, Timer::Waits(job));
        }
        self.remember(job, intent);
        Ok(())
    }

    /// Accepts a task of a pipeline, or what one has run beside it.
    pub(crate) fn queue_task(&mut self, intent: Intent) -> Result<Option<JobId>, CoreError> {
        let Some(job) = self.store.queue_job(&intent)? else { return Ok(None) };
        self.remember(job, intent);
        Ok(Some(job))
    }

    pub(super) fn remember(&mut self, job: JobId, intent: Intent) {
        let mut entry = Job::queued(intent, self.config.limits.attachment);
        entry.asked_ms = self.policy.as_ref().map_or(0, crate::policy::Policy::now_ms);
        self.jobs.all.insert(job, entry);
        self.jobs.queue.push_back(job);
    }

    /// The next of the queue: of whoever has the fewest jobs running, and of these of whoever had a turn longest ago. So nobody
    /// waits for the many jobs of another one.
    fn next_in_queue(&mut self) -> Option<JobId> {
        let taken = self.taken();
        let turn = |user: &UserId| self.jobs.turns.get(user).copied().unwrap_or(0);
        // Of each person the first that may start: asked for every job that a place is free for, of all that wait.
        let mut people = HashSet::new();
        let mut next: Option<((usize, u64), usize, Option<UserId>)> = None;
        for (place, job) in self.jobs.queue.iter().enumerate() {
            let entry = self.jobs.all.get(job);
            let intent = entry.map(|entry| &entry.intent);
            if entry.is_some_and(|entry| self.is_held(entry)) {
                continue;
            }
            if intent.is_some_and(|intent| people.contains(&intent.user) || self.blocked(intent, &taken).is_some()) {
                continue;
            }
            people.extend(intent.map(|intent| intent.user));
            let by_turn = intent.map_or((0, 0), |intent| (taken.of(intent.user), turn(&intent.user)));
            if next.is_none_or(|(first, ..)| by_turn < first) {
                next = Some((by_turn, place, intent.map(|intent| intent.user)));
            }
        }
        let (_, place, whose) = next?;
        if self.jobs.turns.len() > MOST_TURNS {
            self.jobs.turns.clear();
        }
        if let Some(user) = whose {
            self.jobs.turns.insert(user, self.jobs.started + 1);
        }
        self.jobs.queue.remove(place)
    }

    /// Starts what can be started: in order, while there are places and waiting workers.
    pub(crate) fn dispatch_jobs(&mut self) -> Result<(), CoreError> {
        if self.stopping.is_some() || self.policy.is_none() {
            return Ok(());
        }
        while !self.jobs.queue.is_empty() && self.jobs.running() < self.config.limits.jobs {
            let Some(child) = self.waiting_worker() else { break };
            let Some(job) = self.next_in_queue() else { break };
            self.start_job(job, child)?;
            // The next spare starts when this job has most likely ended: the two would be in each other's way.
            self.timers.after(LATER, Timer::Spare);
        }
        self.order_workers(0)
    }

    fn waiting_worker(&self) -> Option<ChildId> {
        let waits = |worker: &super::workers::Worker| {
            worker.greeted && !worker.is_busy() && worker.link.is_some() && worker.ended.is_none()
        };
        self.jobs.workers.iter().filter(|(_, worker)| waits(worker)).map(|(child, _)| *child).min()
    }

    /// Asks the gates again, and gives the order.
    fn start_job(&mut self, job: JobId, child: ChildId) -> Result<(), CoreError> {
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get_mut(&job)) else { return Ok(()) };
        if let Some(begun_ms) = entry.follows {
            return self.follow_job(job, child, begun_ms);
        }
        let intent = entry.intent.clone();
        let requester = Requester { user: intent.user, name: intent.user_name.clone(), restricted: intent.restricted };
        let place = Place {
            channel: intent.channel,
            name: intent.channel_name.clone(),
            direct: intent.direct,
            private: intent.private,
        };
        let command = match parse::command(&intent.command) {
            Ok(Some(command)) => without_run(command),
            Ok(None) => {
                return self.refuse_job(job, &Refusal::Broken, &Cause("the stored command is empty".to_owned()));
            }
            Err(error) => {
                return self.refuse_job(job, &Refusal::Broken, &Cause(format!("the stored command: {error}")));
            }
        };
        // What an elevator or authorizer said is used once, however this goes on.
        let grants = std::mem::take(&mut entry.grants);
        match &intent.actor {
            Actor::Person => {
                let approved = self.store.approved(intent.post)?;
                let elevated = self.store.elevated(asked_by(&self.jobs.pipelines, &intent))?;
                let proofs = Proofs {
                    post: intent.post,
                    elevated,
                    approved: approved.as_ref(),
                    glass: self.store.broken_glass(intent.post)?.map(|(user, _)| user),
                    grants: &grants,
                };
                match gate::clear(&command, &requester, &place, policy, &self.opener, proofs) {
                    Ok(Clearance::Start(cleared)) => self.give_order(job, child, &cleared),
                    Ok(Clearance::Ask(kind, cleared)) => {
                        // Both are wanted at the start.
                        if let Some(entry) = self.jobs.all.get_mut(&job) {
                            entry.grants = grants;
                        }
                        self.ask_authorizer(job, child, kind, &cleared)
                    }
                    Err((refusal, cause)) => self.refuse_job(job, &refusal, &cause),
                }
            }
            Actor::Schedule(name) => {
                // What the configuration says now, and nothing that was stored, is what may run without anybody's rights.
                let listed = policy.config.allowlist.schedule(name);
                let is_task = intent.part_of.is_some();
                if listed.is_none_or(|schedule| !is_task && *schedule.line != *intent.command) {
                    let cause = Cause(format!("the configuration has no schedule {name} for this"));
                    let refusal = Refusal::Denied(format!("schedule {name} is not there any more"));
                    return self.refuse_job(job, &refusal, &cause);
                }
                match gate::automatic::clear(&command, &place, policy, &self.opener) {
                    Ok(cleared) => self.give_order(job, child, &cleared),
                    Err((refusal, cause)) => self.refuse_job(job, &refusal, &cause),
                }
            }
            Actor::Trigger(name) => {
                let listed = policy.config.allowlist.trigger(name);
                let is_task = intent.part_of.is_some();
                if listed.is_none_or(|trigger| {
                    !is_task && (trigger.script != intent.script || trigger.script.as_str() != command.name)
                }) {
                    let cause = Cause(format!("the configuration has no trigger {name} for this"));
                    let refusal = Refusal::Denied(format!("trigger {name} is not there any more"));
                    return self.refuse_job(job, &refusal, &cause);
                }
                match gate::automatic::clear(&command, &place, policy, &self.opener) {
                    Ok(cleared) => self.give_order(job, child, &cleared),
                    Err((refusal, cause)) => self.refuse_job(job, &refusal, &cause),
                }
            }
        }
    }

    /// Records the intent, and gives the order once both are durable.
    fn give_order<K>(&mut self, job: JobId, child: ChildId, cleared: &Cleared<K>) -> Result<(), CoreError> {
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get_mut(&job)) else { return Ok(()) };
        let intent = entry.intent.clone();
        // Asked here of what nobody asked for by name: a command's own was taken when it was let through.
        let script = cleared.script();
        let asks_rate = intent.part_of.is_some() && !matches!(intent.actor, Actor::Schedule(_));
        if let Some(rate) = script.rate.or(policy.config.rates.script).filter(|_| asks_rate)
            && let Verdict::Refuse(refusal, cause) = self.limiter.script(&script.name, Some(rate))
        {
            return self.refuse_job(job, &refusal, &cause);
        }
        if let Some(cause) = self.audit.cannot_record() {
            return self.refuse_job(job, &Refusal::Unrecorded, &Cause(cause));
        }
        let attached = &cleared.script().secrets;
        let secrets = match JobSecrets::fetch(&mut self.brain, &self.store, attached, &self.opener) {
            Ok(secrets) => secrets,
            Err(BrainError::Store(error)) => return Err(error.into()),
            Err(error) => {
                return self.refuse_job(job, &Refusal::Broken, &Cause(format!("its secrets: {error}")));
            }
        };
        let signing = match cleared.script().backend {
            Backend::Ssh(_) => match self.brain.remote_key(&self.store) {
                Ok(signing) => signing,
                Err(BrainError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    let cause = format!("the key that signs its orders: {error}");
                    return self.refuse_job(job, &Refusal::Broken, &Cause(cause));
                }
            },
            Backend::Local | Backend::Ansible(_) | Backend::Slurm(_) => None,
        };
        let known = (job, intent.post);
        let launch = match launch::order(known, cleared, policy, secrets.as_ref(), &self.opener, signing.as_ref()) {
            Ok(launch) => launch,
            Err(error) => return self.refuse_job(job, &Refusal::Broken, &Cause(error.to_string())),
        };
        entry.secrets = secrets;
        entry.api = super::api::Api::of(cleared);
        entry.state = JobState::Starting;
        self.metrics.waited(entry.queued.elapsed());
        entry.worker = Some(child);
        entry.launched = Some(launch.launched.clone());
        let values = cleared.values();
        let arguments: Vec<(String, String)> = values
            .iter()
            .map(|value| {
                let shown = if value.sensitive { self.audit.keyed_hash(&value.text) } else { value.text.clone() };
                (value.name.clone(), shown)
            })
            .collect();
        let ran = Ran::of(cleared.script(), cleared.values(), cleared.is_dry());
        let started = Started {
            intent: &intent,
            arguments: &arguments,
            profile: &cleared.script().profile,
            sha256: &cleared.file().sha256,
            elevator: cleared.script().elevator.as_ref().map(ScriptName::as_str),
            ran: &ran,
        };
        self.begin_receipt(job, &started)?;
        let (steps, values) = (cleared.script().steps.clone(), cleared.values().to_vec());
        let record =
            Record::JobStart { job, intent: Box::new(intent), arguments, sha256: cleared.file().sha256.clone(), ran };
        self.record_first(&record);
        self.store.job_starting(job)?;
        // What would come after it would be done, and not only said.
        if !cleared.is_dry() {
            self.add_steps(job, &steps, &values)?;
        }
        self.hand_order(job, child, launch)
    }

    /// Gives the order, after the commit.
    pub(super) fn hand_order(&mut self, job: JobId, child: ChildId, launch: Launch) -> Result<(), CoreError> {
        if let Some(worker) = self.jobs.workers.get_mut(&child) {
            worker.job = Some(job);
            worker.phase = worker::Phase::Ordered;
        }
        self.jobs.started += 1;
        // The worker keeps the time itself; one that does not is not waited for.
        let grace = Duration::from_millis(launch.order.grace_ms.into());
        let timeout = Duration::from_millis(launch.order.timeout_ms);
        self.timers.after(timeout.saturating_add(grace).saturating_add(TO_GIVE_UP), Timer::Overdue(child));
        let order = ToWorker::Order(Box::new(launch.order));
        self.effects.push(Effect::Worker(child, Outgoing::new(&order, launch.descriptors)?));
        Ok(())
    }

    /// What was let through when it was asked for is not let through now.
    pub(crate) fn refuse_job(&mut self, job: JobId, refusal: &Refusal, cause: &Cause) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        let intent = entry.intent.clone();
        tracing::warn!(job = job.0, cause = cause.0, "refused at its start");
        self.refused += 1;
        let prefix = self.config.bot.prefix.clone();
        if let Some(text) = refusal.words(&prefix) {
            self.reply(intent.channel, intent.post, intent.root, "result", text)?;
        }
        self.react_finally(&intent, words::REFUSED)?;
        self.close_job(job, &intent, None, Usage::default(), Some(&cause.0))
    }
}
