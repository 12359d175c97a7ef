//! The audit log: JSON Lines, each signed (ed25519) and chained to the one before; the intent before the act, the outcome
//! after.
//!
//! Called by the core only. A line is first written into the database, in the transaction of the turn that it tells of:
//! what cannot be recorded does not happen. After the commit it goes into the file, which reaches the disk a little later;
//! at start the file gets what it misses ([`reconcile`]). The signing key is a file apart from everything else, made at the
//! first start.
//!
//! The format, with code that reads and verifies it, is `bartizan_audit`'s; docs/audit.md describes it for others.
//!
//! One line is `{"sequence":…,"timestamp":…,"event":…, …,"previousHash":…,"publicKey":…,"signature":…}`. `previousHash` is the SHA-256 of the
//! line before, without its line break; the signature covers the line's bytes up to, and without, `,"signature"`. The
//! field names are the seed's (timestamp, executionId, scriptName, arguments, userId, channelId, success, exitCode,
//! durationMs, error, signature, publicKey, previousHash).

mod fields;
mod file;
mod key;
mod last;
mod prune;
mod reconcile;
mod record;
mod search;
mod space;
#[cfg(test)]
mod tests;

pub use bartizan_audit::{Fields, hex};
pub use record::{Gate, Ran, Record};
pub use search::Found;

use crate::brain::Checkpoint;
use bartizan_audit::{Chain, Entry, PublicKey};
use file::LogFile;
use key::KeyFiles;
use reconcile::End;

use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// After so many lines there is a checkpoint; and with every housekeeping in which there is something new.
pub const CHECKPOINT_EVERY: u64 = 1000;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file says no.
    #[error("audit log {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The last line is not one of ours.
    #[error("audit log {path}: its last line is not a record of this log; move the file away and start again")]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// The signing key cannot be used.
    #[error("audit key {path}: {why}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The open log.
#[derive(Debug)]
pub struct Audit {
    file: LogFile,
    chain: Chain,
    keys: KeyFiles,
    /// Lines that no transaction has yet.
    unrecorded: Vec<(u64, String)>,
    /// Which of them begins a file.
    begins_file: Option<u64>,
    /// Lines since the last checkpoint.
    since_checkpoint: u64,
    /// What was wrong when it was opened.
    alarms: Vec<String>,
}

impl Audit {
    /// Opens or makes `audit.jsonl` and `audit.key` in `folder`, which is already private. `remembered` are the lines that
    /// the database keeps: what the file misses of them is put back, and a file that tells another story is told about.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(folder: &Path, remembered: &[(u64, String)]) -> Result<Audit, AuditError> {
        let path = folder.join("audit.jsonl");
        prune::finish(&path).map_err(|source| AuditError::Io { path: path.clone(), source })?;
        let (mut file, last) = LogFile::open(&path)?;
        let found = reconcile::compare(last.as_ref().map(|last| (last.sequence, last.line.as_str())), remembered);
        for (sequence, line) in found.missing {
            let begins_file = Entry::read(line.as_bytes()).is_ok_and(|entry| entry.event == bartizan_audit::ROTATION);
            file.append(*sequence, line.clone(), begins_file);
        }
        file.write()?;
        let end = match found.goes_on_after {
            End::Remembered => remembered.last().map(|(sequence, line)| (*sequence, line.as_str())),
            End::File => last.as_ref().map(|last| (last.sequence, last.line.as_str())),
        };
        let signs = end.and_then(|(_, line)| signs_after(line));
        let keys = KeyFiles::new(folder);
        let key = keys.load(signs.as_ref())?;
        let chain = Chain::after(key, end);
        let (unrecorded, begins_file) = (Vec::new(), None);
        let mut audit = Audit { file, chain, keys, unrecorded, begins_file, since_checkpoint: 0, alarms: Vec::new() };
        let other_key = signs.filter(|signs| signs != audit.chain.public_key()).map(|signs| {
            format!("the audit log was signed by {signs} so far, and the key is now another: it does not verify from here on")
        });
        for what in [found.alarm, other_key].into_iter().flatten() {
            tracing::error!("{what}");
            audit.append(&Record::Alert { what: what.clone() });
            audit.alarms.push(what);
        }
        Ok(audit)
    }

    /// What was wrong when it was opened; the log has it already.
    pub fn take_alarms(&mut self) -> Vec<String> {
        std::mem::take(&mut self.alarms)
    }

    /// What stands for a value that must not be in the log: the same value gives the same text, and only who has the
    /// signing key can tell which value it was.
    pub fn keyed_hash(&self, value: &str) -> String {
        let hash = self.chain.key().keyed_hash(b"bartizan sensitive value 1", value.as_bytes());
        format!("keyed-sha256:{}", &hex(&hash)[..32])
    }

    /// Signs a receipt.
    pub fn seal_receipt(&self, fields: bartizan_audit::Fields) -> String {
        bartizan_audit::seal_receipt(self.chain.key(), fields)
    }

    /// Adds a record. It goes into this turn's transaction ([`Audit::unrecorded`]) and after the commit into the file.
    pub fn append(&mut self, record: &Record) {
        let line = self.chain.seal(&now(), record.fields());
        self.unrecorded.push((self.chain.sequence(), line));
        self.since_checkpoint += 1;
    }

    /// Adds a checkpoint, and gives its line, to be shown to witnesses.
    pub fn checkpoint(&mut self, brain: Option<Checkpoint>) -> &str {
        let (count, head) = (self.chain.sequence(), self.chain.head().to_owned());
        self.append(&Record::Checkpoint { count, head, brain });
        self.since_checkpoint = 0;
        self.unrecorded.last().map_or("", |(_, line)| line)
    }

    /// Lines since the last checkpoint.
    pub fn since_checkpoint(&self) -> u64 {
        self.since_checkpoint
    }

    /// Puts the file aside when it has `size` bytes: the next line begins another. Whether it does.
    pub fn rotate(&mut self, size: u64) -> bool {
        if self.file.length() < size || self.begins_file.is_some() {
            return false;
        }
        let name = self.file.closed_name();
        let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.append(&Record::Rotation { previous_file: name });
        self.begins_file = Some(self.chain.sequence());
        true
    }

    /// Sees to it that the file is where it was left and as long; says what was not so.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn keep_in_place(&mut self) -> Result<Option<String>, AuditError> {
        self.file.keep_in_place()
    }

    /// What this turn's transaction must hold, in order.
    pub fn unrecorded(&self) -> &[(u64, String)] {
        &self.unrecorded
    }

    /// Puts what the transaction has made durable into the file. It is not waited for: see [`Audit::sync`]. A file that
    /// takes no more gets it later, and meanwhile [`Audit::cannot_record`] says so.
    ///
    /// # Errors
    /// [`AuditError::Io`]: too much waits for the file.
    pub fn write(&mut self) -> Result<(), AuditError> {
        for (sequence, line) in self.unrecorded.drain(..) {
            let begins_file = self.begins_file.take_if(|first| *first == sequence).is_some();
            self.file.append(sequence, line, begins_file);
        }
        self.file.write()
    }

    /// Why nothing more may be begun, if so: there is no room to tell of it.
    pub fn cannot_record(&self) -> Option<String> {
        self.file.cannot_record()
    }

    /// Free bytes, and all of them, where the state is kept.
    pub fn room(&self) -> Option<(u64, u64)> {
        self.file.room()
    }

    /// Whether [`Audit::sync`] is to be called in a while: the file has something that may not be on the disk, and no such
    /// call was announced yet.
    pub fn is_sync_due(&mut self) -> bool {
        self.file.is_sync_due()
    }

    /// Begins to bring the file to the disk, beside everything else, or looks whether that is done: then what it had when
    /// it was begun, up to the line with this number, is there.
    ///
    /// # Errors
    /// [`AuditError::Io`]: the disk did not take it.
    pub fn sync(&mut self) -> Result<Option<u64>, AuditError> {
        self.file.sync()
    }

    /// The service ends: waits until all of the file is on the disk.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn close(&mut self) -> Result<(), AuditError> {
        self.file.close()
    }

    /// Where the log is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Who signs now.
    pub fn public_key(&self) -> &PublicKey {
        self.chain.public_key()
    }

    /// The last line's number and hash.
    pub fn head(&self) -> (u64, &str) {
        (self.chain.sequence(), self.chain.head())
    }

    /// The newest lines about a person, by id, that are not older than `back`. Those of this turn are not among them.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn about(&self, user: &str, back: Duration, wanted: usize) -> Result<Found, AuditError> {
        let since = jiff::Timestamp::now().checked_sub(back).map_or_else(|_| String::new(), shown);
        search::about(self.file.path(), user, &since, wanted).map_err(|source| self.failed(source))
    }

    /// Says in the log that what is older than `before` goes, and what that is. Nothing is gone yet: see [`Audit::prune`].
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn plan_prune(&mut self, before: jiff::Timestamp, by: &str) -> Result<Option<Prune>, AuditError> {
        let before = shown(before);
        let plan = prune::plan(self.file.path(), &before).map_err(|source| self.failed(source))?;
        let Some(plan) = plan else { return Ok(None) };
        let (through, head) = (plan.through, plan.head.clone());
        self.append(&Record::Prune { through, head, before: before.clone(), by: by.to_owned() });
        let stub = json!({ "event": bartizan_audit::PRUNED, "count": through, "before": before, "nextPublicKey": plan.next_key });
        let stub = stub.as_object().cloned().unwrap_or_default();
        let stub = self.chain.stub(through, &plan.head, &now(), stub);
        Ok(Some(Prune { plan, stub }))
    }

    /// Takes old lines away, once what tells of it is durable and in the file. Gives how many, and the last of them.
    ///
    /// # Errors
    /// [`AuditError::Io`]; the log is as it was, or as it should be.
    pub fn prune(&mut self, prune: &Prune) -> Result<(u64, u64), AuditError> {
        prune::carry_out(&prune.plan, &prune.stub).map_err(|source| self.failed(source))?;
        self.file.reopen()?;
        Ok((prune.plan.lines, prune.plan.through))
    }

    /// Names another key in the log and signs with it from the next line on. The key's file is replaced by
    /// [`Audit::replace_key`], once that line is durable.
    ///
    /// # Errors
    /// [`AuditError::Key`].
    pub fn rotate_key(&mut self, by: &str) -> Result<(), AuditError> {
        let next = self.keys.make_next()?;
        let (old, new) = (self.chain.public_key().to_string(), next.public_key().to_string());
        let proof = bartizan_audit::proof_of_new_key(&old, &new, self.chain.sequence() + 1);
        let proof = next.sign(&proof);
        self.append(&Record::KeyRotation { new, proof, by: by.to_owned() });
        self.chain.change_key(next);
        Ok(())
    }

    /// The old key goes.
    ///
    /// # Errors
    /// [`AuditError::Key`].
    pub fn replace_key(&self) -> Result<(), AuditError> {
        self.keys.replace()
    }

    fn failed(&self, source: io::Error) -> AuditError {
        AuditError::Io { path: self.file.path().to_owned(), source }
    }
}

/// A prune that the log tells of.
#[derive(Debug)]
pub struct Prune {
    plan: prune::Plan,
    stub: String,
}

/// Who must sign the line after this one.
fn signs_after(line: &str) -> Option<PublicKey> {
    let entry = Entry::read(line.as_bytes()).ok()?;
    let key = match &*entry.event {
        bartizan_audit::KEY_ROTATION => entry.text("newPublicKey")?,
        _ => entry.public_key.into_owned(),
    };
    key.parse().ok()
}

/// Now, as RFC 3339 with milliseconds in UTC.
fn now() -> String {
    shown(jiff::Timestamp::now())
}

fn shown(time: jiff::Timestamp) -> String {
    format!("{time:.3}")
}
