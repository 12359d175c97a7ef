//! `whoami`: who the person is to the bot, as attested.

use crate::policy::{Policy, Requester};
use bartizan_proto::text::code;

/// The answer.
pub fn answer(requester: &Requester, policy: &Policy) -> String {
    let level = policy.level(requester);
    let listed = if policy.people.contains_key(&requester.user) { "" } else { " (not listed, so counted as user)" };
    let restricted = if requester.restricted { "; a guest or remote account, so user at most" } else { "" };
    format!(
        "You are {}, **{level}**{listed}{restricted}. Your id is {}.",
        code(&requester.name),
        code(requester.user.as_str())
    )
}
