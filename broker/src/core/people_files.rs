//! What the configuration's files say of people: `[people]` of bartizan.toml, which is taken over into the database, and
//! `people.toml`, which is stronger.
//!
//! Neither takes the last admin's rights away: whoever loses them makes another one first, or names one in the same file.

use super::{Core, CoreError, Topic};
use crate::config::Level;
use crate::people::change::Actor;
use crate::people::{BY_CONFIG, BY_FILE, Ban, Person};
use crate::policy::Policy;
use bartizan_proto::ids::UserId;
use std::cmp::Reverse;

impl Core {
    /// Takes over what `[people]` says: an entry that is new or was changed, and the removal of one, unless somebody has
    /// changed that person since. Called on a policy that was just made.
    pub(crate) fn take_over_people(&mut self) -> Result<(), CoreError> {
        let mut entries: Vec<(String, Level)> =
            self.config.people.iter().map(|(name, level)| (name.clone(), *level)).collect();
        // Whoever becomes an admin is one before another one ceases to be.
        entries.sort_by_key(|(_, level)| Reverse(*level));
        let admins = entries.iter().take_while(|(_, level)| *level == Level::Admin).count();
        let others = entries.split_off(admins);
        let known = self.store.known_names()?;
        let actor = Actor { user: None, name: BY_CONFIG.to_owned() };
        let level_known = |name: &str| known.get(name).and_then(|(_, level)| *level);
        // 1. New admins.
        let mut given = Vec::new();
        for (name, level) in entries {
            given.extend(self.take_over(&name, level, level_known(&name), &actor)?);
        }
        // 2. What is gone.
        let wanted = Policy::person_names(&self.config);
        for (name, (user, level)) in &known {
            if level.is_some() && !self.config.people.contains_key(name) {
                // The same person may stand there under another name.
                if given.contains(user) || self.take_back(*user, name, &actor)? {
                    self.store.know_name(name, wanted.contains(name).then_some((*user, None)))?;
                }
            } else if !wanted.contains(name) && name.parse::<UserId>().is_err() {
                self.store.know_name(name, None)?;
            }
        }
        // 3. What else is new or another.
        for (name, level) in others {
            self.take_over(&name, level, level_known(&name), &actor)?;
        }
        Ok(())
    }

    /// Takes one entry over, if it is not known like that already. Whose rights it changed.
    fn take_over(
        &mut self,
        name: &str,
        level: Level,
        known: Option<Level>,
        actor: &Actor,
    ) -> Result<Option<UserId>, CoreError> {
        let by_name = self.policy.as_ref().and_then(|policy| policy.names.get(name).copied());
        let Some(user) = by_name.or_else(|| name.parse().ok()).filter(|_| known != Some(level)) else {
            return Ok(None);
        };
        if level < Level::Admin && self.is_last_admin(user) {
            self.tell_of_last_admin(BY_CONFIG, name)?;
            return Ok(None);
        }
        self.give(user, name, level, actor)?;
        self.store.know_name(name, Some((user, Some(level))))?;
        Ok(Some(user))
    }

    fn give(&mut self, user: UserId, name: &str, level: Level, actor: &Actor) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let since_ms = policy.now_ms();
        let (name, by) = (name.to_owned(), actor.name.clone());
        if level == Level::Banned {
            let reason = format!("by {BY_CONFIG}");
            let ban = Ban { name: name.clone(), reason, by, since_ms, until_ms: None };
            return self.put_ban(user, &name, Some(ban), actor);
        }
        let own_ban = policy.people.own_ban(user).is_some_and(|ban| ban.by == BY_CONFIG);
        let flags = policy.people.own(user).map(|person| person.flags.clone()).unwrap_or_default();
        if own_ban {
            self.put_ban(user, &name, None, actor)?;
        }
        self.put_person(user, &name.clone(), Some(Person { name, level, flags, by, since_ms }), actor)
    }

    /// Takes away what an entry gave that is gone. `false` where that may not be: it is tried again with the next start or
    /// reload.
    fn take_back(&mut self, user: UserId, name: &str, actor: &Actor) -> Result<bool, CoreError> {
        let Some(policy) = &self.policy else { return Ok(true) };
        let person = policy.people.own(user).is_some_and(|person| person.by == BY_CONFIG);
        let ban = policy.people.own_ban(user).is_some_and(|ban| ban.by == BY_CONFIG);
        if person && self.is_last_admin(user) {
            self.tell_of_last_admin(BY_CONFIG, name)?;
            return Ok(false);
        }
        if person {
            self.put_person(user, name, None, actor)?;
        }
        if ban {
            self.put_ban(user, name, None, actor)?;
        }
        Ok(true)
    }

    /// Where `people.toml` leaves nobody as an admin, those who were one stay so. `before` are the admins of the policy
    /// before this one.
    pub(crate) fn keep_an_admin(&mut self, before: Vec<(UserId, Person)>) -> Result<(), CoreError> {
        let Some(policy) = &mut self.policy else { return Ok(()) };
        let now_ms = policy.now_ms();
        for name in policy.people.keep_an_admin(before, now_ms) {
            self.tell_of_last_admin(BY_FILE, &name)?;
        }
        Ok(())
    }

    fn is_last_admin(&self, user: UserId) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.people.is_last_admin(user, policy.now_ms()))
    }

    fn tell_of_last_admin(&mut self, file: &str, name: &str) -> Result<(), CoreError> {
        let what = format!(
            "{file} would leave nobody as an admin, so {name} stays one: make another one first, or name one in that file"
        );
        self.alert(Topic::LastAdmin, &what)
    }
}
