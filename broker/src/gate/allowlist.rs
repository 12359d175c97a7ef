//! Is there such a script? What is not on the allowlist does not exist.

use super::{Cause, Refusal, Verdict, permission};
use crate::command::Builtin;
use crate::command::parse::Command;
use crate::config::{Script, nearest_that};
use crate::policy::{Policy, Requester};

/// Finds the script.
pub fn check<'p>(command: &Command, requester: &Requester, policy: &'p Policy) -> Verdict<&'p Script> {
    match command.name.parse().ok().and_then(|name| policy.config.allowlist.get(&name)) {
        Some(script) => Verdict::Pass(script),
        None => Verdict::Refuse(
            unknown(&command.name, requester, policy),
            Cause(format!("{:?} is not on the allowlist", command.name)),
        ),
    }
}

/// What is said of a name that is not known or not permitted: the same, down to the suggestion, which is only ever
/// something that this person may run.
pub fn unknown(name: &str, requester: &Requester, policy: &Policy) -> Refusal {
    let level = policy.level(requester);
    let builtins = Builtin::ALL.into_iter().filter(|builtin| builtin.level() <= level);
    let builtins = builtins.map(|builtin| (builtin.name(), None));
    let scripts = policy.config.allowlist.iter().map(|script| (script.name.as_str(), Some(script)));
    let others = scripts.chain(builtins).filter(|(near, _)| *near != name);
    let mine =
        |script: Option<&Script>| script.is_none_or(|script| permission::may_at(level, script, requester, policy));
    Refusal::Unknown { name: name.to_owned(), near: nearest_that(name, others, mine).map(str::to_owned) }
}
