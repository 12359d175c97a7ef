//! The audit log's part in a turn, and what operators may do with it: see how far it is, prune it, change its key.

use super::timers::Timer;
use super::{Core, CoreError, Topic};
use crate::audit::{AuditError, CHECKPOINT_EVERY};
use crate::policy::{Place, Policy};
use crate::{command, words};
use bartizan_proto::Text;
use bartizan_proto::control::{Answer, AuditHead, AuditPruned, Refusal};
use bartizan_proto::egress::{AttestedUser, Target};
use std::time::Duration;

/// How long the log's file may be behind the disk. What it misses then is in the database.
const SYNC: Duration = Duration::from_secs(1);

/// A file of this size is put aside: at about 700 bytes a line, 90,000 lines.
const FULL: u64 = 64 * 1024 * 1024;

impl Core {
    /// The turn's lines go into its transaction.
    pub(super) fn record_lines(&mut self) -> Result<(), CoreError> {
        if self.audit.unrecorded().is_empty() {
            return Ok(());
        }
        if self.audit.rotate(FULL) || self.audit.since_checkpoint() >= CHECKPOINT_EVERY {
            self.checkpoint()?;
        }
        for (sequence, line) in self.audit.unrecorded() {
            self.store.remember_line(*sequence, line)?;
        }
        Ok(())
    }

    /// What the commit made durable goes into the log's file, which reaches the disk a little later.
    pub(super) fn write_audit(&mut self) -> Result<(), CoreError> {
        self.audit.write()?;
        if self.audit.is_sync_due() {
            self.timers.after(SYNC, Timer::AuditSync);
        }
        Ok(())
    }

    /// The time has come to see to it that the log's file is on the disk.
    pub(super) fn sync_audit(&mut self) -> Result<(), CoreError> {
        if let Some(what) = self.audit.keep_in_place()? {
            self.alert(Topic::Audit, &what)?;
        }
        if let Some(through) = self.audit.sync()? {
            self.store.forget_lines(through)?;
        }
        Ok(())
    }

    /// The start found that the log is not what was written: it is on record, and the admins are told.
    pub(super) fn tell_of_audit_alarms(&mut self) -> Result<(), CoreError> {
        for what in self.audit.take_alarms() {
            self.tell(Topic::Audit, &what)?;
        }
        Ok(())
    }

    /// Sums up the log, and shows that to witnesses, the journal and a channel: whoever cuts or rewrites the log later has
    /// to change that, too.
    pub(super) fn checkpoint(&mut self) -> Result<(), CoreError> {
        let brain = self.brain.last_known();
        let line = self.audit.checkpoint(brain);
        tracing::info!("audit checkpoint {line}");
        if self.config.checkpoints.is_some() {
            self.unposted_checkpoint = Some(line.to_owned());
        }
        self.post_checkpoint()
    }

    /// Posts the newest checkpoint, once it is known where. Each holds what those before it hold.
    pub(super) fn post_checkpoint(&mut self) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let Some(name) = &policy.config.checkpoints else { return Ok(()) };
        let Some(channel) = policy.channels.get(name).copied().or_else(|| name.parse().ok()) else { return Ok(()) };
        let Some(line) = self.unposted_checkpoint.take() else { return Ok(()) };
        let key = format!("audit-{}", self.audit.head().1);
        self.write_protected(Target::Channel(channel), None, &key, &words::checkpoint(&line))
    }

    /// A checkpoint, if there is something new.
    pub(super) fn checkpoint_now_and_then(&mut self) -> Result<(), CoreError> {
        if self.audit.since_checkpoint() > 0 { self.checkpoint() } else { Ok(()) }
    }

    /// Where the log is, and how far: a witness for whoever reads the file.
    pub(super) fn audit_head(&self) -> Answer {
        // Lines of this turn are not in the file yet.
        let lines = self.audit.unrecorded().len() as u64;
        let (sequence, head) = self.audit.head();
        let hash = if lines == 0 { head } else { "" };
        Answer::AuditHead(Box::new(AuditHead {
            path: Text::cut(self.audit.path().display().to_string()),
            public_key: Text::cut(self.audit.public_key().to_string()),
            sequence: sequence - lines,
            hash: Text::cut(hash),
            behind: Text::cut(self.audit.cannot_record().unwrap_or_default()),
        }))
    }

    /// What the log has about a person, for chat.
    pub(super) fn recorded_about(
        &self,
        user: &AttestedUser,
        (back, age): (Duration, &str),
        place: &Place,
        policy: &Policy,
    ) -> String {
        match self.audit.about(user.id.as_str(), back, command::audit::SHOWN) {
            Ok(found) => command::audit::answer(user, age, &found, place, policy),
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be read");
                words::UNREAD.to_owned()
            }
        }
    }

    /// Takes lines away that are older than this. Ends the turn first: the log tells of it before it happens.
    pub(super) fn prune_audit(&mut self, older_than: Duration, by: &str) -> Result<Answer, CoreError> {
        let before = jiff::Timestamp::now().checked_sub(older_than).unwrap_or(jiff::Timestamp::MIN);
        let prune = match self.audit.plan_prune(before, by) {
            Ok(prune) => prune,
            Err(error) => return Ok(failed(&error)),
        };
        let mut done = (0, 0);
        if let Some(prune) = prune {
            // Among what goes may be the last line that knows how far the brain is.
            self.checkpoint()?;
            self.store.must_last();
            self.finish_turn()?;
            match self.audit.prune(&prune) {
                Ok(gone) => done = gone,
                Err(error) => return Ok(failed(&error)),
            }
            tracing::info!(lines = done.0, through = done.1, by, "the audit log was pruned");
        }
        Ok(Answer::AuditPruned(AuditPruned { lines: done.0, through: done.1 }))
    }

    /// Another key signs from now on.
    pub(super) fn rotate_audit_key(&mut self, by: &str) -> Result<Answer, CoreError> {
        if let Err(error) = self.audit.rotate_key(by) {
            return Ok(failed(&error));
        }
        self.store.must_last();
        self.checkpoint()?;
        self.finish_turn()?;
        self.audit.replace_key()?;
        tracing::info!(key = %self.audit.public_key(), by, "another key signs the audit log");
        Ok(self.audit_head())
    }
}

fn failed(error: &AuditError) -> Answer {
    tracing::error!(%error, "the audit log");
    Answer::Refused { refusal: Refusal::Unavailable, why: Text::cut(error.to_string()) }
}
