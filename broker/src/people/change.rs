//! May this change of rights be made, and what does it come to? Pure: nothing is written here.
//!
//! Called with a target that egress attested, for chat's commands and for the control socket's alike, in the turn that
//! writes the result: two changes in one turn are decided one after the other, so that no two admins can remove each other.

use super::{Ban, People, Person, Source};
use crate::config::Level;
use bartizan_proto::egress::AttestedUser;
use bartizan_proto::ids::{FlagName, UserId};
use bartizan_proto::limits::MAX_FLAGS;
use std::collections::BTreeSet;

/// Who makes a change.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The person in chat; nobody for the host's operator, who is above all of this.
    pub user: Option<UserId>,
    /// For the record.
    pub name: String,
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A level.
    Level(Level),
    /// Off the list.
    Remove,
    /// Flags.
    Flags {
        /// To be given.
        add: BTreeSet<FlagName>,
        /// To be taken away.
        remove: BTreeSet<FlagName>,
    },
    /// A ban.
    Ban {
        /// Why.
        reason: String,
        /// Until when, in ms since 1970.
        until_ms: Option<u64>,
    },
    /// The end of a ban.
    Unban,
    /// The first admin.
    Bootstrap {
        /// Also where there is one already.
        again: bool,
    },
}

/// What is to be written: a row as it is to be, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Of a person.
    Person(Option<Person>),
    /// Of a ban.
    Ban(Option<Ban>),
}

/// Why a change is not made. The text is for whoever asked for it; the name in it is the attested one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A bot account.
    #[error("{0} is a bot account, and bots command nothing here")]
    Bot(String),
    /// A guest or a remote account.
    #[error("{0} is a guest or an account of another server, which counts as user at most and has no flags")]
    Restricted(String),
    /// A deactivated account.
    #[error("{0} is a deactivated account")]
    Deactivated(String),
    /// It stands in the file.
    #[error("{0} is listed in people.toml, which is not changed from here: change that file and reload")]
    InFile(String),
    /// The last admin.
    #[error("{0} is the last admin: make another one first")]
    LastAdmin(String),
    /// Oneself.
    #[error("you cannot take your own admin rights away; another admin can")]
    OwnDemotion,
    /// An admin.
    #[error("{0} is an admin, and admins cannot be banned: take the level away first")]
    AdminBan(String),
    /// Nothing to remove.
    #[error("{0} is not listed, and counts as user")]
    NotListed(String),
    /// Nothing to end.
    #[error("{0} is not banned")]
    NotBanned(String),
    /// A banned person.
    #[error("{0} is banned: end the ban first")]
    Banned(String),
    /// There is an admin already.
    #[error("there is an admin already, who can make others; --again makes one all the same")]
    AdminExists,
    /// More flags than a person may have.
    #[error("{0} would have more than {MAX_FLAGS} flags")]
    TooManyFlags(String),
}

/// Decides. `None` where everything is so already.
///
/// # Errors
/// [`Denied`].
pub fn decide(
    people: &People,
    actor: &Actor,
    target: &AttestedUser,
    deed: &Deed,
    now_ms: u64,
) -> Result<Option<Change>, Denied> {
    match deed {
        Deed::Level(level) => set_level(people, actor, target, *level, now_ms),
        Deed::Remove => remove(people, actor, target, now_ms),
        Deed::Flags { add, remove } => flags(people, actor, target, (add, remove), now_ms),
        Deed::Ban { reason, until_ms } => ban(people, actor, target, (reason, *until_ms), now_ms),
        Deed::Unban => unban(people, target, now_ms),
        Deed::Bootstrap { again } => {
            if people.admins(now_ms) > 0 && !again {
                return Err(Denied::AdminExists);
            }
            set_level(people, actor, target, Level::Admin, now_ms)
        }
    }
}

fn shown(target: &AttestedUser) -> String {
    format!("@{}", target.name)
}

/// Whether more than a user's rights can be given to this account at all.
fn eligible(target: &AttestedUser) -> Result<(), Denied> {
    if target.guest || target.remote {
        return Err(Denied::Restricted(shown(target)));
    }
    if target.deactivated {
        return Err(Denied::Deactivated(shown(target)));
    }
    Ok(())
}

fn no_bot(target: &AttestedUser) -> Result<(), Denied> {
    if target.bot { Err(Denied::Bot(shown(target))) } else { Ok(()) }
}

fn not_in_file(people: &People, target: &AttestedUser) -> Result<(), Denied> {
    match people.person(target.id) {
        Some((_, Source::File)) => Err(Denied::InFile(shown(target))),
        Some((_, Source::Database)) | None => Ok(()),
    }
}

/// Whether this person may lose an admin's rights.
fn not_needed(people: &People, actor: &Actor, target: &AttestedUser, now_ms: u64) -> Result<(), Denied> {
    if people.level(target.id) < Level::Admin {
        return Ok(());
    }
    if people.ban(target.id, now_ms).is_none() && people.admins(now_ms) <= 1 {
        return Err(Denied::LastAdmin(shown(target)));
    }
    if actor.user == Some(target.id) { Err(Denied::OwnDemotion) } else { Ok(()) }
}

fn written(actor: &Actor, target: &AttestedUser, level: Level, flags: BTreeSet<FlagName>, now_ms: u64) -> Person {
    Person { name: target.name.to_string(), level, flags, by: actor.name.clone(), since_ms: now_ms }
}

fn set_level(
    people: &People,
    actor: &Actor,
    target: &AttestedUser,
    level: Level,
    now_ms: u64,
) -> Result<Option<Change>, Denied> {
    no_bot(target)?;
    not_in_file(people, target)?;
    if level > Level::User {
        eligible(target)?;
    }
    if level < Level::Admin {
        not_needed(people, actor, target, now_ms)?;
    } else if people.ban(target.id, now_ms).is_some() {
        return Err(Denied::Banned(shown(target)));
    }
    let before = people.person(target.id).map(|(person, _)| person);
    if before.is_some_and(|before| before.level == level) {
        return Ok(None);
    }
    let flags = before.map(|before| before.flags.clone()).unwrap_or_default();
    Ok(Some(Change::Person(Some(written(actor, target, level, flags, now_ms)))))
}

fn remove(people: &People, actor: &Actor, target: &AttestedUser, now_ms: u64) -> Result<Option<Change>, Denied> {
    not_in_file(people, target)?;
    if people.person(target.id).is_none() {
        return Err(Denied::NotListed(shown(target)));
    }
    not_needed(people, actor, target, now_ms)?;
    Ok(Some(Change::Person(None)))
}

fn flags(
    people: &People,
    actor: &Actor,
    target: &AttestedUser,
    (add, remove): (&BTreeSet<FlagName>, &BTreeSet<FlagName>),
    now_ms: u64,
) -> Result<Option<Change>, Denied> {
    no_bot(target)?;
    not_in_file(people, target)?;
    if !add.is_empty() {
        eligible(target)?;
    }
    let before = people.person(target.id).map(|(person, _)| person);
    let had = before.map(|before| before.flags.clone()).unwrap_or_default();
    let mut flags: BTreeSet<FlagName> = had.union(add).cloned().collect();
    flags.retain(|flag| !remove.contains(flag));
    if flags.len() > MAX_FLAGS {
        return Err(Denied::TooManyFlags(shown(target)));
    }
    if flags == had {
        return Ok(None);
    }
    let level = before.map_or(Level::User, |before| before.level);
    Ok(Some(Change::Person(Some(written(actor, target, level, flags, now_ms)))))
}

fn ban(
    people: &People,
    actor: &Actor,
    target: &AttestedUser,
    (reason, until_ms): (&str, Option<u64>),
    now_ms: u64,
) -> Result<Option<Change>, Denied> {
    no_bot(target)?;
    if people.level(target.id) == Level::Admin {
        return Err(Denied::AdminBan(shown(target)));
    }
    if matches!(people.ban(target.id, now_ms), Some((_, Source::File))) {
        return Err(Denied::InFile(shown(target)));
    }
    Ok(Some(Change::Ban(Some(Ban {
        name: target.name.to_string(),
        reason: reason.to_owned(),
        by: actor.name.clone(),
        since_ms: now_ms,
        until_ms,
    }))))
}

fn unban(people: &People, target: &AttestedUser, now_ms: u64) -> Result<Option<Change>, Denied> {
    match people.ban(target.id, now_ms) {
        None => Err(Denied::NotBanned(shown(target))),
        Some((_, Source::File)) => Err(Denied::InFile(shown(target))),
        Some((_, Source::Database)) => Ok(Some(Change::Ban(None))),
    }
}
