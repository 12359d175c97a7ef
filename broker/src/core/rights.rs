//! `bartizan doctor`: what the service is, with what the bot may do on the server that it has no use for. The server is asked anew
//! each time, and never otherwise; where it does not answer in time, the rest is told.

use super::timers::Timer;
use super::{Core, CoreError, Effect};
use bartizan_proto::Text;
use bartizan_proto::control::{Answer, Check, CheckVerdict};
use bartizan_proto::egress::{Outcome, OwnRights, QuestionId, Subject};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most operators that wait for an answer of the server at the same time.
const MOST: usize = 16;

/// Who waits, and for which answer.
#[derive(Debug, Default)]
pub struct Rights {
    asked: Option<QuestionId>,
    waiting: Vec<oneshot::Sender<Answer>>,
}

impl Core {
    /// An operator asks for the doctor.
    pub(super) fn doctor_for(&mut self, answer: oneshot::Sender<Answer>) -> Result<(), CoreError> {
        self.rights.waiting.push(answer);
        if !self.supervisor.egress_ready() || self.rights.waiting.len() > MOST {
            self.tell_doctor(None);
            return Ok(());
        }
        if self.rights.asked.is_none() {
            self.rights.asked = Some(self.ask_egress(Subject::OwnRights)?);
            self.timers.cancel(&Timer::Rights);
            self.timers.after(PATIENCE, Timer::Rights);
        }
        Ok(())
    }

    /// The server's answer. `false` when it is to another question.
    pub(crate) fn on_rights(&mut self, question: QuestionId, outcome: &Outcome) -> bool {
        if self.rights.asked != Some(question) {
            return false;
        }
        match outcome {
            Outcome::OwnRights(rights) => self.tell_doctor(Some(rights)),
            no_answer => {
                tracing::debug!(?no_answer, "the server does not say what the bot may do");
                self.tell_doctor(None);
            }
        }
        true
    }

    /// Tells everybody who waits, with what is known.
    pub(super) fn tell_doctor(&mut self, rights: Option<&OwnRights>) {
        self.rights.asked = None;
        self.timers.cancel(&Timer::Rights);
        let waiting = std::mem::take(&mut self.rights.waiting);
        if waiting.is_empty() {
            return;
        }
        let doctor = self.doctor(mentions(self.roster.ready().is_some(), rights));
        for answer in waiting {
            self.effects.push(Effect::Answer(answer, Box::new(Answer::Doctor(Box::new(doctor.clone())))));
        }
    }
}

/// May the bot have everybody in a channel notified? What scripts print cannot: it stands in fences. This is for the case that one
/// finds a way out.
fn mentions(is_ready: bool, rights: Option<&OwnRights>) -> Option<Check> {
    let check =
        |verdict, detail: String| Check { what: Text::cut("channel mentions"), verdict, detail: Text::cut(detail) };
    match rights {
        None if !is_ready => None,
        None => Some(check(
            CheckVerdict::Warn,
            "the server does not say whether the bot may use @channel, @all and @here".to_owned(),
        )),
        Some(rights) if rights.mention_channels.is_empty() => {
            Some(check(CheckVerdict::Ok, "the bot cannot notify a whole channel".to_owned()))
        }
        Some(rights) => {
            let roles: Vec<&str> = rights.mention_channels.iter().map(|role| role.as_str()).collect();
            let roles = bartizan_proto::text::printable(&roles.join(", "));
            Some(check(
                CheckVerdict::Warn,
                format!(
                    "the bot may use @channel, @all and @here, by the role {roles}, and has no use for it: take the permission Channel Mentions away (System Console, Permissions), or give the bot's channels a scheme without it"
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::List;

    #[test]
    fn a_bot_that_can_notify_everybody_is_warned_of_with_the_role_that_lets_it() {
        let rights =
            |roles: &[&str]| OwnRights { mention_channels: List::cut(roles.iter().map(|role| Text::cut(*role))) };
        let told = |rights: Option<&OwnRights>| mentions(true, rights).expect("a check");
        let warned = told(Some(&rights(&["channel_user", "system_post_all"])));
        assert!(
            warned.verdict == CheckVerdict::Warn && warned.detail.contains("channel_user, system_post_all"),
            "{warned:?}"
        );
        assert_eq!(told(Some(&rights(&[]))).verdict, CheckVerdict::Ok);
        assert_eq!(told(None).verdict, CheckVerdict::Warn);
        assert_eq!(mentions(false, None), None, "there is a line of its own for a server that is not there");
    }
}
