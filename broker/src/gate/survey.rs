//! Every gate's verdict on one command, without acting: for `explain`, in chat and on the host.
//!
//! The same gates as for a command that runs, asked on where one has refused as far as there is something to ask about.
//! Nothing is used up, no authorizer is called.

use super::{
    Cause, Refusal, Verdict, allowlist, approval, arguments, ban, channel, dry_run, elevation, file, lockdown,
    permission, rate,
};
use crate::argument::Value;
use crate::command::parse::Command;
use crate::config::Script;
use crate::elevation::Standing;
use crate::policy::{Place, Policy, Requester};
use bartizan_proto::people::GateVerdict;

/// What the gates say.
#[derive(Debug)]
pub struct Survey<'p> {
    /// Each gate, in order.
    pub gates: Vec<Seen>,
    /// The first refusal.
    pub refusal: Option<Refusal>,
    /// The script, where there is one.
    pub script: Option<&'p Script>,
    /// What it would get, where the arguments fit.
    pub values: Option<Vec<Value>>,
    /// SHA-256 of its file, where that is as it must be.
    pub sha256: Option<String>,
}

/// One gate's verdict.
#[derive(Debug)]
pub struct Seen {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub verdict: GateVerdict,
    /// Why: for admins and the host only.
    pub cause: String,
}

/// Asks all of them.
pub fn survey<'p>(
    command: &Command,
    requester: &Requester,
    place: &Place,
    policy: &'p Policy,
    opener: &file::Opener,
    (limiter, standing): (&rate::Limiter, Standing),
) -> Survey<'p> {
    let mut out = Survey { gates: Vec::new(), refusal: None, script: None, values: None, sha256: None };
    let found = allowlist::check(command, requester, policy);
    let rates = &policy.config.rates;
    let of_script = match &found {
        Verdict::Pass(script) if permission::may(script, requester, policy) => {
            Some((&script.name, script.rate.or(rates.script)))
        }
        Verdict::Pass(_) | Verdict::Refuse(..) => None,
    };
    out.take("rate", limiter.look(requester.user, place.channel, of_script, rates));
    out.take("ban", ban::check(requester.user, policy, policy.now_ms()));
    // No gate that anybody has to know of while there is none.
    if policy.lockdown.is_some() {
        out.take("lockdown", lockdown::check(policy));
    }
    let Some(script) = out.take("allowlist", found) else { return out };
    out.script = Some(script);
    out.take("permission", permission::check(script, command, requester, policy));
    out.take("channel", channel::check(script, place, policy));
    out.values = out.take("arguments", arguments::check(script, command));
    if command.dry {
        out.take("dry-run", dry_run::check(script));
    }
    out.sha256 = out.take("file", file::check(script, opener)).map(|file| file.sha256);
    if let Some(elevate) = script.elevate {
        match elevation::ask(script, standing, false) {
            Verdict::Refuse(Refusal::Elevate { .. }, Cause(_)) => {
                let cause = format!("{elevate}: a code is asked for when the command is given");
                out.gates.push(Seen { name: "elevation", verdict: GateVerdict::Unknown, cause });
            }
            verdict => drop(out.take("elevation", verdict)),
        }
    }
    if let Some(approval) = out.values.as_ref().and_then(|values| approval::wanted(script, values)) {
        let many = if approval.count == 1 { "approval is" } else { "approvals are" };
        let cause = format!("{} {many} asked for when the command is given", approval.count);
        out.gates.push(Seen { name: "approval", verdict: GateVerdict::Unknown, cause });
    }
    if let Some(name) = &script.elevator {
        let cause = format!("{name} is asked when the command is given");
        out.gates.push(Seen { name: "elevator", verdict: GateVerdict::Unknown, cause });
    }
    if let Some(name) = &script.authorizer {
        let cause = format!("{name} is asked when the command is given");
        out.gates.push(Seen { name: "authorizer", verdict: GateVerdict::Unknown, cause });
    }
    out
}

impl Survey<'_> {
    fn take<T>(&mut self, name: &'static str, verdict: Verdict<T>) -> Option<T> {
        match verdict {
            Verdict::Pass(value) => {
                self.gates.push(Seen { name, verdict: GateVerdict::Pass, cause: String::new() });
                Some(value)
            }
            Verdict::Refuse(refusal, Cause(cause)) => {
                self.gates.push(Seen { name, verdict: GateVerdict::Refuse, cause });
                self.refusal.get_or_insert(refusal);
                None
            }
        }
    }
}
