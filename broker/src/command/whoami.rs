//! `whoami`: who the person is to the bot, as attested.

use crate::policy::{Policy, Requester};
use bartizan_proto::text::code;

/// The answer.
pub fn answer(requester: &Requester, policy: &Policy) -> String {
    let level = policy.level(requester);
    let person = policy.people.person(requester.user);
    let listed = if person.is_some() { "" } else { " (not listed, so counted as user)" };
    let restricted = if requester.restricted { "; a guest or remote account, so user at most" } else { "" };
    let flags: Vec<&str> =
        person.iter().flat_map(|(person, _)| &person.flags).map(bartizan_proto::ids::FlagName::as_str).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(", flags {}", code(&flags.join(" "))) };
    format!(
        "You are {}, **{level}**{flags}{listed}{restricted}. Your id is {}.",
        code(&requester.name),
        code(requester.user.as_str())
    )
}
