//! The keys that people sign approvals with, outside of chat: registered on the host and nowhere else, each for one person.

use bartizan_audit::PersonKey;
use bartizan_proto::ids::UserId;
use std::collections::BTreeMap;

/// Most keys of one person, and of all.
const MOST_OF_ONE: usize = 8;
const MOST: usize = bartizan_proto::limits::MAX_ROWS;

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Whose.
    pub user: UserId,
    /// Their name when it was registered.
    pub name: String,
    /// When, in ms since 1970.
    pub added_ms: u64,
}

/// Every key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<PersonKey, Owner>);

impl Keys {
    /// From what the database has.
    pub fn new(keys: BTreeMap<PersonKey, Owner>) -> Self {
        Self(keys)
    }

    /// Whose a key is; nobody's where it is not registered.
    pub fn owner(&self, key: &PersonKey) -> Option<UserId> {
        self.0.get(key).map(|owner| owner.user)
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&PersonKey, &Owner)> {
        self.0.iter()
    }

    /// The key that somebody means by its text or its fingerprint.
    pub fn find(&self, text: &str) -> Option<&PersonKey> {
        let text = text.trim();
        let key: Option<PersonKey> = text.parse().ok();
        self.0.keys().find(|known| key.as_ref() == Some(*known) || known.fingerprint() == text)
    }

    /// Registers one. Whether it is new.
    ///
    /// # Errors
    /// Why it cannot be, for the host's operator.
    pub fn add(&mut self, key: PersonKey, owner: Owner) -> Result<bool, String> {
        match self.0.get(&key) {
            Some(known) if known.user == owner.user => return Ok(false),
            // Of two people who have one key, nobody could say which of them signed.
            Some(known) => return Err(format!("the key is registered for {} ({}) already", known.name, known.user)),
            None => {}
        }
        if self.0.len() >= MOST || self.0.values().filter(|known| known.user == owner.user).count() >= MOST_OF_ONE {
            return Err(format!("there are too many keys: at most {MOST_OF_ONE} of one person, {MOST} of all"));
        }
        self.0.insert(key, owner);
        Ok(true)
    }

    /// Takes one away.
    pub fn remove(&mut self, key: &PersonKey) -> Option<Owner> {
        self.0.remove(key)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Private and public keys as `ssh-keygen` makes them.
    pub const ALICE: (&str, &str) = (
        include_str!("../../../audit/tests/person/id_ed25519"),
        include_str!("../../../audit/tests/person/id_ed25519.pub"),
    );

    #[test]
    fn a_key_is_one_persons_and_found_by_its_fingerprint() {
        let owner = |letter: &str| Owner {
            user: letter.repeat(26).parse().expect("an id"),
            name: letter.to_owned(),
            added_ms: 1,
        };
        let key: PersonKey = ALICE.1.parse().expect("a key");
        let mut keys = Keys::default();
        assert_eq!(keys.add(key.clone(), owner("a")), Ok(true));
        assert_eq!(keys.add(key.clone(), owner("a")), Ok(false));
        assert!(keys.add(key.clone(), owner("b")).expect_err("refused").contains("already"));
        assert_eq!(keys.owner(&key), Some(owner("a").user));
        assert_eq!(keys.find(&key.fingerprint()), Some(&key));
        assert_eq!(keys.find(ALICE.1), Some(&key));
        assert_eq!(keys.find("alice"), None);
        assert!(keys.remove(&key).is_some() && keys.owner(&key).is_none());
    }
}
