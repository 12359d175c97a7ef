//! The end of a command that starts no script: answered or refused, recorded, closed.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::command::{self, Builtin};
use crate::gate::Refusal;
use crate::policy::Policy;
use crate::words;
use bartizan_proto::connector::{Body, Report};
use bartizan_proto::ids::UserId;

/// A banned person is told so this often at most.
const BAN_NOTICE_MS: u64 = 3_600_000;

impl Core {
    /// Answers a command and closes it. Every command is recorded but `!ping`, which nobody attests.
    pub(crate) fn answer(
        &mut self,
        report: &Report,
        gates: Vec<crate::audit::Gate>,
        markup: String,
    ) -> Result<(), CoreError> {
        self.record_decision(report, &report.text, None, gates);
        self.store.decided(report.post)?;
        self.reply_to(report, markup)
    }

    /// The same with output, of a command that everybody may say.
    pub(crate) fn answer_with(&mut self, report: &Report, body: Body) -> Result<(), CoreError> {
        self.record_decision(report, &report.text, None, Vec::new());
        self.store.decided(report.post)?;
        self.reply_body(report, body)
    }

    /// Refuses a command and closes it: recorded with its cause, told with its words.
    pub(crate) fn refuse(
        &mut self,
        report: &Report,
        refusal: Refusal,
        cause: &str,
        gates: Vec<crate::audit::Gate>,
    ) -> Result<(), CoreError> {
        self.refused += 1;
        // A cause may name the command.
        let repeats = report.text.split_whitespace().any(|word| cause.contains(word));
        let cause = if repeats && self.may_be_an_answer(report) { "no command" } else { cause };
        tracing::info!(post = %report.post, user = %report.author, cause, "refused");
        self.record_decision(report, &report.text, Some(cause.to_owned()), gates);
        self.store.decided(report.post)?;
        let prefix = self.config.bot.prefix.clone();
        let Some(mut text) = refusal.words(&prefix) else { return Ok(()) };
        if refusal == Refusal::Banned {
            if self.is_ban_notice_due(report.author) {
                self.note_ban_notice(report.author)?;
            } else {
                text.clear();
            }
        }
        // A flood is not answered with another one.
        if matches!(refusal, Refusal::TooFast { tell: false, .. }) {
            return Ok(());
        }
        self.react(report.post, words::REFUSED)?;
        if text.is_empty() {
            return Ok(());
        }
        self.reply_to(report, text)
    }

    /// Refuses a command of our own whose words cannot be read.
    pub(crate) fn refuse_usage(
        &mut self,
        report: &Report,
        builtin: Builtin,
        error: String,
        gates: Vec<crate::audit::Gate>,
    ) -> Result<(), CoreError> {
        let usage = format!("{}{}", builtin.name(), builtin.usage());
        let cause = format!("usage: {error}");
        self.refuse(report, Refusal::Arguments { error, usage, missing: None }, &cause, gates)
    }

    /// Whether a banned person is to be told so.
    pub(super) fn is_ban_notice_due(&self, user: UserId) -> bool {
        let now = self.policy.as_ref().map_or_else(crate::store::now_ms, Policy::now_ms);
        // A clock that was set back tells once too often rather than never again.
        let told = self.posts.ban_notices.get(&user);
        told.is_none_or(|told| *told > now || now - told >= BAN_NOTICE_MS)
    }

    /// Writes down that somebody is told of their ban now: also a restart does not tell them again.
    fn note_ban_notice(&mut self, user: UserId) -> Result<(), CoreError> {
        let now = self.policy.as_ref().map_or_else(crate::store::now_ms, Policy::now_ms);
        self.posts.ban_notices.insert(user, now);
        Ok(self.store.tell_banned(user, now)?)
    }

    /// A command line for the log: of a script with a sensitive argument only its name, since words that were not
    /// bound to arguments cannot be told apart.
    pub(crate) fn without_secrets(&self, line: &str) -> String {
        if let Some(withheld) = command::withheld(line) {
            return withheld;
        }
        let sensitive = |name: &str| {
            let script = name.parse().ok().and_then(|name| self.config.allowlist.get(&name));
            script.is_some_and(|script| script.arguments.iter().any(|argument| argument.sensitive))
        };
        // One that was probably meant counts as well: its argument stands there all the same.
        let typed = mistyped(line, &self.config.bot.prefix).filter(|name| {
            let meant = |script: &crate::config::Script| script.arguments.iter().any(|argument| argument.sensitive);
            Builtin::named(name).is_none() && self.config.allowlist.nearest(name, meant).is_some()
        });
        match named(line, &self.config.bot.prefix, sensitive).or(typed) {
            Some(name) => format!("{name} (arguments withheld)"),
            None => line.to_owned(),
        }
    }

    pub(crate) fn record_decision(
        &mut self,
        report: &Report,
        command: &str,
        cause: Option<String>,
        gates: Vec<crate::audit::Gate>,
    ) {
        let withheld = *report.text == *command && self.may_be_an_answer(report);
        let refused_by = gates.iter().find(|gate| !gate.passed).map(|gate| gate.name);
        self.metrics.decided(cause.is_none(), refused_by.filter(|_| cause.is_some()));
        self.record(&Record::Decision {
            post: report.post.to_string(),
            user: report.author.to_string(),
            channel: report.channel.to_string(),
            command: if withheld {
                "(withheld: it may answer a question)".to_owned()
            } else {
                self.without_secrets(command)
            },
            allowed: cause.is_none(),
            gates,
            cause,
        });
    }
}

/// The name in a line that is one of those, however it was quoted: `"deploy"`, `de'plo'y` and `de\ploy` are `deploy`.
fn named(line: &str, prefix: &str, is_one: impl Fn(&str) -> bool) -> Option<String> {
    let unquoted = line.split_whitespace().map(|word| word.replace(['"', '\'', '\\'], ""));
    let mut names = unquoted.flat_map(|name| [name.strip_prefix(prefix).unwrap_or(&name).to_owned(), name]);
    names.find(|name| is_one(name))
}

/// The word where a script's name stands, as it was typed.
fn mistyped(line: &str, prefix: &str) -> Option<String> {
    let mut words = line.split_whitespace().map(|word| word.replace(['"', '\'', '\\'], ""));
    let bare = |word: String| word.strip_prefix(prefix).map_or(word.clone(), str::to_owned);
    let first = bare(words.next()?);
    let goes_before =
        [Builtin::Run, Builtin::DryRun, Builtin::Explain, Builtin::Help].iter().any(|builtin| builtin.name() == first);
    if goes_before { words.next().map(bare) } else { Some(first) }
}

#[cfg(test)]
mod tests {
    use super::{mistyped, named};

    #[test]
    fn the_name_of_a_script_is_the_first_word_or_the_one_after_run() {
        for line in ["set-pni 1234", "!set-pni 1234", "run set-pni 1234", "explain !set-pni 1234", "'set-pni' 1234"] {
            assert_eq!(mistyped(line, "!").as_deref(), Some("set-pni"), "{line}");
        }
        assert_eq!(mistyped("run", "!"), None);
        assert_eq!(mistyped("", "!"), None);
    }

    #[test]
    fn a_script_with_a_secret_argument_is_known_by_its_name_however_it_is_quoted() {
        let found = |line: &str| named(line, "!", |name| name == "set-pin");
        for line in [
            "set-pin 1234",
            "run set-pin 1234",
            "explain !set-pin 1234",
            "\"set-pin\" 1234",
            "'set-pin' 1234",
            "s\"et-p\"in 1234",
            "set\\-pin 1234",
            "run '' set-''pin 1234",
            "explain '!set-pin' 1234",
        ] {
            assert_eq!(found(line).as_deref(), Some("set-pin"), "{line}");
        }
        assert_eq!(found("set-pins 1234"), None);
        assert_eq!(found("\"set pin\" 1234"), None);
    }
}
