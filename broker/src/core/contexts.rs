//! What people named last, for their "it": of each person by themselves, in the channel or thread where they named it, for as
//! long as short-term memory lasts. A restart forgets all of it. Scripts cannot read or write it.

use super::obey::Given;
use super::{Core, CoreError};
use crate::argument::usage;
use crate::brain::short::{Place as Where, ShortKey, ShortTerm};
use crate::command::parse::Command;
use crate::config::Script;
use crate::context::{self, Meant};
use crate::gate::{self, Refusal};
use crate::policy::{Place, Requester};
use crate::store::jobs::Intent;
use crate::words;
use bartizan_proto::connector::Report;
use bartizan_proto::ids::{ChannelId, MemoryKey, UserId};
use std::time::Instant;

/// All of it. Not the memories of scripts: one that remembers much would push this out. Each person has their own room in it.
#[derive(Debug, Default)]
pub struct Contexts(ShortTerm);

impl Contexts {
    fn key(place: Where, user: UserId, context: &MemoryKey) -> Option<ShortKey> {
        Some(ShortKey { namespace: user.as_str().parse().ok()?, place, user: Some(user), key: context.clone() })
    }

    fn recall(&self, place: &Where, user: UserId, context: &MemoryKey) -> Option<String> {
        let key = Self::key(place.clone(), user, context)?;
        self.0.recall(&key, Instant::now()).map(str::to_owned)
    }

    fn remember(&mut self, place: Where, user: UserId, context: &MemoryKey, value: &str) {
        let Some(key) = Self::key(place, user, context) else { return };
        let now = Instant::now();
        // One that is too long is not remembered, and asked for: what was named before it is not "it" any more.
        if self.0.remember(key.clone(), value, now).is_err() {
            let _forgotten = self.0.remember(key, "", now);
        }
    }
}

/// Where somebody speaks.
fn spoken_at(report: &Report, channel: ChannelId, direct: bool) -> Where {
    match (direct, report.root) {
        (true, _) => Where::Direct(channel),
        (false, Some(root)) => Where::Thread(channel, root),
        (false, None) => Where::Channel(channel),
    }
}

impl Core {
    fn script_of(&self, command: &Command) -> Option<&Script> {
        let policy = self.policy.as_ref()?;
        command.name.parse().ok().and_then(|name| policy.config.allowlist.get(&name))
    }

    /// What a script's command means to its author.
    pub(super) fn meant(&self, report: &Report, command: &Command, user: UserId, place: &Place) -> Meant {
        let Some(script) = self.script_of(command) else { return Meant::AsSaid };
        let place = spoken_at(report, place.channel, place.direct);
        context::meant(&script.arguments, command, |context| self.contexts.recall(&place, user, context))
    }

    /// Has a script's command run, with what "it" stands for.
    pub(super) fn run(
        &mut self,
        (report, line): (&Report, &str),
        command: &Command,
        requester: Requester,
        place: Place,
        given: Given<'_>,
    ) -> Result<(), CoreError> {
        match self.meant(report, command, requester.user, &place) {
            Meant::AsSaid => self.run_as_said((report, line), command, requester, place, given),
            Meant::Known { command, line, stands } => {
                let it = words::questions::it_is(&command.name, &stands);
                // What is refused is recorded with what it was.
                let report = Report { text: bartizan_proto::Text::cut(line.as_str()), ..report.clone() };
                let given = Given { it: Some(&it), ..given };
                self.run_as_said((&report, &line), &command, requester, place, given)
            }
            Meant::Unknown { argument, without } => {
                self.nothing_was_named(report, (command, without.as_ref()), &argument, (&requester, &place))
            }
        }
    }

    /// "It" could be nothing: after every other gate, its author is asked, or told.
    fn nothing_was_named(
        &mut self,
        report: &Report,
        (command, without): (&Command, Option<&Command>),
        argument: &str,
        (requester, place): (&Requester, &Place),
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let decision = gate::decide(without.unwrap_or(command), requester, place, policy);
        let mut gates = decision.gates;
        match decision.outcome {
            // Another argument is wrong, which is told first.
            Err((refusal @ Refusal::Arguments { missing: None, .. }, cause)) if without.is_some() => {
                return self.refuse(report, refusal, &cause.0, gates);
            }
            Ok(_) | Err((Refusal::Arguments { .. }, _)) => {}
            Err((refusal, cause)) => return self.refuse(report, refusal, &cause.0, gates),
        }
        if let Some(arguments) = gates.last_mut() {
            arguments.passed = false;
        }
        let refusal = Refusal::Arguments {
            error: words::questions::nothing_named(argument),
            usage: self.script_of(command).map(usage).unwrap_or_default(),
            missing: without.map(|_| argument.to_owned()),
        };
        if let Some(line) = without.and_then(context::line)
            && self.asks_for((report, &format!("run {line}")), (requester, place), &refusal)?
        {
            return Ok(());
        }
        let cause = format!("{argument} of {} is \"it\", and nothing was named", command.name);
        self.refuse(report, refusal, &cause, gates)
    }

    /// Tells what "it" was taken for.
    pub(super) fn say_it(&mut self, report: &Report, it: Option<&str>) -> Result<(), CoreError> {
        let Some(it) = it else { return Ok(()) };
        self.reply(report.channel, report.post, report.root.unwrap_or(report.post), "it", it.to_owned())
    }

    /// A command passed: what it names is "it" from now on, there and in its own thread.
    pub(super) fn remember_named(&mut self, report: &Report, command: &Command, intent: &Intent) {
        let Some(script) = self.script_of(command) else { return };
        for (context, value) in context::named(&script.arguments, &command.words) {
            let spoken = spoken_at(report, intent.channel, intent.direct);
            if matches!(spoken, Where::Channel(_)) {
                let thread = Where::Thread(intent.channel, report.post);
                self.contexts.remember(thread, intent.user, &context, &value);
            }
            self.contexts.remember(spoken, intent.user, &context, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::short::{MAX_OF_ONE, MAX_VALUE};

    fn user(letter: &str) -> UserId {
        letter.repeat(26).parse().expect("an id")
    }

    fn ops() -> Where {
        Where::Channel("c".repeat(26).parse().expect("an id"))
    }

    fn thread(number: usize) -> Where {
        let root = format!("r{number:0>25}").parse().expect("an id");
        Where::Thread("c".repeat(26).parse().expect("an id"), root)
    }

    /// It was what had been named before: "restart it" restarted another one than was named last.
    #[test]
    fn what_is_too_long_to_be_remembered_is_not_replaced_by_what_was_named_before() {
        let (mut contexts, service) = (Contexts::default(), "service".parse().expect("a name"));
        contexts.remember(ops(), user("a"), &service, "database");
        assert_eq!(contexts.recall(&ops(), user("a"), &service).as_deref(), Some("database"));
        contexts.remember(ops(), user("a"), &service, &"x".repeat(MAX_VALUE + 1));
        assert_eq!(contexts.recall(&ops(), user("a"), &service), None);
    }

    #[test]
    fn who_names_much_pushes_out_nothing_of_anybody_else() {
        let (mut contexts, service) = (Contexts::default(), "service".parse().expect("a name"));
        contexts.remember(ops(), user("a"), &service, "database");
        for number in 0..=MAX_OF_ONE {
            contexts.remember(thread(number), user("b"), &service, "web-app");
        }
        assert_eq!(contexts.recall(&ops(), user("a"), &service).as_deref(), Some("database"));
        assert_eq!(contexts.recall(&ops(), user("b"), &service), None, "it is a person's own");
    }
}
