//! Approvals: `pending` until they are decided, and then never anything else. One writer: [`crate::approvals`].

use super::jobs::{Intent, intent};
use super::{Store, StoreError, id, now_ms, signed, unsigned};
use crate::approvals::{ApprovalId, End, Pending, Voter};
use bartizan_proto::Text;
use bartizan_proto::ids::PostId;
use rusqlite::{OptionalExtension as _, params};

/// How long an ended one is kept.
const KEEP_MS: u64 = 90 * 24 * 3600 * 1000;

impl Store {
    /// Writes a new one. `None` when this post has one already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ask_approval(
        &mut self,
        intent: &Intent,
        digest: &str,
        (asked_ms, expires_ms, host_expires_ms): (u64, u64, u64),
    ) -> Result<Option<ApprovalId>, StoreError> {
        let connection = self.write_to_last()?;
        let changed = connection
            .prepare_cached(
                "INSERT INTO approval (post, root, channel, channel_name, direct, private, user, user_name, restricted,
                 script, command, digest, asked_ms, expires_ms, host_expires_ms, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 'pending')
                 ON CONFLICT (post) DO NOTHING",
            )?
            .execute(params![
                intent.post.as_str(),
                intent.root.as_str(),
                intent.channel.as_str(),
                intent.channel_name.as_str(),
                intent.direct,
                intent.private,
                intent.user.as_str(),
                intent.user_name.as_str(),
                intent.restricted,
                intent.script.as_str(),
                intent.command.as_str(),
                digest,
                signed(asked_ms),
                signed(expires_ms),
                signed(host_expires_ms),
            ])?;
        Ok((changed == 1).then(|| ApprovalId(unsigned(connection.last_insert_rowid()))))
    }

    /// Somebody agrees.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_vote(&mut self, approval: ApprovalId, voter: &Voter, at_ms: u64) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached(
                "INSERT INTO approval_vote (approval, user, user_name, restricted, voted_ms, signature)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (approval, user) DO UPDATE SET user_name = excluded.user_name,
                 restricted = excluded.restricted, voted_ms = excluded.voted_ms, signature = excluded.signature",
            )?
            .execute(params![
                signed(approval.0),
                voter.user.as_str(),
                voter.name.as_str(),
                voter.restricted,
                signed(at_ms),
                voter.signature,
            ])?;
        Ok(())
    }

    /// What is to be signed by those who approve.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_statement(&mut self, approval: ApprovalId, statement: &str) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("UPDATE approval SET statement = ?2 WHERE id = ?1")?
            .execute(params![signed(approval.0), statement])?;
        Ok(())
    }

    /// What was asked for, in the words in which it is told from its end on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_story(&mut self, approval: ApprovalId, story: &str) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("UPDATE approval SET story = ?2 WHERE id = ?1")?
            .execute(params![signed(approval.0), story])?;
        Ok(())
    }

    /// See [`Store::put_story`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn story(&self, approval: ApprovalId) -> Result<String, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT story FROM approval WHERE id = ?1")?;
        Ok(statement.query_row([signed(approval.0)], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    /// What its posts say from now on, also those that are not written yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_closing(&mut self, approval: ApprovalId, closing: &str) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("UPDATE approval SET closing = ?2 WHERE id = ?1")?
            .execute(params![signed(approval.0), closing])?;
        Ok(())
    }

    /// See [`Store::put_closing`]; of the request of that command.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn closing(&self, post: PostId) -> Result<Option<String>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT closing FROM approval WHERE post = ?1")?;
        Ok(statement.query_row([post.as_str()], |row| row.get(0)).optional()?.flatten())
    }

    /// It is decided.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] when it was not pending: nothing is decided twice.
    pub fn end_approval(&mut self, approval: ApprovalId, end: End) -> Result<(), StoreError> {
        let changed = self
            .write_to_last()?
            .prepare_cached(
                "UPDATE approval SET state = ?2, ended_ms = ?3, command = '' WHERE id = ?1 AND state = 'pending'",
            )?
            .execute(params![signed(approval.0), end.as_str(), signed(now_ms())])?;
        if changed == 1 {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!("the order of states of approval {approval}")))
    }

    /// Everything that is pending, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pending_approvals(&self) -> Result<Vec<Pending>, StoreError> {
        self.approvals("state = 'pending' AND ?1 = ''", "")
    }

    /// The approved one of a command, with everybody who agreed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn approved(&self, post: PostId) -> Result<Option<Pending>, StoreError> {
        Ok(self.approvals("state = 'approved' AND post = ?1", post.as_str())?.pop())
    }

    /// How one ended, if it did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn approval_end(&self, approval: ApprovalId) -> Result<Option<End>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT state FROM approval WHERE id = ?1")?;
        let state: Option<String> = statement.query_row([signed(approval.0)], |row| row.get(0)).optional()?;
        Ok(state.and_then(|state| End::ALL.into_iter().find(|end| end.as_str() == state)))
    }

    fn approvals(&self, which: &str, post: &str) -> Result<Vec<Pending>, StoreError> {
        // The columns of an intent stand where `jobs::intent` looks for them.
        let mut statement = self.read().prepare_cached(&format!(
            "SELECT id, digest, post, root, channel, channel_name, direct, user, user_name, restricted, script, command,
             asked_ms, private, expires_ms, statement, coalesce(host_expires_ms, expires_ms) FROM approval WHERE {which} ORDER BY id"
        ))?;
        let mut rows = statement.query([post])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id = ApprovalId(unsigned(row.get(0)?));
            found.push(Pending {
                id,
                intent: intent(row)?,
                digest: row.get(1)?,
                statement: row.get(15)?,
                expires_ms: unsigned(row.get(14)?),
                host_expires_ms: unsigned(row.get(16)?),
                voters: self.voters(id)?,
            });
        }
        Ok(found)
    }

    fn voters(&self, approval: ApprovalId) -> Result<Vec<Voter>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT user, user_name, restricted, signature FROM approval_vote WHERE approval = ?1 ORDER BY voted_ms, user",
        )?;
        let mut rows = statement.query([signed(approval.0)])?;
        let mut voters = Vec::new();
        while let Some(row) = rows.next()? {
            voters.push(Voter {
                user: id(&row.get::<_, String>(0)?, "user")?,
                name: Text::cut(row.get::<_, String>(1)?),
                restricted: row.get(2)?,
                signature: row.get(3)?,
            });
        }
        Ok(voters)
    }

    /// Forgets those that ended more than 90 days ago; the audit log has them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_approvals(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        self.write()?
            .prepare_cached("DELETE FROM approval WHERE state <> 'pending' AND ended_ms < ?1")?
            .execute([before])?;
        Ok(())
    }
}
