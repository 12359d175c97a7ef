//! Has this person the level and the flags that the script asks for?

use super::{Cause, Verdict, allowlist};
use crate::command::parse::Command;
use crate::config::{Level, Script};
use crate::policy::{Policy, Requester};

/// Refuses with the words of an unknown name: what exists for others cannot be told from what does not exist.
pub fn check(script: &Script, command: &Command, requester: &Requester, policy: &Policy) -> Verdict {
    if may(script, requester, policy) {
        return Verdict::Pass(());
    }
    let level = policy.level(requester);
    let cause = if level < script.level {
        format!("{} is {level}, {} needs {}", requester.user, script.name, script.level)
    } else {
        format!("{} needs flags, and nobody has any yet", script.name)
    };
    Verdict::Refuse::<()>(allowlist::unknown(command, requester, policy), Cause(cause))
}

/// Whether the person may run the script somewhere. Flags are granted by nothing yet: a script that requires one is
/// refused to everyone, so that no rule is silently inert.
pub fn may(script: &Script, requester: &Requester, policy: &Policy) -> bool {
    let level = policy.level(requester);
    level > Level::Banned && level >= script.level && script.required_flags.is_empty()
}
