//! Is this person banned? Asked first, on the claimed author before anything is fetched and on the attested one again;
//! whoever is still to be told of it is refused by the second.
//!
//! Bans are held in memory as the database has them; a database that cannot be read or written ends the service, so that
//! nobody is let through by an error.

use super::{Cause, Refusal, Verdict};
use crate::policy::Policy;
use crate::words;
use bartizan_proto::ids::UserId;

/// Refuses those who are banned at that time (ms since 1970, by the server's clock).
pub fn check(user: UserId, policy: &Policy, now_ms: u64) -> Verdict {
    match policy.people.ban(user, now_ms) {
        None => Verdict::Pass(()),
        Some((ban, _)) => {
            let cause = format!("{} is banned {} by {}: {}", ban.name, words::until(ban.until_ms), ban.by, ban.reason);
            Verdict::Refuse(Refusal::Banned, Cause(cause))
        }
    }
}
