//! The one SQLite file. Only the core opens it; only this folder writes SQL.
//!
//! Work is grouped into turns: the first write of a turn begins a transaction, [`Store::commit`] ends it, and what the turn
//! decided is acted on only after that. A turn that a job depends on is on the disk by then. One that only answers survives
//! the end of the process, but perhaps not that of the machine (`synchronous=NORMAL`): its post is then found again, and its
//! answer is looked for in the thread before it is given a second time.

pub mod approvals;
pub mod audit;
pub mod brain;
pub mod elevation;
pub mod history;
pub mod inbox;
pub mod jobs;
mod lockdown;
pub mod migrate;
#[cfg(test)]
mod model;
pub mod outbox;
pub mod pause;
pub mod people;
pub mod pipelines;
pub mod protected;
pub mod questions;
pub mod receipts;
pub mod schedules;
pub mod starts;
pub mod state;
pub mod subscriptions;
pub mod wanted;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why the database cannot be used. None of them lets a job run.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("database {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: rusqlite::Error,
    },
    /// The write-ahead log does not reach the disk.
    #[error("database log {path}: {source}")]
    Sync {
        /// The log.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A newer program wrote this file.
    #[error("database {path} has schema {found}, and this program knows {known}: install the newer program again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A row holds what no version of this program writes.
    #[error("database: {0} is not valid; restore a backup")]
    Corrupt(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite { path: PathBuf::from("state.db"), source }
    }
}

/// The open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    in_turn: bool,
    /// Whether SQLite zeroes what this turn frees.
    secretly: bool,
    /// Whether this turn must be on the disk before it is acted on.
    must_last: bool,
    /// The write-ahead log, to be synced; opened when it is first needed.
    log: Option<File>,
    log_path: PathBuf,
}

impl Store {
    /// Opens or makes the file, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let located = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags).map_err(located)?;
        connection
            .execute_batch(
                // EXCLUSIVE keeps the WAL index in this process's memory: no shared-memory file, no second reader.
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
                 PRAGMA foreign_keys=ON; PRAGMA cache_size=-192; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;
                 PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=4194304;",
            )
            .map_err(located)?;
        // Plans do not depend on what is bound: else SQLite makes some of them anew at every use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(located)?;
        connection.set_prepared_statement_cache_capacity(96);
        migrate::run(&mut connection, path)?;
        let mut log_path = path.as_os_str().to_owned();
        log_path.push("-wal");
        Ok(Store {
            connection,
            in_turn: false,
            secretly: false,
            must_last: false,
            log: None,
            log_path: log_path.into(),
        })
    }

    /// The connection, inside this turn's transaction.
    fn write(&mut self) -> Result<&Connection, StoreError> {
        if !self.in_turn {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.in_turn = true;
        }
        Ok(&self.connection)
    }

    /// The connection, inside a transaction that will be on the disk before anything is done about it.
    fn write_to_last(&mut self) -> Result<&Connection, StoreError> {
        self.must_last();
        self.write()
    }

    /// This turn will be on the disk before anything is done about it.
    pub fn must_last(&mut self) {
        self.must_last = true;
    }

    /// The connection, for reading.
    fn read(&self) -> &Connection {
        &self.connection
    }

    /// Whether this turn has written something.
    pub fn is_writing(&self) -> bool {
        self.in_turn
    }

    /// What `synchronous=FULL` does after each commit: the frames of the write-ahead log reach the disk. With the exclusive
    /// locking mode it is the same file for as long as the database is open.
    fn sync_log(&mut self) -> std::io::Result<()> {
        let log = match self.log.take() {
            Some(log) => log,
            None => File::open(&self.log_path)?,
        };
        let synced = log.sync_data();
        self.log = Some(log);
        synced
    }

    /// Makes the turn durable. Cheap when nothing was written.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of the turn happened, and nothing of it may be acted on.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.in_turn {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            self.in_turn = false;
            if std::mem::take(&mut self.secretly) {
                self.connection.execute_batch("PRAGMA secure_delete=OFF")?;
            }
            if std::mem::take(&mut self.must_last) {
                self.sync_log().map_err(|source| StoreError::Sync { path: self.log_path.clone(), source })?;
            }
        }
        Ok(())
    }
}

/// Now, in ms since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// A count or time as SQLite has integers.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// And back.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Reads an identifier out of a row.
fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("{what} {text:?}")))
}
