//! Commands that waited too long: kept in the inbox until their author says that they are still wanted.

use super::state::PostState;
use super::{Store, StoreError, id, now_ms, signed, unsigned};
use bartizan_proto::ids::{ChannelId, PostId, UserId};
use rusqlite::params;

/// How long a question waits for its answer.
const KEEP_MS: u64 = 24 * 3600 * 1000;

/// A command that its author is asked about. A post's facts never change, so they need not be asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The command.
    pub post: PostId,
    /// Where.
    pub channel: ChannelId,
    /// Whose word counts, as attested.
    pub author: UserId,
    /// Its thread, where it is a reply.
    pub root: Option<PostId>,
    /// When it was made.
    pub created_ms: u64,
    /// Whether in a direct message.
    pub direct: bool,
    /// When its author was asked, by the server's clock.
    pub asked_ms: u64,
}

impl Store {
    /// Its author is asked whether it is still wanted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ask_again(&mut self, asked: &Asked) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "INSERT INTO inbox (post, channel, author, root, text, created_ms, direct, caught_up, received_ms, asked_ms,
                 state) VALUES (?1, ?2, ?3, ?4, '', ?5, ?6, 1, ?7, ?8, ?9)
                 ON CONFLICT (post) DO UPDATE SET state = excluded.state, text = '', received_ms = excluded.received_ms,
                                                  asked_ms = excluded.asked_ms",
            )?
            .execute(params![
                asked.post.as_str(),
                asked.channel.as_str(),
                asked.author.as_str(),
                asked.root.map(|root| root.to_string()),
                signed(asked.created_ms),
                asked.direct,
                signed(now_ms()),
                signed(asked.asked_ms),
                PostState::Asked.as_str(),
            ])?;
        Ok(())
    }

    /// The commands that are asked about, the newest last, at most `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn asked(&self, most: usize) -> Result<Vec<Asked>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT post, channel, author, root, created_ms, direct, asked_ms FROM inbox WHERE state = 'asked'
             ORDER BY received_ms LIMIT ?1",
        )?;
        let mut rows = statement.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let root: Option<String> = row.get(3)?;
            all.push(Asked {
                post: id(&row.get::<_, String>(0)?, "post")?,
                channel: id(&row.get::<_, String>(1)?, "channel")?,
                author: id(&row.get::<_, String>(2)?, "author")?,
                root: root.map(|root| id(&root, "root")).transpose()?,
                created_ms: unsigned(row.get(4)?),
                direct: row.get(5)?,
                asked_ms: unsigned(row.get(6)?),
            });
        }
        Ok(all)
    }

    /// Nobody said anything for a day.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_questions(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        self.write()?
            .prepare_cached("UPDATE inbox SET state = 'done' WHERE state = 'asked' AND received_ms < ?1")?
            .execute([before])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::tests::report;
    use super::*;

    #[test]
    fn a_command_that_is_asked_about_survives_a_restart_and_is_closed_once_it_is_decided() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let told = report('p');
        let asked = Asked {
            post: told.post,
            channel: told.channel,
            author: told.author,
            root: None,
            created_ms: told.created_ms,
            direct: false,
            asked_ms: 400_000,
        };
        let mut store = Store::open(&path).expect("open");
        assert!(store.receive(&told, false).expect("new"));
        store.ask_again(&asked).expect("asked");
        store.commit().expect("commit");
        drop(store);
        let mut store = Store::open(&path).expect("open");
        assert!(store.undecided().expect("read").is_empty());
        assert_eq!(store.asked(10).expect("read"), [asked]);
        assert!(!store.receive(&told, false).expect("known"), "catching up finds it again");
        store.decided(told.post).expect("decided");
        assert!(store.asked(10).expect("read").is_empty());
    }
}
