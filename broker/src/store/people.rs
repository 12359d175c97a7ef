//! People, bans, and whose name a name was when it was first looked up. Read whole at the start; the core is the only
//! writer, so what it holds in memory is what stands here.

use super::{Store, StoreError, id, signed, unsigned};
use crate::config::Level;
use crate::people::keys::Owner;
use crate::people::{Ban, Person};
use bartizan_audit::PersonKey;
use bartizan_proto::ids::{FlagName, UserId};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Whose name it is, and the level that was taken over from `[people]` with it.
pub type KnownNames = BTreeMap<String, (UserId, Option<Level>)>;

impl Store {
    /// Everybody who has a row.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] for a row that cannot be read: it is never passed over.
    pub fn people(&self) -> Result<HashMap<UserId, Person>, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT user, name, level, flags, changed_by, changed_ms FROM person")?;
        let mut rows = statement.query([])?;
        let mut people = HashMap::new();
        while let Some(row) = rows.next()? {
            let flags: Result<BTreeSet<FlagName>, StoreError> =
                row.get::<_, String>(3)?.split_whitespace().map(|flag| id(flag, "flag")).collect();
            let person = Person {
                name: row.get(1)?,
                level: id(&row.get::<_, String>(2)?, "level")?,
                flags: flags?,
                by: row.get(4)?,
                since_ms: unsigned(row.get(5)?),
            };
            people.insert(id(&row.get::<_, String>(0)?, "user")?, person);
        }
        Ok(people)
    }

    /// Every ban that has not been ended.
    ///
    /// # Errors
    /// As [`Store::people`].
    pub fn bans(&self) -> Result<HashMap<UserId, Ban>, StoreError> {
        let mut statement =
            self.read().prepare_cached("SELECT user, name, reason, given_by, since_ms, until_ms FROM ban")?;
        let mut rows = statement.query([])?;
        let mut bans = HashMap::new();
        while let Some(row) = rows.next()? {
            let until: Option<i64> = row.get(5)?;
            let ban = Ban {
                name: row.get(1)?,
                reason: row.get(2)?,
                by: row.get(3)?,
                since_ms: unsigned(row.get(4)?),
                until_ms: until.map(unsigned),
            };
            bans.insert(id(&row.get::<_, String>(0)?, "user")?, ban);
        }
        Ok(bans)
    }

    /// Writes a person's row, or takes it away.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_person(&mut self, user: UserId, person: Option<&Person>) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        let Some(person) = person else {
            connection.prepare_cached("DELETE FROM person WHERE user = ?1")?.execute([user.as_str()])?;
            return Ok(());
        };
        let flags: Vec<&str> = person.flags.iter().map(FlagName::as_str).collect();
        connection
            .prepare_cached(
                "INSERT INTO person (user, name, level, flags, changed_by, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (user) DO UPDATE SET name = excluded.name, level = excluded.level, flags = excluded.flags,
                 changed_by = excluded.changed_by, changed_ms = excluded.changed_ms",
            )?
            .execute(params![
                user.as_str(),
                person.name,
                person.level.as_str(),
                flags.join(" "),
                person.by,
                signed(person.since_ms),
            ])?;
        Ok(())
    }

    /// Writes a ban, or takes it away.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_ban(&mut self, user: UserId, ban: Option<&Ban>) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        let Some(ban) = ban else {
            connection.prepare_cached("DELETE FROM ban WHERE user = ?1")?.execute([user.as_str()])?;
            connection.prepare_cached("DELETE FROM ban_notice WHERE user = ?1")?.execute([user.as_str()])?;
            return Ok(());
        };
        connection
            .prepare_cached(
                "INSERT INTO ban (user, name, reason, given_by, since_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (user) DO UPDATE SET name = excluded.name, reason = excluded.reason,
                 given_by = excluded.given_by, since_ms = excluded.since_ms, until_ms = excluded.until_ms",
            )?
            .execute(params![
                user.as_str(),
                ban.name,
                ban.reason,
                ban.by,
                signed(ban.since_ms),
                ban.until_ms.map(signed),
            ])?;
        Ok(())
    }

    /// The keys that approvals are signed with.
    ///
    /// # Errors
    /// As [`Store::people`].
    pub fn person_keys(&self) -> Result<BTreeMap<PersonKey, Owner>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT key, user, name, added_ms FROM person_key")?;
        let mut rows = statement.query([])?;
        let mut keys = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let owner = Owner {
                user: id(&row.get::<_, String>(1)?, "user")?,
                name: row.get(2)?,
                added_ms: unsigned(row.get(3)?),
            };
            keys.insert(id(&row.get::<_, String>(0)?, "key")?, owner);
        }
        Ok(keys)
    }

    /// Registers a key, or takes one away.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_person_key(&mut self, key: &PersonKey, owner: Option<&Owner>) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        match owner {
            Some(Owner { user, name, added_ms }) => connection
                .prepare_cached("INSERT INTO person_key (key, user, name, added_ms) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![key.as_str(), user.as_str(), name, signed(*added_ms)])?,
            None => connection.prepare_cached("DELETE FROM person_key WHERE key = ?1")?.execute([key.as_str()])?,
        };
        Ok(())
    }

    /// Shows a person under another name. Need not outlive the machine: it is seen again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rename(&mut self, user: UserId, name: &str) -> Result<(), StoreError> {
        let connection = self.write()?;
        for sql in ["UPDATE person SET name = ?2 WHERE user = ?1", "UPDATE ban SET name = ?2 WHERE user = ?1"] {
            connection.prepare_cached(sql)?.execute(params![user.as_str(), name])?;
        }
        Ok(())
    }

    /// When banned people were told so last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ban_notices(&self) -> Result<HashMap<UserId, u64>, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT user, told_ms FROM ban_notice")?;
        let mut rows = statement.query([])?;
        let mut notices = HashMap::new();
        while let Some(row) = rows.next()? {
            notices.insert(id(&row.get::<_, String>(0)?, "user")?, unsigned(row.get(1)?));
        }
        Ok(notices)
    }

    /// A banned person is told so now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn tell_banned(&mut self, user: UserId, now_ms: u64) -> Result<(), StoreError> {
        self.write()?
            .prepare_cached(
                "INSERT INTO ban_notice (user, told_ms) VALUES (?1, ?2)
                 ON CONFLICT (user) DO UPDATE SET told_ms = excluded.told_ms",
            )?
            .execute(params![user.as_str(), signed(now_ms)])?;
        Ok(())
    }

    /// Whose names the configuration's names were when they were first looked up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn known_names(&self) -> Result<KnownNames, StoreError> {
        let mut statement = self.read().prepare_cached("SELECT name, user, level FROM known_name")?;
        let mut rows = statement.query([])?;
        let mut names = KnownNames::new();
        while let Some(row) = rows.next()? {
            let level: Option<String> = row.get(2)?;
            let level = level.map(|level| id(&level, "level")).transpose()?;
            names.insert(row.get(0)?, (id(&row.get::<_, String>(1)?, "user")?, level));
        }
        Ok(names)
    }

    /// Keeps whose name it is; forgets the name where it is nobody's any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn know_name(&mut self, name: &str, known: Option<(UserId, Option<Level>)>) -> Result<(), StoreError> {
        let connection = self.write_to_last()?;
        match known {
            None => connection.prepare_cached("DELETE FROM known_name WHERE name = ?1")?.execute([name])?,
            Some((user, level)) => connection
                .prepare_cached(
                    "INSERT INTO known_name (name, user, level) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET user = excluded.user, level = excluded.level",
                )?
                .execute(params![name, user.as_str(), level.map(Level::as_str)])?,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(letter: &str) -> UserId {
        letter.repeat(26).parse().expect("id")
    }

    #[test]
    fn people_bans_notices_and_names_come_back_as_they_were_written_over_a_restart() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("state.db");
        let flags = ["deploy", "on_call"].map(|flag| flag.parse().expect("flag")).into();
        let person = Person { name: "bob".into(), level: Level::Operator, flags, by: "alice".into(), since_ms: 7 };
        let ban = Ban {
            name: "m".into(),
            reason: "'; DROP TABLE ban; --".into(),
            by: "alice".into(),
            since_ms: 8,
            until_ms: Some(9),
        };
        let mut store = Store::open(&path).expect("open");
        store.put_person(user("b"), Some(&person)).expect("written");
        store.put_ban(user("m"), Some(&ban)).expect("written");
        store.tell_banned(user("m"), 5).expect("written");
        store.know_name("bob", Some((user("b"), Some(Level::Operator)))).expect("written");
        store.commit().expect("commit");
        drop(store);
        let mut store = Store::open(&path).expect("open");
        assert_eq!(store.people().expect("read"), [(user("b"), person)].into());
        assert_eq!(store.bans().expect("read"), [(user("m"), ban)].into());
        assert_eq!(store.ban_notices().expect("read"), [(user("m"), 5)].into());
        assert_eq!(store.known_names().expect("read").len(), 1);
        store.put_ban(user("m"), None).expect("written");
        assert!(store.ban_notices().expect("read").is_empty(), "a new ban is told about at once");
    }

    /// Attack row 73: what cannot be read is an error, and never a ban that is not there.
    #[test]
    fn row_73_a_ban_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut store = Store::open(&folder.path().join("state.db")).expect("open");
        let bad = "INSERT INTO ban VALUES ('nobody', 'x', 'x', 'x', 1, NULL)";
        store.write().expect("write").execute(bad, []).expect("written");
        assert!(matches!(store.bans(), Err(StoreError::Corrupt(_))));
        store.write().expect("write").execute("DROP TABLE ban", []).expect("dropped");
        assert!(store.bans().is_err());
    }
}
