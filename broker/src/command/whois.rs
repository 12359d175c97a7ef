//! `whois @USER`: level, flags and ban of a person, and who said so.

use super::parse::Word;
use super::whom::{Whom, Wish};
use crate::config::Level;
use crate::policy::Policy;
use crate::words;
use bartizan_proto::egress::AttestedUser;
use bartizan_proto::text::{code, escape};

/// What the words ask for.
///
/// # Errors
/// What is wrong with them, for who typed them.
pub fn read(words: &[Word]) -> Result<(Whom, Wish), String> {
    let [who] = words else { return Err("one person is wanted".to_owned()) };
    Ok((super::person(who)?, Wish::Show))
}

/// The answer.
pub fn answer(user: &AttestedUser, policy: &Policy) -> String {
    let now = policy.now_ms();
    let person = policy.people.person(user.id);
    let ban = policy.people.ban(user.id, now);
    let restricted = user.guest || user.remote;
    let listed = person.map_or(Level::User, |(person, _)| person.level);
    let level = match (&ban, restricted) {
        (Some(_), _) => Level::Banned,
        (None, true) => listed.min(Level::User),
        (None, false) => listed,
    };
    let mut out = format!("{} is **{level}**. Id {}.", code(&user.name), code(user.id.as_str()));
    for (is, what) in [
        (user.bot, "a bot account, which commands nothing"),
        (user.guest, "a guest, who counts as user at most"),
        (user.remote, "an account of another server, which counts as user at most"),
        (user.deactivated, "a deactivated account"),
    ] {
        if is {
            out.push_str(&format!(" It is {what}."));
        }
    }
    match person {
        None => out.push_str("\nNot listed, so counted as user."),
        Some((person, source)) => {
            let flags: Vec<String> = person.flags.iter().map(|flag| code(flag.as_str())).collect();
            let flags = if flags.is_empty() { "no flags".to_owned() } else { format!("flags {}", flags.join(", ")) };
            let since =
                if person.since_ms == 0 { String::new() } else { format!(", {}", words::time(person.since_ms)) };
            out.push_str(&format!("\nListed as {}, {flags}; {}", person.level, source.as_str()));
            out.push_str(&format!(", by {}{since}.", code(&person.by)));
        }
    }
    let mut groups: Vec<String> =
        policy.groups.iter().filter(|(_, members)| members.contains(&user.id)).map(|(name, _)| code(name)).collect();
    if !groups.is_empty() {
        groups.sort();
        out.push_str(&format!("\nIn the groups {}.", groups.join(", ")));
    }
    if let Some((ban, _)) = ban {
        out.push_str(&format!("\nBanned {} by {}: {}", words::until(ban.until_ms), code(&ban.by), escape(&ban.reason)));
    }
    out
}
