//! Somebody's second factor: made, taken away, its secret read, its codes burned. What codes are worth is
//! [`crate::elevation`]'s; what waits for one is `elevation.rs`'s.

use super::{Core, CoreError};
use crate::audit::{Gate, Record};
use crate::brain::{BrainError, RecordId};
use crate::command::{elevate, is_confiding};
use crate::elevation::{picture, recovery, totp};
use crate::gate::Refusal;
use crate::policy::Requester;
use crate::words::elevation as say;
use bartizan_proto::connector::{Attachment, Report};
use bartizan_proto::egress::ProtectedAct;
use bartizan_proto::ids::UserId;
use bartizan_proto::{Bytes, Text};
use bartizan_secret::SecretBytes;

impl Core {
    /// Makes a secret, and sends it once.
    pub(super) fn enrol_in_chat(&mut self, report: &Report, requester: &Requester) -> Result<(), CoreError> {
        let gate = |passed| vec![Gate { name: "elevation", passed }];
        let refused = |words: &str| Refusal::Said(words.to_owned());
        if !self.config.elevation.by_direct_message {
            let cause = "[elevation] enrol-by-direct-message is false";
            return self.refuse(report, refused(say::HOST_ONLY), cause, gate(false));
        }
        let uri = match self.begin_factor(requester.user, &requester.name)? {
            Ok(uri) => uri,
            Err(Unenrolled::HasOne) => {
                return self.refuse(report, refused(say::HAS_ONE), "there is a second factor already", gate(false));
            }
            Err(Unenrolled::Failed(why)) => {
                return self.refuse(report, refused(say::UNAVAILABLE), &why, gate(false));
            }
        };
        self.record_factor(requester, "enrolment-begun", "chat", None);
        self.record_decision(report, &report.text, None, gate(true));
        self.store.decided(report.post)?;
        let picture = picture::png(&uri).ok().and_then(|png| Bytes::new(png).ok());
        let attachment = picture.map(|content| Attachment { name: Text::cut(say::PICTURE), content });
        self.say_once(report, &say::enrol(&uri), attachment)
    }

    /// Begins an enrolment: a new secret, in the brain. What an authenticator is given.
    pub(super) fn begin_factor(&mut self, user: UserId, name: &str) -> Result<Result<String, Unenrolled>, CoreError> {
        let failed = |error: String| Ok(Err(Unenrolled::Failed(error)));
        if self.elevation.factors.get(user).is_some_and(|factor| factor.confirmed) {
            return Ok(Err(Unenrolled::HasOne));
        }
        let key = match crate::brain::seal::new_key() {
            Ok(key) => key,
            Err(error) => return failed(error.to_string()),
        };
        let secret = &key.expose()[..totp::SECRET];
        match self.brain.put(&mut self.store, &RecordId::second_factor(user), secret) {
            Ok(()) => {}
            Err(BrainError::Store(error)) => return Err(error.into()),
            Err(error) => return failed(error.to_string()),
        }
        let now = self.both_clocks();
        self.elevation.factors.begin(&mut self.store, user, name, now)?;
        Ok(Ok(totp::uri(secret, name)))
    }

    /// A line in a channel may have codes in it: none of them is taken from now on, and the post is deleted where that is
    /// allowed.
    pub(super) fn burn_codes(&mut self, report: &Report, requester: &Requester, line: &str) -> Result<(), CoreError> {
        if elevate::withheld(line).is_none() {
            return Ok(());
        }
        let now = self.both_clocks();
        let codes = elevate::codes(line);
        let recovery: Vec<&str> = line.split_whitespace().filter(|word| recovery::is_one(word)).collect();
        let mut burned = false;
        if !codes.is_empty()
            && let Ok(Some(secret)) = self.factor_secret(requester.user)?
        {
            for code in &codes {
                let given = (secret.expose(), code.as_str());
                burned |= self.elevation.factors.burn(&mut self.store, requester.user, given, now)?;
            }
        }
        for word in &recovery {
            let hash = recovery::hash(requester.user.as_str(), word);
            burned |= self.store.take_recovery_code(requester.user, &hash)?;
        }
        if burned {
            self.record_factor(requester, "burned", "channel", None);
        }
        // A number that is no code, and was not said to be one, is nobody's business.
        let meant = elevate::name(line).is_some() && !(codes.is_empty() && recovery.is_empty());
        if !burned && !meant {
            return Ok(());
        }
        self.store.write_protected(&ProtectedAct::Delete { post: report.post, channel: report.channel })?;
        self.protected.more();
        Ok(())
    }

    /// Whether a post has something in it that is for the bot alone: a secret, or a code of the author's second factor.
    pub(super) fn is_confided(&mut self, requester: &Requester, text: &str) -> Result<bool, CoreError> {
        if is_confiding(text) {
            return Ok(true);
        }
        let (codes, user) = (elevate::codes(text), requester.user);
        let recovery = text.split_whitespace().any(recovery::is_one);
        if codes.is_empty() && !recovery {
            return Ok(false);
        }
        let Ok(Some(secret)) = self.factor_secret(user)? else { return Ok(false) };
        let now = self.both_clocks();
        Ok(recovery || codes.iter().any(|code| totp::find(secret.expose(), code, now.host_ms).is_some()))
    }

    /// A live code as the answer to a question: it is not taken any more. Were it taken, or only left alone, answers would be a
    /// way to guess codes that nobody counts.
    pub(super) fn burn_answer(&mut self, report: &Report, requester: &Requester) -> Result<(), CoreError> {
        let now = self.both_clocks();
        let mut burned = false;
        if let Ok(Some(secret)) = self.factor_secret(requester.user)? {
            for code in elevate::codes(&report.text) {
                let given = (secret.expose(), code.as_str());
                burned |= self.elevation.factors.burn(&mut self.store, requester.user, given, now)?;
            }
        }
        for word in report.text.split_whitespace().filter(|word| recovery::is_one(word)) {
            let hash = recovery::hash(requester.user.as_str(), word);
            burned |= self.store.take_recovery_code(requester.user, &hash)?;
        }
        if burned {
            self.record_factor(requester, "burned", "answer", None);
        }
        let cause = "what may be a code of the second factor is no answer";
        self.refuse(report, Refusal::Said(say::NO_ANSWER.to_owned()), cause, Vec::new())
    }

    /// Somebody's secret; none where there is no second factor.
    pub(super) fn factor_secret(&mut self, user: UserId) -> Result<Result<Option<SecretBytes>, String>, CoreError> {
        if self.elevation.factors.get(user).is_none() {
            return Ok(Ok(None));
        }
        match self.brain.get(&self.store, &RecordId::second_factor(user)) {
            Ok(secret) => Ok(Ok(Some(secret))),
            Err(BrainError::Store(error)) => Err(error.into()),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Takes somebody's second factor away. Whether there was one.
    pub(super) fn reset_factor(&mut self, user: UserId) -> Result<Result<bool, String>, CoreError> {
        self.let_go(user)?;
        let there = self.elevation.factors.reset(&mut self.store, user)?;
        match self.brain.remove(&mut self.store, &RecordId::second_factor(user)) {
            Ok(()) | Err(BrainError::Missing(_)) => Ok(Ok(there)),
            Err(BrainError::Store(error)) => Err(error.into()),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    pub(super) fn record_factor(
        &mut self,
        requester: &Requester,
        step: &'static str,
        how: &'static str,
        why: Option<String>,
    ) {
        tracing::info!(user = %requester.user, step, how, ?why, "second factor");
        let (user, name) = (requester.user, requester.name.to_string());
        self.record_first(&Record::Elevation { user, name, step, how, why });
    }
}

/// Why nobody was enrolled.
#[derive(Debug)]
pub(super) enum Unenrolled {
    /// There is a second factor.
    HasOne,
    /// The brain does not take it.
    Failed(String),
}
