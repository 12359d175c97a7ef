//! The bot's token in the core's loop: taken over from a file, lent to egress, exchanged while egress runs.

use super::timers::Timer;
use super::{Core, CoreError};
use crate::brain::{BrainError, RecordId};
use crate::supervise::State;
use bartizan_proto::brain::BrainAnswer;
use bartizan_proto::control::Answer;
use bartizan_proto::egress::{ToEgress, TokenVerdict};
use bartizan_proto::limits::MAX_TOKEN;
use bartizan_proto::{Confidential, Role, Text};
use bartizan_secret::{SecretBytes, Zeroizing};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long egress may ask the server about a new token.
const TO_CHECK: Duration = Duration::from_secs(8);

/// Shortest token, as egress takes it.
const MIN_TOKEN: usize = 8;

/// A new token that egress asks the server about, and the operator who waits for it.
#[derive(Debug)]
pub struct NewToken {
    token: SecretBytes,
    /// Only if the server knows it, and as the same bot.
    checked: bool,
    uid: u32,
    answer: oneshot::Sender<Answer>,
}

impl Core {
    /// A token in `[bot] token-file` is taken over once; afterwards the brain's counts.
    pub(super) fn adopt_token(&mut self) -> Result<(), CoreError> {
        let Some(path) = self.config.bot.token_file.clone().filter(|_| self.brain.is_open()) else { return Ok(()) };
        if self.brain.has_token() {
            let what = format!(
                "{} is not read any more: the brain has the token; remove the file and the line",
                path.display()
            );
            tracing::warn!("{what}");
            self.config.warnings.push(what);
            return Ok(());
        }
        let token = match self.opener.read_token(&path) {
            Ok(token) => Zeroizing::new(token),
            Err(why) => {
                tracing::error!(why, "the token is not taken over");
                return Ok(());
            }
        };
        match self.brain.put(&mut self.store, &RecordId::token(), &token) {
            Ok(()) => {
                tracing::info!(file = %path.display(), "the token is in the brain now; remove the file and the line");
                self.record_brain("token-imported", None, "service".to_owned(), None);
                Ok(())
            }
            Err(BrainError::Store(error)) => Err(error.into()),
            Err(other) => {
                tracing::error!(%other, "the token is not taken over");
                Ok(())
            }
        }
    }

    /// The token, for egress.
    pub(super) fn token(&mut self) -> Result<Confidential<MAX_TOKEN>, String> {
        let token = self.brain.get(&self.store, &RecordId::token()).map_err(|error| error.to_string())?;
        Confidential::copy_of(token.expose()).map_err(|error| format!("the bot's token: {error}"))
    }

    /// A token: asked about where egress can, and written down.
    pub(super) fn change_token(
        &mut self,
        token: &[u8],
        checked: bool,
        uid: u32,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), CoreError> {
        let refused = |why: &str| Err(BrainError::CheckedOut(why.to_owned()));
        if token.len() < MIN_TOKEN || !token.iter().all(u8::is_ascii_graphic) {
            return self.answer_brain(answer, refused("that is no access token; nothing was changed"));
        }
        if !self.brain.is_open() {
            let status = self.brain.status();
            return self.answer_brain(answer, refused(&format!("the brain is not open: {}", status.remedy)));
        }
        if self.new_token.is_some() {
            return self.answer_brain(answer, refused("another new token is being checked; try again"));
        }
        let kept = match SecretBytes::build(token.len(), |memory| memory.copy_from_slice(token)) {
            Ok(kept) => kept,
            Err(error) => return self.answer_brain(answer, refused(&error.to_string())),
        };
        let new = NewToken { token: kept, checked, uid, answer };
        // Egress has the token that is in use: with it, the server can be asked about the new one.
        let lent = match self.supervisor.egress.state {
            State::Greeted | State::Paused | State::Running => self.supervisor.egress.link.is_some(),
            State::Down | State::Starting => false,
        };
        let Ok(copy) = Confidential::copy_of(token) else { return Ok(()) };
        if !lent {
            let why = Text::cut("egress is not connected to the server");
            return self.settle_token(new, TokenVerdict::Unanswered { why });
        }
        self.new_token = Some(new);
        self.timers.after(TO_CHECK, Timer::NewToken);
        self.supervisor.say(Role::Egress, &ToEgress::Token(copy), Vec::new())
    }

    /// Egress said what became of the new token.
    pub(crate) fn on_token_checked(&mut self, verdict: TokenVerdict) -> Result<(), CoreError> {
        self.timers.cancel(&Timer::NewToken);
        match self.new_token.take() {
            Some(new) => self.settle_token(new, verdict),
            // Its time was over. If egress uses it now, the brain's own is what it is to have.
            None if verdict == TokenVerdict::InUse => self.end_peer(Role::Egress, "it used a token too late"),
            None => Ok(()),
        }
    }

    /// Egress did not say anything in time.
    pub(super) fn token_overdue(&mut self) -> Result<(), CoreError> {
        let Some(new) = self.new_token.take() else { return Ok(()) };
        self.settle_token(new, TokenVerdict::Unanswered { why: Text::cut("egress gave no answer in time") })
    }

    fn settle_token(&mut self, new: NewToken, verdict: TokenVerdict) -> Result<(), CoreError> {
        let NewToken { token, checked, uid, answer } = new;
        let action = if checked { "token-rotated" } else { "token-set" };
        let (refusal, restart) = match &verdict {
            TokenVerdict::InUse => (None, false),
            TokenVerdict::Refused { why } => (Some(format!("the server does not know that token: {why}")), false),
            TokenVerdict::OtherAccount { name } if checked => {
                (Some(format!("that token is {name}'s; `bartizan token set` takes another account's")), false)
            }
            TokenVerdict::Unanswered { why } if checked => {
                (Some(format!("the server could not be asked about it: {why}; the old one stays in use")), false)
            }
            TokenVerdict::OtherAccount { .. } | TokenVerdict::Unanswered { .. } => (None, true),
        };
        if let Some(why) = refusal {
            self.record_brain(action, None, format!("uid {uid}"), Some(why.clone()));
            return self.answer_brain(answer, Err(BrainError::CheckedOut(format!("{why}; nothing was changed"))));
        }
        let outcome = self.brain.put(&mut self.store, &RecordId::token(), token.expose()).map(|()| {
            let text = match verdict {
                TokenVerdict::InUse => "The server knows the token; it is in use. Revoke the one before on the server.",
                TokenVerdict::OtherAccount { .. } => {
                    "The token is kept. It is another account's: egress starts with it now."
                }
                TokenVerdict::Refused { .. } | TokenVerdict::Unanswered { .. } => {
                    "The token is kept. The server was not asked yet; `bartizan status` says whether it knows it."
                }
            };
            BrainAnswer::Done { text: Text::cut(text) }
        });
        let error = outcome.as_ref().err().map(ToString::to_string);
        self.record_brain(action, None, format!("uid {uid}"), error);
        self.answer_brain(answer, outcome)?;
        if restart {
            self.drop_token("it is to have another token");
        }
        self.wake_egress()
    }

    /// Egress holds a token that is not the brain's any more: it is started again, with the one that is.
    pub(super) fn drop_token(&mut self, why: &str) {
        if self.supervisor.egress.state != State::Down
            && let Err(error) = self.end_peer(Role::Egress, why)
        {
            tracing::error!(%error, "egress keeps the old token until it is started again");
        }
    }

    /// Starts egress when it waited for the token.
    pub(super) fn wake_egress(&mut self) -> Result<(), CoreError> {
        if self.supervisor.egress.state == State::Down && self.brain.has_token() {
            self.timers.cancel(&Timer::Restart(Role::Egress));
            return self.start_peer(Role::Egress);
        }
        Ok(())
    }
}
