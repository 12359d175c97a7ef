//! The brain: secrets, long-term memories and the bot's token, encrypted; short-term memories in this process only.
//!
//! Called by the core's one loop, which makes what it writes durable with the rest of the turn. It trusts the key that
//! opens it and the checkpoint that the audit log gives; nothing in the database, where every row authenticates or is
//! refused by name, and is then neither read nor written over.
//!
//! | what | file |
//! |---|---|
//! | where the master key comes from | `key.rs` |
//! | AES-256-GCM, keys in secret memory | `seal.rs` |
//! | what a record is called and bound to | `record.rs` |
//! | the newest version of every record, and the epoch | `index.rs` |
//! | make, open, accept | `open.rs` |
//! | a new data key, and nothing left of the old one | `rekey.rs` |
//! | to a file and back | `backup.rs` |
//! | long-term memories with check-out; short-term ones | `memory.rs`, `short.rs` |
//! | the secrets of one job | `job.rs` |
//! | the key that signs orders for other machines | `remote.rs` |
//! | rows | `../store/brain.rs` |

pub mod backup;
pub mod index;
pub mod job;
pub mod key;
pub mod memory;
mod open;
pub mod record;
mod rekey;
mod remote;
pub mod seal;
pub mod short;
#[cfg(test)]
mod tests;

pub use index::Checkpoint;
pub use key::KeySource;
pub use record::RecordId;

use crate::config::Trust;
use crate::store::brain::{HeadRow, RecordLine};
use crate::store::{Store, StoreError, now_ms};
use bartizan_proto::brain::{BrainState, BrainStatus, ClearRecord, MAX_RECORDS, RecordKind, RecordRow};
use bartizan_proto::limits::MAX_SECRET;
use bartizan_proto::{Confidential, List, Text};
use bartizan_secret::SecretBytes;
use index::{Entry, Index};
use key::KeyError;
use record::{KEY_ID, RESERVED, kind_name};
use seal::{Cipher, SealError};
use std::path::PathBuf;

/// Why the brain does not do it.
#[derive(Debug, thiserror::Error)]
pub enum BrainError {
    /// The database: the service ends.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is none.
    #[error("there is no brain yet; make one with `bartizan brain init`")]
    Absent,
    /// It waits.
    #[error("the brain is locked; run `bartizan brain unlock`")]
    Locked,
    /// It is not what the audit log says, or does not authenticate.
    #[error("the brain cannot be used: {0}")]
    Broken(String),
    /// There is one.
    #[error("there is a brain already; --discard throws it away with everything in it")]
    Exists,
    /// Not its key.
    #[error("that key or passphrase does not open this brain")]
    WrongKey,
    /// No key.
    #[error("the key: {0}")]
    Key(#[from] KeyError),
    /// A private key's file.
    #[error("{0}")]
    KeyFile(String),
    /// There is no such record.
    #[error("there is no {0}")]
    Missing(RecordId),
    /// It does not authenticate.
    #[error("{id} {why}; nothing was read or written; remove it, or restore a backup")]
    Damaged {
        /// Which.
        id: RecordId,
        /// What is wrong.
        why: String,
    },
    /// `bot` is not for scripts.
    #[error("the namespace bot is the bot's own; name another")]
    Reserved,
    /// A secret that was to be a key that logs in somewhere.
    #[error("the secret {0}")]
    NotALogin(String),
    /// No key to exchange, or none to exchange it for.
    #[error("{0}")]
    NoKey(&'static str),
    /// No more room.
    #[error("the brain holds {MAX_RECORDS} records, and no more; remove some")]
    Full,
    /// Too large.
    #[error("a secret or memory has at most {MAX_SECRET} bytes")]
    TooLarge,
    /// Held by somebody else, or not by who says so.
    #[error("{0}")]
    CheckedOut(String),
    /// Not such a backup.
    #[error(transparent)]
    Backup(#[from] backup::BackupError),
    /// Memory, randomness, nothing to keep.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// An open brain.
#[derive(Debug)]
struct Open {
    cipher: Cipher,
    key_id: [u8; KEY_ID],
    index: Index,
    head: HeadRow,
    /// Rows that are not in the index.
    strangers: Vec<String>,
}

#[derive(Debug)]
enum State {
    Absent,
    Locked {
        why: String,
    },
    /// `held` opens all the same, if an operator accepts it.
    Broken {
        why: String,
        held: Option<Box<Open>>,
    },
    Open(Box<Open>),
}

/// The brain, in whatever state it is.
#[derive(Debug)]
pub struct Brain {
    source: KeySource,
    credentials: Option<PathBuf>,
    trust: Trust,
    /// What the audit log said last.
    known: Option<Checkpoint>,
    state: State,
    /// Whether the epoch was raised and the audit log does not have it yet.
    unrecorded: bool,
    /// Whether old ciphertext is to be erased once this turn is committed.
    remains: bool,
    backup: Option<(u64, Vec<u8>)>,
    upload: Vec<u8>,
    /// Short-term memories.
    pub short: short::ShortTerm,
    checkouts: memory::Checkouts,
}

impl Brain {
    /// What there is to record of it in the audit log, once the database has it: after each change, once.
    pub fn take_unrecorded(&mut self) -> Option<Checkpoint> {
        std::mem::take(&mut self.unrecorded).then(|| self.checkpoint()).flatten()
    }

    /// Whether what this turn replaced is to be erased after its commit.
    pub fn take_remains(&mut self) -> bool {
        std::mem::take(&mut self.remains)
    }

    /// Its epoch and root now. `None` while it is not open.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        match &self.state {
            State::Open(open) => Some(open.index.checkpoint()),
            State::Absent | State::Locked { .. } | State::Broken { .. } => None,
        }
    }

    /// Its newest state, or while it is not open the one that the audit log had at the start.
    pub fn last_known(&self) -> Option<Checkpoint> {
        self.checkpoint().or(self.known)
    }

    /// Whether the bot's token is in it and can be lent.
    pub fn has_token(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.index.entries.contains_key(&RecordId::token()))
    }

    /// For `status` and `doctor`.
    pub fn status(&self) -> BrainStatus {
        let (state, remedy, open) = match &self.state {
            State::Absent => (BrainState::Absent, "make one: `bartizan brain init`".to_owned(), None),
            State::Locked { why } => (BrainState::Locked, why.clone(), None),
            State::Broken { why, .. } => (BrainState::Broken, why.clone(), None),
            State::Open(open) if !self.has_token() => {
                (BrainState::Open, "it holds no token, hence no chat: `bartizan token set`".to_owned(), Some(open))
            }
            State::Open(open) => (BrainState::Open, String::new(), Some(open)),
        };
        let entries = open.map_or(0, |open| open.index.entries.len());
        BrainStatus {
            state,
            remedy: Text::cut(remedy),
            key: Text::cut(self.source.to_string()),
            epoch: open.map_or(0, |open| open.index.epoch),
            records: u64::try_from(entries).unwrap_or(u64::MAX),
            token: self.has_token(),
        }
    }

    /// What is wrong with single records, one line each.
    pub fn problems(&self) -> Vec<String> {
        let State::Open(open) = &self.state else { return Vec::new() };
        let entries = open.index.entries.iter();
        let damaged = entries.filter_map(|(id, entry)| entry.problem.as_ref().map(|why| format!("{id} {why}")));
        damaged.chain(open.strangers.iter().cloned()).collect()
    }

    /// Where the key comes from.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    fn open(&self) -> Result<&Open, BrainError> {
        match &self.state {
            State::Open(open) => Ok(open),
            State::Absent => Err(BrainError::Absent),
            State::Locked { .. } => Err(BrainError::Locked),
            State::Broken { why, .. } => Err(BrainError::Broken(why.clone())),
        }
    }

    fn open_mut(&mut self) -> Result<&mut Open, BrainError> {
        self.open()?;
        match &mut self.state {
            State::Open(open) => Ok(open),
            State::Absent | State::Locked { .. } | State::Broken { .. } => Err(BrainError::Locked),
        }
    }

    /// Reads a record. One that does not authenticate is an error that names it, now and from now on.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn get(&mut self, store: &Store, id: &RecordId) -> Result<SecretBytes, BrainError> {
        self.open_mut()?.get(store, id)
    }

    /// Whether there is such a record.
    pub fn contains(&self, id: &RecordId) -> bool {
        matches!(&self.state, State::Open(open) if open.index.entries.contains_key(id))
    }

    /// Writes a record. One that does not authenticate is not written over.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn put(&mut self, store: &mut Store, id: &RecordId, value: &[u8]) -> Result<(), BrainError> {
        let open = self.open_mut()?;
        open.put(store, id, value)?;
        open.write_index(store)?;
        self.unrecorded = true;
        Ok(())
    }

    /// Removes a record, also one that does not authenticate.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn remove(&mut self, store: &mut Store, id: &RecordId) -> Result<(), BrainError> {
        let open = self.open_mut()?;
        open.index.entries.remove(id).ok_or_else(|| BrainError::Missing(id.clone()))?;
        store.remove_brain_record(kind_name(id.kind), id.namespace.as_str(), id.key.as_str())?;
        open.write_index(store)?;
        self.unrecorded = true;
        Ok(())
    }

    /// The names of everything in it.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn list(&self) -> Result<List<RecordRow, MAX_RECORDS>, BrainError> {
        Ok(List::cut(self.open()?.index.entries.iter().map(|(id, entry)| row(id, entry))))
    }

    /// The record after so many others, in clear; never the token.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn nth(&mut self, store: &Store, after: u64) -> Result<Option<ClearRecord>, BrainError> {
        let open = self.open_mut()?;
        let place = usize::try_from(after).unwrap_or(usize::MAX);
        let mut entries = open.index.entries.iter().filter(|(id, _)| id.kind != RecordKind::Bot);
        let Some((id, entry)) = entries.nth(place).map(|(id, entry)| (id.clone(), entry.clone())) else {
            return Ok(None);
        };
        let mut row = row(&id, &entry);
        let value = match open.get(store, &id) {
            Ok(value) => Confidential::copy_of(value.expose()).map_err(|_| BrainError::TooLarge)?,
            Err(BrainError::Damaged { why, .. }) => {
                row.problem = Text::cut(why);
                Confidential::default()
            }
            Err(other) => return Err(other),
        };
        Ok(Some(ClearRecord { row, value }))
    }
}

/// A name that scripts may use.
///
/// # Errors
/// [`BrainError::Reserved`].
pub fn unreserved(id: &RecordId) -> Result<(), BrainError> {
    if id.namespace.as_str() == RESERVED { Err(BrainError::Reserved) } else { Ok(()) }
}

fn row(id: &RecordId, entry: &Entry) -> RecordRow {
    RecordRow {
        kind: id.kind,
        namespace: id.namespace.clone(),
        key: id.key.clone(),
        version: entry.version,
        written_ms: entry.written_ms,
        problem: Text::cut(entry.problem.clone().unwrap_or_default()),
    }
}

impl Open {
    fn get(&mut self, store: &Store, id: &RecordId) -> Result<SecretBytes, BrainError> {
        let entry = self.index.entries.get_mut(id).ok_or_else(|| BrainError::Missing(id.clone()))?;
        if let Some(why) = &entry.problem {
            return Err(BrainError::Damaged { id: id.clone(), why: why.clone() });
        }
        let row = store.brain_record(kind_name(id.kind), id.namespace.as_str(), id.key.as_str())?;
        let known = (entry.version, entry.written_ms, entry.tag);
        let about = id.about(&self.key_id, entry.version, entry.written_ms);
        let opened = row
            .filter(|row| (row.version, row.written_ms, seal::tag_of(&row.sealed)) == known)
            .ok_or(SealError::Authentic)
            .and_then(|row| self.cipher.open(&about, &row.sealed));
        match opened {
            Ok(value) => Ok(value),
            Err(SealError::Authentic) => {
                let why = SealError::Authentic.to_string();
                entry.problem = Some(why.clone());
                Err(BrainError::Damaged { id: id.clone(), why })
            }
            Err(other) => Err(other.into()),
        }
    }

    fn put(&mut self, store: &mut Store, id: &RecordId, value: &[u8]) -> Result<(), BrainError> {
        if value.is_empty() {
            return Err(SealError::Empty.into());
        }
        if value.len() > MAX_SECRET {
            return Err(BrainError::TooLarge);
        }
        let version = match self.index.entries.get(id) {
            Some(Entry { problem: Some(why), .. }) => {
                return Err(BrainError::Damaged { id: id.clone(), why: why.clone() });
            }
            Some(entry) => entry.version + 1,
            None if self.index.entries.len() >= MAX_RECORDS => return Err(BrainError::Full),
            None => 1,
        };
        let written_ms = now_ms();
        let sealed = self.cipher.seal(&id.about(&self.key_id, version, written_ms), value)?;
        let entry = Entry { version, written_ms, tag: seal::tag_of(&sealed), problem: None };
        store.put_brain_record(&RecordLine {
            kind: kind_name(id.kind).to_owned(),
            namespace: id.namespace.to_string(),
            key: id.key.to_string(),
            version,
            written_ms,
            sealed,
        })?;
        self.index.entries.insert(id.clone(), entry);
        Ok(())
    }

    /// Raises the epoch and writes the index down.
    fn write_index(&mut self, store: &mut Store) -> Result<(), BrainError> {
        self.index.epoch += 1;
        self.head.epoch = self.index.epoch;
        self.head.key_id = self.key_id.to_vec();
        self.head.sealed_index =
            self.cipher.seal(&Index::about(&self.key_id, self.index.epoch), &self.index.bytes())?;
        store.put_brain_head(&self.head)?;
        Ok(())
    }
}
