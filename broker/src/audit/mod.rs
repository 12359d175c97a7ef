//! The audit log: JSON Lines, each signed (ed25519) and chained to the one before; the intent before the act, the outcome
//! after.
//!
//! Called by the core only. A record that cannot be written is an error that ends the service: what cannot be recorded
//! does not happen. The signing key is a file apart from everything else, made at the first start.
//!
//! One line is `{"sequence":…,"timestamp":…,"event":…, …,"previousHash":…,"publicKey":…,"signature":…}`. `previousHash` is the SHA-256 of the
//! line before, without its line break; the signature covers the line's bytes up to, and without, `,"signature"`. The
//! field names are the seed's (timestamp, executionId, scriptName, arguments, userId, channelId, success, exitCode,
//! durationMs, error, signature, publicKey, previousHash).

mod key;
mod record;

pub use record::{Gate, Record};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Longest line that is read back at start, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

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
    path: PathBuf,
    file: File,
    key: SigningKey,
    public_key: String,
    sequence: u64,
    previous_hash: String,
    pending: Vec<u8>,
    syncer: Option<Syncer>,
}

/// A thread that waits for the disk, so that the log and the database can be waited for at the same time.
#[derive(Debug)]
struct Syncer {
    ask: SyncSender<()>,
    done: Receiver<io::Result<()>>,
    asked: bool,
}

impl Syncer {
    fn start(file: File) -> io::Result<Syncer> {
        let (ask, asked) = sync_channel(1);
        let (answer, done) = sync_channel(1);
        std::thread::Builder::new().name("audit-sync".to_owned()).stack_size(64 * 1024).spawn(move || {
            while asked.recv().is_ok() {
                if answer.send(file.sync_data()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Syncer { ask, done, asked: false })
    }
}

impl Audit {
    /// Opens or makes `audit.jsonl` and `audit.key` in `folder`, which is already private.
    ///
    /// A last line without a line break is what a crash left of a record that nothing was done after: it is cut off.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(folder: &Path) -> Result<Audit, AuditError> {
        let path = folder.join("audit.jsonl");
        let failed = |source| AuditError::Io { path: path.clone(), source };
        let key = key::load_or_make(&folder.join("audit.key"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC)
            .open(&path)
            .map_err(failed)?;
        let (sequence, previous_hash) = match last_line(&mut file).map_err(failed)? {
            None => (0, "0".repeat(64)),
            Some(line) => {
                let broken = || AuditError::Broken { path: path.clone() };
                let value: serde_json::Value = serde_json::from_slice(&line).map_err(|_| broken())?;
                let sequence = value.get("sequence").and_then(serde_json::Value::as_u64).ok_or_else(broken)?;
                (sequence, hex(&Sha256::digest(&line)))
            }
        };
        let public_key = BASE64.encode(key.verifying_key().as_bytes());
        Ok(Audit { path, file, key, public_key, sequence, previous_hash, pending: Vec::new(), syncer: None })
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

    /// Adds a record; [`Audit::write`] and [`Audit::synced`] make it durable.
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
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }

    /// Writes what was added, and begins to make it durable when `sync`. Cheap when there is nothing.
    ///
    /// # Errors
    /// [`AuditError::Io`]; then nothing that was to be recorded may be done.
    pub fn write(&mut self, sync: bool) -> Result<(), AuditError> {
        self.try_write(sync).map_err(|source| AuditError::Io { path: self.path.clone(), source })
    }

    fn try_write(&mut self, sync: bool) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.file.write_all(&self.pending)?;
            self.pending.clear();
        }
        if sync {
            // Started with the first use: the core confines itself before, while it has one thread.
            let syncer = match self.syncer.take() {
                Some(syncer) => syncer,
                None => Syncer::start(self.file.try_clone()?)?,
            };
            syncer.ask.send(()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.syncer = Some(Syncer { asked: true, ..syncer });
        }
        Ok(())
    }

    /// Waits until what [`Audit::write`] began is durable.
    ///
    /// # Errors
    /// As [`Audit::write`].
    pub fn synced(&mut self) -> Result<(), AuditError> {
        let Some(syncer) = self.syncer.as_mut().filter(|syncer| syncer.asked) else { return Ok(()) };
        syncer.asked = false;
        let done = syncer.done.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        done.map_err(|source| AuditError::Io { path: self.path.clone(), source })
    }
}

/// The last whole line; what follows it is cut off.
fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(MAX_LINE).read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        if length > 0 {
            file.set_len(0)?;
        }
        return Ok(None);
    };
    file.set_len(start + u64::try_from(end).unwrap_or(0) + 1)?;
    let begin = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(Some(tail[begin..end].to_vec()))
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
        let mut audit = Audit::open(folder.path()).expect("open");
        audit.append(&Record::Alert { what: "one \"quoted\"\nline".into() });
        audit.append(&Record::Alert { what: "two".into() });
        audit.write(true).expect("write");
        audit.synced().expect("synced");
        drop(audit);
        let path = folder.path().join("audit.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).expect("open");
        file.write_all(b"{\"sequence\":3,\"half").expect("write");
        drop(file);
        let mut audit = Audit::open(folder.path()).expect("open again");
        audit.append(&Record::Alert { what: "three".into() });
        audit.write(true).expect("write");
        audit.synced().expect("synced");
        assert_eq!(verify(&std::fs::read_to_string(&path).expect("read")), 3);
    }

    #[test]
    fn a_log_that_ends_in_something_else_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        std::fs::write(folder.path().join("audit.jsonl"), "hello\n").expect("write");
        assert!(matches!(Audit::open(folder.path()), Err(AuditError::Broken { .. })));
    }
}
