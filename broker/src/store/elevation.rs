//! Second factors without their secrets, and the commands that were given with one. One writer: [`crate::elevation`] and the
//! core.

use super::{Store, StoreError, id, now_ms, signed, unsigned};
use crate::elevation::Factor;
use bartizan_proto::ids::{PostId, UserId};
use rusqlite::{OptionalExtension as _, params};

/// How long it is remembered that a command was given with a second factor: longer than anything waits.
const KEEP_MS: u64 = 30 * 24 * 3600 * 1000;

/// With what a command was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elevated {
    /// Who gave the code.
    pub user: UserId,
    /// Whether it was given for this command alone.
    pub alone: bool,
}

impl Store {
    /// Everybody's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn factors(&self) -> Result<Vec<Factor>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT user, user_name, begun_ms, confirmed, last_step, failures, locked_until_ms FROM factor",
        )?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(Factor {
                user: id(&row.get::<_, String>(0)?, "user")?,
                name: row.get(1)?,
                begun_ms: unsigned(row.get(2)?),
                confirmed: row.get(3)?,
                last_step: unsigned(row.get(4)?),
                failures: row.get(5)?,
                locked_until_ms: unsigned(row.get(6)?),
            });
        }
        Ok(all)
    }

    /// Writes one down: on the disk before anything is done about it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_factor(&mut self, factor: &Factor) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached(
                "INSERT INTO factor (user, user_name, begun_ms, confirmed, last_step, failures, locked_until_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (user) DO UPDATE SET user_name = ?2, begun_ms = ?3, confirmed = ?4, last_step = ?5,
                                                  failures = ?6, locked_until_ms = ?7",
            )?
            .execute(params![
                factor.user.as_str(),
                factor.name,
                signed(factor.begun_ms),
                factor.confirmed,
                signed(factor.last_step),
                factor.failures,
                signed(factor.locked_until_ms)
            ])?;
        Ok(())
    }

    /// Takes one away, with its recovery codes and with what was let through by it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove_factor(&mut self, user: UserId) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        for table in ["recovery_code", "elevated", "factor"] {
            connection.prepare_cached(&format!("DELETE FROM {table} WHERE user = ?1"))?.execute([user.as_str()])?;
        }
        Ok(())
    }

    /// Replaces somebody's recovery codes, given as hashes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_recovery_codes(&mut self, user: UserId, hashes: &[String]) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        connection.prepare_cached("DELETE FROM recovery_code WHERE user = ?1")?.execute([user.as_str()])?;
        for hash in hashes {
            connection
                .prepare_cached("INSERT INTO recovery_code (user, hash) VALUES (?1, ?2)")?
                .execute([user.as_str(), hash])?;
        }
        Ok(())
    }

    /// Uses one up. Whether it was there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn take_recovery_code(&mut self, user: UserId, hash: &str) -> Result<bool, StoreError> {
        let changed = self
            .write_to_last()?
            .prepare_cached("DELETE FROM recovery_code WHERE user = ?1 AND hash = ?2")?
            .execute([user.as_str(), hash])?;
        Ok(changed == 1)
    }

    /// How many are left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recovery_codes(&self, user: UserId) -> Result<u64, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT count(*) FROM recovery_code WHERE user = ?1")?;
        Ok(unsigned(statement.query_row([user.as_str()], |row| row.get(0))?))
    }

    /// A command was given with a second factor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_elevated(&mut self, post: PostId, elevated: Elevated) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached("INSERT OR REPLACE INTO elevated (post, user, alone, at_ms) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![post.as_str(), elevated.user.as_str(), elevated.alone, signed(now_ms())])?;
        Ok(())
    }

    /// What somebody gave with a second factor has to be given again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_elevated_of(&mut self, user: UserId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM elevated WHERE user = ?1")?.execute([user.as_str()])?;
        Ok(())
    }

    /// With what a command was let through.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn elevated(&self, post: PostId) -> Result<Option<Elevated>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT user, alone FROM elevated WHERE post = ?1")?;
        let row: Option<(String, bool)> =
            statement.query_row([post.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        row.map(|(user, alone)| Ok(Elevated { user: id(&user, "user")?, alone })).transpose()
    }

    /// Forgets what nothing waits by any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_elevated(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        self.write()?.prepare_cached("DELETE FROM elevated WHERE at_ms < ?1")?.execute([before])?;
        Ok(())
    }
}
