//! The brain as a file, and back. A backup holds what the database holds: ciphertext, and the data key under the master key.
//!
//! ```text
//! "bartizan brain backup 1\n"   frame(head)   frame(record) …
//! ```
//!
//! Reading trusts nothing: a backup may be anybody's file until its index and every record have authenticated.

use super::index::{Index, place_of};
use super::key::{Kdf, Master};
use super::record::KEY_ID;
use super::seal::{Cipher, OVERHEAD, SealError};
use super::{Brain, BrainError, KeySource, Open, State, open};
use crate::store::Store;
use crate::store::brain::{HeadRow, RecordLine};
use bartizan_proto::brain::{BrainAnswer, MAX_RECORDS, Opening};
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::limits::{MAX_BACKUP, MAX_BACKUP_PART, MAX_FRAME, MAX_SECRET};
use bartizan_proto::{Bytes, Text};
use serde::{Deserialize, Serialize};

/// What a backup begins with.
pub const MAGIC: &[u8] = b"bartizan brain backup 1\n";

/// Why a file is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another file.
    #[error("this is not a backup of a brain, or of a newer version")]
    Magic,
    /// Cut off, or changed.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// Too large.
    #[error("the backup is over {MAX_BACKUP} bytes")]
    TooLarge,
    /// Its parts did not come in order.
    #[error("the parts of the backup did not come one after the other; begin again")]
    Order,
}

/// A backup, parsed and not believed yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Backup {
    head: HeadRow,
    records: Vec<RecordLine>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    key_id: Bytes<KEY_ID>,
    kdf: Option<Text<256>>,
    wrapped: Bytes<256>,
    epoch: u64,
    sealed_index: Bytes<{ MAX_FRAME - 1024 }>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    kind: Text<16>,
    namespace: Text<64>,
    key: Text<64>,
    version: u64,
    written_ms: u64,
    sealed: Bytes<{ MAX_SECRET + OVERHEAD }>,
}

impl Backup {
    /// Reads a backup's bytes.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BackupError> {
        if bytes.len() > MAX_BACKUP {
            return Err(BackupError::TooLarge);
        }
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(BackupError::Magic)?;
        let head: Head = next(&mut rest)?.ok_or_else(|| BackupError::Damaged("it ends too early".to_owned()))?;
        let mut records = Vec::new();
        while let Some(record) = next::<Record>(&mut rest)? {
            if records.len() == MAX_RECORDS {
                return Err(BackupError::TooLarge);
            }
            records.push(RecordLine {
                kind: record.kind.into_string(),
                namespace: record.namespace.into_string(),
                key: record.key.into_string(),
                version: record.version,
                written_ms: record.written_ms,
                sealed: record.sealed.into_vec(),
            });
        }
        let head = HeadRow {
            key_id: head.key_id.into_vec(),
            kdf: head.kdf.map(Text::into_string),
            wrapped: head.wrapped.into_vec(),
            epoch: head.epoch,
            sealed_index: head.sealed_index.into_vec(),
            remains: false,
        };
        Ok(Self { head, records })
    }

    /// The bytes of a backup.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] when a row is larger than any that this program writes.
    pub fn bytes(&self) -> Result<Vec<u8>, BackupError> {
        fn damaged(error: &dyn std::fmt::Display) -> BackupError {
            BackupError::Damaged(error.to_string())
        }
        let mut bytes = MAGIC.to_vec();
        let head = &self.head;
        let head = Head {
            key_id: Bytes::new(head.key_id.clone()).map_err(|e| damaged(&e))?,
            kdf: head.kdf.clone().map(Text::new).transpose().map_err(|e| damaged(&e))?,
            wrapped: Bytes::new(head.wrapped.clone()).map_err(|e| damaged(&e))?,
            epoch: head.epoch,
            sealed_index: Bytes::new(head.sealed_index.clone()).map_err(|e| damaged(&e))?,
        };
        bytes.extend(frame::encode(&head).map_err(|e| damaged(&e))?);
        for record in &self.records {
            let record = Record {
                kind: Text::new(&record.kind).map_err(|e| damaged(&e))?,
                namespace: Text::new(&record.namespace).map_err(|e| damaged(&e))?,
                key: Text::new(&record.key).map_err(|e| damaged(&e))?,
                version: record.version,
                written_ms: record.written_ms,
                sealed: Bytes::new(record.sealed.clone()).map_err(|e| damaged(&e))?,
            };
            bytes.extend(frame::encode(&record).map_err(|e| damaged(&e))?);
        }
        Ok(bytes)
    }
}

fn next<T: serde::de::DeserializeOwned>(rest: &mut &[u8]) -> Result<Option<T>, BackupError> {
    let damaged = |why: String| BackupError::Damaged(why);
    if rest.is_empty() {
        return Ok(None);
    }
    let cut = || damaged("it ends in the middle of a record".to_owned());
    let (header, after) = rest.split_first_chunk::<HEADER>().ok_or_else(cut)?;
    let length = frame::announced(*header).map_err(|error| damaged(error.to_string()))?;
    let (payload, after) = after.split_at_checked(length).ok_or_else(cut)?;
    *rest = after;
    frame::decode(payload).map(Some).map_err(|error| damaged(error.to_string()))
}

impl Brain {
    /// A part of the backup. It can be made while the brain is locked, too: nothing is decrypted.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn backup_part(&mut self, store: &Store, from: u64) -> Result<BrainAnswer, BrainError> {
        if from == 0 || self.backup.is_none() {
            let head = store.brain_head()?.ok_or(BrainError::Absent)?;
            let epoch = head.epoch;
            let bytes = Backup { head, records: store.brain_records()? }.bytes()?;
            self.backup = Some((epoch, bytes));
        }
        let Some((epoch, bytes)) = &self.backup else { return Err(BrainError::Absent) };
        let (epoch, total) = (*epoch, bytes.len());
        let start = usize::try_from(from).unwrap_or(total).min(total);
        let end = (start + MAX_BACKUP_PART).min(total);
        let part = Bytes::new(&bytes[start..end]).map_err(|_| BackupError::TooLarge)?;
        if start == end {
            self.backup = None;
        }
        Ok(BrainAnswer::Part { part, total: u64::try_from(total).unwrap_or(u64::MAX), epoch })
    }

    /// Takes a part of a backup in. The last one gives the whole.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn take_part(&mut self, from: u64, part: &[u8], last: bool) -> Result<Option<Backup>, BrainError> {
        if from == 0 {
            self.upload = Vec::new();
        }
        if usize::try_from(from) != Ok(self.upload.len()) {
            return Err(BackupError::Order.into());
        }
        if self.upload.len() + part.len() > MAX_BACKUP {
            self.upload = Vec::new();
            return Err(BackupError::TooLarge.into());
        }
        self.upload.extend_from_slice(part);
        if !last {
            return Ok(None);
        }
        Ok(Some(Backup::parse(&std::mem::take(&mut self.upload))?))
    }

    /// Puts a backup in the place of the brain: only when all of it authenticates, and at a newer epoch than any.
    ///
    /// # Errors
    /// [`BrainError`]; then nothing was changed.
    pub fn restore(&mut self, store: &mut Store, backup: Backup, opening: &Opening) -> Result<usize, BrainError> {
        let Backup { mut head, records } = backup;
        let damaged = |why: &str| BackupError::Damaged(why.to_owned());
        // 1. Its key.
        let master = match opening {
            Opening::Configured => Master::of_key(self.configured()?),
            Opening::Passphrase(passphrase) => {
                let kdf = Kdf::parse(head.kdf.as_deref().ok_or(BrainError::WrongKey)?)?;
                Master { key: kdf.key(passphrase)?, kdf: Some(kdf) }
            }
            Opening::Key(key) => Master::of_key(open::given(key)?),
        };
        let key_id: [u8; KEY_ID] =
            head.key_id.as_slice().try_into().map_err(|_| damaged("its key has no such name"))?;
        let data_key = match master.unwrap(&key_id, head.kdf.as_deref(), &head.wrapped) {
            Err(SealError::Authentic) => return Err(BrainError::WrongKey),
            other => other?,
        };
        let cipher = Cipher::new(&data_key)?;
        // 2. Its index, and every record against it.
        let index = cipher.open(&Index::about(&key_id, head.epoch), &head.sealed_index);
        let index = index.ok().and_then(|bytes| Index::parse(bytes.expose())).filter(|i| i.epoch == head.epoch);
        let mut index = index.ok_or_else(|| damaged("its index does not authenticate"))?;
        if let Some(stranger) = index.compare(&records).first() {
            return Err(damaged(stranger).into());
        }
        for row in &records {
            let id = place_of(row).ok_or_else(|| damaged("a record has no such name"))?;
            let opened = cipher.open(&id.about(&key_id, row.version, row.written_ms), &row.sealed);
            if let Err(error) = opened {
                return Err(damaged(&format!("{id} {error}")).into());
            }
        }
        if let Some((id, entry)) = index.entries.iter().find(|(_, entry)| entry.problem.is_some()) {
            return Err(damaged(&format!("{id} {}", entry.problem.clone().unwrap_or_default())).into());
        }
        // 3. From now on it opens with what the configuration says, where that is a key.
        if self.source != KeySource::Passphrase && *opening != Opening::Configured {
            let own = Master::of_key(self.configured()?);
            head.wrapped = own.wrap(&key_id, &data_key)?;
            head.kdf = None;
        }
        // 4. In this turn's transaction.
        let there = store.brain_head()?.map_or(0, |head| head.epoch);
        index.epoch = index.epoch.max(there).max(self.known.map_or(0, |known| known.epoch));
        head.remains = true;
        let mut open = Open { cipher, key_id, index, head, strangers: Vec::new() };
        store.remove_brain_records()?;
        for row in &records {
            store.put_brain_record(row)?;
        }
        open.write_index(store)?;
        open.head.remains = false;
        self.state = State::Open(Box::new(open));
        self.unrecorded = true;
        self.remains = true;
        Ok(records.len())
    }
}
