//! Is this the place for it? Channels are compared by id, resolved from their names once.

use super::{Cause, Refusal, Verdict};
use crate::config::Script;
use crate::policy::{Place, Policy};

/// Passes where the script names no channels, or names this one. A direct message is no channel.
pub fn check(script: &Script, place: &Place, policy: &Policy) -> Verdict {
    if may(script, place, policy) {
        return Verdict::Pass(());
    }
    Verdict::Refuse(
        Refusal::NotHere { name: script.name.to_string(), channels: script.channels.clone() },
        Cause(format!("{} is not allowed in {}", script.name, place.channel)),
    )
}

/// Whether the script runs in this place.
pub fn may(script: &Script, place: &Place, policy: &Policy) -> bool {
    let named = |name: &String| policy.is_channel(name, place.channel);
    script.channels.is_empty() || (!place.direct && script.channels.iter().any(named))
}
