//! Lines of the audit log that its file may not have kept, should the machine stop; and always the last one that it has.
//!
//! A line is written in the transaction of the turn that it tells of, so a job waits for the disk once. What becomes of the
//! lines is decided by [`crate::audit`].

use super::{Store, StoreError, signed, unsigned};
use rusqlite::params;

impl Store {
    /// Keeps a line until the log's file is known to have it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remember_line(&mut self, sequence: u64, line: &str) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("INSERT INTO audit_pending (sequence, line) VALUES (?1, ?2)")?
            .execute(params![signed(sequence), line])?;
        Ok(())
    }

    /// Every line that is kept, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remembered_lines(&self) -> Result<Vec<(u64, String)>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT sequence, line FROM audit_pending ORDER BY sequence")?;
        let mut rows = statement.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push((unsigned(row.get(0)?), row.get(1)?));
        }
        Ok(lines)
    }

    /// The file has everything up to this line on the disk: only that one is kept, to know the file's end by.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_lines(&mut self, through: u64) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM audit_pending WHERE sequence < ?1")?.execute([signed(through)])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_the_file_has_is_kept() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        for sequence in 1..=4 {
            store.remember_line(sequence, "line").expect("remember");
        }
        store.forget_lines(3).expect("forget");
        let kept: Vec<u64> =
            store.remembered_lines().expect("read").into_iter().map(|(sequence, _)| sequence).collect();
        assert_eq!(kept, [3, 4]);
    }

    #[test]
    fn one_number_is_not_given_to_two_lines() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        store.remember_line(1, "one").expect("remember");
        assert!(store.remember_line(1, "another").is_err());
    }
}
