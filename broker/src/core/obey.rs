//! An attested command is obeyed: answered by the core itself, handed to the people's commands, or gated and queued as a
//! job.

use super::{Core, CoreError};
use crate::argument::Value;
use crate::audit::Gate;
use crate::command::parse::Command;
use crate::command::{Builtin, about, dry, elevate, explain, help, inner, whoami, without_run};
use crate::config::Script;
use crate::context::Meant;
use crate::gate::{self, Refusal, Verdict, allowlist, approval};
use crate::policy::{Place, Policy, Requester};
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::Report;

/// Jobs that wait for a place, of everybody and of one person. More are refused.
pub(crate) const MAX_QUEUED: usize = 1000;
pub(crate) const MAX_QUEUED_OF_ONE: usize = 250;

/// How a script's command is given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Given<'a> {
    /// Where an argument is missing, its author is asked for it.
    pub(super) asks: bool,
    /// A code of the second factor was given for this command, just now.
    pub(super) code: bool,
    /// Why it is given without the approvals that it needs.
    pub(super) glass: Option<&'a str>,
    /// What its "it" was taken for, for its author.
    pub(super) it: Option<&'a str>,
}

impl Core {
    /// Does what the command says.
    pub(super) fn obey(
        &mut self,
        report: &Report,
        line: &str,
        command: Command,
        requester: Requester,
        place: Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let prefix = policy.config.bot.prefix.clone();
        let text = match Builtin::named(&command.name) {
            None if place.direct && elevate::is_code(&command.name) => {
                return self.elevate_command(report, &command, &requester, &place);
            }
            None => return self.run((report, line), &command, requester, place, Given::default()),
            Some(Builtin::Run) => match inner(&command) {
                Some(command) => {
                    let given = Given { asks: true, ..Given::default() };
                    return self.run((report, line), &command, requester, place, given);
                }
                None => help::one(Builtin::Run.name(), &requester, &place, policy),
            },
            Some(Builtin::DryRun) => match dry(&command) {
                Some(command) => return self.run((report, line), &command, requester, place, Given::default()),
                None => help::one(Builtin::DryRun.name(), &requester, &place, policy),
            },
            Some(Builtin::Lockdown) => return self.lockdown_command(report, &command, &requester),
            Some(Builtin::Elevate) => return self.elevate_command(report, &command, &requester, &place),
            Some(Builtin::Breakglass) => return self.glass_command((report, line), &command, requester, place),
            Some(Builtin::Receipt) => return self.receipt_command(report, &command, &requester, &place),
            Some(Builtin::Secret) => return self.secret_command(report, &command, &requester, &place),
            Some(Builtin::Ping) => words::PONG.to_owned(),
            Some(Builtin::Whoami) => whoami::answer(&requester, policy),
            Some(Builtin::About) => about::answer(self.started.elapsed(), self.mode, &self.layers),
            Some(Builtin::Help) => match command.words.first() {
                Some(name) => help::one(&name.text, &requester, &place, policy),
                None => help::all(&requester, &place, policy),
            },
            Some(Builtin::Explain) => {
                match inner(&command).map(|command| without_run(without_prefix(command, &prefix))) {
                    Some(command) => {
                        let command = match self.meant(report, &command, requester.user, &place) {
                            Meant::Known { command, .. } => command,
                            Meant::AsSaid | Meant::Unknown { .. } => command,
                        };
                        let standing = (&self.limiter, self.standing(requester.user));
                        explain::answer(&command, &requester, &place, policy, &self.opener, standing)
                    }
                    None => help::one(Builtin::Explain.name(), &requester, &place, policy),
                }
            }
            Some(Builtin::Approvals) => self.list_approvals(&requester),
            Some(builtin @ (Builtin::Approve | Builtin::Deny | Builtin::Withdraw)) => {
                return self.approval_command(report, builtin, &command, &requester);
            }
            Some(
                builtin @ (Builtin::Users
                | Builtin::Whois
                | Builtin::Banlist
                | Builtin::Adduser
                | Builtin::Deluser
                | Builtin::Chattr
                | Builtin::Ban
                | Builtin::Unban
                | Builtin::Audit),
            ) => return self.people_command(report, builtin, &command, requester, &place),
            Some(builtin @ (Builtin::Jobs | Builtin::Job | Builtin::Tail | Builtin::Kill)) => {
                return self.jobs_command(report, builtin, &command, &requester, &place);
            }
            Some(builtin @ (Builtin::Schedule | Builtin::Pause | Builtin::Resume | Builtin::Paused)) => {
                return self.schedule_command(report, builtin, &command, &requester, &place);
            }
            Some(builtin @ (Builtin::History | Builtin::Log)) => {
                return self.history_command(report, builtin, &command, &requester, &place);
            }
        };
        // No gate but the first is asked about what everybody may ask.
        self.answer(report, vec![crate::audit::Gate { name: "ban", passed: true }], text)
    }

    /// Asks the gates; what passes becomes a job.
    pub(super) fn run_as_said(
        &mut self,
        (report, line): (&Report, &str),
        command: &Command,
        requester: Requester,
        place: Place,
        given: Given<'_>,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let decision = gate::decide(command, &requester, &place, policy);
        let (script, values) = match decision.outcome {
            Ok((script, values)) => (script.name.clone(), values),
            Err((refusal, cause)) => {
                let gates = decision.gates;
                if given.asks && self.asks_for((report, line), (&requester, &place), &refusal)? {
                    return Ok(());
                }
                return self.refuse(report, refusal, &cause.0, gates);
            }
        };
        if let Some(cause) = self.audit.cannot_record() {
            return self.refuse(report, Refusal::Unrecorded, &cause, decision.gates);
        }
        let mine = |job: &&bartizan_proto::ids::JobId| {
            self.jobs.all.get(job).is_some_and(|entry| entry.intent.user == requester.user)
        };
        if self.jobs.queue.len() >= MAX_QUEUED || self.jobs.queue.iter().filter(mine).count() >= MAX_QUEUED_OF_ONE {
            return self.refuse(report, Refusal::Busy, "too many jobs wait", decision.gates);
        }
        if let Some(by) = self.refused_as_busy(&script) {
            let cause = format!("{script} is refused while job {by} runs or waits");
            let refusal = Refusal::InUse { name: script.to_string(), by };
            return self.refuse(report, refusal, &cause, decision.gates);
        }
        let mut gates = decision.gates;
        if given.glass.is_some()
            && let Err(why) = glass_allowed(policy.config.allowlist.get(&script), &values)
        {
            gates.push(Gate { name: "approval", passed: false });
            return self.refuse(report, Refusal::Denied(why.to_owned()), why, gates);
        }
        let asked = policy.config.allowlist.get(&script);
        let elevates = asked.is_some_and(|script| script.elevate.is_some());
        if let Some(asked) = asked.filter(|_| elevates) {
            let verdict = gate::elevation::ask(asked, self.standing(requester.user), given.code);
            gates.push(Gate { name: "elevation", passed: verdict == Verdict::Pass(()) });
            match verdict {
                Verdict::Pass(()) => {}
                Verdict::Refuse(Refusal::Elevate { name }, _) => {
                    self.say_it(report, given.it)?;
                    let asked = (line, command, given.glass);
                    return self.hold(report, &name, asked, (&requester, &place), gates);
                }
                Verdict::Refuse(refusal, cause) => return self.refuse(report, refusal, &cause.0, gates),
            }
        }
        let rate = policy.config.allowlist.get(&script).and_then(|script| script.rate).or(policy.config.rates.script);
        if let Verdict::Refuse(refusal, cause) = self.limiter.script(&script, rate) {
            gates.push(crate::audit::Gate { name: "rate", passed: false });
            return self.refuse(report, refusal, &cause.0, gates);
        }
        let intent = Intent {
            post: report.post,
            root: report.root.unwrap_or(report.post),
            channel: place.channel,
            channel_name: place.name,
            direct: place.direct,
            private: place.private,
            user: requester.user,
            user_name: requester.name,
            restricted: requester.restricted,
            script,
            command: Text::cut(line),
            actor: Actor::Person,
            part_of: None,
        };
        if let Err((refusal, cause)) = self.may_run_steps(&intent, &values, 1) {
            gates.push(Gate { name: "steps", passed: false });
            return self.refuse(report, refusal, &format!("a step of {}: {}", intent.script, cause.0), gates);
        }
        self.remember_named(report, command, &intent);
        if elevates {
            self.note_elevated(report, intent.user, given.code)?;
        }
        // A request for approvals has every value in it.
        if given.glass.is_none() && self.is_approval_wanted(&intent.script, &values) {
            return self.ask_approval(report, intent, &values, gates);
        }
        self.say_it(report, given.it)?;
        if let Some(reason) = given.glass {
            return self.break_glass(report, intent, reason, gates);
        }
        self.record_decision(report, &intent.command, None, gates);
        self.store.decided(report.post)?;
        self.queue_job(intent)
    }
}

/// Whether a script may be run without its approvals.
fn glass_allowed(script: Option<&Script>, values: &[Value]) -> Result<(), &'static str> {
    match script.and_then(|script| approval::wanted(script, values)) {
        None => Err("it needs no approval: give the command itself"),
        Some(approval) if !approval.glass => Err("it has no break-glass: others must approve it"),
        Some(_) => Ok(()),
    }
}

/// The command that `explain` is asked about may be written as one would write it.
fn without_prefix(mut command: Command, prefix: &str) -> Command {
    if let Some(name) = command.name.strip_prefix(prefix).filter(|name| !name.is_empty()) {
        command.name = name.to_owned();
    }
    command
}

/// The refusal of a command that is not for this person, with its cause and gates: it does not exist for them.
pub(super) fn not_for(
    builtin: Builtin,
    requester: &Requester,
    policy: &Policy,
) -> Option<(Refusal, String, Vec<Gate>)> {
    let level = policy.level(requester);
    (level < builtin.level()).then(|| {
        let cause = format!("{} is {level}, {} needs {}", requester.user, builtin.name(), builtin.level());
        let gates = vec![Gate { name: "ban", passed: true }, Gate { name: "permission", passed: false }];
        (allowlist::unknown(builtin.name(), requester, policy), cause, gates)
    })
}
