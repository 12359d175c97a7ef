//! Is the post what a person wrote, as the server itself has it?
//!
//! Called with what egress fetched. Refuses, in silence, everything that is not a fresh, unedited post of a person in a
//! channel that the configuration knows or in a direct message to the bot; a stale one is answered.

use super::{Cause, Refusal, Verdict};
use crate::policy::{Place, Policy, Requester};
use bartizan_proto::Text;
use bartizan_proto::egress::{AttestedChannel, AttestedPost, ChannelKind};
use std::time::Duration;

/// Who asks and where, of a post that counts.
pub fn check(post: &AttestedPost, policy: &Policy) -> Verdict<(Requester, Place)> {
    let silent = |cause: &str| Verdict::Refuse(Refusal::Silence, Cause(format!("post {}: {cause}", post.id)));
    let author = &post.author;
    // 1. A person's own words?
    if post.deleted_ms != 0 {
        return silent("was deleted");
    }
    if post.edited_ms != 0 {
        return silent("was edited");
    }
    if !post.kind.is_empty() {
        return silent("is a system post");
    }
    if post.origin.webhook || post.origin.bot || post.origin.other || post.origin.disguised {
        return silent("does not come from a person (webhook, bot, plugin or disguised)");
    }
    if author.bot || author.id == policy.bot {
        return silent("is a bot's");
    }
    if author.deactivated {
        return silent("is by a deactivated account");
    }
    // 2. In a place that we know?
    let place = match place(&post.channel, author.id.as_str(), policy) {
        Ok(place) => place,
        Err(cause) => return silent(cause),
    };
    // 3. Young, by the server's own clock?
    let age = Duration::from_millis(post.server_ms.saturating_sub(post.created_ms));
    if age > policy.config.limits.stale_after {
        return Verdict::Refuse(Refusal::Stale(age), Cause(format!("post {} is {} s old", post.id, age.as_secs())));
    }
    let requester = Requester { user: author.id, name: author.name.clone(), restricted: author.guest || author.remote };
    Verdict::Pass((requester, place))
}

fn place(channel: &AttestedChannel, author: &str, policy: &Policy) -> Result<Place, &'static str> {
    if channel.archived {
        return Err("is in an archived channel");
    }
    match channel.kind {
        ChannelKind::Direct => {
            let (one, other) = channel.name.split_once("__").unwrap_or_default();
            let bot = policy.bot.as_str();
            if (one, other) != (bot, author) && (one, other) != (author, bot) {
                return Err("is in a direct message that is not to the bot");
            }
            Ok(Place { channel: channel.id, name: Text::default(), direct: true })
        }
        ChannelKind::Group => Err("is in a group message, which no configuration knows"),
        ChannelKind::Open | ChannelKind::Private => {
            if channel.team != Some(policy.team) {
                return Err("is in a channel of another team");
            }
            if !policy.is_ours(channel.id) {
                return Err("is in a channel that the configuration does not name");
            }
            Ok(Place { channel: channel.id, name: channel.name.clone(), direct: false })
        }
    }
}
