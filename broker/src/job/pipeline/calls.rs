//! What scripts add: `add-task` and the others, `spawn-job`, `exclusive`.

use super::Kind;
use super::run::{Pipelines, task_of};
use crate::core::{Core, CoreError, MAX_QUEUED, MAX_QUEUED_OF_ONE};
use crate::gate::{Cause, Refusal, permission};
use crate::job::api::refused;
use bartizan_proto::Text;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::{JobId, MemoryKey, ScriptName};
use bartizan_proto::script::{Answer, Part};
use bartizan_proto::worker::CallId;

/// Most jobs that one job may have run beside it.
const MOST_SPAWNED: u32 = 20;

/// A script that waits for a lock.
#[derive(Debug)]
pub struct Waiting {
    job: JobId,
    call: CallId,
    tag: String,
}

impl Pipelines {
    /// Who waits is gone.
    pub(crate) fn forget_waiting(&mut self, job: JobId, call: Option<CallId>) {
        self.waiting.retain(|waiting| waiting.job != job || call.is_some_and(|call| call != waiting.call));
    }
}

impl Core {
    /// A script adds a command to its pipeline, or has it run beside it.
    pub(crate) fn add_for(&mut self, job: JobId, call: CallId, part: Part, line: &str) -> Result<(), CoreError> {
        let answer = match self.add(job, part, line.trim())? {
            Ok(()) => Answer::Done,
            Err(why) => refused(why),
        };
        self.answer_call(job, call, answer)
    }

    fn add(&mut self, job: JobId, part: Part, line: &str) -> Result<Result<(), String>, CoreError> {
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(Err("no such job".to_owned())) };
        let whole = entry.intent.part_of.and_then(|whole| self.jobs.pipelines.all.get(&whole));
        let whole = whole.map_or(&entry.intent, |going| &going.intent).clone();
        let line = match part {
            Part::Command => line.strip_prefix(self.config.bot.prefix.as_str()).unwrap_or(line),
            Part::Task | Part::Job | Part::Final | Part::Fail | Part::Spawn => line,
        };
        let by = entry.intent.script.clone();
        let allowed = self.may_run_as_task(&whole, line).and_then(|(_, script)| {
            self.asks_no_more(&by, &script)?;
            Ok(script)
        });
        let script = match allowed {
            Ok(script) => script,
            Err((refusal, cause)) => {
                tracing::info!(job = job.0, cause = cause.0, "a task was refused");
                let words = refusal.words(&self.config.bot.prefix);
                return Ok(Err(words.unwrap_or_else(|| cause.0.clone())));
            }
        };
        let has_steps = self.config.allowlist.get(&script).is_some_and(|script| !script.steps.is_empty());
        let (kind, own) = match part {
            Part::Task | Part::Command => (Kind::Step, has_steps),
            Part::Job => (Kind::Step, true),
            Part::Final | Part::Fail if has_steps => {
                return Ok(Err(format!("{script} has steps, and what cleans up has none")));
            }
            Part::Final => (Kind::Final, false),
            Part::Fail => (Kind::Fail, false),
            // They would be dropped: its own pipeline is the one that it runs beside.
            Part::Spawn if has_steps => return Ok(Err(format!("{script} has steps, and what runs beside has none"))),
            Part::Spawn => return self.spawn(job, line),
        };
        let Some((whole, going)) = self.pipeline_of(job) else {
            return Ok(Err("this job is not in a pipeline's turn".to_owned()));
        };
        if let Err(why) = going.pipeline.add(kind, line.to_owned(), own) {
            return Ok(Err(why));
        }
        self.keep_pipeline(whole)?;
        self.show_pipeline(whole)?;
        Ok(Ok(()))
    }

    /// Whether a script may add another one: not one that asks for a higher level, or for other flags and people, than its own entry.
    /// What everybody may start has nothing done that only some may, whoever started it, and also where nobody did.
    fn asks_no_more(&self, by: &ScriptName, task: &ScriptName) -> Result<(), (Refusal, Cause)> {
        let (Some(own), Some(task)) = (self.config.allowlist.get(by), self.config.allowlist.get(task)) else {
            return Err((Refusal::Broken, Cause(format!("{by} or {task} is not on the allowlist any more"))));
        };
        match permission::asks_more(task, own) {
            None => Ok(()),
            Some(what) => {
                let why = format!("{} needs {what}, which {by} itself does not, so {by} cannot add it", task.name);
                Err((Refusal::Denied(why.clone()), Cause(why)))
            }
        }
    }

    /// A job beside it, in the same thread.
    fn spawn(&mut self, job: JobId, line: &str) -> Result<Result<(), String>, CoreError> {
        let queued = self.jobs.queue.len();
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(Err("no such job".to_owned())) };
        // Without end, otherwise: each of them 20 again.
        let part_of = entry.intent.part_of;
        if part_of.is_some() && !self.jobs.pipelines.has_turn(job, part_of) {
            return Ok(Err("a job that runs beside another one cannot have more run beside it".to_owned()));
        }
        let user = entry.intent.user;
        let theirs = |other: &&JobId| self.jobs.all.get(other).is_some_and(|entry| entry.intent.user == user);
        if self.jobs.queue.iter().filter(theirs).count() >= MAX_QUEUED_OF_ONE {
            return Ok(Err("too many jobs wait for one person; try again".to_owned()));
        }
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(Err("no such job".to_owned())) };
        if entry.spawned >= MOST_SPAWNED {
            return Ok(Err(format!("a job runs at most {MOST_SPAWNED} others beside it")));
        }
        if queued >= MAX_QUEUED {
            return Ok(Err("too many jobs wait; try again".to_owned()));
        }
        entry.spawned += 1;
        let whole = part_of.unwrap_or(job);
        let intent = task_of(&entry.intent, whole, &format!("spawn {job} {}", entry.spawned), line);
        self.queue_task(intent)?;
        Ok(Ok(()))
    }

    /// A script wants a lock.
    pub(crate) fn exclusive_for(
        &mut self,
        job: JobId,
        call: CallId,
        tag: &MemoryKey,
        wait: bool,
    ) -> Result<(), CoreError> {
        let tag = tag.as_str().to_owned();
        match self.holder(job, &tag) {
            None => self.lock_for(job, call, tag),
            Some(_) if wait => {
                self.jobs.pipelines.waiting.push(Waiting { job, call, tag });
                Ok(())
            }
            Some(by) => {
                let why = format!("{tag} is held by job {by}");
                self.answer_call(job, call, Answer::Nothing(Text::cut(why)))
            }
        }
    }

    fn lock_for(&mut self, job: JobId, call: CallId, tag: String) -> Result<(), CoreError> {
        let Some((whole, going)) = self.pipeline_of(job) else {
            return self.answer_call(job, call, refused("this job is not in a pipeline's turn"));
        };
        // With one lock each no two of them can wait for each other.
        match going.pipeline.tags.first() {
            Some(held) if *held != tag => {
                let why = format!("this pipeline has the lock {held} already, and may have one");
                return self.answer_call(job, call, refused(why));
            }
            Some(_) => {}
            None => going.pipeline.tags.push(tag),
        }
        self.keep_pipeline(whole)?;
        self.answer_call(job, call, Answer::Done)
    }

    /// Who has a lock that a job wants: another pipeline, or a running job whose entry has it as `exclusive`.
    fn holder(&self, job: JobId, tag: &String) -> Option<JobId> {
        let own = self.jobs.all.get(&job).map(|entry| entry.intent.part_of.unwrap_or(job))?;
        let others = self.jobs.pipelines.all.iter().filter(|(whole, _)| **whole != own);
        let held = others.filter(|(_, going)| going.pipeline.tags.contains(tag)).map(|(whole, _)| *whole);
        let runs = self.jobs.all.iter().filter(|(id, other)| {
            let starts = matches!(other.state, JobState::Starting | JobState::Running | JobState::Stopping);
            starts && **id != job && other.intent.part_of.unwrap_or(**id) != own
        });
        let tagged = runs.filter(|(_, other)| {
            let script = self.config.allowlist.get(&other.intent.script);
            script.is_some_and(|script| script.exclusive.as_ref() == Some(tag))
        });
        held.chain(tagged.map(|(id, _)| *id)).min()
    }

    /// Something that had locks has ended: whoever waited longest has them now.
    pub(crate) fn tags_are_free(&mut self) -> Result<(), CoreError> {
        let mut place = 0;
        while let Some(Waiting { job, tag, .. }) = self.jobs.pipelines.waiting.get(place) {
            if self.holder(*job, tag).is_some() {
                place += 1;
                continue;
            }
            let Waiting { job, call, tag } = self.jobs.pipelines.waiting.remove(place);
            self.lock_for(job, call, tag)?;
        }
        Ok(())
    }
}
