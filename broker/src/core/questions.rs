//! Somebody is asked in chat for what their command lacks: the required arguments of `!run NAME`, one by one.
//!
//! The question stands in the thread of the command, and only its author's words there are an answer; in a direct message
//! also their next ones without a prefix. An answer is attested like a command, and only then read:
//!
//! | answer | |
//! |---|---|
//! | `-` | cancels |
//! | `=` | the default, where there is one |
//! | anything else | the argument's value, checked by its schema; what does not fit is asked for again, three times in all |
//!
//! The command with what was answered goes through the gates again, each time. A sensitive argument is asked for in a
//! direct message alone. Nothing of it outlives the service but that somebody was asked: they are told at the next start.

use super::obey::Given;
use super::{Core, CoreError, Timer};
use crate::command::{Builtin, inner, parse};
use crate::gate::{self, NotGiven, Refusal};
use crate::policy::{Place, Policy, Requester};
use crate::store::now_ms;
use crate::supervise::State;
use crate::words;
use bartizan_proto::connector::{Listen, Report, ToConnector};
use bartizan_proto::egress::AttestedPost;
use bartizan_proto::ids::{PostId, UserId};
use bartizan_proto::limits::{MAX_LISTENED, MAX_MESSAGE};
use bartizan_proto::{List, Role};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Open questions, of everybody and of one person.
const MAX_OPEN: usize = 200;
const MAX_OPEN_OF_ONE: usize = 3;

/// How long what somebody says after a question may be a late answer.
const LATE: Duration = Duration::from_secs(600);

/// So often an argument is asked for.
const TRIES: u32 = 3;

/// A command whose author is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The command's post.
    report: Report,
    /// The command, with what was answered so far.
    line: String,
    place: Place,
    argument: String,
    tries: u32,
    /// When it was put last, by the server's clock: what was written before is no answer.
    since_ms: u64,
}

/// The server's clock is known to the second: a post counts as an answer also where it seems to be this much older.
pub(crate) const TOLERANCE_MS: u64 = 2000;

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub struct Questions {
    open: Vec<Question>,
    /// Who was asked in a direct message and did not answer, until when: what they say next may be a late answer.
    late: HashMap<UserId, Instant>,
}

impl Question {
    fn root(&self) -> PostId {
        self.report.root.unwrap_or(self.report.post)
    }

    /// Whether it was asked of the author of such a post, there.
    fn is_answered_by(&self, answer: &Report) -> bool {
        let there = answer.root == Some(self.root()) || (answer.direct && answer.root.is_none());
        self.report.author == answer.author && self.report.channel == answer.channel && there
    }
}

impl Questions {
    /// Where it is listened.
    pub fn threads(&self) -> impl Iterator<Item = Listen> {
        let thread = |question: &Question| Listen {
            channel: question.report.channel,
            root: question.root(),
            user: Some(question.report.author),
        };
        self.open.iter().map(thread)
    }
}

impl Core {
    /// Whether a post may be the answer to a question.
    pub(super) fn is_answer(&self, report: &Report) -> bool {
        self.question_of(report).is_some()
    }

    /// The newest question that a post answers, if it is what it seems. What is addressed to us like a command is one.
    fn question_of(&self, report: &Report) -> Option<usize> {
        let policy = self.policy.as_ref().filter(|_| !self.questions.open.is_empty())?;
        let prefix = &policy.config.bot.prefix;
        let command = parse::addressed(&report.text, prefix, &policy.bot_name, false).is_some();
        self.questions.open.iter().rposition(|question| !command && question.is_answered_by(report))
    }

    /// Asks for an argument that a command lacks. `false` where it cannot be asked for: then it is refused.
    pub(super) fn asks_for(
        &mut self,
        (report, line): (&Report, &str),
        (requester, place): (&Requester, &Place),
        refusal: &Refusal,
    ) -> Result<bool, CoreError> {
        let Refusal::Arguments { missing: Some(argument), .. } = refusal else { return Ok(false) };
        let of_one = self.questions.open.iter().filter(|question| question.report.author == requester.user).count();
        if of_one >= MAX_OPEN_OF_ONE || self.questions.open.len() >= MAX_OPEN || self.is_ending() {
            return Ok(false);
        }
        let question = Question {
            report: report.clone(),
            line: line.to_owned(),
            place: place.clone(),
            argument: argument.clone(),
            tries: 0,
            since_ms: 0,
        };
        self.put(question, None)
    }

    /// Puts a question, once more where something was wrong with the last answer.
    fn put(&mut self, mut question: Question, wrong: Option<&str>) -> Result<bool, CoreError> {
        let script = match parse::command(&question.line) {
            Ok(Some(command)) => inner(&command).and_then(|command| command.name.parse().ok()),
            Ok(None) | Err(_) => None,
        };
        let script = script.and_then(|name| self.config.allowlist.get(&name));
        let Some(script) = script else { return Ok(false) };
        let found = script.arguments.iter().enumerate().find(|(_, argument)| argument.name == question.argument);
        let Some((number, argument)) = found.filter(|(_, argument)| !argument.sensitive || question.place.direct)
        else {
            return Ok(false);
        };
        let within = self.config.limits.answer_within;
        let usage = format!("{}{}", self.config.bot.prefix, crate::argument::usage(script));
        let text = words::questions::ask(script.name.as_str(), argument, &usage, wrong, within);
        question.tries += 1;
        question.since_ms = self.policy.as_ref().map_or_else(now_ms, Policy::now_ms);
        let kind = format!("ask-{number}-{}", question.tries);
        let (post, channel, root) = (question.report.post, question.report.channel, question.root());
        self.store.decided(post)?;
        self.store.question_asked(&question.report)?;
        self.react(post, words::questions::ASKED)?;
        self.reply(channel, post, root, &kind, text)?;
        self.timers.cancel(&Timer::Question(post));
        self.timers.after(within, Timer::Question(post));
        self.questions.open.push(question);
        self.listen()?;
        Ok(true)
    }

    /// The newest words of somebody who is asked, attested. `false` where nobody is.
    pub(super) fn on_given(
        &mut self,
        report: &Report,
        post: &AttestedPost,
        requester: &Requester,
    ) -> Result<bool, CoreError> {
        let Some(place) = self.question_of(report) else { return Ok(false) };
        let since_ms = self.questions.open.get(place).map_or(0, |question| question.since_ms);
        if post.created_ms.saturating_add(TOLERANCE_MS) < since_ms {
            return Ok(false);
        }
        let question = self.questions.open.remove(place);
        let command = question.report.post;
        self.store.decided(report.post)?;
        self.listen()?;
        match post.text.trim() {
            "-" => self.not_given(&question, NotGiven::Cancelled)?,
            "=" => self.once_more(question, "There is no default.")?,
            value => {
                let line = format!("{} {}={}", question.line, question.argument, quoted(value));
                self.with_answer(question, line, requester)?;
            }
        }
        if self.questions.open.iter().all(|question| question.report.post != command) {
            self.store.question_over(command)?;
            self.timers.cancel(&Timer::Question(command));
            self.unreact(command, words::questions::ASKED)?;
        }
        Ok(true)
    }

    /// The command with an answer in it: run, if that was all; asked for the next argument, or for this one again.
    fn with_answer(&mut self, question: Question, line: String, requester: &Requester) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let command = match parse::command(&line) {
            Ok(_) if line.len() > MAX_MESSAGE => return self.once_more(question, "That is too long."),
            Ok(command) => command.as_ref().and_then(inner),
            Err(error) => return self.once_more(question, &error.to_string()),
        };
        let Some(command) = command else { return self.not_given(&question, NotGiven::Unfit) };
        let outcome = gate::decide(&command, requester, &question.place, policy).outcome.map(drop);
        if let Err((Refusal::Arguments { error, missing: None, .. }, _)) = outcome {
            return self.once_more(question, &error);
        }
        let given = Given { asks: true, ..Given::default() };
        self.run((&question.report, &line), &command, requester.clone(), question.place.clone(), given)
    }

    fn once_more(&mut self, question: Question, wrong: &str) -> Result<(), CoreError> {
        if question.tries < TRIES && self.put(question.clone(), Some(wrong))? {
            return Ok(());
        }
        self.not_given(&question, NotGiven::Unfit)
    }

    /// Whether words of somebody may be an answer, in time or late, and a sensitive one: they are written down nowhere.
    pub(super) fn may_be_an_answer(&self, report: &Report) -> bool {
        let late = || {
            let name = report.text.split_whitespace().next().unwrap_or_default();
            let is_name = Builtin::named(name).is_some()
                || name.parse().is_ok_and(|name| self.config.allowlist.get(&name).is_some());
            let until = self.questions.late.get(&report.author);
            report.direct && !is_name && until.is_some_and(|until| *until > Instant::now())
        };
        self.is_answer(report) || self.jobs.questions.listen_to(report) || late()
    }

    fn not_answered(&mut self, report: &Report) {
        let now = Instant::now();
        self.questions.late.retain(|_, until| *until > now);
        if report.direct && self.questions.late.len() < MAX_OPEN {
            self.questions.late.insert(report.author, now + LATE);
        }
    }

    fn not_given(&mut self, question: &Question, how: NotGiven) -> Result<(), CoreError> {
        self.not_answered(&question.report);
        let cause = match how {
            NotGiven::Cancelled => "cancelled by its author",
            NotGiven::Late => "its author did not answer in time",
            NotGiven::Unfit => "what its author answered did not fit",
            NotGiven::Restarted => "the service ended before its author answered",
        };
        self.refuse(&question.report, Refusal::NotGiven(how), cause, Vec::new())
    }

    /// Nobody answered in time.
    pub(crate) fn question_overdue(&mut self, post: PostId) -> Result<(), CoreError> {
        let Some(place) = self.questions.open.iter().position(|question| question.report.post == post) else {
            return Ok(());
        };
        let question = self.questions.open.remove(place);
        self.listen()?;
        self.store.question_over(post)?;
        self.unreact(post, words::questions::ASKED)?;
        self.not_given(&question, NotGiven::Late)
    }

    /// Tells those who were asked when the service ended that it is over.
    pub(crate) fn questions_left(&mut self) -> Result<(), CoreError> {
        for report in self.store.questions_left()? {
            self.store.question_over(report.post)?;
            self.unreact(report.post, words::questions::ASKED)?;
            let cause = "the service ended before its author answered";
            self.not_answered(&report);
            self.refuse(&report, Refusal::NotGiven(NotGiven::Restarted), cause, Vec::new())?;
        }
        Ok(())
    }

    /// Where somebody is asked something, by us or by a job's script, and what scripts are subscribed to.
    pub(crate) fn threads(&self) -> List<Listen, MAX_LISTENED> {
        let asked = self.questions.threads().chain(self.jobs.questions.threads());
        List::cut(asked.chain(self.subscriptions.threads()))
    }

    /// The connector is told where to listen.
    pub(crate) fn listen(&mut self) -> Result<(), CoreError> {
        if self.supervisor.connector.state != State::Running {
            return Ok(());
        }
        let threads = self.threads();
        self.supervisor.say(Role::Connector, &ToConnector::Listen(threads), Vec::new())
    }
}

/// A value as one word of a command.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_answered_is_one_word_of_the_command() {
        for value in ["web", "a b", "\"", "\\", "a\\\"b", "x --y=z", "=", "--", "; rm -rf /", "$HOME", "'"] {
            let line = format!("run deploy service={}", quoted(value));
            let command = parse::command(&line).expect("it reads").expect("a command");
            let word = command.words.last().expect("a word");
            assert_eq!((command.words.len(), word.text.as_str()), (2, format!("service={value}").as_str()), "{value}");
            assert_eq!(word.bare, "service=".len(), "{value}");
        }
    }
}
