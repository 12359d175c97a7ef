//! Is the post what a person wrote, as the server itself has it?
//!
//! Called with what egress fetched. Refuses, in silence, everything that is not a fresh, unedited post of a person in a
//! channel that the configuration knows or in a direct message to the bot; a stale one is answered.

use super::{Cause, Refusal, Verdict};
use crate::policy::{Place, Policy, Requester};
use bartizan_proto::Text;
use bartizan_proto::egress::{AttestedChannel, AttestedPost, AttestedReactions, AttestedUser, ChannelKind};
use bartizan_proto::ids::{EmojiName, PostId, UserId};
use std::time::Duration;

/// Who asks and where, of a post that counts.
pub fn check(post: &AttestedPost, policy: &Policy) -> Verdict<(Requester, Place)> {
    check_since(post, 0, policy)
}

/// The same of one whose author said later, by the server's clock, that it is still wanted: it is as young as that.
pub fn check_since(post: &AttestedPost, said_ms: u64, policy: &Policy) -> Verdict<(Requester, Place)> {
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
    let age = Duration::from_millis(post.server_ms.saturating_sub(post.created_ms.max(said_ms)));
    if age > policy.config.limits.stale_after {
        return Verdict::Refuse(Refusal::Stale(age), Cause(format!("post {} is {} s old", post.id, age.as_secs())));
    }
    let requester = Requester { user: author.id, name: author.name.clone(), restricted: author.guest || author.remote };
    Verdict::Pass((requester, place))
}

/// A post that answers a question in its thread: everything that [`check`] asks, and it stands in that thread and is that
/// person's. A prompt's answer is nothing else.
pub fn answer(post: &AttestedPost, root: PostId, asked: UserId, policy: &Policy) -> Verdict<(Requester, Place)> {
    let silent = |cause: &str| Verdict::Refuse(Refusal::Silence, Cause(format!("post {}: {cause}", post.id)));
    if post.root != Some(root) {
        return silent("is not in the thread of the question");
    }
    if post.author.id != asked {
        return silent("is not by the person who was asked");
    }
    check(post, policy)
}

/// A user whom a command names: who they are, if rights may be given to them at all.
pub fn person(user: &AttestedUser, policy: &Policy) -> Verdict<Requester> {
    let silent = |cause: &str| Verdict::Refuse(Refusal::Silence, Cause(format!("user {}: {cause}", user.id)));
    if user.bot || user.id == policy.bot {
        return silent("is a bot");
    }
    if user.deactivated {
        return silent("is deactivated");
    }
    Verdict::Pass(Requester { user: user.id, name: user.name.clone(), restricted: user.guest || user.remote })
}

/// Who has reacted with this emoji, the first first, each person once: bots and deactivated accounts never count, and the
/// bot's own reactions least of all. `None` when the server's answer was not whole: then nothing is known.
pub fn reactors(reactions: &AttestedReactions, emoji: &EmojiName, policy: &Policy) -> Option<Vec<Requester>> {
    let mut people: Vec<Requester> = Vec::new();
    for reaction in reactions.reactions.iter().filter(|reaction| reaction.emoji == *emoji) {
        if let Verdict::Pass(requester) = person(&reaction.user, policy)
            && people.iter().all(|known| known.user != requester.user)
        {
            people.push(requester);
        }
    }
    (!reactions.more).then_some(people)
}

/// A post that says it comes from a webhook, a slash command or under another name, where commands are taken: who and
/// where, for the admins. It grants nothing; [`check`] refuses it.
pub fn impostor(post: &AttestedPost, policy: &Policy) -> Option<String> {
    let speaks_for_others = post.origin.webhook || post.origin.disguised;
    let here = place(&post.channel, post.author.id.as_str(), policy).is_ok();
    (speaks_for_others && here && post.author.id != policy.bot && post.edited_ms == 0 && post.deleted_ms == 0).then(
        || {
            let how = if post.origin.webhook { "a webhook or slash command" } else { "a post under another name" };
            format!(
                "{how} of {} wrote a command in {} (post {}); it was refused",
                post.author.name, post.channel.name, post.id
            )
        },
    )
}

/// The place that a channel is to this person, or why commands there are left alone.
pub(crate) fn place(channel: &AttestedChannel, author: &str, policy: &Policy) -> Result<Place, &'static str> {
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
            Ok(Place { channel: channel.id, name: Text::default(), direct: true, private: false })
        }
        ChannelKind::Group => Err("is in a group message, which no configuration knows"),
        ChannelKind::Open | ChannelKind::Private => {
            if channel.team != Some(policy.team) {
                return Err("is in a channel of another team");
            }
            if !policy.is_ours(channel.id) {
                return Err("is in a channel that the configuration does not name");
            }
            Ok(Place {
                channel: channel.id,
                name: channel.name.clone(),
                direct: false,
                private: channel.kind == ChannelKind::Private,
            })
        }
    }
}
