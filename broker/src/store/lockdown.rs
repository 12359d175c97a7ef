//! The emergency stop, kept over restarts.

use super::{Store, StoreError, id, signed, unsigned};
use crate::gate::lockdown::Lockdown;
use rusqlite::params;

impl Store {
    /// The one that holds, if one does.
    ///
    /// # Errors
    /// [`StoreError`]; a row that cannot be read is never passed over.
    pub fn lockdown(&self) -> Result<Option<Lockdown>, StoreError> {
        let mut statement = self.read().prepare("SELECT reason, by_user, by_name, since_ms FROM lockdown")?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let by: Option<String> = row.get(1)?;
        let by = by.map(|by| id(&by, "user")).transpose()?;
        Ok(Some(Lockdown { reason: row.get(0)?, by, by_name: row.get(2)?, since_ms: unsigned(row.get(3)?) }))
    }

    /// Begins one, or ends it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_lockdown(&mut self, lockdown: Option<&Lockdown>) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        connection.execute("DELETE FROM lockdown", [])?;
        if let Some(Lockdown { reason, by, by_name, since_ms }) = lockdown {
            let by = by.map(|by| by.to_string());
            connection.execute(
                "INSERT INTO lockdown (one, reason, by_user, by_name, since_ms) VALUES (1, ?1, ?2, ?3, ?4)",
                params![reason, by, by_name, signed(*since_ms)],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockdown_outlives_the_service_until_it_is_lifted() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let held = Lockdown { reason: "x'); DROP".into(), by: None, by_name: "host".into(), since_ms: 7 };
        let mut store = Store::open(&path).expect("new");
        assert_eq!(store.lockdown().expect("read"), None);
        store.put_lockdown(Some(&held)).expect("written");
        store.put_lockdown(Some(&held)).expect("twice is once");
        store.commit().expect("durable");
        drop(store);
        let mut store = Store::open(&path).expect("again");
        assert_eq!(store.lockdown().expect("read"), Some(held));
        store.put_lockdown(None).expect("lifted");
        store.commit().expect("durable");
        assert_eq!(store.lockdown().expect("read"), None);
    }
}
