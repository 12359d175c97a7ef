//! Is this post one that a trigger waits for, as the server itself has it?
//!
//! The account's id and the channel's are compared, not their names, and what the post's props say may only deny: a post of the
//! account's webhooks is none of the account itself, and the other way round. It gives nobody's rights: what it begins runs as
//! nobody, and is exactly what the configuration says.

use super::attest;
use crate::config::{Trigger, TriggerSource as Source};
use crate::policy::{Place, Policy};
use bartizan_proto::egress::AttestedPost;

/// The place, where the post counts for this trigger; its text is not looked at.
pub fn check(post: &AttestedPost, trigger: &Trigger, policy: &Policy) -> Option<Place> {
    let author = &post.author;
    // Own posts never trigger, whatever is configured.
    if author.id == policy.bot || !policy.is_person(trigger.source.account(), author.id) || author.deactivated {
        return None;
    }
    if !policy.is_channel(&trigger.channel, post.channel.id) || post.edited_ms != 0 || post.deleted_ms != 0 {
        return None;
    }
    let counts = match &trigger.source {
        // A webhook with attachments has a type of its own; a system message is nobody's.
        Source::WebhookOf(_) => post.origin.webhook && matches!(post.kind.as_str(), "" | "slack_attachment"),
        Source::Account(_) => {
            let others = post.origin.webhook || post.origin.other || post.origin.disguised;
            post.kind.is_empty() && !others && (author.bot || !post.origin.bot)
        }
    };
    let age = post.server_ms.saturating_sub(post.created_ms);
    if !counts || u128::from(age) > policy.config.limits.stale_after.as_millis() {
        return None;
    }
    attest::place(&post.channel, author.id.as_str(), policy).ok().filter(|place| !place.direct)
}
