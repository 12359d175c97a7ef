//! What operators are told about the machines that scripts may run on, and the public halves that an enrolment needs.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::brain::{BrainError, RecordId};
use crate::config::Target;
use bartizan_proto::control::{Answer, Refusal};
use bartizan_proto::ids::SecretName;
use bartizan_proto::targets::{Keys, Rotate, TargetRow, TargetsAnswer, TargetsRequest};
use bartizan_proto::{List, Text};

impl Core {
    /// An operator asks about targets.
    pub(super) fn targets_for_host(&mut self, request: &TargetsRequest, by: &str) -> Result<Answer, CoreError> {
        let told = match request {
            TargetsRequest::List => Ok(TargetsAnswer::Targets(self.target_rows())),
            TargetsRequest::Keys { login } => self.remote_keys(login.as_ref(), by).map(TargetsAnswer::Keys),
            TargetsRequest::Rotate(step) => self.rotate_remote_key(*step, by).map(TargetsAnswer::Keys),
        };
        let refused = |refusal, error: &BrainError| Answer::Refused { refusal, why: Text::cut(error.to_string()) };
        Ok(match told {
            Ok(told) => Answer::Targets(Box::new(told)),
            Err(BrainError::Store(error)) => return Err(error.into()),
            Err(error @ BrainError::Missing(_)) => refused(Refusal::NotFound, &error),
            Err(error @ (BrainError::NotALogin(_) | BrainError::NoKey(_))) => refused(Refusal::Usage, &error),
            Err(error) => refused(Refusal::Unavailable, &error),
        })
    }

    fn remote_keys(&mut self, login: Option<&SecretName>, by: &str) -> Result<Keys, BrainError> {
        // What may be missing first: a key that is made is made for somebody.
        let login = login.map(|name| self.brain.login_key(&self.store, name)).transpose()?;
        let (key, fresh) = self.brain.remote_key_made(&mut self.store)?;
        let broker = Text::cut(key.public_key().as_str());
        if fresh {
            let what = format!("{by} had the key made that signs orders for other machines: {broker}");
            self.record(&Record::Alert { what });
        }
        let name = Text::cut(self.config.server.url.as_str());
        let next = self.brain.next_remote_key(&self.store)?.map(|key| Text::cut(key.public_key().as_str()));
        Ok(Keys { broker, next, name, fresh, login: login.map(Text::cut) })
    }

    fn rotate_remote_key(&mut self, step: Rotate, by: &str) -> Result<Keys, BrainError> {
        let changed = self.brain.rotate_remote_key(&mut self.store, step)?;
        let keys = self.remote_keys(None, by)?;
        let (now, next) = (&keys.broker, keys.next.as_deref().unwrap_or_default());
        if changed {
            let what = match step {
                Rotate::Announce => {
                    format!("{by} had another key made that will sign orders for other machines: {next}")
                }
                Rotate::Switch => format!("{by} had the key exchanged that signs orders for other machines: {now}"),
                Rotate::Withdraw => {
                    format!("{by} gave up exchanging the key that signs orders for other machines: {now}")
                }
            };
            self.record(&Record::Alert { what });
        }
        Ok(keys)
    }

    fn target_rows(&self) -> List<TargetRow, { bartizan_proto::limits::MAX_ROWS }> {
        let known = &self.config.targets;
        let row = |target: &Target| {
            let groups = known.groups.iter().filter(|(_, members)| members.contains(&target.name));
            TargetRow {
                name: Text::cut(target.name.as_str()),
                host: target.host.clone(),
                port: target.port,
                user: Text::cut(target.user.as_str()),
                key: Text::cut(target.key.as_ref().map(ToString::to_string).unwrap_or_default()),
                host_keys: List::cut(target.host_keys.iter().map(|key| Text::cut(fingerprint(key)))),
                groups: Text::cut(groups.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")),
                problem: Text::cut(self.problem_of(target).unwrap_or_default()),
            }
        };
        List::cut(known.targets.values().map(row))
    }

    fn problem_of(&self, target: &Target) -> Option<String> {
        if !self.brain.is_open() {
            return Some("the brain is not open, and its keys are in there".to_owned());
        }
        let key = target.key.as_ref()?;
        (!self.brain.contains(&RecordId::secret(key)))
            .then(|| format!("there is no secret {key}: bartizan secret set {key} < PRIVATE-KEY"))
    }
}

/// As `ssh-keygen -l` shows it, with the kind before it.
fn fingerprint(key: &str) -> String {
    let kind = key.split(' ').next().unwrap_or_default();
    format!("{kind} {}", bartizan_audit::openssh_fingerprint(key).unwrap_or_default())
}
