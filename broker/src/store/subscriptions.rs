//! Threads in which what people write runs a script.

use super::{Store, StoreError, id, signed, unsigned};
use bartizan_proto::ids::{ChannelId, PostId, ScriptName, UserId};
use rusqlite::params;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The thread.
    pub root: PostId,
    /// Where it is.
    pub channel: ChannelId,
    /// What runs.
    pub script: ScriptName,
    /// The only one who is heard; whoever may run the script where there is none.
    pub user: Option<UserId>,
    /// Until then, by the server's clock, in ms since 1970.
    pub until_ms: u64,
}

impl Store {
    /// All of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let mut statement =
            self.read().prepare("SELECT root, channel, script, user, until_ms FROM subscription ORDER BY until_ms")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let text = |at: usize| row.get::<_, String>(at);
            let user: Option<String> = row.get(3)?;
            all.push(Subscription {
                root: id(&text(0)?, "post")?,
                channel: id(&text(1)?, "channel")?,
                script: id(&text(2)?, "script")?,
                user: user.map(|user| id(&user, "user")).transpose()?,
                until_ms: unsigned(row.get(4)?),
            });
        }
        Ok(all)
    }

    /// Begins one, instead of another one in the same thread.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_subscription(&mut self, one: &Subscription) -> Result<(), StoreError> {
        let user = one.user.map(|user| user.to_string());
        self.write()?
            .prepare_cached(
                "INSERT OR REPLACE INTO subscription (root, channel, script, user, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                one.root.as_str(),
                one.channel.as_str(),
                one.script.as_str(),
                user,
                signed(one.until_ms)
            ])?;
        Ok(())
    }

    /// Ends one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drop_subscription(&mut self, root: PostId) -> Result<(), StoreError> {
        self.write()?.prepare_cached("DELETE FROM subscription WHERE root = ?1")?.execute([root.as_str()])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_one_subscription_which_outlives_the_service_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let letter = |letter: &str| letter.repeat(26);
        let first = Subscription {
            root: letter("r").parse().expect("id"),
            channel: letter("c").parse().expect("id"),
            script: "chat".parse().expect("a name"),
            user: Some(letter("u").parse().expect("id")),
            until_ms: 7,
        };
        let second = Subscription { script: "other".parse().expect("a name"), user: None, ..first.clone() };
        let mut store = Store::open(&path).expect("new");
        store.put_subscription(&first).expect("written");
        assert_eq!(store.subscriptions().expect("read"), [first]);
        store.put_subscription(&second).expect("written");
        store.commit().expect("committed");
        drop(store);
        let mut store = Store::open(&path).expect("again");
        assert_eq!(store.subscriptions().expect("read"), std::slice::from_ref(&second));
        store.drop_subscription(second.root).expect("dropped");
        assert_eq!(store.subscriptions().expect("read"), []);
    }
}
