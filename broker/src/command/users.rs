//! `users`: everybody who is listed, the most powerful first.

use crate::config::Level;
use crate::policy::Policy;
use bartizan_proto::text::code;

/// So many are shown; `bartizan people list` on the host shows all.
const SHOWN: usize = 60;

/// The answer.
pub fn answer(policy: &Policy) -> String {
    let now = policy.now_ms();
    let mut rows: Vec<(Level, &str, String, bool)> = policy
        .people
        .listed()
        .filter_map(|user| policy.people.person(user).map(|(person, _)| (user, person)))
        .map(|(user, person)| {
            let flags: Vec<&str> = person.flags.iter().map(bartizan_proto::ids::FlagName::as_str).collect();
            (person.level, person.name.as_str(), flags.join(" "), policy.people.ban(user, now).is_some())
        })
        .collect();
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let count = rows.len();
    let mut out = format!("**{count} listed.** Everybody else counts as user.\n");
    for (level, name, flags, banned) in rows.into_iter().take(SHOWN) {
        let flags = if flags.is_empty() { String::new() } else { format!(", flags {}", code(&flags)) };
        let banned = if banned { ", banned" } else { "" };
        out.push_str(&format!("- {}: {level}{flags}{banned}\n", code(name)));
    }
    if count > SHOWN {
        out.push_str(&format!("… and {} more.\n", count - SHOWN));
    }
    out
}
