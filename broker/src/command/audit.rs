//! `audit @USER [AGE]`: what the audit log tells of a person, for admins.
//!
//! In a channel the words of a command are shown only where it was asked in that channel, too: what somebody wrote in a
//! direct message is not carried out of it.

use super::parse::Word;
use super::whom::{Whom, Wish};
use crate::audit::{Fields, Found};
use crate::people::duration::BanTime;
use crate::policy::{Place, Policy};
use bartizan_proto::egress::AttestedUser;
use bartizan_proto::text::{code, escape};
use serde_json::Value;
use std::time::Duration;

/// So many lines are shown.
pub const SHOWN: usize = 20;

/// Of a text, so many characters.
const TEXT: usize = 160;

/// As far back as it goes unless it is said.
const DAY: (Duration, &str) = (Duration::from_secs(24 * 3600), "24h");

/// What the words ask for.
///
/// # Errors
/// What is wrong with them, for who typed them.
pub fn read(words: &[Word]) -> Result<(Whom, Wish), String> {
    let (who, (back, age)) = match words {
        [who] => (who, DAY),
        [who, age] => match age.text.parse() {
            Ok(BanTime::For(back)) => (who, (back, age.text.as_str())),
            Ok(BanTime::Permanent) | Err(_) => {
                return Err(format!("{}: not an age: write it like 30m, 24h, 7d or 2w", age.text));
            }
        },
        _none_or_more => return Err("a person is wanted, and how far back".to_owned()),
    };
    Ok((super::person(who)?, Wish::Recorded { back, age: age.to_owned() }))
}

/// The answer. `age` is how far back it goes, as it was said.
pub fn answer(user: &AttestedUser, age: &str, found: &Found, place: &Place, policy: &Policy) -> String {
    let name = code(&user.name);
    let mut out = match found.count {
        0 => format!("The audit log has nothing about {name} in the last {age}."),
        1 => format!("**1 line about {name}** in the last {age}:"),
        count if count > found.lines.len() => {
            format!("**{count} lines about {name}** in the last {age}, the newest {}:", found.lines.len())
        }
        count => format!("**{count} lines about {name}** in the last {age}, the newest first:"),
    };
    for fields in &found.lines {
        out.push_str(&format!("\n- {}", line(fields, place, policy)));
    }
    if !found.complete || found.count > found.lines.len() {
        let command = format!("bartizan audit show --user {} --since {age}", user.name.as_str());
        let looked = if found.complete { "" } else { "I looked at the newest part of the log only. " };
        out.push_str(&format!("\n{looked}All of it, on the host: {}", code(&command)));
    }
    out
}

fn line(fields: &Fields, place: &Place, policy: &Policy) -> String {
    let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    let time = word("timestamp").get(..19).unwrap_or_default().replace('T', " ");
    let here = place.direct || word("channelId") == place.channel.as_str();
    let job = || format!("job {} {}", number("executionId").unwrap_or_default(), code(word("scriptName")));
    let cause = match word("error") {
        "" => String::new(),
        _ if !here => String::new(),
        error => format!(": {}", escape(&cut(error))),
    };
    let what = match word("event") {
        "decision" => {
            let verdict = if fields.get("success") == Some(&Value::Bool(true)) { "let through" } else { "refused" };
            let command = if here { code(&cut(word("command"))) } else { "a command".to_owned() };
            format!("{} {verdict} {command}{cause}", channel(word("channelId"), place, policy))
        }
        "job-start" => format!("{} started", job()),
        "job-end" => {
            let how = match fields.get("exitCode").and_then(Value::as_i64) {
                Some(exit) => format!("exit {exit}"),
                None => "no exit code".to_owned(),
            };
            let hosts = fields.get("hosts").and_then(Value::as_object).into_iter().flatten();
            let hosts: Vec<String> =
                hosts.filter_map(|(outcome, count)| Some(format!("{} {}", count.as_u64()?, escape(outcome)))).collect();
            let hosts = if hosts.is_empty() { String::new() } else { format!(", machines: {}", hosts.join(", ")) };
            format!("{} ended: {how}, {} ms{hosts}{cause}", job(), number("durationMs").unwrap_or_default())
        }
        "job-stop" => {
            let verb = if fields.get("success") == Some(&Value::Bool(true)) { "stopped" } else { "not stopped" };
            format!("{} {verb} by {}{cause}", job(), code(word("byName")))
        }
        "person-change" => {
            let level = |name: &str| if word(name).is_empty() { "not listed".to_owned() } else { code(word(name)) };
            let (before, after) = (level("before"), level("after"));
            format!("rights of {}: {before} → {after}, by {}", code(word("userName")), code(word("changedByName")))
        }
        event @ ("ban" | "unban") => {
            let reason = word("reason");
            let reason = if reason.is_empty() { String::new() } else { format!(": {}", escape(&cut(reason))) };
            format!("{event} {}, by {}{reason}", code(word("userName")), code(word("changedByName")))
        }
        event => format!("{}{cause}", escape(event)),
    };
    format!("{time} UTC, {what}")
}

/// A channel by its name, where the configuration has one for it or the question was asked there.
fn channel(id: &str, place: &Place, policy: &Policy) -> String {
    if id == place.channel.as_str() {
        return if place.direct { "here:".to_owned() } else { format!("#{}:", escape(&place.name)) };
    }
    let named = policy.channels.iter().find(|(_, channel)| channel.as_str() == id);
    named.map_or_else(|| "elsewhere:".to_owned(), |(name, _)| format!("#{}:", escape(name)))
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(TEXT).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
