//! A secret that comes by direct message, where the configuration allows it: kept like one that was set on the host.
//!
//! The value is in the post and in the memory it passes through; it is written into the brain and nowhere else.

use super::obey::not_for;
use super::{Core, CoreError};
use crate::audit::Gate;
use crate::brain::{BrainError, RecordId, unreserved};
use crate::command::parse::Command;
use crate::command::{Builtin, secret};
use crate::gate::Refusal;
use crate::policy::{Place, Requester};
use crate::words;
use bartizan_proto::connector::Report;

impl Core {
    /// `secret set NAME VALUE`.
    pub(super) fn secret_command(
        &mut self,
        report: &Report,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if let Some((refusal, cause, gates)) = not_for(Builtin::Secret, requester, policy) {
            return self.refuse(report, refusal, &cause, gates);
        }
        let gates =
            |last: &'static str, passed| vec![Gate { name: "permission", passed: true }, Gate { name: last, passed }];
        if !place.direct {
            return self.refuse(report, Refusal::SecretHere, "a secret in a channel", gates("channel", false));
        }
        if !policy.config.brain.by_direct_message {
            let cause = "[brain] secrets-by-direct-message is false";
            return self.refuse(report, Refusal::SecretOff, cause, gates("channel", false));
        }
        let (name, value) = match secret::read(&command.words) {
            Ok(read) => read,
            Err(error) => return self.refuse_usage(report, Builtin::Secret, error, gates("arguments", false)),
        };
        if let Some(cause) = self.audit.cannot_record() {
            return self.refuse(report, Refusal::Unrecorded, &cause, gates("arguments", true));
        }
        let id = RecordId::secret(&name);
        let put = unreserved(&id).and_then(|()| self.brain.put(&mut self.store, &id, value.as_bytes()));
        let error = match put {
            Ok(()) => None,
            Err(BrainError::Store(error)) => return Err(error.into()),
            Err(error) => Some(error.to_string()),
        };
        let by = format!("{} {}", requester.user, requester.name);
        self.record_brain("secret-set", Some(name.to_string()), by, error.clone());
        let name = name.to_string();
        let text = error.map_or_else(|| words::secret_kept(&name), |error| words::secret_not_kept(&name, &error));
        self.answer(report, gates("arguments", true), text)
    }
}
