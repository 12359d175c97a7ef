//! Is this the place for it? Channels are compared by id, resolved from their names once.

use super::{Cause, Refusal, Verdict};
use crate::config::Script;
use crate::policy::{Place, Policy};

/// Where a script works, for someone who may run it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// In these channels, by name.
    Channels(Vec<String>),
    /// In private channels and direct messages.
    Private,
    /// In direct messages.
    Direct,
}

/// Passes where the script names no channels, or names this one. A direct message is no channel.
pub fn check(script: &Script, place: &Place, policy: &Policy) -> Verdict {
    if may(script, place, policy) {
        return Verdict::Pass(());
    }
    Verdict::Refuse(
        Refusal::NotHere { name: script.name.to_string(), wanted: wanted(script, policy) },
        Cause(format!("{} is not allowed in {}", script.name, called(place))),
    )
}

/// A place for log and audit, which have its id besides.
fn called(place: &Place) -> String {
    match (place.direct, place.name.is_empty()) {
        (true, _) => "direct messages".to_owned(),
        (false, false) => format!("#{}", place.name.as_str()),
        (false, true) => place.channel.to_string(),
    }
}

/// Whether the script runs in this place.
pub fn may(script: &Script, place: &Place, policy: &Policy) -> bool {
    let named = |name: &String| policy.is_channel(name, place.channel);
    let listed = script.channels.is_empty() || (!place.direct && script.channels.iter().any(named));
    let private = !script.private_only || place.private || place.direct;
    listed && private && (!script.direct_only || place.direct)
}

/// Where it would run.
pub fn wanted(script: &Script, policy: &Policy) -> Where {
    if script.direct_only {
        Where::Direct
    } else if script.channels.is_empty() {
        Where::Private
    } else {
        Where::Channels(script.channels.iter().map(|name| policy.channel_name(name).to_owned()).collect())
    }
}
