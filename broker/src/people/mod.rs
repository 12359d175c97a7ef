//! People: levels, flags and bans by Mattermost user id; a name is only ever shown.
//!
//! What stands in `people.toml` is so whatever the database says, and only a change of that file changes it. For everybody
//! else the database is what counts, and who stands nowhere is a `user`. A ban is a row of its own beside the level.

pub mod change;
pub mod duration;
pub mod keys;
#[cfg(test)]
mod tests;

use crate::config::Level;
use bartizan_proto::ids::{FlagName, UserId};
use std::collections::{BTreeSet, HashMap};

/// Who is recorded as the one who wrote what `people.toml` says.
pub const BY_FILE: &str = "people.toml";

/// Who is recorded as the one who wrote what `[people]` in `bartizan.toml` says.
pub const BY_CONFIG: &str = "bartizan.toml";

/// What a person may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name when it was last seen.
    pub name: String,
    /// Never [`Level::Banned`]: a ban is a [`Ban`].
    pub level: Level,
    /// Their flags.
    pub flags: BTreeSet<FlagName>,
    /// Who said so.
    pub by: String,
    /// When, in ms since 1970.
    pub since_ms: u64,
}

/// That a person may do nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Their name when it was last seen.
    pub name: String,
    /// Why, in the words of who banned them.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
    /// Until when; for ever where there is nothing.
    pub until_ms: Option<u64>,
}

impl Ban {
    /// Whether it holds at that time.
    pub fn holds(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

/// Where a person's rights stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `people.toml`.
    File,
    /// The database.
    Database,
}

impl Source {
    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::File => BY_FILE,
            Source::Database => "database",
        }
    }
}

/// Everybody who is listed or banned.
#[derive(Debug, Default)]
pub struct People {
    database: HashMap<UserId, Person>,
    bans: HashMap<UserId, Ban>,
    file: HashMap<UserId, Person>,
    file_bans: HashMap<UserId, Ban>,
    /// What approvals are signed with.
    pub keys: keys::Keys,
}

impl People {
    /// From what the database has.
    pub fn new(database: HashMap<UserId, Person>, bans: HashMap<UserId, Ban>) -> Self {
        Self { database, bans, ..Self::default() }
    }

    /// Takes in what `people.toml` says of one person; [`Level::Banned`] is a ban for ever.
    pub fn in_file(&mut self, user: UserId, name: &str, level: Level, flags: BTreeSet<FlagName>) {
        let (name, by) = (name.to_owned(), BY_FILE.to_owned());
        if level == Level::Banned {
            let reason = format!("by {BY_FILE}");
            self.file_bans.insert(user, Ban { name, reason, by, since_ms: 0, until_ms: None });
        } else {
            self.file.insert(user, Person { name, level, flags, by, since_ms: 0 });
        }
    }

    /// What is said of a person, and where; nothing of somebody who is not listed.
    pub fn person(&self, user: UserId) -> Option<(&Person, Source)> {
        let file = self.file.get(&user).map(|person| (person, Source::File));
        file.or_else(|| self.database.get(&user).map(|person| (person, Source::Database)))
    }

    /// The ban of a person that holds at that time, and where it stands.
    pub fn ban(&self, user: UserId, now_ms: u64) -> Option<(&Ban, Source)> {
        let file = self.file_bans.get(&user).map(|ban| (ban, Source::File));
        file.or_else(|| self.bans.get(&user).filter(|ban| ban.holds(now_ms)).map(|ban| (ban, Source::Database)))
    }

    /// A person's row in the database, whatever the file says.
    pub fn own(&self, user: UserId) -> Option<&Person> {
        self.database.get(&user)
    }

    /// A ban's row in the database, ended or not.
    pub fn own_ban(&self, user: UserId) -> Option<&Ban> {
        self.bans.get(&user)
    }

    /// Their level, bans left aside. Who is not listed is a `user`.
    pub fn level(&self, user: UserId) -> Level {
        self.person(user).map_or(Level::User, |(person, _)| person.level)
    }

    /// Whether they have a flag.
    pub fn has_flag(&self, user: UserId, flag: &FlagName) -> bool {
        self.person(user).is_some_and(|(person, _)| person.flags.contains(flag))
    }

    /// How many admins there are who are not banned.
    pub fn admins(&self, now_ms: u64) -> usize {
        self.listed().filter(|user| self.is_admin(*user, now_ms)).count()
    }

    /// Those admins.
    pub fn all_admins(&self, now_ms: u64) -> Vec<(UserId, Person)> {
        let admins = self.listed().filter(|user| self.is_admin(*user, now_ms));
        admins.filter_map(|user| self.person(user).map(|(person, _)| (user, person.clone()))).collect()
    }

    /// Whether this person is an admin, and nobody else.
    pub fn is_last_admin(&self, user: UserId, now_ms: u64) -> bool {
        self.is_admin(user, now_ms) && self.admins(now_ms) <= 1
    }

    fn is_admin(&self, user: UserId, now_ms: u64) -> bool {
        self.level(user) == Level::Admin && self.ban(user, now_ms).is_none()
    }

    /// Where nobody is an admin: those who are one in the database stay so whatever the file says, and where there is none,
    /// those who were one `before`. Gives their names.
    pub fn keep_an_admin(&mut self, before: Vec<(UserId, Person)>, now_ms: u64) -> Vec<String> {
        if self.admins(now_ms) > 0 {
            return Vec::new();
        }
        let not_banned = |user: &UserId| !self.bans.get(user).is_some_and(|ban| ban.holds(now_ms));
        let own = self.database.iter().filter(|(user, person)| person.level == Level::Admin && not_banned(user));
        let own: Vec<(UserId, String)> = own.map(|(user, person)| (*user, person.name.clone())).collect();
        for (user, _) in &own {
            self.file.remove(user);
            self.file_bans.remove(user);
        }
        if !own.is_empty() {
            return own.into_iter().map(|(_, name)| name).collect();
        }
        let mut kept = Vec::new();
        for (user, person) in before {
            self.file_bans.remove(&user);
            kept.push(person.name.clone());
            self.file.insert(user, person);
        }
        kept
    }

    /// Everybody who is listed, in no order.
    pub fn listed(&self) -> impl Iterator<Item = UserId> {
        let only_database = self.database.keys().filter(|user| !self.file.contains_key(*user));
        self.file.keys().chain(only_database).copied()
    }

    /// Everybody who is banned at that time, in no order.
    pub fn banned(&self, now_ms: u64) -> impl Iterator<Item = (UserId, &Ban)> {
        let only_database =
            self.bans.iter().filter(move |(user, ban)| !self.file_bans.contains_key(*user) && ban.holds(now_ms));
        self.file_bans.iter().chain(only_database).map(|(user, ban)| (*user, ban))
    }

    /// The bans of the database that have ended by that time.
    pub fn expired(&self, now_ms: u64) -> Vec<UserId> {
        self.bans.iter().filter(|(_, ban)| !ban.holds(now_ms)).map(|(user, _)| *user).collect()
    }

    /// When the next ban ends by itself, in ms since 1970.
    pub fn next_expiry(&self) -> Option<u64> {
        self.bans.values().filter_map(|ban| ban.until_ms).min()
    }

    /// Whether the name that is shown is another than the one seen now, in the database's rows.
    pub fn is_renamed(&self, user: UserId, name: &str) -> bool {
        self.database.get(&user).is_some_and(|person| person.name != name)
            || self.bans.get(&user).is_some_and(|ban| ban.name != name)
    }

    /// Shows a person under the name that they have now. Nothing else changes.
    pub fn rename(&mut self, user: UserId, name: &str) {
        if let Some(person) = self.database.get_mut(&user) {
            name.clone_into(&mut person.name);
        }
        if let Some(ban) = self.bans.get_mut(&user) {
            name.clone_into(&mut ban.name);
        }
    }

    /// Puts a person's row in the place of the one there was, or takes it away.
    pub fn put_person(&mut self, user: UserId, person: Option<Person>) {
        match person {
            Some(person) => self.database.insert(user, person),
            None => self.database.remove(&user),
        };
    }

    /// The same for a ban.
    pub fn put_ban(&mut self, user: UserId, ban: Option<Ban>) {
        match ban {
            Some(ban) => self.bans.insert(user, ban),
            None => self.bans.remove(&user),
        };
    }
}
