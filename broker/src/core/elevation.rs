//! `elevate` in direct messages, and commands that wait for a code.
//!
//! What goes out once and is kept nowhere (the secret of an enrolment, recovery codes) stands in the outbox as other words, and
//! is put in their place when it is handed to the connector: see [`Core::say_once`]. Commands wait in memory only; a restart
//! forgets them, as it ends the windows, and their authors are told, as they are when no code comes in time.

use super::obey::Given;
use super::{Core, CoreError, Timer, Topic};
use crate::audit::Gate;
use crate::command::Builtin;
use crate::command::elevate::{self, Wish};
use crate::command::parse::Command;
use crate::config::Elevate;
use crate::elevation::{Checked, Factors, Now, Standing, recovery};
use crate::gate::{NotGiven, Refusal};
use crate::policy::{Place, Policy, Requester};
use crate::store::elevation::Elevated;
use crate::store::{Store, StoreError, now_ms};
use crate::words::{elevation as say, prefixed};
use bartizan_proto::Text;
use bartizan_proto::connector::{Act, Attachment, Body, DeliveryId, Report};
use bartizan_proto::ids::{PostId, ScriptName, UserId};
use bartizan_secret::SecretBytes;
use std::collections::HashMap;
use std::time::Duration;

/// How long a command waits for its code, and how many of one person do.
const WAIT: Duration = Duration::from_secs(600);
const MOST_OF_ONE: usize = 5;
const MOST: usize = 200;

/// Second factors, what waits for them, and what is said once.
#[derive(Debug, Default)]
pub struct Elevations {
    pub(super) factors: Factors,
    pub(super) held: HashMap<UserId, Vec<Held>>,
    unsaid: HashMap<DeliveryId, (Body, Option<Attachment>)>,
}

/// A command that waits for a code.
#[derive(Debug)]
pub(super) struct Held {
    report: Report,
    line: String,
    command: Command,
    place: Place,
    glass: Option<String>,
    /// It wants a code for itself, which names it.
    alone: bool,
}

impl Elevations {
    /// What the database has.
    pub(super) fn restored(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { factors: Factors::restore(store)?, ..Self::default() })
    }

    /// What is really said by a delivery.
    pub(super) fn really(&self, delivery: DeliveryId, act: Act) -> Act {
        match (self.unsaid.get(&delivery), act) {
            (Some((body, attachment)), Act::Reply { channel, root, reply_id, .. }) => {
                Act::Reply { channel, root, reply_id, body: body.clone(), attachment: attachment.clone() }
            }
            (_, act) => act,
        }
    }

    /// It was said, or never will be.
    pub(super) fn said(&mut self, delivery: DeliveryId) {
        self.unsaid.remove(&delivery);
    }
}

impl Core {
    pub(super) fn both_clocks(&self) -> Now {
        let host_ms = now_ms();
        Now { host_ms, server_ms: self.policy.as_ref().map_or(host_ms, Policy::now_ms) }
    }

    /// How somebody's second factor stands.
    pub(super) fn standing(&self, user: UserId) -> Standing {
        self.elevation.factors.standing(user, self.both_clocks(), &self.config.elevation)
    }

    /// A command passed with a second factor: on record for its start, and the window goes on.
    pub(super) fn note_elevated(&mut self, report: &Report, user: UserId, alone: bool) -> Result<(), CoreError> {
        let now = self.both_clocks();
        self.elevation.factors.touch(user, now, &self.config.elevation);
        Ok(self.store.put_elevated(report.post, Elevated { user, alone })?)
    }

    /// A command needs a code: it waits for one.
    pub(super) fn hold(
        &mut self,
        report: &Report,
        name: &str,
        (line, command, glass): (&str, &Command, Option<&str>),
        (requester, place): (&Requester, &Place),
        gates: Vec<Gate>,
    ) -> Result<(), CoreError> {
        let all: usize = self.elevation.held.values().map(Vec::len).sum();
        let script = name.parse().ok().and_then(|name| self.config.allowlist.get(&name));
        let alone = script.is_some_and(|script| script.elevate == Some(Elevate::Always));
        let held = self.elevation.held.entry(requester.user).or_default();
        held.retain(|held| held.report.post != report.post);
        let text = if held.len() < MOST_OF_ONE && all < MOST {
            held.push(Held {
                report: report.clone(),
                line: line.to_owned(),
                command: command.clone(),
                place: place.clone(),
                glass: glass.map(str::to_owned),
                alone,
            });
            self.timers.cancel(&Timer::Held(requester.user, report.post));
            self.timers.after(WAIT, Timer::Held(requester.user, report.post));
            self.store.question_asked(report)?;
            say::wanted(name, alone, WAIT)
        } else {
            say::wanted_again(name)
        };
        let text = prefixed(&self.config.bot.prefix, &text);
        let cause = format!("{name} waits for a code of the second factor");
        self.record_decision(report, line, Some(cause), gates);
        self.store.decided(report.post)?;
        self.reply(report.channel, report.post, report.root.unwrap_or(report.post), "elevate", text)
    }

    /// `elevate …`.
    pub(super) fn elevate_command(
        &mut self,
        report: &Report,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let gate = |passed| vec![Gate { name: "elevation", passed }];
        if !place.direct {
            // A code is burned and deleted by `judge` already.
            let burned = elevate::withheld(&report.text).is_some();
            let words = if burned { say::HERE } else { say::DIRECT };
            let cause = "the second factor is for direct messages";
            return self.refuse(report, Refusal::Said(words.to_owned()), cause, gate(false));
        }
        let wish = if elevate::is_code(&command.name) && command.words.is_empty() {
            Wish::Code(command.name.clone(), None)
        } else {
            match elevate::read(&command.words) {
                Ok(wish) => wish,
                Err(error) => return self.refuse_usage(report, Builtin::Elevate, error, gate(false)),
            }
        };
        if let Some(cause) = self.audit.cannot_record() {
            return self.refuse(report, Refusal::Unrecorded, &cause, gate(false));
        }
        match wish {
            Wish::Status => {
                let left = self.store.recovery_codes(requester.user)?;
                let text = say::status(self.standing(requester.user), left);
                self.answer(report, gate(true), prefixed(&self.config.bot.prefix, &text))
            }
            Wish::End => {
                let open = self.elevation.factors.close(requester.user);
                self.let_go(requester.user)?;
                self.record_factor(requester, "ended", "chat", None);
                self.answer(report, gate(true), say::ended(open).to_owned())
            }
            Wish::Enrol => self.enrol_in_chat(report, requester),
            Wish::Code(code, of) => self.take_code(report, requester, (&code, of.as_ref()), false),
            Wish::NewRecovery(code) => self.take_code(report, requester, (&code, None), true),
            Wish::Recovery(code, of) => {
                let now = self.both_clocks();
                let checked = self.elevation.factors.recover(&mut self.store, requester.user, &code, now)?;
                self.after_code(report, requester, checked, ("recovery code", of.as_ref()))
            }
        }
    }

    /// A code: also the first one of an enrolment, and the one that new recovery codes are made with.
    fn take_code(
        &mut self,
        report: &Report,
        requester: &Requester,
        (code, of): (&str, Option<&ScriptName>),
        renew: bool,
    ) -> Result<(), CoreError> {
        let secret = match self.factor_secret(requester.user)? {
            Ok(secret) => secret,
            Err(why) => {
                let refusal = Refusal::Said(say::UNAVAILABLE.to_owned());
                return self.refuse(report, refusal, &why, vec![Gate { name: "elevation", passed: false }]);
            }
        };
        let now = self.both_clocks();
        let given = (secret.as_ref().map_or(&[][..], SecretBytes::expose), code);
        let checked = self.elevation.factors.check(&mut self.store, requester.user, given, now)?;
        let first = matches!(checked, Checked::Right { first: true });
        let renewed = renew && matches!(checked, Checked::Right { .. });
        if !first && !renewed {
            return self.after_code(report, requester, checked, ("code", of));
        }
        let codes = match recovery::make() {
            Ok(codes) => codes,
            Err(error) => {
                let refusal = Refusal::Said(say::UNAVAILABLE.to_owned());
                return self.refuse(report, refusal, &error.to_string(), Vec::new());
            }
        };
        let hashes: Vec<String> = codes.iter().map(|code| recovery::hash(requester.user.as_str(), code)).collect();
        self.store.put_recovery_codes(requester.user, &hashes)?;
        self.record_factor(requester, if first { "enrolled" } else { "recovery-renewed" }, "code", None);
        self.record_decision(report, &report.text, None, vec![Gate { name: "elevation", passed: true }]);
        self.store.decided(report.post)?;
        if first {
            self.alert(Topic::SecondFactor, &say::alert_enrolled(&requester.name))?;
            self.say_once(report, &say::enrolled(&codes, self.config.elevation.window), None)
        } else {
            self.say_once(report, &say::recovery(&codes), None)
        }
    }

    /// What a code was worth: told, recorded, and what waited for it goes on.
    fn after_code(
        &mut self,
        report: &Report,
        requester: &Requester,
        checked: Checked,
        (how, of): (&'static str, Option<&ScriptName>),
    ) -> Result<(), CoreError> {
        let passed = matches!(checked, Checked::Right { .. });
        let gates = vec![Gate { name: "elevation", passed }];
        let (words, cause) = match checked {
            Checked::Right { .. } => {
                self.record_factor(requester, "elevated", how, None);
                return self.elevated_now(report, requester, (how, of), gates);
            }
            Checked::Used => (say::USED.to_owned(), "a code that was used or burned before"),
            Checked::Wrong(locked) => {
                if let Some(time) = locked {
                    let failures = self.elevation.factors.get(requester.user).map_or(0, |factor| factor.failures);
                    self.record_factor(requester, "locked", how, Some(format!("{failures} failures")));
                    self.alert(Topic::SecondFactor, &say::alert_locked(&requester.name, failures, time))?;
                }
                (say::wrong(locked), "a wrong code")
            }
            Checked::Locked(time) => (say::locked(time), "locked after too many wrong codes"),
            Checked::Missing => (prefixed(&self.config.bot.prefix, say::MISSING), "there is no second factor"),
        };
        self.record_factor(requester, "refused", how, Some(cause.to_owned()));
        self.refuse(report, Refusal::Said(words), cause, gates)
    }

    /// One command that waited goes on; of several none does: nobody says which was meant. One that wants a code for itself goes on
    /// by a code that names it and by no other: it may be there because somebody else has their session, and not their
    /// authenticator.
    fn elevated_now(
        &mut self,
        report: &Report,
        requester: &Requester,
        (how, of): (&'static str, Option<&ScriptName>),
        gates: Vec<Gate>,
    ) -> Result<(), CoreError> {
        let mut held = self.take_held(requester.user, |held| match of {
            Some(name) => held.command.name == name.as_str(),
            None => !held.alone,
        })?;
        let waiting = held.len();
        let one = if waiting == 1 { held.pop() } else { None };
        let (window, idle) = (self.config.elevation.window, self.config.elevation.idle);
        let name = one.as_ref().map(|held| held.command.name.clone());
        let mut text = say::right(window, idle, name.as_deref(), waiting);
        if let (Some(of), 0) = (of, waiting) {
            text.push_str(&say::nothing_waits(of.as_str()));
        }
        for left in self.elevation.held.get(&requester.user).into_iter().flatten().filter(|held| held.alone) {
            text.push_str(&say::own_code(&left.command.name));
        }
        if how != "code" {
            text.push_str(&say::left(self.store.recovery_codes(requester.user)?));
        }
        self.answer(report, gates, prefixed(&self.config.bot.prefix, &text))?;
        match one {
            Some(Held { report, line, command, place, glass, .. }) => {
                let given = Given { code: of.is_some(), glass: glass.as_deref(), ..Given::default() };
                self.run((&report, &line), &command, requester.clone(), place, given)
            }
            None => Ok(()),
        }
    }

    /// Nothing of theirs waits for a code any more.
    pub(super) fn let_go(&mut self, user: UserId) -> Result<Vec<Held>, CoreError> {
        self.take_held(user, |_| true)
    }

    /// What waits for a code does not wait any more, as far as it is meant.
    fn take_held(&mut self, user: UserId, is_meant: impl Fn(&Held) -> bool) -> Result<Vec<Held>, CoreError> {
        let all = self.elevation.held.remove(&user).unwrap_or_default();
        let (held, others): (Vec<Held>, Vec<Held>) = all.into_iter().partition(is_meant);
        if !others.is_empty() {
            self.elevation.held.insert(user, others);
        }
        for one in &held {
            self.timers.cancel(&Timer::Held(user, one.report.post));
            self.store.question_over(one.report.post)?;
        }
        Ok(held)
    }

    /// No code came in time.
    pub(crate) fn held_overdue(&mut self, user: UserId, post: PostId) -> Result<(), CoreError> {
        let Some(held) = self.elevation.held.get_mut(&user) else { return Ok(()) };
        let Some(place) = held.iter().position(|held| held.report.post == post) else { return Ok(()) };
        let Held { report, .. } = held.remove(place);
        if held.is_empty() {
            self.elevation.held.remove(&user);
        }
        self.store.question_over(post)?;
        self.refuse(&report, Refusal::NotGiven(NotGiven::Late), "no code of the second factor came in time", Vec::new())
    }

    /// Answers with something that is kept nowhere: other words wait in the outbox in its place.
    pub(super) fn say_once(
        &mut self,
        report: &Report,
        text: &str,
        attachment: Option<Attachment>,
    ) -> Result<(), CoreError> {
        self.reply_to(report, say::LOST.to_owned())?;
        let body = Body::Markup(Text::cut(prefixed(&self.config.bot.prefix, text)));
        self.elevation.unsaid.insert(self.outbox.written, (body, attachment));
        Ok(())
    }
}
