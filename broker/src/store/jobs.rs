//! Jobs: `queued → starting → running → done`, each step durable before it is acted on, each written here only.

use super::state::JobStage;
use super::{Store, StoreError, id, now_ms, signed, unsigned};
use bartizan_proto::Text;
use bartizan_proto::ids::{ChannelId, JobId, PostId, ScriptName, UserId};
use bartizan_proto::limits::{MAX_MESSAGE, MAX_NAME};
use rusqlite::{OptionalExtension as _, Row, params};
use std::time::Duration;

/// How long an ended job is kept.
const KEEP_MS: u64 = 90 * 24 * 3600 * 1000;

/// A stored intent: what a person asked for and the facts that egress attested of it. No right follows from it; the
/// gates are asked again before anything starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The post that asked.
    pub post: PostId,
    /// The thread that is answered in.
    pub root: PostId,
    /// Where.
    pub channel: ChannelId,
    /// That channel's name; empty for a direct message.
    pub channel_name: Text<MAX_NAME>,
    /// Whether that is a direct message to the bot.
    pub direct: bool,
    /// Whether that is a private channel.
    pub private: bool,
    /// Who.
    pub user: UserId,
    /// Their name then.
    pub user_name: Text<MAX_NAME>,
    /// A guest or a remote account: counts as `user` at most.
    pub restricted: bool,
    /// The script.
    pub script: ScriptName,
    /// The command without prefix, as attested.
    pub command: Text<MAX_MESSAGE>,
    /// What began it, where no person asked: then `user` is the bot, and stands for nobody.
    pub actor: Actor,
    /// The job that the pipeline began with, of which this is a task: then `post` is an id of the core's own making, which no
    /// post has.
    pub part_of: Option<JobId>,
}

impl Intent {
    /// What it is called where people read: the script's name, and whether it only says what it would do.
    pub fn title(&self) -> String {
        match crate::command::is_dry(&self.command) {
            true => format!("{} {}", crate::command::Builtin::DryRun.name(), self.script),
            false => self.script.to_string(),
        }
    }
}

/// On whose behalf a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Of the person who asked.
    Person,
    /// Of nobody: this schedule was due.
    Schedule(ScriptName),
    /// Of nobody: a post was one that this trigger waits for.
    Trigger(ScriptName),
}

impl Actor {
    /// As database and audit log have it; empty for a person.
    pub fn label(&self) -> String {
        match self {
            Actor::Person => String::new(),
            Actor::Schedule(name) => format!("schedule:{name}"),
            Actor::Trigger(name) => format!("trigger:{name}"),
        }
    }

    fn read(label: &str) -> Result<Actor, StoreError> {
        match label.split_once(':') {
            None if label.is_empty() => Ok(Actor::Person),
            Some(("schedule", name)) => Ok(Actor::Schedule(id(name, "schedule")?)),
            Some(("trigger", name)) => Ok(Actor::Trigger(id(name, "trigger")?)),
            _ => Err(StoreError::Corrupt(format!("actor {label:?}"))),
        }
    }
}

/// A job that the last run of the service did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Which.
    pub job: JobId,
    /// Where it was.
    pub stage: JobStage,
    /// Accepted so long ago.
    pub age: Duration,
    /// What it had printed, as it may be shown, as far as that was kept.
    pub printed: String,
    /// How often it was begun again already.
    pub begun_again: u32,
    /// When it was begun first, in ms since 1970; `None` where it never was.
    pub begun_ms: Option<u64>,
    /// It was being stopped.
    pub stop_wanted: bool,
    /// What was asked for.
    pub intent: Intent,
}

/// What stands in the place of a job's ending while it is being stopped.
const TO_STOP: &str = "to be stopped";

impl Store {
    /// Accepts a job. `None` when this post has one already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn queue_job(&mut self, intent: &Intent) -> Result<Option<JobId>, StoreError> {
        let connection = self.write_to_last()?;
        let changed = connection
            .prepare_cached(
                "INSERT INTO job (post, root, channel, channel_name, direct, user, user_name, restricted, script,
                 command, queued_ms, private, actor, part_of, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 'queued')
                 ON CONFLICT (post) DO NOTHING",
            )?
            .execute(params![
                intent.post.as_str(),
                intent.root.as_str(),
                intent.channel.as_str(),
                intent.channel_name.as_str(),
                intent.direct,
                intent.user.as_str(),
                intent.user_name.as_str(),
                intent.restricted,
                intent.script.as_str(),
                intent.command.as_str(),
                signed(now_ms()),
                intent.private,
                intent.actor.label(),
                intent.part_of.map(|job| signed(job.0)),
            ])?;
        Ok((changed == 1).then(|| JobId(unsigned(connection.last_insert_rowid()))))
    }

    /// The order is about to be given.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] when the job was not queued: it must not start twice.
    pub fn job_starting(&mut self, job: JobId) -> Result<(), StoreError> {
        self.step(job, JobStage::Queued, JobStage::Starting)
    }

    /// The worker runs it.
    ///
    /// # Errors
    /// As [`Store::job_starting`].
    pub fn job_running(&mut self, job: JobId) -> Result<(), StoreError> {
        self.step(job, JobStage::Starting, JobStage::Running)
    }

    /// It ended, in whatever way. Should the machine stop before this is on the disk, the job is told about as interrupted,
    /// under the same reply id as its result: what was told first stays.
    ///
    /// # Errors
    /// As [`Store::job_starting`].
    pub fn job_done(&mut self, job: JobId, ending: &str) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "UPDATE job SET state = 'done', ended_ms = ?2, ending = ?3, command = '', printed = '' WHERE id = ?1",
            )?
            .execute(params![signed(job.0), signed(now_ms()), ending])?;
        Ok(())
    }

    /// Forgets jobs that ended more than 90 days ago; the audit log has them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_jobs(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        self.write()?.prepare_cached("DELETE FROM job WHERE state = 'done' AND ended_ms < ?1")?.execute([before])?;
        Ok(())
    }

    /// What it has printed so far, as it may be shown: should the core die, that is told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn job_printed(&mut self, job: JobId, shown: &str) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE job SET printed = ?2 WHERE id = ?1 AND state IN ('starting', 'running')")?
            .execute(params![signed(job.0), shown])?;
        Ok(())
    }

    /// The job of a script that may be started again waits once more.
    ///
    /// # Errors
    /// As [`Store::job_starting`].
    pub fn job_again(&mut self, job: JobId) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        let changed = connection
            .prepare_cached(
                "UPDATE job SET state = 'queued', begun_again = begun_again + 1, printed = '' WHERE id = ?1
                 AND state IN ('starting', 'running')",
            )?
            .execute([signed(job.0)])?;
        self.stepped(job, changed)
    }

    /// A job that goes on by itself waits to be followed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn job_waits(&mut self, job: JobId) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("UPDATE job SET state = 'queued' WHERE id = ?1 AND state IN ('starting', 'running')")?
            .execute([signed(job.0)])?;
        Ok(())
    }

    /// One that did not end is to be stopped, also by the next start of the service.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn job_is_to_stop(&mut self, job: JobId) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("UPDATE job SET ending = ?2 WHERE id = ?1 AND state != 'done'")?
            .execute(params![signed(job.0), TO_STOP])?;
        Ok(())
    }

    /// When it was begun first, in ms since 1970.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn job_begun(&self, job: JobId) -> Result<Option<u64>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT started_ms FROM job WHERE id = ?1")?;
        let begun: Option<Option<i64>> = statement.query_row([signed(job.0)], |row| row.get(0)).optional()?;
        Ok(begun.flatten().map(unsigned))
    }

    /// A job that waited for too long is none any more: its post is asked about.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn job_withdrawn(&mut self, job: JobId) -> Result<(), StoreError> {
        self.write_to_last()?.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([signed(job.0)])?;
        Ok(())
    }

    fn step(&mut self, job: JobId, from: JobStage, to: JobStage) -> Result<(), StoreError> {
        debug_assert!(from.may_become(to), "{from:?} to {to:?}");
        let changed = self
            .write_to_last()?
            .prepare_cached(
                "UPDATE job SET state = ?3, started_ms = coalesce(started_ms, ?4) WHERE id = ?1 AND state = ?2",
            )?
            .execute(params![signed(job.0), from.as_str(), to.as_str(), signed(now_ms())])?;
        self.stepped(job, changed)
    }

    fn stepped(&self, job: JobId, changed: usize) -> Result<(), StoreError> {
        match changed {
            1 => Ok(()),
            _ => Err(StoreError::Corrupt(format!("the order of states of job {job}"))),
        }
    }

    /// The jobs that did not end, oldest first: what a restart has to tell about or go on with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unfinished_jobs(&self) -> Result<Vec<Unfinished>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, state, post, root, channel, channel_name, direct, user, user_name, restricted, script, command,
             queued_ms, private, printed, begun_again, actor, part_of, started_ms, ending
             FROM job WHERE state != 'done' ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let mut jobs = Vec::new();
        while let Some(row) = rows.next()? {
            let stage: String = row.get(1)?;
            let stage = JobStage::named(&stage).ok_or_else(|| StoreError::Corrupt(format!("job state {stage:?}")))?;
            jobs.push(Unfinished {
                job: JobId(unsigned(row.get(0)?)),
                stage,
                age: Duration::from_millis(now_ms().saturating_sub(unsigned(row.get(12)?))),
                printed: row.get(14)?,
                begun_again: row.get(15)?,
                begun_ms: row.get::<_, Option<i64>>(18)?.map(unsigned),
                stop_wanted: row.get::<_, Option<String>>(19)?.as_deref() == Some(TO_STOP),
                intent: job_intent(row)?,
            });
        }
        Ok(jobs)
    }
}

/// Of a row of `job`, with its actor in column 16 and what it is a part of in column 17.
pub(super) fn job_intent(row: &Row<'_>) -> Result<Intent, StoreError> {
    let part_of: Option<i64> = row.get(17)?;
    let actor = Actor::read(&row.get::<_, String>(16)?)?;
    Ok(Intent { actor, part_of: part_of.map(|job| JobId(unsigned(job))), ..intent(row)? })
}

pub(super) fn intent(row: &Row<'_>) -> Result<Intent, StoreError> {
    let text = |column| row.get::<_, String>(column);
    Ok(Intent {
        post: id(&text(2)?, "post")?,
        root: id(&text(3)?, "root")?,
        channel: id(&text(4)?, "channel")?,
        channel_name: Text::cut(text(5)?),
        direct: row.get(6)?,
        user: id(&text(7)?, "user")?,
        user_name: Text::cut(text(8)?),
        restricted: row.get(9)?,
        script: id(&text(10)?, "script")?,
        command: Text::cut(text(11)?),
        private: row.get(13)?,
        actor: Actor::Person,
        part_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Intent {
        let post = "p".repeat(26).parse().expect("id");
        Intent {
            post,
            root: post,
            channel: "c".repeat(26).parse().expect("id"),
            channel_name: Text::cut("ops"),
            direct: false,
            private: true,
            user: "u".repeat(26).parse().expect("id"),
            user_name: Text::cut("alice"),
            restricted: false,
            script: "hello".parse().expect("name"),
            command: Text::cut("hello world"),
            actor: Actor::Person,
            part_of: None,
        }
    }

    #[test]
    fn a_job_that_nobody_asked_for_comes_back_as_one() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let intent = Intent { actor: Actor::Schedule("nightly".parse().expect("name")), ..sample() };
        store.queue_job(&intent).expect("queue").expect("new");
        assert_eq!(store.unfinished_jobs().expect("read").pop().expect("one").intent, intent);
    }

    #[test]
    fn a_job_cannot_start_twice_nor_be_queued_twice_for_one_post() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let job = store.queue_job(&sample()).expect("queue").expect("new");
        assert_eq!(store.queue_job(&sample()).expect("queue"), None);
        store.job_starting(job).expect("first");
        assert!(matches!(store.job_starting(job), Err(StoreError::Corrupt(_))));
        store.job_running(job).expect("runs");
        assert!(matches!(store.job_running(job), Err(StoreError::Corrupt(_))));
        store.job_printed(job, "so far").expect("kept");
        let left = store.unfinished_jobs().expect("read").pop().expect("one");
        assert_eq!((left.job, left.stage, left.printed.as_str()), (job, JobStage::Running, "so far"));
        assert_eq!((left.begun_again, left.intent), (0, sample()));
        store.job_again(job).expect("its script allows it");
        let left = store.unfinished_jobs().expect("read").pop().expect("one");
        assert_eq!((left.stage, left.printed.as_str(), left.begun_again), (JobStage::Queued, "", 1));
        assert!(matches!(store.job_again(job), Err(StoreError::Corrupt(_))), "it waits already");
        store.job_done(job, "exit 0").expect("done");
        assert!(store.unfinished_jobs().expect("read").is_empty());
    }
}
