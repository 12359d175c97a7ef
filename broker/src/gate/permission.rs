//! Is this one of the people that the script is for, with the level and the flags that it asks for?

use super::{Cause, Verdict, allowlist};
use crate::command::parse::Command;
use crate::config::{Level, Script};
use crate::policy::{Policy, Requester};
use bartizan_proto::ids::FlagName;

/// Refuses with the words of an unknown name: what exists for others cannot be told from what does not exist.
pub fn check(script: &Script, command: &Command, requester: &Requester, policy: &Policy) -> Verdict {
    let level = policy.level(requester);
    let (user, name) = (&requester.name, &script.name);
    let cause = match missing(script, requester, level, policy) {
        None => return Verdict::Pass(()),
        Some(Missing::Level) => format!("{user} is {level}, {name} needs {}", script.level),
        Some(Missing::Flag(flag)) => format!("{user} has not the flag {flag}, which {name} needs"),
        Some(Missing::Group) => format!("{name} is for some users and groups, and {user} is not among them"),
    };
    Verdict::Refuse(allowlist::unknown(&command.name, requester, policy), Cause(cause))
}

/// Whether the person may run the script somewhere.
pub fn may(script: &Script, requester: &Requester, policy: &Policy) -> bool {
    may_at(policy.level(requester), script, requester, policy)
}

/// The same where their level is known: for one person and many scripts.
pub fn may_at(level: Level, script: &Script, requester: &Requester, policy: &Policy) -> bool {
    missing(script, requester, level, policy).is_none()
}

/// What a script asks of a person that another one does not, in words: of two entries, whoever the person is.
pub fn asks_more(script: &Script, than: &Script) -> Option<String> {
    if script.level > than.level {
        return Some(format!("level {}", script.level));
    }
    if let Some(flag) = script.required_flags.iter().find(|flag| !than.required_flags.contains(flag)) {
        return Some(format!("the flag {flag}"));
    }
    let is_for_some = !script.users.is_empty() || !script.groups.is_empty();
    let same = script.users == than.users && script.groups == than.groups;
    (is_for_some && !same).then(|| "certain users or groups".to_owned())
}

/// What a person lacks.
enum Missing<'s> {
    Level,
    Flag(&'s FlagName),
    Group,
}

fn missing<'s>(script: &'s Script, requester: &Requester, level: Level, policy: &Policy) -> Option<Missing<'s>> {
    if level == Level::Banned || level < script.level {
        return Some(Missing::Level);
    }
    if let Some(flag) = script.required_flags.iter().find(|flag| !policy.has_flag(requester, flag)) {
        return Some(Missing::Flag(flag));
    }
    (!policy.is_for(script, requester.user)).then_some(Missing::Group)
}
