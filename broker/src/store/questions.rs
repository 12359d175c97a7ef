//! Commands whose authors are asked for something: only that they are, so that a start can tell them that it is over.

use super::inbox::left_over;
use super::{Store, StoreError};
use bartizan_proto::connector::Report;
use bartizan_proto::ids::PostId;
use rusqlite::params;

impl Store {
    /// The author of a command is asked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn question_asked(&mut self, report: &Report) -> Result<(), StoreError> {
        let root = report.root.as_ref().map(|root| root.as_str().to_owned());
        self.write()?
            .prepare_cached(
                "INSERT INTO question (post, channel, author, root, direct) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (post) DO NOTHING",
            )?
            .execute(params![
                report.post.as_str(),
                report.channel.as_str(),
                report.author.as_str(),
                root,
                report.direct
            ])?;
        Ok(())
    }

    /// They were asked for the last time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn question_over(&mut self, post: PostId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM question WHERE post = ?1")?.execute([post.as_str()])?;
        Ok(())
    }

    /// The commands whose authors were asked when the service ended; without their texts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn questions_left(&self) -> Result<Vec<Report>, StoreError> {
        let mut statement =
            self.read().prepare("SELECT post, channel, author, root, '', 0, direct FROM question ORDER BY post")?;
        let mut rows = statement.query([])?;
        let mut reports = Vec::new();
        while let Some(row) = rows.next()? {
            reports.push(left_over(row)?);
        }
        Ok(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::tests::report;
    use super::*;

    #[test]
    fn what_was_asked_is_left_until_it_is_over() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        store.question_asked(&report('p')).expect("asked");
        store.question_asked(&report('p')).expect("asked again");
        store.question_asked(&report('q')).expect("asked");
        assert_eq!(store.questions_left().expect("read").len(), 2);
        store.question_over(report('p').post).expect("over");
        let left = store.questions_left().expect("read");
        assert_eq!(left.iter().map(|left| left.post).collect::<Vec<_>>(), [report('q').post]);
    }
}
