//! The audit log: JSON Lines, each signed (ed25519) and chained to the one before; the intent before the act, the outcome
//! after.
//!
//! Called by the core only. A line is first written into the database, in the transaction of the turn that it tells of:
//! what cannot be recorded does not happen. After the commit it goes into the file, which reaches the disk a little later;
//! at start the file gets what it misses ([`reconcile`]). The signing key is a file apart from everything else, made at the
//! first start.
//!
//! One line is `{"sequence":…,"timestamp":…,"event":…, …,"previousHash":…,"publicKey":…,"signature":…}`. `previousHash` is the SHA-256 of the
//! line before, without its line break; the signature covers the line's bytes up to, and without, `,"signature"`. The
//! field names are the seed's (timestamp, executionId, scriptName, arguments, userId, channelId, success, exitCode,
//! durationMs, error, signature, publicKey, previousHash).

mod file;
mod key;
mod reconcile;
mod record;

pub use record::{Gate, Record};

use file::LogFile;
use reconcile::End;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};

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
    key: SigningKey,
    public_key: String,
    sequence: u64,
    previous_hash: String,
    /// Lines that no transaction has yet.
    unrecorded: Vec<(u64, String)>,
}

impl Audit {
    /// Opens or makes `audit.jsonl` and `audit.key` in `folder`, which is already private. `remembered` are the lines that
    /// the database keeps: what the file misses of them is put back, and a file that tells another story is told about.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(folder: &Path, remembered: &[(u64, String)]) -> Result<Audit, AuditError> {
        let key = key::load_or_make(&folder.join("audit.key"))?;
        let public_key = BASE64.encode(key.verifying_key().as_bytes());
        let (mut file, last) = LogFile::open(&folder.join("audit.jsonl"))?;
        let found = reconcile::compare(last.as_ref().map(|last| (last.sequence, last.line.as_str())), remembered);
        for (_, line) in found.missing {
            file.append(line);
        }
        file.write()?;
        let end = match (found.goes_on_after, &last) {
            (End::Remembered, _) => remembered.last().map(|(sequence, line)| (*sequence, line.as_str())),
            (End::File, last) => last.as_ref().map(|last| (last.sequence, last.line.as_str())),
        };
        let (sequence, previous_hash) =
            end.map_or_else(|| (0, "0".repeat(64)), |(sequence, line)| (sequence, hex(&Sha256::digest(line))));
        let mut audit = Audit { file, key, public_key, sequence, previous_hash, unrecorded: Vec::new() };
        if let Some(what) = found.alarm {
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
        hasher.update(self.key.as_bytes());
        hasher.update(value.as_bytes());
        format!("keyed-sha256:{}", &hex(&hasher.finalize())[..32])
    }

    /// Adds a record. It goes into this turn's transaction ([`Audit::unrecorded`]) and after the commit into the file.
    pub fn append(&mut self, record: &Record) {
        self.sequence += 1;
        let mut line = record.fields(self.sequence, &now());
        line.insert("previousHash".into(), self.previous_hash.clone().into());
        line.insert("publicKey".into(), self.public_key.clone().into());
        let mut line = serde_json::Value::Object(line).to_string();
        line.truncate(line.len() - 1);
        let signature = self.key.sign(line.as_bytes());
        line.push_str(",\"signature\":\"");
        line.push_str(&BASE64.encode(signature.to_bytes()));
        line.push_str("\"}");
        self.previous_hash = hex(&Sha256::digest(line.as_bytes()));
        self.unrecorded.push((self.sequence, line));
    }

    /// What this turn's transaction must hold, in order.
    pub fn unrecorded(&self) -> &[(u64, String)] {
        &self.unrecorded
    }

    /// Puts what the transaction has made durable into the file. It is not waited for: see [`Audit::sync`].
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn write(&mut self) -> Result<(), AuditError> {
        for (_, line) in self.unrecorded.drain(..) {
            self.file.append(&line);
        }
        self.file.write()
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
        let written = self.unrecorded.first().map_or(self.sequence, |(sequence, _)| sequence - 1);
        self.file.sync(written)
    }

    /// The service ends: waits until all of the file is on the disk.
    ///
    /// # Errors
    /// [`AuditError::Io`].
    pub fn close(&mut self) -> Result<(), AuditError> {
        self.file.close()
    }
}

/// Now, as RFC 3339 with milliseconds in UTC.
fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
    use std::io::Write as _;

    fn verify(text: &str) -> usize {
        let mut previous = "0".repeat(64);
        let mut count = 0;
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("json");
            let field = |name: &str| value[name].as_str().expect("text").to_owned();
            assert_eq!(field("previousHash"), previous, "chain at {count}");
            let signed = line.split(",\"signature\"").next().expect("prefix");
            let key: [u8; 32] = BASE64.decode(field("publicKey")).expect("base64").try_into().expect("32");
            let signature: [u8; 64] = BASE64.decode(field("signature")).expect("base64").try_into().expect("64");
            VerifyingKey::from_bytes(&key)
                .expect("key")
                .verify(signed.as_bytes(), &Signature::from_bytes(&signature))
                .expect("signature");
            previous = hex(&Sha256::digest(line.as_bytes()));
            count += 1;
            assert_eq!(value["sequence"], count);
        }
        count
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
        assert_eq!(verify(&std::fs::read_to_string(&path).expect("read")), 3);
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
            assert_eq!(verify(&std::fs::read_to_string(&path).expect("read")), 4);
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

    #[test]
    fn a_log_that_ends_in_something_else_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        std::fs::write(folder.path().join("audit.jsonl"), "hello\n").expect("write");
        assert!(matches!(Audit::open(folder.path(), &[]), Err(AuditError::Broken { .. })));
    }
}
