//! Is this person banned? Asked first, on the claimed author before anything is fetched and on the attested one again.

use super::{Cause, Refusal, Verdict};
use crate::policy::Policy;
use bartizan_proto::ids::UserId;

/// Refuses the banned.
pub fn check(user: UserId, policy: &Policy) -> Verdict {
    if policy.is_banned(user) {
        Verdict::Refuse(Refusal::Banned, Cause(format!("{user} is banned")))
    } else {
        Verdict::Pass(())
    }
}
