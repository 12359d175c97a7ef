//! The service's starts, and how often a post was about to be judged: what is left of a core that died.

use super::{Store, StoreError, now_ms, signed};
use bartizan_proto::ids::PostId;
use rusqlite::params;
use std::collections::HashMap;
use std::time::Duration;

/// Starts that are remembered.
const KEEP: i64 = 100;

impl Store {
    /// The service starts. How many earlier starts within `window` did not end in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_start(&mut self, window: Duration) -> Result<u32, StoreError> {
        let now = now_ms();
        let since = signed(now.saturating_sub(u64::try_from(window.as_millis()).unwrap_or(u64::MAX)));
        let write = self.write()?;
        let ended_badly =
            write
                .query_row("SELECT count(*) FROM start WHERE in_order = 0 AND at_ms > ?1", [since], |row| row.get(0))?;
        write.execute("INSERT INTO start (at_ms) VALUES (?1)", [signed(now)])?;
        write.execute("DELETE FROM start WHERE id <= (SELECT max(id) FROM start) - ?1", [KEEP])?;
        Ok(ended_badly)
    }

    /// The service ends in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end_start(&mut self) -> Result<(), StoreError> {
        self.write()?.execute("UPDATE start SET in_order = 1 WHERE id = (SELECT max(id) FROM start)", [])?;
        Ok(())
    }

    /// A post is about to be judged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn begin_post(&mut self, post: PostId) -> Result<(), StoreError> {
        self.write()?
            .execute("UPDATE inbox SET beginnings = beginnings + 1 WHERE post = ?1", params![post.as_str()])?;
        Ok(())
    }

    /// The undecided posts, each with how often it was about to be judged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn beginnings(&self) -> Result<HashMap<PostId, u32>, StoreError> {
        let mut statement = self.read().prepare("SELECT post, beginnings FROM inbox WHERE state = 'received'")?;
        let mut rows = statement.query([])?;
        let mut all = HashMap::new();
        while let Some(row) = rows.next()? {
            all.insert(super::id(&row.get::<_, String>(0)?, "post")?, row.get(1)?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::tests::report;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    #[test]
    fn only_starts_that_did_not_end_in_order_are_counted() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        assert_eq!(store.begin_start(WINDOW).expect("begun"), 0);
        store.end_start().expect("ended");
        assert_eq!(store.begin_start(WINDOW).expect("begun"), 0, "it ended in order");
        assert_eq!(store.begin_start(WINDOW).expect("begun"), 1);
        assert_eq!(store.begin_start(WINDOW).expect("begun"), 2);
        assert_eq!(store.begin_start(Duration::ZERO).expect("begun"), 0, "long ago");
    }

    #[test]
    fn how_often_a_post_was_about_to_be_judged_is_known_until_it_is_decided() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let (one, other) = (report('p'), report('q'));
        for report in [&one, &other] {
            assert!(store.receive(report, false).expect("received"));
        }
        store.begin_post(one.post).expect("begun");
        store.begin_post(one.post).expect("begun");
        assert_eq!(store.beginnings().expect("read"), HashMap::from([(one.post, 2), (other.post, 0)]));
        store.decided(one.post).expect("decided");
        assert_eq!(store.beginnings().expect("read").len(), 1);
    }
}
