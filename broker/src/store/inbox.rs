//! The durable inbox: every post that looked meant for the bot, once, and how far each channel has been read.

use super::{Store, StoreError, id, now_ms, signed, unsigned};
use bartizan_proto::connector::{Cursor, Report};
use bartizan_proto::ids::PostId;
use bartizan_proto::{List, Text};
use rusqlite::{Row, params};

/// How long a finished row is kept, so that a replayed event is known again: longer than any catch-up.
const KEEP_MS: u64 = 7 * 24 * 3600 * 1000;

/// Most commands that wait for a decision; more are refused by the gates.
pub const MAX_UNDECIDED: u64 = 1000;

impl Store {
    /// Takes a post in. `false` when it was seen before: then nothing is to be done. One that is answered in the same turn
    /// is `closed` at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn receive(&mut self, report: &Report, closed: bool) -> Result<bool, StoreError> {
        let changed = self
            .write()?
            .prepare_cached(
                "INSERT INTO inbox (post, channel, author, root, text, created_ms, direct, caught_up, received_ms, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (post) DO NOTHING",
            )?
            .execute(params![
                report.post.as_str(),
                report.channel.as_str(),
                report.author.as_str(),
                report.root.as_ref().map(|root| root.as_str().to_owned()),
                if closed { "" } else { report.text.as_str() },
                signed(report.created_ms),
                report.direct,
                report.caught_up,
                signed(now_ms()),
                if closed { "done" } else { "received" },
            ])?;
        Ok(changed == 1)
    }

    /// Closes a post: it was answered, refused or turned into a job.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn decided(&mut self, post: PostId) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached("UPDATE inbox SET state = 'done', text = '' WHERE post = ?1")?
            .execute([post.as_str()])?;
        Ok(())
    }

    /// The posts that no decision was made on, oldest first: what a restart goes on with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn undecided(&self) -> Result<Vec<Report>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT post, channel, author, root, text, created_ms, direct FROM inbox WHERE state = 'received'
             ORDER BY created_ms, post",
        )?;
        let mut rows = statement.query([])?;
        let mut reports = Vec::new();
        while let Some(row) = rows.next()? {
            reports.push(left_over(row)?);
        }
        Ok(reports)
    }

    /// Moves a channel's cursor forward; never back. One that is lost costs a second look at posts that are known already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn seen(&mut self, cursor: Cursor) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "INSERT INTO cursor (channel, seen_ms, begun_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (channel) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms),
                                                     begun_ms = max(begun_ms, excluded.begun_ms)",
            )?
            .execute(params![cursor.channel.as_str(), signed(cursor.seen_ms), signed(cursor.begun_ms)])?;
        Ok(())
    }

    /// Every cursor, never behind a post that was taken in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursors<const MAX: usize>(&self) -> Result<List<Cursor, MAX>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT channel, max(seen_ms) AS seen, max(begun_ms) FROM (SELECT channel, seen_ms, begun_ms FROM cursor
             UNION ALL SELECT channel, created_ms, 0 FROM inbox) GROUP BY channel ORDER BY seen DESC",
        )?;
        let mut rows = statement.query([])?;
        let mut cursors = Vec::new();
        while let Some(row) = rows.next()? {
            let channel = id(&row.get::<_, String>(0)?, "channel")?;
            cursors.push(Cursor { channel, seen_ms: unsigned(row.get(1)?), begun_ms: unsigned(row.get(2)?) });
        }
        Ok(List::cut(cursors))
    }

    /// Forgets rows that no replay can bring back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_posts(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        self.write()?
            .prepare_cached("DELETE FROM inbox WHERE state = 'done' AND received_ms < ?1")?
            .execute([before])?;
        Ok(())
    }
}

/// A report that a row stands for: post, channel, author, root, text, created_ms, direct.
pub(super) fn left_over(row: &Row<'_>) -> Result<Report, StoreError> {
    let root: Option<String> = row.get(3)?;
    Ok(Report {
        post: id(&row.get::<_, String>(0)?, "post")?,
        channel: id(&row.get::<_, String>(1)?, "channel")?,
        author: id(&row.get::<_, String>(2)?, "author")?,
        root: root.map(|root| id(&root, "root")).transpose()?,
        text: Text::cut(row.get::<_, String>(4)?),
        created_ms: unsigned(row.get(5)?),
        direct: row.get(6)?,
        caught_up: true,
        webhook: false,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn report(letter: char) -> Report {
        let id = |c: char| c.to_string().repeat(26);
        Report {
            post: id(letter).parse().expect("id"),
            channel: id('c').parse().expect("id"),
            author: id('u').parse().expect("id"),
            root: None,
            text: Text::cut("!ping"),
            created_ms: 1000,
            direct: false,
            caught_up: false,
            webhook: false,
        }
    }

    #[test]
    fn a_post_is_taken_in_once_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let mut store = Store::open(&path).expect("open");
        assert!(store.receive(&report('a'), false).expect("receive"));
        assert!(!store.receive(&report('a'), false).expect("receive"));
        store.commit().expect("commit");
        drop(store);
        let mut store = Store::open(&path).expect("open");
        assert!(!store.receive(&report('a'), false).expect("receive"));
        assert_eq!(store.undecided().expect("read").len(), 1);
        store.decided(report('a').post).expect("decide");
        assert!(store.undecided().expect("read").is_empty());
        assert!(!store.receive(&report('a'), false).expect("receive"));
    }

    #[test]
    fn a_cursor_never_moves_back() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let channel = report('a').channel;
        store.seen(Cursor { channel, seen_ms: 5, begun_ms: 2 }).expect("seen");
        store.seen(Cursor { channel, seen_ms: 3, begun_ms: 0 }).expect("seen");
        assert_eq!(store.cursors::<4>().expect("read").into_vec(), [Cursor { channel, seen_ms: 5, begun_ms: 2 }]);
    }

    #[test]
    fn what_was_not_committed_did_not_happen() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let mut store = Store::open(&path).expect("open");
        assert!(store.receive(&report('a'), false).expect("receive"));
        drop(store);
        assert!(Store::open(&path).expect("open").undecided().expect("read").is_empty());
    }
}
