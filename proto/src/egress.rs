//! core ↔ egress: the token is lent once, and everything a person did is attested.
//!
//! [`ToEgress::Attach`] carries two descriptors: egress's ends of [`crate::verbs`] and [`crate::carrier`].
//!
//! Over 400 lines: every message of this socket, with what the server attests, in one place.

use crate::bounded::{Bytes, List, Text};
use crate::confidential::Confidential;
use crate::ids::{ChannelId, EmojiName, PostId, TeamId, UserId};
use crate::limits::{
    MAX_CA_BUNDLE, MAX_CHAIN, MAX_CLIENT_KEY, MAX_EMOJI_ASKED, MAX_GROUP, MAX_MESSAGE, MAX_NAME, MAX_PROTECTED,
    MAX_REACTIONS, MAX_REASON, MAX_ROLES, MAX_TOKEN,
};
use serde::{Deserialize, Serialize};

/// Where the server is, and what to say there. Sent once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The server's base address, `https://chat.example.com` or with a path below it.
    pub url: Text<MAX_NAME>,
    /// The bot's access token.
    pub token: Confidential<MAX_TOKEN>,
    /// PEM certificates to trust; empty for a plain `http` server.
    pub ca: Bytes<MAX_CA_BUNDLE>,
    /// The name of the team that the bot works in.
    pub team: Text<MAX_NAME>,
    /// `http://HOST:PORT` of a proxy that connects to the server (CONNECT, RFC 9110 §9.3.6). For https servers only.
    pub proxy: Option<Text<MAX_NAME>>,
    /// What the bot's machine shows a server that asks for a certificate.
    pub client: Option<ClientCertificate>,
}

/// A certificate of our own for TLS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// PEM: the certificate, and what leads from it to a root that the server knows.
    pub chain: Bytes<MAX_CHAIN>,
    /// PEM: its key.
    pub key: Confidential<MAX_CLIENT_KEY>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Setup for {}", self.url)
    }
}

/// What the core orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToEgress {
    /// Everything egress needs; then it confines itself.
    Setup(Box<Setup>),
    /// Serve a connector at these ends from now on (two descriptors: verbs, carrier), and no older one.
    Attach,
    /// Look this up on the server.
    Attest {
        /// The number to answer under.
        question: QuestionId,
        /// What to look up.
        subject: Subject,
    },
    /// The core's own words in chat: the connector can never change them.
    Protected {
        /// The number to answer under.
        write: WriteId,
        /// What to do.
        act: Box<ProtectedAct>,
        /// Whether it may have been done before: then it is looked for first.
        again: bool,
    },
    /// Ask the server about this token; if it is the same bot's, use it from now on instead of the one before.
    Token(Confidential<MAX_TOKEN>),
    /// These posts are the core's own. Egress knows none when it starts.
    Protect(List<PostId, MAX_PROTECTED>),
}

/// One protected write, numbered by the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct WriteId(pub u64);

/// What the core itself does in chat. From the moment of the order on the connector can neither edit nor react to the
/// post, nor take a reaction on it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtectedAct {
    /// A post.
    Create {
        /// Where.
        target: Target,
        /// The thread, if it is a reply.
        root: Option<PostId>,
        /// Markdown.
        message: Text<MAX_MESSAGE>,
        /// Unique among all protected posts; goes into `props.bartizan_protected`, which the connector cannot set.
        key: Text<128>,
    },
    /// A protected post says something else from now on.
    Edit {
        /// Which.
        post: PostId,
        /// The new markdown.
        message: Text<MAX_MESSAGE>,
    },
    /// A reaction of the bot's to a protected post.
    React {
        /// Which.
        post: PostId,
        /// The emoji.
        emoji: EmojiName,
    },
    /// Somebody's post is deleted, where the server lets the bot: a code of a second factor in a channel.
    Delete {
        /// Which.
        post: PostId,
        /// Where it is.
        channel: ChannelId,
    },
    /// Takes one back.
    Unreact {
        /// Which.
        post: PostId,
        /// The emoji.
        emoji: EmojiName,
    },
}

/// Where a protected post goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// Into a channel.
    Channel(ChannelId),
    /// Into the direct channel of the bot and this user.
    Direct(UserId),
}

/// One question, numbered by the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QuestionId(pub u64);

/// What can be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A post with its author and channel. A 404 is tried again for a moment (replica lag).
    Post(PostId),
    /// A user.
    User(UserId),
    /// The user who has this name now.
    UserNamed(Text<MAX_NAME>),
    /// A channel.
    Channel(ChannelId),
    /// The channel of the configured team that has this name now.
    ChannelNamed(Text<MAX_NAME>),
    /// The group that has this name now, with everybody in it.
    GroupNamed(Text<MAX_NAME>),
    /// Who has reacted to a post, as far as the reactions are there now.
    Reactions {
        /// To which.
        post: PostId,
        /// Only with these emoji; empty for all.
        emoji: List<EmojiName, MAX_EMOJI_ASKED>,
    },
    /// What the bot itself may do that it has no use for.
    OwnRights,
}

/// What egress says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromEgress {
    /// The server answered and knows the token.
    Ready(Box<Ready>),
    /// The server cannot be used now; egress tries again by itself.
    Unready {
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
        /// In how many ms it is tried again.
        retry_ms: u32,
    },
    /// The answer to a question.
    Attested {
        /// Which.
        question: QuestionId,
        /// What the server says.
        outcome: Outcome,
    },
    /// What became of a protected write.
    Protected {
        /// Which.
        write: WriteId,
        /// What.
        outcome: ProtectedOutcome,
    },
    /// The connector asked for something that no connector of ours asks for, and was dropped.
    Dropped {
        /// Which: the how many-th [`ToEgress::Attach`] of this egress brought it.
        session: u32,
        /// What, without anything secret.
        why: Text<MAX_REASON>,
    },
    /// The answer to [`ToEgress::Token`].
    TokenChecked(TokenVerdict),
}

/// What became of a new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenVerdict {
    /// The server knows it as the bot's: it is in use, and the one before is forgotten.
    InUse,
    /// The server does not know it; the one before is still in use.
    Refused {
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
    },
    /// It is another account's; the one before is still in use.
    OtherAccount {
        /// Whose.
        name: Text<MAX_NAME>,
    },
    /// The server gave no answer; the one before is still in use.
    Unanswered {
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
    },
}

/// What became of a protected write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProtectedOutcome {
    /// The server has the post.
    Posted {
        /// Its id.
        post: PostId,
        /// Where it is.
        channel: ChannelId,
    },
    /// The edit or reaction is done.
    Done,
    /// The server will never take it.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What it says, without anything secret.
        why: Text<MAX_REASON>,
    },
    /// It may or may not have been done; to be ordered again.
    Unavailable {
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
    },
}

/// Who the bot is on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The bot.
    pub bot: AttestedUser,
    /// The configured team.
    pub team: TeamId,
    /// What the server calls its version.
    pub server_version: Text<MAX_NAME>,
    /// Longest post in code points.
    pub max_post: u32,
    /// The server's clock, ms since 1970, from its `Date`.
    pub server_ms: u64,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A post.
    Post(Box<AttestedPost>),
    /// A user.
    User(AttestedUser),
    /// A channel.
    Channel(AttestedChannel),
    /// The reactions to a post.
    Reactions(Box<AttestedReactions>),
    /// A group.
    Group(Box<AttestedGroup>),
    /// The bot's own rights.
    OwnRights(OwnRights),
    /// There is no such thing, or the bot may not see it.
    NotFound,
    /// The server gave no usable answer; nothing is known.
    Unavailable {
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
    },
}

/// A post as the server itself has it, fetched by egress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedPost {
    /// Its id.
    pub id: PostId,
    /// Who wrote it.
    pub author: AttestedUser,
    /// Where.
    pub channel: AttestedChannel,
    /// The root of its thread, where it is a reply.
    pub root: Option<PostId>,
    /// What it says.
    pub text: Text<MAX_MESSAGE>,
    /// Its `type`: empty for what a person writes.
    pub kind: Text<64>,
    /// What its props say about where it comes from.
    pub origin: Origin,
    /// When it was made, ms since 1970 by the server's clock.
    pub created_ms: u64,
    /// When it was last edited; 0 for never.
    pub edited_ms: u64,
    /// When it was deleted; 0 for never.
    pub deleted_ms: u64,
    /// The server's clock when it answered, ms since 1970, from its `Date` (whole seconds).
    pub server_ms: u64,
}

/// The reactions to a post as the server has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedReactions {
    /// To which post.
    pub post: PostId,
    /// Those that were asked for, oldest first.
    pub reactions: List<AttestedReaction, MAX_REACTIONS>,
    /// Whether younger ones were left out, because there are more than fit.
    pub more: bool,
    /// The server's clock when it answered, ms since 1970, from its `Date` (whole seconds).
    pub server_ms: u64,
}

/// A group of the server's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedGroup {
    /// Its name now, as it is mentioned.
    pub name: Text<MAX_NAME>,
    /// Everybody in it.
    pub members: List<UserId, MAX_GROUP>,
}

/// What the bot may do that it has no use for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRights {
    /// Roles of the bot's by which `@channel`, `@all` and `@here` in its posts notify everybody; none where they do not.
    pub mention_channels: List<Text<MAX_NAME>, MAX_ROLES>,
}

/// One reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedReaction {
    /// Whose.
    pub user: AttestedUser,
    /// With what.
    pub emoji: EmojiName,
    /// When, ms since 1970 by the server's clock.
    pub created_ms: u64,
}

/// What a post's props say about where it comes from. Anyone may have set them: they may deny, never grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// `from_bot` is there.
    pub bot: bool,
    /// `from_webhook` is there.
    pub webhook: bool,
    /// Any other `from_*` prop is there (`from_plugin`, `from_oauth_app` …).
    pub other: bool,
    /// `override_username`, `override_icon_*` or `webhook_display_name` is there.
    pub disguised: bool,
}

/// A user as the server has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedUser {
    /// Their id.
    pub id: UserId,
    /// Their name now.
    pub name: Text<MAX_NAME>,
    /// A bot account.
    pub bot: bool,
    /// A guest.
    pub guest: bool,
    /// The account was deactivated.
    pub deactivated: bool,
    /// The account belongs to another server (shared channels).
    pub remote: bool,
    /// A system administrator of the server.
    pub system_admin: bool,
}

/// The type of a channel, by its letter in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// `O`: public.
    Open,
    /// `P`: private.
    Private,
    /// `D`: a direct message.
    Direct,
    /// `G`: a group message, which counts as a channel, not as a direct message.
    Group,
}

/// A channel as the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedChannel {
    /// Its id.
    pub id: ChannelId,
    /// Its type.
    pub kind: ChannelKind,
    /// Its name (of a direct message: both user ids).
    pub name: Text<MAX_NAME>,
    /// Its team; none for direct and group messages.
    pub team: Option<TeamId>,
    /// It was archived.
    pub archived: bool,
}
