//! What the last run of the service left: waiting jobs wait, the others were interrupted and are told about, begun again where their
//! script allows it, or followed again where they went on by themselves.

use super::backend;
use crate::audit::Record;
use crate::core::{Core, CoreError};
use crate::store::jobs::{Actor, Intent, Unfinished};
use crate::store::state::JobStage;
use crate::store::wanted::Asked;
use crate::words;
use bartizan_proto::ids::JobId;
use bartizan_proto::worker::Usage;

/// So often the job of an `idempotent` script is begun again after the service ended under it.
const MOST_BEGINNINGS: u32 = 3;

impl Core {
    /// What the last run of the service left: queued jobs are queued unless they have become stale, the others were
    /// interrupted and are told about, or begun again where their script allows it.
    pub(crate) fn recover(&mut self) -> Result<(), CoreError> {
        self.restore_pipelines()?;
        for unfinished in self.store.unfinished_jobs()? {
            let Unfinished { job, stage, age, begun_again, .. } = unfinished;
            let script = self.config.allowlist.get(&unfinished.intent.script);
            // What has added tasks would add them again, and a task that ran counts as failed.
            let idempotent = script.is_some_and(|script| script.idempotent)
                && begun_again < MOST_BEGINNINGS
                && !self.jobs.pipelines.has_turn(job, unfinished.intent.part_of);
            // It was begun, and goes on where nobody follows it.
            let goes_on = script.is_some_and(|script| backend::of(script).outlives());
            if let Some(begun_ms) = unfinished.begun_ms.filter(|_| goes_on) {
                self.follow_again(unfinished, begun_ms)?;
                continue;
            }
            match stage {
                JobStage::Queued if age > self.config.limits.stale_after => match unfinished.intent.actor {
                    Actor::Person if unfinished.intent.part_of.is_some() => self.too_late(job, &unfinished.intent)?,
                    Actor::Person => self.ask_about_job(unfinished)?,
                    Actor::Schedule(_) | Actor::Trigger(_) => self.too_late(job, &unfinished.intent)?,
                },
                JobStage::Queued => self.remember(job, unfinished.intent),
                JobStage::Starting | JobStage::Running if idempotent => self.begin_again(unfinished)?,
                JobStage::Starting | JobStage::Running => {
                    let intent = unfinished.intent;
                    let head = words::interrupted(intent.script.as_str());
                    self.reply_late(&intent, head, unfinished.printed)?;
                    self.react_finally(&intent, words::REFUSED)?;
                    self.close_job(job, &intent, None, Usage::default(), Some("interrupted: the service ended"))?;
                }
                JobStage::Done => {}
            }
        }
        self.check_pipelines()?;
        let undecided = self.store.undecided()?;
        self.posts.restore(undecided);
        Ok(())
    }

    /// It waited through the end of the service for too long, and nobody can be asked.
    fn too_late(&mut self, job: JobId, intent: &Intent) -> Result<(), CoreError> {
        self.reply(intent.channel, intent.post, intent.root, "result", words::too_late(intent.script.as_str()))?;
        self.react_finally(intent, words::REFUSED)?;
        let why = "it waited through the end of the service for too long";
        self.close_job(job, intent, None, Usage::default(), Some(why))
    }

    /// It waited through the end of the service for too long: who asked for it says whether it is still wanted.
    fn ask_about_job(&mut self, unfinished: Unfinished) -> Result<(), CoreError> {
        let Unfinished { job, age, intent, .. } = unfinished;
        let why = "it waited through the end of the service for too long; asked whether it is still wanted";
        self.close_job(job, &intent, None, Usage::default(), Some(why))?;
        self.store.job_withdrawn(job)?;
        self.unreact(intent.post, words::RUNNING)?;
        let now = crate::store::now_ms();
        let asked = Asked {
            post: intent.post,
            channel: intent.channel,
            author: intent.user,
            root: Some(intent.root).filter(|root| *root != intent.post),
            created_ms: now.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            direct: intent.direct,
            asked_ms: now,
        };
        self.ask(asked, age)
    }

    /// It was interrupted, and its script says that running it twice does no harm.
    fn begin_again(&mut self, unfinished: Unfinished) -> Result<(), CoreError> {
        let Unfinished { job, begun_again, intent, .. } = unfinished;
        let why = "interrupted: the service ended; it is begun again";
        self.record(&Record::JobEnd {
            job,
            intent: Box::new(intent.clone()),
            ending: None,
            usage: Usage::default(),
            hosts: Vec::new(),
            error: Some(why.to_owned()),
        });
        self.store.job_again(job)?;
        let text = words::begun_again(intent.script.as_str());
        self.reply(intent.channel, intent.post, intent.root, &format!("again-{begun_again}"), text)?;
        self.remember(job, intent);
        Ok(())
    }
}
