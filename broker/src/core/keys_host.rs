//! What the host's operator does with the keys that approvals are signed with: register one, take one away, look.

use super::people_host::unavailable;
use super::{Core, CoreError, Topic};
use crate::audit::Record;
use crate::people::keys::Owner;
use crate::words::approvals as say;
use bartizan_audit::PersonKey;
use bartizan_proto::control::{Answer, Refusal};
use bartizan_proto::egress::AttestedUser;
use bartizan_proto::people::{Done, KeyRow, PeopleAnswer};
use bartizan_proto::{List, Text};

impl Core {
    /// It is known whose it is to be.
    pub(super) fn add_key(&mut self, key: PersonKey, user: &AttestedUser) -> Result<Answer, CoreError> {
        if let Some(cause) = self.audit.cannot_record() {
            return Ok(unavailable(&cause));
        }
        let Some(policy) = &mut self.policy else { return Ok(unavailable("the service does not know the server now")) };
        let owner = Owner { user: user.id, name: user.name.to_string(), added_ms: crate::store::now_ms() };
        let (fingerprint, name) = (key.fingerprint(), user.name.as_str());
        let changed = match policy.people.keys.add(key.clone(), owner.clone()) {
            Ok(changed) => changed,
            Err(why) => return Ok(Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) }),
        };
        let what = if changed {
            self.store.put_person_key(&key, Some(&owner))?;
            self.record_key(&owner, "added", &key);
            self.alert(Topic::ApprovalKey, &say::alert_key_added(name, &fingerprint))?;
            format!("{name} can sign approvals with {fingerprint} now.")
        } else {
            format!("{name} could sign approvals with {fingerprint} already.")
        };
        Ok(Answer::People(PeopleAnswer::Done(Done { user: user.id, changed, what: Text::cut(what) })))
    }

    /// By its text or its fingerprint: a key is one person's.
    pub(super) fn remove_key(&mut self, text: &str) -> Result<Answer, CoreError> {
        if let Some(cause) = self.audit.cannot_record() {
            return Ok(unavailable(&cause));
        }
        let Some(policy) = &mut self.policy else { return Ok(unavailable("the service does not know the server now")) };
        let found = policy.people.keys.find(text).cloned();
        let Some((key, owner)) = found.and_then(|key| Some((key.clone(), policy.people.keys.remove(&key)?))) else {
            let why = "no such key is registered; `bartizan people key list` shows them".to_owned();
            return Ok(Answer::Refused { refusal: Refusal::NotFound, why: Text::cut(why) });
        };
        self.store.put_person_key(&key, None)?;
        self.record_key(&owner, "removed", &key);
        let (name, fingerprint) = (&owner.name, key.fingerprint());
        self.alert(Topic::ApprovalKey, &say::alert_key_removed(name, &fingerprint))?;
        let what = format!("{name} cannot sign approvals with {fingerprint} any more; what waits by it does not run.");
        Ok(Answer::People(PeopleAnswer::Done(Done { user: owner.user, changed: true, what: Text::cut(what) })))
    }

    /// All of them.
    pub(super) fn list_keys(&self) -> PeopleAnswer {
        let keys = self.policy.iter().flat_map(|policy| policy.people.keys.iter());
        PeopleAnswer::Keys(List::cut(keys.map(|(key, owner)| KeyRow {
            user: owner.user,
            name: Text::cut(owner.name.as_str()),
            key: Text::cut(key.as_str()),
            fingerprint: Text::cut(key.fingerprint()),
            added_ms: owner.added_ms,
        })))
    }

    fn record_key(&mut self, owner: &Owner, step: &'static str, key: &PersonKey) {
        let (user, name, key) = (owner.user, owner.name.clone(), key.fingerprint());
        tracing::info!(%user, name, step, key, "approval key");
        self.record_first(&Record::PersonKey { user, name, step, key });
    }
}
