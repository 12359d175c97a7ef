//! The bodies of REST answers → types. The server's word, but about what anyone in the team wrote: lenient about
//! single posts, never panicking.

use crate::mattermost::event::Post;
use bartizan_proto::ids::{ChannelId, FileId, PostId};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// The body is not what the call answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer is not {0}")]
pub struct Unexpected(pub &'static str);

/// Some posts of one channel or thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Oldest first. Posts that cannot be read are left out.
    pub posts: Vec<Post>,
    /// How many the server listed, readable or not.
    pub listed: usize,
    /// Whether the server says that there are older ones.
    pub older: bool,
}

/// A `PostList`: `order` names the posts of the page; `posts` may hold more (the roots of their threads).
///
/// # Errors
/// [`Unexpected`].
pub fn page(body: &[u8]) -> Result<Page, Unexpected> {
    #[derive(Deserialize)]
    struct PostList<'a> {
        order: Option<Vec<String>>,
        #[serde(borrow)]
        posts: Option<HashMap<String, &'a RawValue>>,
        prev_post_id: Option<String>,
    }
    let list: PostList = serde_json::from_slice(body).map_err(|_| Unexpected("a list of posts"))?;
    let (order, known) = (list.order.unwrap_or_default(), list.posts.unwrap_or_default());
    let mut posts: Vec<Post> = order.iter().filter_map(|id| serde_json::from_str(known.get(id)?.get()).ok()).collect();
    posts.sort_by_key(|post| (post.create_at, post.id));
    posts.dedup_by_key(|post| post.id);
    Ok(Page { posts, listed: order.len(), older: list.prev_post_id.is_some_and(|id| !id.is_empty()) })
}

/// The id of a post that was just made.
///
/// # Errors
/// [`Unexpected`].
pub fn created(body: &[u8]) -> Result<PostId, Unexpected> {
    #[derive(Deserialize)]
    struct Created {
        id: PostId,
    }
    serde_json::from_slice(body).map(|Created { id }| id).map_err(|_| Unexpected("a post"))
}

/// The id of a file that was just uploaded.
///
/// # Errors
/// [`Unexpected`].
pub fn uploaded(body: &[u8]) -> Result<FileId, Unexpected> {
    #[derive(Deserialize)]
    struct Info {
        id: FileId,
    }
    #[derive(Deserialize)]
    struct Uploaded {
        file_infos: Vec<Info>,
    }
    let uploaded: Uploaded = serde_json::from_slice(body).map_err(|_| Unexpected("an uploaded file"))?;
    uploaded.file_infos.first().map(|info| info.id).ok_or(Unexpected("an uploaded file"))
}

/// A channel that the bot is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// Which.
    pub channel: ChannelId,
    /// Whether it is a direct message.
    pub direct: bool,
    /// When the channel was made, ms since 1970.
    pub created_ms: u64,
}

/// Every channel of the bot that is not archived.
///
/// # Errors
/// [`Unexpected`].
pub fn channels(body: &[u8]) -> Result<Vec<Membership>, Unexpected> {
    #[derive(Deserialize)]
    struct Channel {
        id: ChannelId,
        #[serde(default, rename = "type")]
        kind: String,
        #[serde(default)]
        create_at: u64,
        #[serde(default)]
        delete_at: u64,
    }
    let all: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| Unexpected("a list of channels"))?;
    Ok(all
        .into_iter()
        .filter_map(|raw| serde_json::from_str::<Channel>(raw.get()).ok())
        .filter(|channel| channel.delete_at == 0)
        .map(|Channel { id, kind, create_at, .. }| Membership {
            channel: id,
            direct: kind == "D",
            created_ms: create_at,
        })
        .collect())
}

/// What a refusal says, for people: the `message` of Mattermost's error, else the beginning of the text. Inert.
pub fn refusal(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct AppError {
        message: String,
    }
    let said = match serde_json::from_slice(body) {
        Ok(AppError { message }) => message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned(),
    };
    bartizan_proto::text::printable(&said.chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn post(letter: &str, create_at: u64) -> serde_json::Value {
        json!({"id": letter.repeat(26), "user_id": "u".repeat(26), "channel_id": "c".repeat(26), "message": letter,
               "create_at": create_at})
    }

    #[test]
    fn a_page_is_in_order_of_time_and_holds_only_what_is_listed() {
        let (a, b, root) = ("a".repeat(26), "b".repeat(26), "r".repeat(26));
        let body = json!({"order": [b, a], "prev_post_id": "x",
                          "posts": {&a: post("a", 1), &b: post("b", 2), &root: post("r", 0)}});
        let page = page(body.to_string().as_bytes()).expect("a page");
        assert_eq!(page.posts.iter().map(|p| p.message.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((page.listed, page.older), (2, true));
    }

    #[test]
    fn one_post_that_cannot_be_read_does_not_hide_the_others() {
        let (a, b) = ("a".repeat(26), "b".repeat(26));
        let body = json!({"order": [a, b, "missing"], "posts": {&a: {"id": 5}, &b: post("b", 2)}});
        let page = page(body.to_string().as_bytes()).expect("a page");
        assert_eq!((page.posts.len(), page.listed), (1, 3));
    }

    #[test]
    fn archived_channels_are_left_out_and_group_messages_are_not_direct() {
        let body = json!([{"id": "a".repeat(26), "type": "D"}, {"id": "b".repeat(26), "type": "G"},
                          {"id": "c".repeat(26), "type": "O", "delete_at": 9}, {"id": "?"}]);
        let found = channels(body.to_string().as_bytes()).expect("channels");
        assert_eq!(found.iter().map(|m| m.direct).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_refusal_is_one_inert_line() {
        assert_eq!(refusal(br#"{"id":"x","message":"No\u001b[1m such"}"#), "No<U+001B>[1m such");
        assert_eq!(refusal(b"limit exceeded\n"), "limit exceeded<U+000A>");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _whatever = (page(&body), created(&body), uploaded(&body), channels(&body), refusal(&body));
        }
    }
}
