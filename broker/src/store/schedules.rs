//! How far each schedule is decided, and which ones are paused. Written in the turn that decides, and on the disk before
//! anything is done: a time that is due is begun once, or not at all.

use super::{Store, StoreError, id, now_ms, signed, unsigned};
use bartizan_proto::ids::ScriptName;
use rusqlite::params;
use std::collections::BTreeMap;

/// How far one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// When it is due, as the configuration had it.
    pub rule: String,
    /// Since when it is there.
    pub begun_ms: u64,
    /// Every time up to this one is decided.
    pub decided_ms: u64,
}

/// That one is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Until then; until somebody resumes it where there is nothing.
    pub until_ms: Option<u64>,
    /// By whom.
    pub by_name: String,
}

impl Store {
    /// Every one that was ever decided on and is still there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedules(&self) -> Result<BTreeMap<ScriptName, Progress>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT name, rule, begun_ms, decided_ms FROM schedule")?;
        let mut rows = statement.query([])?;
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let progress =
                Progress { rule: row.get(1)?, begun_ms: unsigned(row.get(2)?), decided_ms: unsigned(row.get(3)?) };
            all.insert(id(&row.get::<_, String>(0)?, "schedule")?, progress);
        }
        Ok(all)
    }

    /// One is decided so far.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn schedule_decided(&mut self, name: &ScriptName, progress: &Progress) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached(
                "INSERT OR REPLACE INTO schedule (name, rule, begun_ms, decided_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![name.as_str(), progress.rule, signed(progress.begun_ms), signed(progress.decided_ms)])?;
        Ok(())
    }

    /// The configuration has it no more: under its name another one begins anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_schedule(&mut self, name: &ScriptName) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM schedule WHERE name = ?1")?.execute([name.as_str()])?;
        Ok(())
    }

    /// The pauses in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pauses(&self) -> Result<BTreeMap<ScriptName, Pause>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT name, until_ms, by_name FROM schedule_pause")?;
        let mut rows = statement.query([])?;
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let pause = Pause { until_ms: row.get::<_, Option<i64>>(1)?.map(unsigned), by_name: row.get(2)? };
            all.insert(id(&row.get::<_, String>(0)?, "schedule")?, pause);
        }
        Ok(all)
    }

    /// Somebody pauses one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn pause(&mut self, name: &ScriptName, pause: &Pause) -> Result<(), StoreError> {
        self.write_to_last()?
            .prepare_cached(
                "INSERT OR REPLACE INTO schedule_pause (name, until_ms, by_name, paused_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![name.as_str(), pause.until_ms.map(signed), pause.by_name, signed(now_ms())])?;
        Ok(())
    }

    /// Its pause is over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn resume(&mut self, name: &ScriptName) -> Result<(), StoreError> {
        self.write_to_last()?.prepare_cached("DELETE FROM schedule_pause WHERE name = ?1")?.execute([name.as_str()])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_and_what_is_paused_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let mut store = Store::open(&path).expect("open");
        let name: ScriptName = "nightly".parse().expect("a name");
        let progress = Progress { rule: "UTC 0 3 * * *".to_owned(), begun_ms: 5, decided_ms: 7 };
        store.schedule_decided(&name, &Progress { decided_ms: 6, ..progress.clone() }).expect("decided");
        store.schedule_decided(&name, &progress).expect("decided");
        let pause = Pause { until_ms: Some(9), by_name: "bob".to_owned() };
        store.pause(&name, &Pause { until_ms: None, ..pause.clone() }).expect("paused");
        store.pause(&name, &pause).expect("paused");
        store.commit().expect("commit");
        drop(store);
        let mut store = Store::open(&path).expect("open");
        assert_eq!(store.schedules().expect("read").remove(&name), Some(progress));
        assert_eq!(store.pauses().expect("read").remove(&name), Some(pause));
        store.resume(&name).expect("resumed");
        store.forget_schedule(&name).expect("forgotten");
        assert!(store.pauses().expect("read").is_empty() && store.schedules().expect("read").is_empty());
    }
}
