//! connector ↔ egress: the REST calls that the connector may have made, as typed verbs.
//!
//! There is no verb for another URL, method or header, and none that could show the token. Egress builds each request
//! from validated ids; the connector parses the body of the answer. Requests are answered in any order.

use crate::bounded::{Bytes, List, Text};
use crate::card::Card;
use crate::ids::{ChannelId, EmojiName, FileId, PostId};
use crate::limits::{MAX_ATTACHMENT, MAX_BODY, MAX_MESSAGE, MAX_NAME, MAX_REASON};
use serde::{Deserialize, Serialize};

/// One request, numbered by the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u32);

/// What the connector asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToVerbs {
    /// Make this call.
    Call {
        /// The number to answer under.
        request: RequestId,
        /// Which call.
        verb: Box<Verb>,
    },
}

/// The calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// `POST /posts`.
    CreatePost {
        /// Where.
        channel: ChannelId,
        /// The thread, if it is a reply.
        root: Option<PostId>,
        /// Markdown.
        message: Text<MAX_MESSAGE>,
        /// `pending_post_id`: the same one within 30 s makes no second post.
        pending: Text<64>,
        /// Goes into `props.bartizan_reply`.
        reply_id: Text<64>,
        /// Files uploaded before.
        files: List<FileId, 5>,
        /// Goes into `props.attachments`.
        card: Option<Box<Card>>,
    },
    /// `PUT /posts/{id}/patch`.
    PatchPost {
        /// Which.
        post: PostId,
        /// The new markdown.
        message: Text<MAX_MESSAGE>,
    },
    /// `POST /reactions` as the bot.
    AddReaction {
        /// Which post.
        post: PostId,
        /// The emoji.
        emoji: EmojiName,
    },
    /// `DELETE /users/{bot}/posts/{id}/reactions/{emoji}`.
    RemoveReaction {
        /// Which post.
        post: PostId,
        /// The emoji.
        emoji: EmojiName,
    },
    /// `POST /files?channel_id=&filename=`.
    UploadFile {
        /// For a post in this channel.
        channel: ChannelId,
        /// Its name, without a path.
        name: Text<MAX_NAME>,
        /// What is in it.
        content: Bytes<MAX_ATTACHMENT>,
    },
    /// `GET /channels/{id}/posts?since=`: everything changed since, at most 1,000 posts.
    PostsSince {
        /// Which channel.
        channel: ChannelId,
        /// ms since 1970.
        since_ms: u64,
    },
    /// `GET /channels/{id}/posts?after=&per_page=&page=0`.
    PostsAfter {
        /// Which channel.
        channel: ChannelId,
        /// The last post that was seen.
        after: PostId,
        /// 1 to 200.
        per_page: u8,
    },
    /// `GET /channels/{id}/posts?page=0&per_page=`: the newest.
    PostsNewest {
        /// Which channel.
        channel: ChannelId,
        /// 1 to 200.
        per_page: u8,
    },
    /// `GET /posts/{id}/thread`.
    Thread {
        /// Its root.
        root: PostId,
    },
    /// `GET /users/{bot}/teams/{team}/channels`: every channel of the bot, direct ones included.
    Channels,
}

/// What egress answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromVerbs {
    /// The server answered.
    Answer {
        /// Which request.
        request: RequestId,
        /// The HTTP status.
        status: u16,
        /// From `Retry-After`, in ms.
        retry_after_ms: Option<u32>,
        /// The body, as it came.
        body: Bytes<MAX_BODY>,
    },
    /// There is no answer.
    Failed {
        /// Which request.
        request: RequestId,
        /// In what way.
        failure: Failure,
        /// More about it, without anything secret.
        why: Text<MAX_REASON>,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Not connected, or the connection broke: it may or may not have been done.
    Network,
    /// No answer within the time limit (30 s): it may or may not have been done.
    Timeout,
    /// The answer's body is over [`MAX_BODY`]: ask for less.
    TooLarge,
    /// Too many requests at once (64): nothing was sent.
    Busy,
}
