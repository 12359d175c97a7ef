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

mod file;
mod key;
mod prune;
mod reconcile;
mod record;
mod space;

pub use bartizan_audit::hex;
pub use record::{BrainState, Gate, Record};

use bartizan_audit::{Chain, Entry, PublicKey};
use file::LogFile;
use key::KeyFiles;
use reconcile::End;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

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
    /// For [`Audit::keyed_hash`].
    secret: Zeroizing<[u8; 32]>,
    /// Lines that no transaction has yet.
    unrecorded: Vec<(u64, String)>,
    /// Which of them begins a file.
    begins_file: Option<u64>,
    /// Lines since the last checkpoint.
    since_checkpoint: u64,
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
            file.append(*sequence, line.clone(), false);
        }
        file.write()?;
        let end = match found.goes_on_after {
            End::Remembered => remembered.last().map(|(sequence, line)| (*sequence, line.as_str())),
            End::File => last.as_ref().map(|last| (last.sequence, last.line.as_str())),
        };
        let signs = end.and_then(|(_, line)| signs_after(line));
        let keys = KeyFiles::new(folder);
        let key = keys.load(signs.as_ref())?;
        let secret = Zeroizing::new(key.to_bytes());
        let chain = Chain::after(key, end);
        let (unrecorded, begins_file) = (Vec::new(), None);
        let mut audit = Audit { file, chain, keys, secret, unrecorded, begins_file, since_checkpoint: 0 };
        let other_key = signs.filter(|signs| signs != audit.chain.public_key()).map(|signs| {
            format!("the audit log was signed by {signs} so far, and the key is now another: it does not verify from here on")
        });
        for what in [found.alarm, other_key].into_iter().flatten() {
            tracing::error!("{what}");
            audit.append(&Record::Alert { what });
        }
        Ok(audit)
    }

    /// What stands for a value that must not be in the log: the same value gives the same text, and only who has the
    /// signing key can tell which value it was.
    pub fn keyed_hash(&self, value: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"bartizan sensitive value 1");
        hasher.update(*self.secret);
        hasher.update(value.as_bytes());
        format!("keyed-sha256:{}", &hex(&hasher.finalize())[..32])
    }

    /// Adds a record. It goes into this turn's transaction ([`Audit::unrecorded`]) and after the commit into the file.
    pub fn append(&mut self, record: &Record) {
        let line = self.chain.seal(&now(), record.fields());
        self.unrecorded.push((self.chain.sequence(), line));
        self.since_checkpoint += 1;
    }

    /// Adds a checkpoint, and gives its line, to be shown to witnesses.
    pub fn checkpoint(&mut self, brain: Option<BrainState>) -> &str {
        let (count, head) = (self.chain.sequence(), self.chain.head().to_owned());
        self.append(&Record::Checkpoint { count, head, brain });
        self.since_checkpoint = 0;
        self.unrecorded.last().map_or("", |(_, line)| line)
    }

    /// Lines since the last checkpoint.
    pub fn since_checkpoint(&self) -> u64 {
        self.since_checkpoint
    }

    /// Puts the file aside when it has `size` bytes: the next line begins another.
    pub fn rotate(&mut self, size: u64) {
        if self.file.length() >= size && self.begins_file.is_none() {
            let name = self.file.closed_name();
            let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.append(&Record::Rotation { previous_file: name });
            self.begins_file = Some(self.chain.sequence());
        }
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
        let (old, new) = (self.chain.public_key().to_string(), PublicKey::from(next.verifying_key()).to_string());
        let proof = bartizan_audit::proof_of_new_key(&old, &new, self.chain.sequence() + 1);
        let proof = BASE64.encode(next.sign(&proof).to_bytes());
        self.append(&Record::KeyRotation { new, proof, by: by.to_owned() });
        self.secret = Zeroizing::new(next.to_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// How many lines there are, all of them as they were written.
    fn verify(folder: &Path) -> u64 {
        bartizan_audit::verify_files(&folder.join("audit.jsonl"), None, Vec::new()).expect("verifies").last
    }

    fn alert(what: &str) -> Record {
        Record::Alert { what: what.into() }
    }

    fn written(folder: &Path, lines: usize) -> Audit {
        let mut audit = Audit::open(folder, &[]).expect("open");
        for number in 0..lines {
            audit.append(&alert(&format!("number {number}")));
        }
        audit.write().expect("write");
        audit
    }

    #[test]
    fn the_file_is_put_aside_when_it_is_full_and_the_chain_goes_on_in_the_next() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = written(folder.path(), 5);
        for _ in 0..3 {
            audit.rotate(1000);
            audit.append(&alert("after"));
            audit.rotate(1000);
            audit.write().expect("write");
            for number in 0..4 {
                audit.append(&alert(&format!("more {number}")));
            }
            audit.write().expect("write");
        }
        let files = bartizan_audit::segments(audit.path()).expect("segments");
        assert!(files.len() >= 3, "{files:?}");
        let count = verify(folder.path());
        drop(audit);
        // Nothing came after it was put aside.
        std::fs::rename(folder.path().join("audit.jsonl"), folder.path().join("audit-00000000000000000018.jsonl"))
            .expect("rename");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        assert!(audit.unrecorded().is_empty());
        audit.append(&alert("later"));
        audit.write().expect("write");
        assert_eq!(verify(folder.path()), count + 1);
        std::fs::remove_file(&files[0].path).expect("remove");
        assert!(bartizan_audit::verify_files(audit.path(), None, Vec::new()).is_err(), "the first file is missing");
    }

    #[test]
    fn what_is_pruned_leaves_a_stub_and_the_rest_verifies_also_when_it_is_pruned_again() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = written(folder.path(), 5);
        assert!(audit.plan_prune(jiff::Timestamp::UNIX_EPOCH, "uid 0").expect("plan").is_none());
        for round in 0..3 {
            audit.rotate(u64::from(round == 1));
            audit.append(&alert("newest"));
            audit.write().expect("write");
            std::thread::sleep(std::time::Duration::from_millis(5));
            let plan = audit.plan_prune(jiff::Timestamp::now(), "uid 0").expect("plan").expect("something is old");
            audit.write().expect("write");
            assert!(audit.prune(&plan).expect("prune").0 > 0);
            audit.append(&alert("after"));
            audit.write().expect("write");
            verify(folder.path());
        }
        assert_eq!(bartizan_audit::segments(audit.path()).expect("segments").len(), 1);
        drop(audit);
        let audit = Audit::open(folder.path(), &[]).expect("open");
        assert!(audit.unrecorded().is_empty());
        let text = std::fs::read_to_string(audit.path()).expect("read");
        let (stub, rest) = text.split_once('\n').expect("a stub");
        assert!(stub.contains("\"pruned\""), "{stub}");
        std::fs::write(audit.path(), rest).expect("write");
        assert!(bartizan_audit::verify_files(audit.path(), None, Vec::new()).is_err(), "the stub is missing");
    }

    #[test]
    fn another_key_takes_over_also_when_a_crash_came_before_it_had_its_place() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = written(folder.path(), 2);
        let old = audit.public_key().clone();
        audit.rotate_key("uid 0").expect("rotate");
        audit.write().expect("write");
        let new = audit.public_key().clone();
        assert_ne!(old, new);
        drop(audit);
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        assert_eq!((audit.public_key(), audit.unrecorded().len()), (&new, 0));
        audit.append(&alert("signed by the new key"));
        audit.write().expect("write");
        assert_eq!(verify(folder.path()), 4);
        std::fs::remove_file(folder.path().join("audit.key")).expect("remove");
        let audit = Audit::open(folder.path(), &[]).expect("open");
        assert!(audit.unrecorded()[0].1.contains("the key is now another"), "a lost key is told about");
    }

    #[test]
    fn the_chain_and_the_signatures_hold_over_a_restart_and_a_half_written_line() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        audit.append(&Record::Alert { what: "one \"quoted\"\nline".into() });
        audit.append(&Record::Alert { what: "two".into() });
        audit.write().expect("write");
        drop(audit);
        let path = folder.path().join("audit.jsonl");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(b"{\"sequence\":3,\"half").expect("write");
        drop(file);
        let mut audit = Audit::open(folder.path(), &[]).expect("open again");
        audit.append(&Record::Alert { what: "three".into() });
        audit.write().expect("write");
        assert_eq!(verify(folder.path()), 3);
    }

    /// Every place where a crash can cut the way of three lines from the transaction to the file: each line is there once.
    #[test]
    fn a_crash_anywhere_between_the_transaction_and_the_file_leaves_neither_a_gap_nor_a_doubled_line() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("audit.jsonl");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        for what in ["one", "two", "three"] {
            audit.append(&Record::Alert { what: what.into() });
        }
        let remembered = audit.unrecorded().to_vec();
        audit.write().expect("write");
        drop(audit);
        let whole = std::fs::read(&path).expect("read");
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).expect("cut");
            let mut audit = Audit::open(folder.path(), &remembered).expect("open");
            assert_eq!(std::fs::read(&path).expect("read"), whole, "cut at {length}");
            assert!(audit.unrecorded().is_empty(), "no alarm: this is what a crash leaves");
            audit.append(&Record::Alert { what: "four".into() });
            audit.write().expect("write");
            assert_eq!(verify(folder.path()), 4);
        }
    }

    #[test]
    fn a_file_that_lost_what_was_on_the_disk_is_told_about_and_the_chain_shows_the_gap() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("audit.jsonl");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        for what in ["one", "two", "three"] {
            audit.append(&Record::Alert { what: what.into() });
        }
        let last = audit.unrecorded()[2..].to_vec();
        let first = audit.unrecorded()[0].1.clone();
        audit.write().expect("write");
        drop(audit);
        std::fs::write(&path, format!("{first}\n")).expect("cut");
        let audit = Audit::open(folder.path(), &last).expect("open");
        let (sequence, alarm) = &audit.unrecorded()[0];
        assert_eq!(*sequence, 4, "numbers are not given again");
        assert!(alarm.contains("line 1") && alarm.contains("line 3"), "{alarm}");
    }

    /// Written by the first version, which kept no lines in the database and had no checkpoints.
    #[test]
    fn a_log_of_the_first_version_verifies_and_is_gone_on_with() {
        let folder = tempfile::tempdir().expect("temp dir");
        let old = include_bytes!("../../../audit/tests/format-1.jsonl");
        std::fs::write(folder.path().join("audit.jsonl"), old).expect("write");
        assert_eq!(verify(folder.path()), 3);
        let key = BASE64.decode("/jJ0UGHyn9p9NAhKQzwbFcTaC6QSRDq47v8BElfr1Bc=").expect("base64");
        let path = folder.path().join("audit.key");
        std::fs::write(&path, key).expect("write");
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&path, closed).expect("mode");
        let mut audit = Audit::open(folder.path(), &[]).expect("open");
        assert!(audit.unrecorded().is_empty());
        audit.append(&alert("of a later version"));
        audit.checkpoint(None);
        audit.write().expect("write");
        assert_eq!(verify(folder.path()), 5);
    }

    #[test]
    fn a_log_that_ends_in_something_else_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        std::fs::write(folder.path().join("audit.jsonl"), "hello\n").expect("write");
        assert!(matches!(Audit::open(folder.path(), &[]), Err(AuditError::Broken { .. })));
    }
}
