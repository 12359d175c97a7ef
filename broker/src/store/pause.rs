//! A pause, kept over restarts.

use super::{Store, StoreError, signed, unsigned};
use rusqlite::params;

/// One that holds: what is asked for waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why, in the operator's words; may be empty.
    pub reason: String,
    /// Who.
    pub by_name: String,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
}

impl Store {
    /// The one that holds, if one does.
    ///
    /// # Errors
    /// [`StoreError`]; a row that cannot be read is never passed over.
    pub fn service_pause(&self) -> Result<Option<Pause>, StoreError> {
        let mut statement = self.read().prepare("SELECT reason, by_name, since_ms FROM pause")?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Pause { reason: row.get(0)?, by_name: row.get(1)?, since_ms: unsigned(row.get(2)?) }))
    }

    /// Begins one, or ends it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_service_pause(&mut self, pause: Option<&Pause>) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        connection.execute("DELETE FROM pause", [])?;
        if let Some(Pause { reason, by_name, since_ms }) = pause {
            connection.execute(
                "INSERT INTO pause (one, reason, by_name, since_ms) VALUES (1, ?1, ?2, ?3)",
                params![reason, by_name, signed(*since_ms)],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_outlives_the_service_until_it_is_over() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let held = Pause { reason: String::new(), by_name: "host".into(), since_ms: 7 };
        let mut store = Store::open(&path).expect("new");
        assert_eq!(store.service_pause().expect("read"), None);
        store.put_service_pause(Some(&held)).expect("written");
        store.commit().expect("durable");
        drop(store);
        let mut store = Store::open(&path).expect("again");
        assert_eq!(store.service_pause().expect("read"), Some(held));
        store.put_service_pause(None).expect("over");
        store.commit().expect("durable");
        assert_eq!(store.service_pause().expect("read"), None);
    }
}
