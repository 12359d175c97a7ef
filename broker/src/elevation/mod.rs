//! The second factor: who has one, what a code that somebody gives is worth, and for how long.
//!
//! Everything that must outlive the process goes through here into the database in the turn that decides it: a used step is
//! never taken again, and failures are counted, whatever is restarted. Windows are in memory only: a restart ends them. The
//! secrets are in the brain, and given to these functions by the core for as long as a check takes. Time for codes is the
//! host's clock; a window ends when either the host's or the server's clock says so.

pub mod picture;
pub mod recovery;
#[cfg(test)]
mod tests;
pub mod totp;

use crate::config::Elevation;
use crate::store::{Store, StoreError};
use bartizan_proto::ids::UserId;
use std::collections::HashMap;
use std::time::Duration;

/// So many wrong codes lock, and so many more lock for longer.
const FAILURES: u32 = 5;

/// The first lock, and the longest.
const LOCK: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The server's clock is known from a header in whole seconds.
const INEXACT_MS: u64 = 5_000;

/// How long an enrolment waits for its first code.
const UNCONFIRMED_MS: u64 = 3_600_000;

/// Somebody's second factor, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// Whose.
    pub user: UserId,
    /// Their name then.
    pub name: String,
    /// When the enrolment began, ms since 1970.
    pub begun_ms: u64,
    /// Whether the first code was given: before that it proves nothing.
    pub confirmed: bool,
    /// The newest step that was used or burned.
    pub last_step: u64,
    /// Wrong codes in a row.
    pub failures: u32,
    /// No code is looked at before then.
    pub locked_until_ms: u64,
}

/// The time, by both clocks, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// This machine's.
    pub host_ms: u64,
    /// The server's.
    pub server_ms: u64,
}

impl Now {
    /// How long ago something was, by the clock that says longer. One that was set back by more than what it is known to the
    /// core with says: for ever.
    fn since(self, then: Now) -> Duration {
        let by = |now: u64, then: u64| match now.checked_sub(then) {
            Some(since) => since,
            None if then - now <= INEXACT_MS => 0,
            None => u64::MAX,
        };
        Duration::from_millis(by(self.host_ms, then.host_ms).max(by(self.server_ms, then.server_ms)))
    }
}

/// How somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no second factor.
    None,
    /// There is one whose first code was not given.
    Unconfirmed,
    /// No window is open.
    Closed,
    /// One is open, for so long.
    Open(Duration),
}

/// What a code was worth.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right, and used up now.
    Right {
        /// Whether it ended an enrolment.
        first: bool,
    },
    /// It was used or burned before.
    Used,
    /// It is wrong; locked for so long, if so now.
    Wrong(Option<Duration>),
    /// Nothing is looked at for so long.
    Locked(Duration),
    /// There is no second factor.
    Missing,
}

/// Everybody's.
#[derive(Debug, Default)]
pub struct Factors {
    all: HashMap<UserId, Factor>,
    /// When each window was opened, and used last.
    windows: HashMap<UserId, (Now, Now)>,
}

impl Factors {
    /// What the database has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn restore(store: &Store) -> Result<Self, StoreError> {
        let all = store.factors()?.into_iter().map(|factor| (factor.user, factor)).collect();
        Ok(Self { all, windows: HashMap::new() })
    }

    /// Somebody's.
    pub fn get(&self, user: UserId) -> Option<&Factor> {
        self.all.get(&user)
    }

    /// How somebody stands now.
    pub fn standing(&self, user: UserId, now: Now, config: &Elevation) -> Standing {
        match self.all.get(&user) {
            None => Standing::None,
            Some(factor) if !factor.confirmed => Standing::Unconfirmed,
            Some(_) => self.left(user, now, config).map_or(Standing::Closed, Standing::Open),
        }
    }

    /// How long a window is still open.
    fn left(&self, user: UserId, now: Now, config: &Elevation) -> Option<Duration> {
        let (opened, used) = self.windows.get(&user)?;
        let from = if config.idle { used } else { opened };
        config.window.checked_sub(now.since(*from)).filter(|left| !left.is_zero())
    }

    /// An open window was used.
    pub fn touch(&mut self, user: UserId, now: Now, config: &Elevation) {
        if self.left(user, now, config).is_some()
            && let Some((_, used)) = self.windows.get_mut(&user)
        {
            *used = now;
        }
    }

    /// Ends a window. Whether there was one.
    pub fn close(&mut self, user: UserId) -> bool {
        self.windows.remove(&user).is_some()
    }

    /// Begins an enrolment, over one that was never confirmed. `false` where there is a confirmed one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin(&mut self, store: &mut Store, user: UserId, name: &str, now: Now) -> Result<bool, StoreError> {
        let old = self.all.get(&user);
        if old.is_some_and(|factor| factor.confirmed) {
            return Ok(false);
        }
        // What was tried at the one before counts on: enrolling again opens no lock.
        let (failures, locked_until_ms) = old.map_or((0, 0), |old| (old.failures, old.locked_until_ms));
        let factor = Factor {
            user,
            name: name.to_owned(),
            begun_ms: now.host_ms,
            confirmed: false,
            last_step: 0,
            failures,
            locked_until_ms,
        };
        store.put_factor(&factor)?;
        self.all.insert(user, factor);
        Ok(true)
    }

    /// Takes a second factor away, with its recovery codes, its window, and what was let through by it and waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reset(&mut self, store: &mut Store, user: UserId) -> Result<bool, StoreError> {
        self.windows.remove(&user);
        let there = self.all.remove(&user).is_some();
        store.remove_factor(user)?;
        Ok(there)
    }

    /// Somebody gives a code. Right or wrong, it is counted before anything is done about it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn check(
        &mut self,
        store: &mut Store,
        user: UserId,
        (secret, given): (&[u8], &str),
        now: Now,
    ) -> Result<Checked, StoreError> {
        let Some(factor) = self.all.get_mut(&user) else { return Ok(Checked::Missing) };
        if let Some(left) = locked(factor, now) {
            return Ok(Checked::Locked(left));
        }
        if !factor.confirmed && now.host_ms.saturating_sub(factor.begun_ms) > UNCONFIRMED_MS {
            return Ok(Checked::Missing);
        }
        match totp::find(secret, given, now.host_ms) {
            Some(step) if step > factor.last_step => {
                let first = !factor.confirmed;
                factor.last_step = step;
                factor.confirmed = true;
                factor.failures = 0;
                store.put_factor(factor)?;
                self.windows.insert(user, (now, now));
                Ok(Checked::Right { first })
            }
            Some(_) => Ok(failed(factor, store, now)?.map_or(Checked::Used, |left| Checked::Wrong(Some(left)))),
            None => Ok(Checked::Wrong(failed(factor, store, now)?)),
        }
    }

    /// Somebody gives a recovery code: good once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn recover(&mut self, store: &mut Store, user: UserId, given: &str, now: Now) -> Result<Checked, StoreError> {
        let Some(factor) = self.all.get_mut(&user).filter(|factor| factor.confirmed) else {
            return Ok(Checked::Missing);
        };
        if let Some(left) = locked(factor, now) {
            return Ok(Checked::Locked(left));
        }
        if !store.take_recovery_code(user, &recovery::hash(user.as_str(), given))? {
            return Ok(Checked::Wrong(failed(factor, store, now)?));
        }
        factor.failures = 0;
        store.put_factor(factor)?;
        self.windows.insert(user, (now, now));
        Ok(Checked::Right { first: false })
    }

    /// Others have read this code: it is never taken, whether it is one or not. Whether it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn burn(
        &mut self,
        store: &mut Store,
        user: UserId,
        (secret, given): (&[u8], &str),
        now: Now,
    ) -> Result<bool, StoreError> {
        let Some(factor) = self.all.get_mut(&user) else { return Ok(false) };
        let Some(step) = totp::find(secret, given, now.host_ms).filter(|step| *step > factor.last_step) else {
            return Ok(false);
        };
        factor.last_step = step;
        store.put_factor(factor)?;
        Ok(true)
    }
}

fn locked(factor: &Factor, now: Now) -> Option<Duration> {
    factor.locked_until_ms.checked_sub(now.host_ms).filter(|left| *left > 0).map(Duration::from_millis)
}

/// Counts a failure. How long it locks for, if it does.
fn failed(factor: &mut Factor, store: &mut Store, now: Now) -> Result<Option<Duration>, StoreError> {
    factor.failures = factor.failures.saturating_add(1);
    let lock = factor.failures.is_multiple_of(FAILURES).then(|| {
        let doubled = (factor.failures / FAILURES - 1).min(16);
        (LOCK.0 * 2_u32.pow(doubled)).min(LOCK.1)
    });
    if let Some(lock) = lock {
        factor.locked_until_ms = now.host_ms + u64::try_from(lock.as_millis()).unwrap_or(u64::MAX / 2);
    }
    store.put_factor(factor)?;
    Ok(lock)
}
