//! core ↔ connector: posts are reported, replies are ordered.
//!
//! What the connector reports is a claim. The core acts on nothing of it but the post's id, which it has egress attest.
//! [`ToConnector::Attach`] carries two descriptors: the connector's ends of [`crate::verbs`] and [`crate::carrier`].

use crate::bounded::{Bytes, List, Text};
use crate::card::Card;
use crate::ids::{ChannelId, EmojiName, PostId, UserId};
use crate::limits::{MAX_ATTACHMENT, MAX_CHANNELS, MAX_HEARD, MAX_LISTENED, MAX_MESSAGE, MAX_NAME, MAX_REASON};
use serde::{Deserialize, Serialize};

/// What the connector needs to know to tell what is meant for the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The bot's own user id: its own posts are left out.
    pub bot: UserId,
    /// The bot's name, for `@name command`.
    pub bot_name: Text<MAX_NAME>,
    /// What commands begin with in channels, `!` unless configured otherwise.
    pub prefix: Text<16>,
    /// Longest post in code points, as the server says (`MaxPostSize`).
    pub max_post: u32,
    /// How far each channel has been read.
    pub cursors: List<Cursor, MAX_CHANNELS>,
    /// Where somebody is asked something.
    pub listen: List<Listen, MAX_LISTENED>,
}

/// Somebody was asked something in a thread: what they write there counts although it does not begin like a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listen {
    /// In which channel.
    pub channel: ChannelId,
    /// In which thread.
    pub root: PostId,
    /// Who; everybody where there is none.
    pub user: Option<UserId>,
}

/// How far one channel has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which channel.
    pub channel: ChannelId,
    /// Creation time of the last post seen there, in ms since 1970 by the server's clock.
    pub seen_ms: u64,
    /// Creation time of the newest post that was there when the bot first read the channel: nothing up to it was ever meant
    /// for this installation. 0 where that is not known; the connector says it once, before anything else of the channel.
    pub begun_ms: u64,
}

/// An account, and a channel in which its posts are reported whatever they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Heard {
    /// The channel.
    pub channel: ChannelId,
    /// The account.
    pub user: UserId,
}

/// A post as the connector read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its id: the one thing that counts.
    pub post: PostId,
    /// The claimed channel.
    pub channel: ChannelId,
    /// The claimed author.
    pub author: UserId,
    /// The root of its thread, where it is a reply.
    pub root: Option<PostId>,
    /// The claimed text.
    pub text: Text<MAX_MESSAGE>,
    /// When it was made, ms since 1970 by the server's clock.
    pub created_ms: u64,
    /// Whether the channel is a direct message to the bot.
    pub direct: bool,
    /// Whether it was found by catching up instead of arriving live.
    pub caught_up: bool,
    /// Whether it says itself that it comes from a webhook, or under another name: for the core to warn of it.
    pub webhook: bool,
}

/// A reaction as the connector read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// To which post.
    pub post: PostId,
    /// The claimed person.
    pub user: UserId,
    /// With what.
    pub emoji: EmojiName,
}

/// What the connector says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromConnector {
    /// The websocket is up: the server said hello.
    Connected {
        /// Whether the server went on from where the last connection ended.
        resumed: bool,
    },
    /// The websocket is down, and will be tried again.
    Disconnected {
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
        /// In how many ms it is tried again.
        retry_ms: u32,
    },
    /// Someone wrote something that looks meant for the bot.
    Post(Report),
    /// Somebody reacted to a post: a claim, too.
    Reaction(Reaction),
    /// Reactions may have been missed.
    ReactionsMissed,
    /// How far a channel has been read without anything for the bot in it.
    Seen(Cursor),
    /// A delivery ended.
    Delivered {
        /// Which.
        delivery: DeliveryId,
        /// How.
        outcome: Delivered,
    },
}

/// One delivery of the core's outbox, numbered by the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct DeliveryId(pub u64);

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivered {
    /// The server has the post under this id.
    Posted(PostId),
    /// The reaction or edit is done.
    Done,
    /// The server will never take it (400, 403, 404 …).
    Rejected {
        /// The HTTP status, 0 where there was none.
        status: u16,
        /// What the server said, cut, without anything secret.
        why: Text<MAX_REASON>,
    },
}

/// What the core orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToConnector {
    /// Work with these ends from now on (two descriptors: verbs, carrier). What was under way on older ones failed;
    /// deliveries that were not reported are to be done again.
    Attach,
    /// Begin.
    Start(Box<Start>),
    /// Report what these accounts, their webhooks too, write in these channels from now on, and nobody else's.
    Hear(List<Heard, MAX_HEARD>),
    /// Listen in these threads from now on, and in no others.
    Listen(List<Listen, MAX_LISTENED>),
    /// Do this. The connector tries until it succeeds or the server says never; the order within one thread, and of
    /// the reactions on one post, is kept.
    Deliver(Box<Delivery>),
}

/// Something to be seen in chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The number to report it under.
    pub delivery: DeliveryId,
    /// Whether it may have been sent before: then the thread is searched for `reply_id` first.
    pub again: bool,
    /// What to do.
    pub act: Act,
}

/// What can be done in chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Post in the thread of `root`.
    Reply {
        /// Where.
        channel: ChannelId,
        /// The thread.
        root: PostId,
        /// Goes into the post's props as `bartizan_reply`, and into its `pending_post_id`.
        reply_id: Text<64>,
        /// What it says.
        body: Body,
        /// A file with it.
        attachment: Option<Attachment>,
    },
    /// Change a post of the bot's.
    Edit {
        /// Which.
        post: PostId,
        /// What it says then.
        body: Body,
    },
    /// React to a post.
    React {
        /// Which.
        post: PostId,
        /// With what.
        emoji: EmojiName,
    },
    /// Take a reaction of the bot's back.
    Unreact {
        /// Which.
        post: PostId,
        /// With what.
        emoji: EmojiName,
    },
}

/// What a post says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Markdown that the core wrote; everything foreign in it is already escaped ([`crate::text`]).
    Markup(Text<MAX_MESSAGE>),
    /// A line of the core's markdown, then raw output that the connector fences.
    Output {
        /// Markdown that the core wrote.
        head: Text<MAX_MESSAGE>,
        /// What a script printed, control characters removed; anything else may be in it.
        output: Text<MAX_MESSAGE>,
    },
    /// A card that the core made, and nothing above it. Only of a new post.
    Card(Box<Card>),
}

/// A file that goes with a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name, without a path.
    pub name: Text<MAX_NAME>,
    /// What is in it.
    pub content: Bytes<MAX_ATTACHMENT>,
}
