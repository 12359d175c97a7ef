//! `banlist`: the bans in force.

use crate::policy::Policy;
use crate::words;
use bartizan_proto::text::{code, escape};

/// So many are shown; `bartizan bans list` on the host shows all.
const SHOWN: usize = 40;

/// Of a reason, so many characters.
const REASON: usize = 120;

/// The answer.
pub fn answer(policy: &Policy) -> String {
    let mut bans: Vec<_> = policy.people.banned(policy.now_ms()).map(|(_, ban)| ban).collect();
    if bans.is_empty() {
        return "Nobody is banned.".to_owned();
    }
    bans.sort_by(|a, b| a.name.cmp(&b.name));
    let count = bans.len();
    let mut out = format!("**{count} banned.**\n");
    for ban in bans.into_iter().take(SHOWN) {
        let mut reason: String = ban.reason.chars().take(REASON).collect();
        if reason.len() < ban.reason.len() {
            reason.push('…');
        }
        let (name, by) = (code(&ban.name), code(&ban.by));
        out.push_str(&format!("- {name} {}, by {by}: {}\n", words::until(ban.until_ms), escape(&reason)));
    }
    if count > SHOWN {
        out.push_str(&format!("… and {} more.\n", count - SHOWN));
    }
    out
}
