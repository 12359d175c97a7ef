//! A pipeline's tasks as jobs: each is gated anew for the person who began it, queued, confined, recorded and told like every
//! other job, under an id of its own in the place of a post's.
//!
//! What is left to do is written down in the turn in which it changes. So a restart goes on with what had not begun, counts as
//! failed what ran, and cleans up.

use super::shown::{LastWords, Overview};
use super::{Kind, Next, Pipeline, Task, Waiting};
use crate::command::parse::{self, Command};
use crate::core::{Core, CoreError};
use crate::gate::{self, Cause, Refusal, Verdict, approval};
use crate::policy::{Place, Requester};
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::{JobId, PostId, ScriptName};
use bartizan_proto::limits::MAX_MESSAGE;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// Every pipeline that is not over, by the job that it began with.
#[derive(Debug, Default)]
pub struct Pipelines {
    pub(super) all: BTreeMap<JobId, Going>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) last_words: Vec<LastWords>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Going {
    /// What was asked for.
    pub(super) intent: Intent,
    pub(super) pipeline: Pipeline,
    pub(super) overview: Overview,
}

impl Pipelines {
    /// How many have begun and are not over.
    pub(crate) fn going(&self) -> usize {
        self.all.len()
    }

    /// Whether this is what one began with.
    pub(crate) fn is_going(&self, job: JobId) -> bool {
        self.all.contains_key(&job)
    }

    /// Whether a job is at its turn in the pipeline that it began or is a part of.
    pub(crate) fn has_turn(&self, job: JobId, part_of: Option<JobId>) -> bool {
        self.all.get(&part_of.unwrap_or(job)).is_some_and(|going| going.pipeline.job() == Some(job))
    }

    /// Whether a post began one that is not over.
    pub(crate) fn began_with(&self, post: PostId) -> bool {
        self.all.values().any(|going| going.intent.post == post)
    }

    /// Locks that others have.
    pub(crate) fn tags_beside(&self, intent: &Intent) -> impl Iterator<Item = &String> {
        let own = intent.part_of;
        self.all.iter().filter(move |(begun, _)| Some(**begun) != own).flat_map(|(_, going)| &going.pipeline.tags)
    }
}

/// The post that a job was asked for by: of a task, that of its pipeline.
pub fn asked_by(pipelines: &Pipelines, intent: &Intent) -> PostId {
    let whole = intent.part_of.and_then(|whole| pipelines.all.get(&whole));
    whole.map_or(intent.post, |going| going.intent.post)
}

impl Core {
    /// The pipeline that a job is a part of, or begins now.
    pub(super) fn pipeline_of(&mut self, job: JobId) -> Option<(JobId, &mut Going)> {
        let intent = &self.jobs.all.get(&job)?.intent;
        let whole = intent.part_of.unwrap_or(job);
        if intent.part_of.is_none() {
            let begin = || Going { intent: intent.clone(), pipeline: Pipeline::of(job), overview: Overview::default() };
            self.jobs.pipelines.all.entry(job).or_insert_with(begin);
        }
        let going = self.jobs.pipelines.all.get_mut(&whole)?;
        (going.pipeline.job() == Some(job)).then_some((whole, going))
    }

    /// A job starts whose entry has steps: they are its tasks.
    pub(crate) fn add_steps(
        &mut self,
        job: JobId,
        steps: &crate::config::Steps,
        values: &[crate::argument::Value],
    ) -> Result<(), CoreError> {
        if steps.is_empty() {
            return Ok(());
        }
        for (kind, steps) in [(Kind::Step, &steps.steps), (Kind::Fail, &steps.fails), (Kind::Final, &steps.finals)] {
            for step in steps {
                let own = self.config.allowlist.get(&step.script).is_some_and(|script| !script.steps.is_empty());
                let Some((_, going)) = self.pipeline_of(job) else { return Ok(()) };
                let line = step.line(values);
                // A part of it would be another command.
                let added = match line.len() <= MAX_MESSAGE {
                    true => going.pipeline.add(kind, line, own),
                    false => Err("the command is too long".to_owned()),
                };
                if let Err(why) = added {
                    tracing::warn!(job = job.0, step = step.written, why, "a step was left out");
                    // What cannot be done whole is not begun.
                    going.pipeline.stop();
                }
            }
        }
        let Some((whole, _)) = self.pipeline_of(job) else { return Ok(()) };
        self.keep_pipeline(whole)?;
        self.show_pipeline(whole)
    }

    pub(super) fn keep_pipeline(&mut self, whole: JobId) -> Result<(), CoreError> {
        match self.jobs.pipelines.all.get(&whole) {
            Some(going) => Ok(self.store.pipeline_is(whole, &going.pipeline)?),
            None => Ok(self.store.pipeline_over(whole)?),
        }
    }

    /// A job has ended: what comes next in its pipeline, if it is in one.
    pub(crate) fn pipeline_goes_on(&mut self, job: JobId, part_of: Option<JobId>, well: bool) -> Result<(), CoreError> {
        let whole = part_of.unwrap_or(job);
        let ours = self.jobs.pipelines.all.get_mut(&whole).filter(|going| going.pipeline.job() == Some(job));
        let Some(going) = ours else { return Ok(()) };
        match going.pipeline.ended(well) {
            Next::Run(task, kind) => self.begin_task(whole, &task, kind),
            Next::Over { well } => self.pipeline_over(whole, well),
        }
    }

    fn begin_task(&mut self, whole: JobId, task: &Task, kind: Kind) -> Result<(), CoreError> {
        let Some(going) = self.jobs.pipelines.all.get(&whole) else { return Ok(()) };
        let intent = task_of(&going.intent, whole, &format!("task {}", task.number), &task.line);
        let job = self.queue_task(intent)?;
        let Some(going) = self.jobs.pipelines.all.get_mut(&whole) else { return Ok(()) };
        going.pipeline.runs(task, kind, job.unwrap_or(whole));
        self.keep_pipeline(whole)?;
        self.show_pipeline(whole)
    }

    fn pipeline_over(&mut self, whole: JobId, well: bool) -> Result<(), CoreError> {
        self.show_pipeline_end(whole)?;
        let Some(going) = self.jobs.pipelines.all.remove(&whole) else { return Ok(()) };
        self.keep_pipeline(whole)?;
        let intent = going.intent;
        if !going.pipeline.tasks().is_empty() {
            let text = words::pipeline::over(intent.script.as_str(), whole, well, going.pipeline.tasks(), |line| {
                self.without_secrets(line)
            });
            self.reply(intent.channel, intent.post, intent.root, "pipeline-end", text)?;
        }
        self.react_finally(&intent, if well { words::SUCCEEDED } else { words::FAILED })?;
        self.tags_are_free()?;
        if intent.actor != Actor::Person {
            self.schedules_soon();
        }
        Ok(())
    }

    /// Somebody stops a pipeline, by the job that it began with: what waits in it does not run, what runs is stopped, unless it
    /// cleans up. `false` where there is none.
    pub(crate) fn stop_pipeline(&mut self, whole: JobId, grace: Duration) -> Result<bool, CoreError> {
        let Some(going) = self.jobs.pipelines.all.get_mut(&whole) else { return Ok(false) };
        going.pipeline.stop();
        let job = going.pipeline.job().filter(|_| !going.pipeline.cleans_up());
        self.keep_pipeline(whole)?;
        self.show_pipeline(whole)?;
        if let Some(job) = job {
            self.stop_job(job, grace)?;
        }
        Ok(true)
    }

    /// What the last run of the service left of pipelines. The jobs that it left are looked at after this.
    pub(crate) fn restore_pipelines(&mut self) -> Result<(), CoreError> {
        for (job, intent, pipeline) in self.store.pipelines()? {
            let overview = Overview::never();
            self.jobs.pipelines.all.insert(job, Going { intent, pipeline, overview });
        }
        Ok(())
    }

    /// A pipeline whose job is not there any more goes on as if that had failed.
    pub(crate) fn check_pipelines(&mut self) -> Result<(), CoreError> {
        let open = |job: JobId| self.jobs.all.get(&job).is_some_and(|entry| entry.state != JobState::Done);
        let stuck = self.jobs.pipelines.all.iter().filter_map(|(whole, going)| {
            let job = going.pipeline.job().unwrap_or(*whole);
            (!open(job)).then_some((*whole, job))
        });
        let stuck: Vec<(JobId, JobId)> = stuck.collect();
        for (whole, job) in stuck {
            tracing::warn!(pipeline = whole.0, job = job.0, "its task is gone");
            self.pipeline_goes_on(job, Some(whole), false)?;
        }
        Ok(())
    }

    /// Whether a pipeline may run a command: the gates, asked for whoever began it. What would wait for others, or for a code, may
    /// not.
    pub(super) fn may_run_as_task(
        &self,
        whole: &Intent,
        line: &str,
    ) -> Result<(Command, ScriptName), (Refusal, Cause)> {
        let unreadable = |error: String| (Refusal::Unreadable(error.clone()), Cause(error));
        if line.len() > MAX_MESSAGE {
            return Err(unreadable("the command is too long".to_owned()));
        }
        let command = parse::command(line).map_err(|error| unreadable(error.to_string()))?;
        let command = command.ok_or_else(|| unreadable("the command is empty".to_owned()))?;
        let unknown = || (Refusal::Silence, Cause("no policy is in force".to_owned()));
        let policy = self.policy.as_ref().ok_or_else(unknown)?;
        let (requester, place) = (requester_of(whole), place_of(whole));
        let (script, values) = match whole.actor {
            Actor::Person => gate::decide(&command, &requester, &place, policy).outcome?,
            Actor::Schedule(_) | Actor::Trigger(_) => gate::automatic::decide(&command, &place, policy)?,
        };
        if approval::wanted(script, &values).is_some() {
            let why = format!("{} needs approvals, for which a task cannot wait", script.name);
            return Err((Refusal::Denied(why.clone()), Cause(why)));
        }
        let elevated = self.store.elevated(whole.post).ok().flatten();
        if let Verdict::Refuse(_, cause) = gate::elevation::check(script, requester.user, elevated) {
            let why = format!("{} needs your second factor, which was not given for this command", script.name);
            return Err((Refusal::Denied(why), cause));
        }
        let name = script.name.clone();
        Ok((command, name))
    }

    /// Before a command is let through whose script has steps: whether each of them may run, as far as it can be told now.
    pub(crate) fn may_run_steps(
        &self,
        whole: &Intent,
        values: &[crate::argument::Value],
        depth: usize,
    ) -> Result<(), (Refusal, Cause)> {
        let steps = self.config.allowlist.get(&whole.script).map(|script| &script.steps);
        for (_, _, step) in steps.into_iter().flat_map(crate::config::Steps::all) {
            let line = step.line(values);
            let policy = self.policy.as_ref().ok_or((Refusal::Silence, Cause("no policy".to_owned())))?;
            let command = parse::command(&line).ok().flatten();
            let command = command.ok_or((Refusal::Broken, Cause(format!("the step {:?}", step.written))))?;
            let (requester, place) = (requester_of(whole), place_of(whole));
            let (script, values) = match whole.actor {
                Actor::Person => gate::decide(&command, &requester, &place, policy).outcome?,
                Actor::Schedule(_) | Actor::Trigger(_) => gate::automatic::decide(&command, &place, policy)?,
            };
            if depth < super::DEEPEST && !script.steps.is_empty() {
                let inner = Intent { script: script.name.clone(), ..whole.clone() };
                self.may_run_steps(&inner, &values, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// A task of a pipeline, as a job. `what` makes its id one of its own.
pub(super) fn task_of(whole: &Intent, job: JobId, what: &str, line: &str) -> Intent {
    // As the gates read it: a name may be written in quotes.
    let script = parse::command(line).ok().flatten().and_then(|command| command.name.parse().ok());
    Intent {
        post: id_of(whole.post, what),
        script: script.unwrap_or_else(|| whole.script.clone()),
        command: Text::cut(line),
        part_of: Some(job),
        ..whole.clone()
    }
}

fn requester_of(intent: &Intent) -> Requester {
    Requester { user: intent.user, name: intent.user_name.clone(), restricted: intent.restricted }
}

fn place_of(intent: &Intent) -> Place {
    Place { channel: intent.channel, name: intent.channel_name.clone(), direct: intent.direct, private: intent.private }
}

/// An id in the form of a post's: 26 letters and digits, 130 bits of a hash.
fn id_of(post: PostId, what: &str) -> PostId {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuwxyz13456789";
    let mut hash = Sha256::new();
    hash.update(b"bartizan task 1\0");
    hash.update(post.as_str());
    hash.update(what);
    let hash = hash.finalize();
    let text: String = hash.iter().take(26).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    text.parse().unwrap_or(post)
}
