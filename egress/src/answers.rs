//! The server's JSON, as far as egress reads it: parsed once into the types that the core is told.
//!
//! What decides about rights is required to be there (roles, props, times, type): an answer without it is no answer.
//! Unknown fields are passed over; a field that comes twice, a wrong type, a value over its limit are refused.

use bartizan_proto::Text;
use bartizan_proto::egress::{AttestedChannel, AttestedUser, ChannelKind, Origin};
use bartizan_proto::ids::{ChannelId, EmojiName, PostId, TeamId, UserId};
use bartizan_proto::limits::{MAX_MESSAGE, MAX_NAME};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// The answer is not what was asked for. Says where, never what: the text is the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not JSON, too deep, or not of this shape.
    #[error("the server's answer is not {what} ({problem} at line {line}, column {column})")]
    Shape {
        /// What was expected.
        what: &'static str,
        /// Syntax, data or end of file.
        problem: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The post is longer than any post that Mattermost stores.
    #[error("the post is over {MAX_MESSAGE} bytes")]
    LongPost,
    /// An answer about something else.
    #[error("the server answered about something else than it was asked")]
    OtherSubject,
    /// No usable `Date` header.
    #[error("the server's answer has no date")]
    NoDate,
}

/// A post, without its author and channel.
#[derive(Debug, Deserialize)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// Who wrote it.
    #[serde(rename = "user_id")]
    pub author: UserId,
    /// Where.
    #[serde(rename = "channel_id")]
    pub channel: ChannelId,
    /// The root of its thread; empty in the API where there is none.
    #[serde(rename = "root_id", deserialize_with = "empty_is_none")]
    pub root: Option<PostId>,
    message: String,
    /// Empty for what a person writes.
    #[serde(rename = "type")]
    pub kind: Text<64>,
    /// From the props.
    #[serde(rename = "props")]
    pub origin: Props,
    /// ms since 1970.
    #[serde(rename = "create_at")]
    pub created_ms: u64,
    /// 0 for never.
    #[serde(rename = "edit_at")]
    pub edited_ms: u64,
    /// 0 for never.
    #[serde(rename = "delete_at")]
    pub deleted_ms: u64,
    #[serde(default)]
    remote_id: Option<String>,
}

impl Post {
    /// Reads a post.
    ///
    /// # Errors
    /// [`AnswerError::Shape`].
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        parse("a post", body)
    }

    /// Takes the text out, whole.
    ///
    /// # Errors
    /// [`AnswerError::LongPost`].
    pub fn take_text(&mut self) -> Result<Text<MAX_MESSAGE>, AnswerError> {
        Text::new(std::mem::take(&mut self.message)).map_err(|_| AnswerError::LongPost)
    }

    /// Whether it came from another server (shared channels).
    pub fn is_remote(&self) -> bool {
        self.remote_id.as_deref().is_some_and(|id| !id.is_empty())
    }
}

/// What the props say; `null` says nothing, no props at all are no answer.
#[derive(Debug, Clone, Copy)]
pub struct Props(pub Origin);

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Props;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("props")
            }
            fn visit_unit<E>(self) -> Result<Props, E> {
                Ok(Props(Origin::default()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Props, A::Error> {
                let mut origin = Origin::default();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    note(&mut origin, &key);
                }
                Ok(Props(origin))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A key counts by being there, whatever its value is: the API writes "true", but anyone may have set it.
fn note(origin: &mut Origin, key: &str) {
    match key {
        "from_bot" => origin.bot = true,
        "from_webhook" => origin.webhook = true,
        "override_username" | "webhook_display_name" => origin.disguised = true,
        key if key.starts_with("override_icon_") => origin.disguised = true,
        key if key.starts_with("from_") => origin.other = true,
        _ => {}
    }
}

#[derive(Deserialize)]
struct User {
    id: UserId,
    username: Text<MAX_NAME>,
    delete_at: u64,
    roles: String,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    remote_id: Option<String>,
}

/// Reads a user.
///
/// # Errors
/// [`AnswerError::Shape`].
pub fn user(body: &[u8]) -> Result<AttestedUser, AnswerError> {
    let user: User = parse("a user", body)?;
    let has_role = |wanted: &str| user.roles.split_whitespace().any(|role| role == wanted);
    Ok(AttestedUser {
        guest: has_role("system_guest"),
        system_admin: has_role("system_admin"),
        bot: user.is_bot,
        deactivated: user.delete_at != 0,
        remote: user.remote_id.is_some_and(|id| !id.is_empty()),
        id: user.id,
        name: user.username,
    })
}

#[derive(Deserialize)]
struct Channel {
    id: ChannelId,
    #[serde(rename = "type", deserialize_with = "channel_kind")]
    kind: ChannelKind,
    name: Text<MAX_NAME>,
    #[serde(rename = "team_id", deserialize_with = "empty_is_none")]
    team: Option<TeamId>,
    delete_at: u64,
}

/// Reads a channel.
///
/// # Errors
/// [`AnswerError::Shape`].
pub fn channel(body: &[u8]) -> Result<AttestedChannel, AnswerError> {
    let Channel { id, kind, name, team, delete_at } = parse("a channel", body)?;
    Ok(AttestedChannel { id, kind, name, team, archived: delete_at != 0 })
}

/// A reaction, without its user.
#[derive(Debug, Deserialize)]
pub struct Reaction {
    /// Whose.
    #[serde(rename = "user_id")]
    pub user: UserId,
    /// To what.
    #[serde(rename = "post_id")]
    pub post: PostId,
    /// With what.
    #[serde(rename = "emoji_name")]
    pub emoji: EmojiName,
    /// ms since 1970.
    #[serde(rename = "create_at")]
    pub created_ms: u64,
    #[serde(default, rename = "delete_at")]
    deleted_ms: u64,
    #[serde(default)]
    remote_id: Option<String>,
}

impl Reaction {
    /// Whether it came from another server (shared channels).
    pub fn is_remote(&self) -> bool {
        self.remote_id.as_deref().is_some_and(|id| !id.is_empty())
    }
}

/// Reads the reactions to a post: those that are there, in the order of their times. `null` is none.
///
/// # Errors
/// [`AnswerError::Shape`].
pub fn reactions(body: &[u8]) -> Result<Vec<Reaction>, AnswerError> {
    let mut reactions: Vec<Reaction> = parse::<Option<Vec<Reaction>>>("a list of reactions", body)?.unwrap_or_default();
    reactions.retain(|reaction| reaction.deleted_ms == 0);
    reactions.sort_by_key(|reaction| reaction.created_ms);
    Ok(reactions)
}

/// A post that may be one of the core's own.
#[derive(Debug, Deserialize)]
pub struct OwnPost {
    /// Its id.
    pub id: PostId,
    #[serde(rename = "user_id")]
    author: UserId,
    #[serde(default, rename = "edit_at")]
    edited_ms: u64,
    #[serde(default, rename = "delete_at")]
    deleted_ms: u64,
    #[serde(default)]
    props: Option<OwnProps>,
}

#[derive(Debug, Default, Deserialize)]
struct OwnProps {
    #[serde(default)]
    bartizan_protected: Option<serde_json::Value>,
}

impl OwnPost {
    /// Reads one.
    ///
    /// # Errors
    /// [`AnswerError::Shape`].
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        parse("a post", body)
    }

    /// Whether the bot wrote it under this key.
    pub fn is(&self, bot: UserId, key: &str) -> bool {
        let own = self.props.as_ref().and_then(|props| props.bartizan_protected.as_ref());
        self.author == bot && own.and_then(serde_json::Value::as_str) == Some(key)
    }

    /// Whether it is as it was written.
    pub fn is_untouched(&self) -> bool {
        self.edited_ms == 0 && self.deleted_ms == 0
    }
}

/// Reads a list of posts, as far as it takes to find one of the core's own.
///
/// # Errors
/// [`AnswerError::Shape`].
pub fn own_posts(body: &[u8]) -> Result<Vec<OwnPost>, AnswerError> {
    #[derive(Deserialize)]
    struct Listing {
        #[serde(default)]
        posts: Option<BTreeMap<String, OwnPost>>,
    }
    let listing: Listing = parse("a list of posts", body)?;
    Ok(listing.posts.unwrap_or_default().into_values().collect())
}

/// A team.
#[derive(Debug, Deserialize)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name in addresses.
    pub name: Text<MAX_NAME>,
}

impl Team {
    /// Reads a team.
    ///
    /// # Errors
    /// [`AnswerError::Shape`].
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        parse("a team", body)
    }
}

/// The client configuration in its old format: every value is a string.
#[derive(Debug, Deserialize)]
pub struct ClientConfig {
    /// What the server calls its version.
    #[serde(rename = "Version", default)]
    pub version: Text<MAX_NAME>,
    #[serde(rename = "MaxPostSize", default)]
    max_post: Option<Text<16>>,
}

impl ClientConfig {
    /// Reads it.
    ///
    /// # Errors
    /// [`AnswerError::Shape`].
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        parse("a client configuration", body)
    }

    /// Longest post in code points. A server that does not say gets 4,000, which every version takes
    /// (model.PostMessageMaxRunesV1); none gets more than our own messages hold.
    pub fn max_post(&self) -> u32 {
        const FALLBACK: u32 = 4_000;
        let said = self.max_post.as_ref().and_then(|text| text.parse().ok()).unwrap_or(FALLBACK);
        said.min(u32::try_from(MAX_MESSAGE / 4).unwrap_or(FALLBACK))
    }
}

pub(crate) fn parse<'de, T: Deserialize<'de>>(what: &'static str, body: &'de [u8]) -> Result<T, AnswerError> {
    serde_json::from_slice(body).map_err(|error| AnswerError::Shape {
        what,
        problem: match error.classify() {
            serde_json::error::Category::Io => "reading",
            serde_json::error::Category::Syntax => "syntax",
            serde_json::error::Category::Data => "data",
            serde_json::error::Category::Eof => "end",
        },
        line: error.line(),
        column: error.column(),
    })
}

fn empty_is_none<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T::Err: fmt::Display,
{
    match String::deserialize(deserializer)?.as_str() {
        "" => Ok(None),
        id => id.parse().map(Some).map_err(D::Error::custom),
    }
}

fn channel_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChannelKind, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "O" => Ok(ChannelKind::Open),
        "P" => Ok(ChannelKind::Private),
        "D" => Ok(ChannelKind::Direct),
        "G" => Ok(ChannelKind::Group),
        _ => Err(D::Error::custom("not a type of channel")),
    }
}

#[cfg(test)]
mod tests;
