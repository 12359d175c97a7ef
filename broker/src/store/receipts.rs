//! Receipts: a draft from the start of a job, signed at its end, then never changed. And the commands that were given with a
//! broken glass. One writer: the core.

use super::{Store, StoreError, id, now_ms, signed};
use crate::command::jobs::Asked;
use crate::store::jobs::Intent;
use bartizan_proto::ids::{JobId, PostId, UserId};
use rusqlite::{OptionalExtension as _, params};

/// How long they are kept.
const KEEP_MS: u64 = 365 * 24 * 3600 * 1000;

impl Store {
    /// A job is about to start: what is known of it by then. An earlier beginning of the same job is replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_receipt(&mut self, job: JobId, intent: &Intent, draft: &str) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached(
                "INSERT INTO receipt (job, script, user, channel, direct, private, text, written_ms, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)
                 ON CONFLICT (job) DO UPDATE SET text = ?7, written_ms = ?8 WHERE sealed = 0",
            )?
            .execute(params![
                signed(job.0),
                intent.script.as_str(),
                intent.user.as_str(),
                intent.channel.as_str(),
                intent.direct,
                intent.private,
                draft,
                signed(now_ms())
            ])?;
        Ok(())
    }

    /// The draft of one, where the job was started and has not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn receipt_draft(&self, job: JobId) -> Result<Option<String>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT text FROM receipt WHERE job = ?1 AND sealed = 0")?;
        Ok(statement.query_row([signed(job.0)], |row| row.get(0)).optional()?)
    }

    /// The job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_receipt(&mut self, job: JobId, receipt: &str) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE receipt SET text = ?2, sealed = 1, written_ms = ?3 WHERE job = ?1 AND sealed = 0")?
            .execute(params![signed(job.0), receipt, signed(now_ms())])?;
        Ok(())
    }

    /// One that is signed, and what says who may see it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn receipt(&self, job: JobId) -> Result<Option<(Asked, String)>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT script, user, channel, direct, private, text FROM receipt WHERE job = ?1 AND sealed = 1",
        )?;
        let mut rows = statement.query([signed(job.0)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let asked = Asked {
            script: id(&row.get::<_, String>(0)?, "script")?,
            user: id(&row.get::<_, String>(1)?, "user")?,
            channel: id(&row.get::<_, String>(2)?, "channel")?,
            direct: row.get(3)?,
            private: row.get(4)?,
        };
        Ok(Some((asked, row.get(5)?)))
    }

    /// Forgets those of more than a year ago.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_receipts(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        let connection = self.write()?;
        connection.prepare_cached("DELETE FROM receipt WHERE sealed = 1 AND written_ms < ?1")?.execute([before])?;
        connection.prepare_cached("DELETE FROM broken_glass WHERE at_ms < ?1")?.execute([before])?;
        Ok(())
    }

    /// A command was given with a broken glass.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn break_glass(&mut self, post: PostId, user: UserId, reason: &str) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("INSERT OR REPLACE INTO broken_glass (post, user, reason, at_ms) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![post.as_str(), user.as_str(), reason, signed(now_ms())])?;
        Ok(())
    }

    /// Who gave a command with a broken glass, and why.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn broken_glass(&self, post: PostId) -> Result<Option<(UserId, String)>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT user, reason FROM broken_glass WHERE post = ?1")?;
        let row: Option<(String, String)> =
            statement.query_row([post.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        row.map(|(user, reason)| Ok((id(&user, "user")?, reason))).transpose()
    }
}
