//! The core's own posts: those that are still to be written, and the ids of those that were.

use super::{Store, StoreError, id, now_ms, signed, unsigned};
use bartizan_proto::egress::{ProtectedAct, Target, WriteId};
use bartizan_proto::ids::{ChannelId, PostId};
use bartizan_proto::{List, Text};
use rusqlite::{OptionalExtension as _, params};

/// How long a post stays protected: longer than anything can be approved by it.
const KEEP_MS: u64 = 30 * 24 * 3600 * 1000;

impl Store {
    /// Queues a post, the change of one of the core's own, or the deletion of one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn write_protected(&mut self, act: &ProtectedAct) -> Result<(), StoreError> {
        let (target, root, message, key) = match act {
            ProtectedAct::Create { target, root, message, key } => (target, root, message, key),
            ProtectedAct::Delete { post, channel } => {
                self.write()?
                    .prepare_cached(
                        "INSERT INTO protected_write (channel, message, key, queued_ms, deletes)
                         VALUES (?1, '', 'delete-' || ?2, ?3, ?2) ON CONFLICT (key) DO NOTHING",
                    )?
                    .execute(params![channel.as_str(), post.as_str(), signed(now_ms())])?;
                return Ok(());
            }
            ProtectedAct::Edit { post, message } => {
                self.write()?
                    .prepare_cached(
                        "INSERT INTO protected_write (channel, message, key, queued_ms, edits)
                         SELECT channel, ?2, 'edit-' || post, ?3, post FROM protected_post WHERE post = ?1
                         ON CONFLICT (key) DO NOTHING",
                    )?
                    .execute(params![post.as_str(), message.as_str(), signed(now_ms())])?;
                return Ok(());
            }
            ProtectedAct::React { .. } | ProtectedAct::Unreact { .. } => {
                return Err(StoreError::Corrupt("a protected write that is no post".to_owned()));
            }
        };
        let (channel, user) = match target {
            Target::Channel(channel) => (Some(channel.to_string()), None),
            Target::Direct(user) => (None, Some(user.to_string())),
        };
        self.write()?
            .prepare_cached(
                "INSERT INTO protected_write (channel, user, root, message, key, queued_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                channel,
                user,
                root.map(|root| root.to_string()),
                message.as_str(),
                key.as_str(),
                signed(now_ms())
            ])?;
        Ok(())
    }

    /// The oldest that is not written yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_protected(&self) -> Result<Option<(WriteId, ProtectedAct)>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT id, channel, user, root, message, key, deletes, edits FROM protected_write ORDER BY id LIMIT 1",
        )?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let text = |column| row.get::<_, Option<String>>(column);
        if let (Some(post), Some(channel)) = (text(6)?, text(1)?) {
            let act = ProtectedAct::Delete { post: id(&post, "post")?, channel: id(&channel, "channel")? };
            return Ok(Some((WriteId(unsigned(row.get(0)?)), act)));
        }
        if let Some(post) = text(7)? {
            let act = ProtectedAct::Edit { post: id(&post, "post")?, message: Text::cut(row.get::<_, String>(4)?) };
            return Ok(Some((WriteId(unsigned(row.get(0)?)), act)));
        }
        let target = match (text(1)?, text(2)?) {
            (Some(channel), None) => Target::Channel(id(&channel, "channel")?),
            (None, Some(user)) => Target::Direct(id(&user, "user")?),
            _ => return Err(StoreError::Corrupt("a protected post for nobody".to_owned())),
        };
        let act = ProtectedAct::Create {
            target,
            root: text(3)?.map(|root| id(&root, "root")).transpose()?,
            message: Text::cut(row.get::<_, String>(4)?),
            key: Text::cut(row.get::<_, String>(5)?),
        };
        Ok(Some((WriteId(unsigned(row.get(0)?)), act)))
    }

    /// The keys of those that are not written yet and begin so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unwritten_keys(&self, beginning: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self
            .read()
            .prepare_cached("SELECT key FROM protected_write WHERE substr(key, 1, length(?1)) = ?1 ORDER BY id")?;
        let keys = statement.query_map([beginning], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// The key of one that is not written yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unwritten_key(&self, write: WriteId) -> Result<Option<String>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT key FROM protected_write WHERE id = ?1")?;
        Ok(statement.query_row([signed(write.0)], |row| row.get(0)).optional()?)
    }

    /// A post need not be protected any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_protected(&mut self, post: PostId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM protected_post WHERE post = ?1")?.execute([post.as_str()])?;
        Ok(())
    }

    /// The last one that was queued; numbers are never used twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn last_protected(&self) -> Result<WriteId, StoreError> {
        let last: Option<i64> =
            self.read().prepare_cached("SELECT max(id) FROM protected_write")?.query_row([], |row| row.get(0))?;
        Ok(WriteId(last.map_or(0, unsigned)))
    }

    /// The server has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn protected_posted(&mut self, write: WriteId, post: PostId, channel: ChannelId) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "INSERT OR REPLACE INTO protected_post (post, channel, key, written_ms)
                 SELECT ?2, ?3, key, ?4 FROM protected_write WHERE id = ?1",
            )?
            .execute(params![signed(write.0), post.as_str(), channel.as_str(), signed(now_ms())])?;
        self.protected_ended(write)
    }

    /// It is done, or never will be.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn protected_ended(&mut self, write: WriteId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM protected_write WHERE id = ?1")?.execute([signed(write.0)])?;
        Ok(())
    }

    /// The post that was written under a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn protected_post(&self, key: &str) -> Result<Option<PostId>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT post FROM protected_post WHERE key = ?1")?;
        let post: Option<String> = statement.query_row([key], |row| row.get(0)).optional()?;
        post.map(|post| id(&post, "post")).transpose()
    }

    /// The key that a post was written under.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn protected_key(&self, post: PostId) -> Result<Option<String>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT key FROM protected_post WHERE post = ?1")?;
        Ok(statement.query_row([post.as_str()], |row| row.get(0)).optional()?)
    }

    /// The posts that were written under a key, or under one that goes on with `-` after it, with what follows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn protected_family(&self, key: &str) -> Result<Vec<(PostId, String)>, StoreError> {
        let mut statement = self.read().prepare_cached(
            "SELECT post, key FROM protected_post WHERE key = ?1 OR (key >= ?1 || '-' AND key < ?1 || '.')",
        )?;
        let mut rows = statement.query([key])?;
        let mut posts = Vec::new();
        while let Some(row) = rows.next()? {
            let whole: String = row.get(1)?;
            let rest = whole.get(key.len()..).unwrap_or_default().trim_start_matches('-').to_owned();
            posts.push((id(&row.get::<_, String>(0)?, "post")?, rest));
        }
        Ok(posts)
    }

    /// Every post that is to be protected, the oldest first; the newest where there are more than `MAX`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn protected_posts<const MAX: usize>(&self) -> Result<List<PostId, MAX>, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT post FROM protected_post ORDER BY written_ms DESC LIMIT ?1")?;
        let mut rows = statement.query([i64::try_from(MAX).unwrap_or(i64::MAX)])?;
        let mut posts = Vec::new();
        while let Some(row) = rows.next()? {
            posts.push(id(&row.get::<_, String>(0)?, "post")?);
        }
        posts.reverse();
        Ok(List::cut(posts))
    }

    /// Forgets posts that nothing can be approved by any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_old_protected(&mut self) -> Result<(), StoreError> {
        let before = signed(now_ms().saturating_sub(KEEP_MS));
        self.write()?.prepare_cached("DELETE FROM protected_post WHERE written_ms < ?1")?.execute([before])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protected_post_waits_until_it_is_written_and_is_known_ever_after() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let mut store = Store::open(&path).expect("open");
        let act = |key: &str, target| ProtectedAct::Create {
            target,
            root: None,
            message: Text::cut("look"),
            key: Text::cut(key),
        };
        let channel: ChannelId = "c".repeat(26).parse().expect("id");
        let first = act("one", Target::Channel(channel));
        let second = act("two", Target::Direct("u".repeat(26).parse().expect("id")));
        store.write_protected(&first).expect("queued");
        store.write_protected(&second).expect("queued");
        store.commit().expect("commit");
        drop(store);
        let mut store = Store::open(&path).expect("open");
        assert_eq!(store.last_protected().expect("read"), WriteId(2));
        let (write, next) = store.next_protected().expect("read").expect("one");
        assert_eq!(next, first);
        let post: PostId = "p".repeat(26).parse().expect("id");
        store.protected_posted(write, post, channel).expect("written");
        assert_eq!(store.next_protected().expect("read").map(|(_, act)| act), Some(second));
        assert_eq!(store.protected_post("one").expect("read"), Some(post));
        assert_eq!(store.protected_post("two").expect("read"), None);
        assert_eq!(store.protected_key(post).expect("read").as_deref(), Some("one"));
        assert_eq!(store.protected_family("one").expect("read"), [(post, String::new())]);
        assert!(store.protected_family("on").expect("read").is_empty());
        assert_eq!(store.protected_posts::<8>().expect("read").into_vec(), [post]);
        let edit = ProtectedAct::Edit { post, message: Text::cut("no more") };
        store.write_protected(&edit).expect("queued");
        store.write_protected(&edit).expect("once");
        let unknown = ProtectedAct::Edit { post: "q".repeat(26).parse().expect("id"), message: Text::cut("x") };
        store.write_protected(&unknown).expect("nothing of the core's is changed by it");
        store.protected_ended(WriteId(2)).expect("written");
        let (write, next) = store.next_protected().expect("read").expect("one");
        assert_eq!(next, edit);
        store.protected_ended(write).expect("done");
        assert_eq!(store.next_protected().expect("read"), None);
        store.forget_old_protected().expect("forgotten");
        assert_eq!(store.protected_posts::<8>().expect("read").len(), 1, "it is young");
    }
}
