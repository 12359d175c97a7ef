//! The brain's rows: ciphertext in, ciphertext out. What is in them is `broker/src/brain`'s matter.
//!
//! While the brain writes, SQLite zeroes what it frees, so that an old version's ciphertext does not stay in the file.

use super::{Store, StoreError, signed, unsigned};
use rusqlite::{OptionalExtension as _, Row, params};

/// The one row of the brain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRow {
    /// Which data key.
    pub key_id: Vec<u8>,
    /// How a passphrase becomes the master key.
    pub kdf: Option<String>,
    /// The data key, under the master key.
    pub wrapped: Vec<u8>,
    /// Raised with every change.
    pub epoch: u64,
    /// The index, under the data key.
    pub sealed_index: Vec<u8>,
    /// Whether old ciphertext is still to be erased.
    pub remains: bool,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordLine {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its key.
    pub key: String,
    /// How often it was written.
    pub version: u64,
    /// When, ms since 1970.
    pub written_ms: u64,
    /// Nonce, ciphertext, tag.
    pub sealed: Vec<u8>,
}

const RECORD: &str = "SELECT kind, namespace, key, version, written_ms, sealed FROM brain_record";

impl Store {
    /// The brain's own row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn brain_head(&self) -> Result<Option<HeadRow>, StoreError> {
        let query = "SELECT key_id, kdf, wrapped, epoch, sealed_index, remains FROM brain";
        let head = self.read().prepare_cached(query)?.query_row([], |row| {
            Ok(HeadRow {
                key_id: row.get(0)?,
                kdf: row.get(1)?,
                wrapped: row.get(2)?,
                epoch: unsigned(row.get(3)?),
                sealed_index: row.get(4)?,
                remains: row.get(5)?,
            })
        });
        Ok(head.optional()?)
    }

    /// Replaces the brain's own row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_brain_head(&mut self, head: &HeadRow) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO brain (one, key_id, kdf, wrapped, epoch, sealed_index, remains)
                     VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
        let head = params![head.key_id, head.kdf, head.wrapped, signed(head.epoch), head.sealed_index, head.remains];
        self.write_secretly()?.prepare_cached(query)?.execute(head)?;
        Ok(())
    }

    /// Every record, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn brain_records(&self) -> Result<Vec<RecordLine>, StoreError> {
        let query = format!("{RECORD} ORDER BY kind, namespace, key");
        let mut statement = self.read().prepare_cached(&query)?;
        let records = statement.query_map([], line)?.collect::<Result<Vec<_>, _>>()?;
        Ok(records)
    }

    /// One record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn brain_record(&self, kind: &str, namespace: &str, key: &str) -> Result<Option<RecordLine>, StoreError> {
        let query = format!("{RECORD} WHERE kind = ?1 AND namespace = ?2 AND key = ?3");
        Ok(self.read().prepare_cached(&query)?.query_row([kind, namespace, key], line).optional()?)
    }

    /// Writes a record over the one before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_brain_record(&mut self, record: &RecordLine) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO brain_record (kind, namespace, key, version, written_ms, sealed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let RecordLine { kind, namespace, key, version, written_ms, sealed } = record;
        let record = params![kind, namespace, key, signed(*version), signed(*written_ms), sealed];
        self.write_secretly()?.prepare_cached(query)?.execute(record)?;
        Ok(())
    }

    /// Removes a record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove_brain_record(&mut self, kind: &str, namespace: &str, key: &str) -> Result<(), StoreError> {
        let query = "DELETE FROM brain_record WHERE kind = ?1 AND namespace = ?2 AND key = ?3";
        self.write_secretly()?.prepare_cached(query)?.execute([kind, namespace, key])?;
        Ok(())
    }

    /// Removes every record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove_brain_records(&mut self) -> Result<(), StoreError> {
        self.write_secretly()?.execute("DELETE FROM brain_record", [])?;
        Ok(())
    }

    /// Makes the turn durable and erases what it replaced: from the write-ahead log, which is emptied, and from the file,
    /// which is written anew. `step` is told how far it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn erase_remains(&mut self, step: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
        self.commit()?;
        step("committed");
        self.connection.execute_batch("PRAGMA secure_delete=ON; PRAGMA wal_checkpoint(TRUNCATE)")?;
        step("checkpointed");
        self.connection.execute_batch("VACUUM")?;
        step("vacuumed");
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        step("truncated");
        self.write_secretly()?.execute("UPDATE brain SET remains = 0", [])?;
        self.commit()?;
        step("cleared");
        Ok(())
    }

    /// The connection, in a durable transaction in which SQLite zeroes what it frees.
    fn write_secretly(&mut self) -> Result<&rusqlite::Connection, StoreError> {
        if !self.secretly {
            self.connection.execute_batch("PRAGMA secure_delete=ON")?;
            self.secretly = true;
        }
        self.write_to_last()
    }
}

fn line(row: &Row<'_>) -> rusqlite::Result<RecordLine> {
    Ok(RecordLine {
        kind: row.get(0)?,
        namespace: row.get(1)?,
        key: row.get(2)?,
        version: unsigned(row.get(3)?),
        written_ms: unsigned(row.get(4)?),
        sealed: row.get(5)?,
    })
}
