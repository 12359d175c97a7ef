//! Is there an emergency stop? Then nothing is started, whoever asks and whatever for; only the host lifts it.
//!
//! Asked with the other gates, so that what was asked for before, what others agree to and what comes by itself is refused
//! like a new command: at its start.

use super::{Cause, Refusal, Verdict};
use crate::policy::Policy;
use bartizan_proto::ids::UserId;

/// One that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockdown {
    /// Why, in the words of who began it.
    pub reason: String,
    /// Who; nobody for the host's operator.
    pub by: Option<UserId>,
    /// Their name then, or what it was.
    pub by_name: String,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
}

/// Refuses everything while it holds.
pub fn check(policy: &Policy) -> Verdict {
    match &policy.lockdown {
        None => Verdict::Pass(()),
        Some(Lockdown { reason, by_name, .. }) => {
            let refusal = Refusal::LockedDown { by: by_name.clone(), reason: reason.clone() };
            Verdict::Refuse(refusal, Cause(format!("locked down by {by_name}: {reason}")))
        }
    }
}
