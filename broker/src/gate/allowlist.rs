//! Is there such a script? What is not on the allowlist does not exist.

use super::{Cause, Refusal, Verdict, permission};
use crate::command::parse::Command;
use crate::config::Script;
use crate::policy::{Policy, Requester};

/// Finds the script.
pub fn check<'p>(command: &Command, requester: &Requester, policy: &'p Policy) -> Verdict<&'p Script> {
    match command.name.parse().ok().and_then(|name| policy.config.allowlist.get(&name)) {
        Some(script) => Verdict::Pass(script),
        None => Verdict::Refuse(
            unknown(command, requester, policy),
            Cause(format!("{:?} is not on the allowlist", command.name)),
        ),
    }
}

/// What is said of a name that is not known or not permitted: the same, down to the suggestion, which is only ever
/// something that this person may run.
pub(super) fn unknown(command: &Command, requester: &Requester, policy: &Policy) -> Refusal {
    let mine = |script: &Script| permission::may(script, requester, policy) && script.name.as_str() != command.name;
    let near = policy.config.allowlist.nearest(&command.name, mine).map(str::to_owned);
    Refusal::Unknown { name: command.name.clone(), near }
}
