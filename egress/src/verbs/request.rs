//! From a verb to its one request. Method, path and field names stand here and nowhere else; what the connector gives
//! is an id, a number within bounds, or text inside a JSON string or a query value.

use crate::http::{Answer, Body, Http, HttpError, Method, Request};
use crate::protected::PENDING;
use crate::verify::Identity;
use bartizan_proto::card::{self, Card};
use bartizan_proto::ids::{ChannelId, FileId, PostId, UserId};
use bartizan_proto::verbs::Verb;
use serde::Serialize;

/// Most posts on one page of the API.
const MAX_PER_PAGE: u8 = 200;

/// Why no request was made, or none that was answered.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The verb has something in it that no connector of ours sends.
    #[error("a call with {0}")]
    Refused(&'static str),
    /// The bot's own id is not known yet.
    #[error("the server has not been reached yet")]
    NotReady,
    /// It was made, or tried.
    #[error(transparent)]
    Http(#[from] HttpError),
}

#[derive(Serialize)]
struct NewPost<'a> {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_id: Option<PostId>,
    message: &'a str,
    pending_post_id: &'a str,
    props: Props<'a>,
    #[serde(skip_serializing_if = "<[FileId]>::is_empty")]
    file_ids: &'a [FileId],
}

/// The only props that the connector can set.
#[derive(Serialize)]
struct Props<'a> {
    bartizan_reply: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<[Attachment<'a>; 1]>,
}

/// What of an attachment can be set.
#[derive(Serialize)]
struct Attachment<'a> {
    fallback: &'a str,
    color: &'a str,
    title: &'a str,
    text: &'a str,
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    title: &'a str,
    value: &'a str,
    short: bool,
}

impl<'a> Attachment<'a> {
    fn of(card: &'a Card) -> Self {
        let field = |field: &'a card::Field| Field { title: &field.name, value: &field.value, short: field.short };
        Self {
            fallback: &card.title,
            color: card.colour.hex(),
            title: &card.title,
            text: &card.text,
            fields: card.fields.iter().map(field).collect(),
        }
    }
}

#[derive(Serialize)]
struct Patch<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Reaction<'a> {
    user_id: UserId,
    post_id: PostId,
    emoji_name: &'a str,
}

/// The post that a verb changes: its text or a reaction of the bot's to it.
pub fn changed(verb: &Verb) -> Option<PostId> {
    match verb {
        Verb::PatchPost { post, .. } | Verb::AddReaction { post, .. } | Verb::RemoveReaction { post, .. } => {
            Some(*post)
        }
        Verb::CreatePost { .. }
        | Verb::UploadFile { .. }
        | Verb::PostsSince { .. }
        | Verb::PostsAfter { .. }
        | Verb::PostsNewest { .. }
        | Verb::Thread { .. }
        | Verb::Channels => None,
    }
}

/// Makes the call.
///
/// # Errors
/// [`NotMade`].
pub async fn make(http: &Http, verb: Verb, identity: Option<Identity>) -> Result<Answer, NotMade> {
    let bot = || identity.map(|identity| identity.bot).ok_or(NotMade::NotReady);
    let team = || identity.map(|identity| identity.team).ok_or(NotMade::NotReady);
    let answer = match verb {
        Verb::CreatePost { channel, root, message, pending, reply_id, files, card } => {
            if pending.starts_with(PENDING) {
                return Err(NotMade::Refused("the pending id of a protected post"));
            }
            let body = json(&NewPost {
                channel_id: channel,
                root_id: root,
                message: &message,
                pending_post_id: &pending,
                props: Props {
                    bartizan_reply: &reply_id,
                    attachments: card.as_deref().map(|card| [Attachment::of(card)]),
                },
                file_ids: &files,
            })?;
            http.call(Request { method: Method::POST, body, ..Request::get(&["posts"]) }).await
        }
        Verb::PatchPost { post, message } => {
            let body = json(&Patch { message: &message })?;
            http.call(Request { method: Method::PUT, body, ..Request::get(&["posts", post.as_str(), "patch"]) }).await
        }
        Verb::AddReaction { post, emoji } => {
            let body = json(&Reaction { user_id: bot()?, post_id: post, emoji_name: emoji.as_str() })?;
            http.call(Request { method: Method::POST, body, ..Request::get(&["reactions"]) }).await
        }
        Verb::RemoveReaction { post, emoji } => {
            let bot = bot()?;
            let path = ["users", bot.as_str(), "posts", post.as_str(), "reactions", emoji.as_str()];
            http.call(Request { method: Method::DELETE, ..Request::get(&path) }).await
        }
        Verb::UploadFile { channel, name, content } => {
            let query = [("channel_id", channel.as_str()), ("filename", file_name(&name)?)];
            let body = Body::File(content.into_vec());
            http.call(Request { method: Method::POST, query: &query, body, ..Request::get(&["files"]) }).await
        }
        Verb::PostsSince { channel, since_ms } => posts(http, channel, &[("since", &since_ms.to_string())]).await,
        Verb::PostsAfter { channel, after, per_page } => {
            let per_page = page_size(per_page)?;
            posts(http, channel, &[("after", after.as_str()), ("per_page", &per_page), ("page", "0")]).await
        }
        Verb::PostsNewest { channel, per_page } => {
            posts(http, channel, &[("page", "0"), ("per_page", &page_size(per_page)?)]).await
        }
        Verb::Thread { root } => http.call(Request::get(&["posts", root.as_str(), "thread"])).await,
        Verb::Channels => {
            let (bot, team) = (bot()?, team()?);
            http.call(Request::get(&["users", bot.as_str(), "teams", team.as_str(), "channels"])).await
        }
    };
    Ok(answer?)
}

async fn posts(http: &Http, channel: ChannelId, query: &[(&str, &str)]) -> Result<Answer, HttpError> {
    http.call(Request { query, ..Request::get(&["channels", channel.as_str(), "posts"]) }).await
}

fn page_size(per_page: u8) -> Result<String, NotMade> {
    match per_page {
        1..=MAX_PER_PAGE => Ok(per_page.to_string()),
        _ => Err(NotMade::Refused("a page size out of bounds")),
    }
}

/// A name without a path in it, and without what a header or a terminal gives a meaning to.
fn file_name(name: &str) -> Result<&str, NotMade> {
    let plain = |c: char| !matches!(c, '/' | '\\') && !bartizan_proto::text::is_hidden(c);
    if name.chars().all(plain) && !matches!(name, "" | "." | "..") {
        Ok(name)
    } else {
        Err(NotMade::Refused("a file name that is none"))
    }
}

fn json(value: &impl Serialize) -> Result<Body, NotMade> {
    serde_json::to_vec(value).map(Body::Json).map_err(|_| NotMade::Refused("text that is no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_never_a_path() {
        for bad in ["", ".", "..", "a/b", "..\\x", "a\nb", "a\0", "a\u{202e}b"] {
            assert!(file_name(bad).is_err(), "{bad:?}");
        }
        assert!(file_name("output of job 7.txt").is_ok());
    }

    #[test]
    fn a_page_has_1_to_200_posts() {
        assert!(page_size(0).is_err() && page_size(201).is_err() && page_size(255).is_err());
        assert!(page_size(1).is_ok() && page_size(200).is_ok());
    }
}
