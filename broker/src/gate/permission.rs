//! Is this one of the people that the script is for, with the level and the flags that it asks for?

use super::{Cause, Verdict, allowlist};
use crate::command::parse::Command;
use crate::config::{Level, Script};
use crate::policy::{Policy, Requester};

/// Refuses with the words of an unknown name: what exists for others cannot be told from what does not exist.
pub fn check(script: &Script, command: &Command, requester: &Requester, policy: &Policy) -> Verdict {
    match missing(script, requester, policy) {
        None => Verdict::Pass(()),
        Some(cause) => Verdict::Refuse(allowlist::unknown(&command.name, requester, policy), Cause(cause)),
    }
}

/// Whether the person may run the script somewhere.
pub fn may(script: &Script, requester: &Requester, policy: &Policy) -> bool {
    missing(script, requester, policy).is_none()
}

/// What the person lacks.
fn missing(script: &Script, requester: &Requester, policy: &Policy) -> Option<String> {
    let (user, name) = (requester.user, &script.name);
    let level = policy.level(requester);
    if level == Level::Banned || level < script.level {
        return Some(format!("{user} is {level}, {name} needs {}", script.level));
    }
    if let Some(flag) = script.required_flags.iter().find(|flag| !policy.has_flag(requester, flag)) {
        return Some(format!("{user} has not the flag {flag}, which {name} needs"));
    }
    if !policy.is_for(script, user) {
        return Some(format!("{name} is for some users and groups, and {user} is not among them"));
    }
    None
}
