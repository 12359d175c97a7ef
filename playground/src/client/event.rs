//! What a websocket frame or a REST answer says, as far as a person sees it. Pure functions.
//!
//! In a frame, the post, the mentions and the reaction are JSON inside strings.

use serde_json::Value;

/// A post as a person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Post {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub channel: String,
    /// Who wrote it.
    pub author: String,
    /// The thread's root; empty when it is none's reply.
    pub root: String,
    /// What it says.
    pub message: String,
    /// Empty for what a person wrote.
    pub kind: String,
    /// Its files' ids.
    pub files: Vec<String>,
    /// Whether an incoming webhook made it.
    pub from_webhook: bool,
    /// By the server's clock, ms since 1970.
    pub created_ms: i64,
    /// Likewise, of its last change.
    pub updated_ms: i64,
    /// Likewise, of its end; 0 while it is there.
    pub deleted_ms: i64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new post.
    Posted {
        /// It.
        post: Post,
        /// The ids of those whom it mentions.
        mentions: Vec<String>,
    },
    /// A post that was changed, or only pinned.
    Edited(Post),
    /// A reaction came.
    Reacted {
        /// Whose.
        user: String,
        /// On what.
        post: String,
        /// The emoji's name.
        emoji: String,
        /// By the server's clock, ms since 1970.
        at_ms: i64,
    },
    /// A reaction went.
    Unreacted {
        /// Whose.
        user: String,
        /// On what.
        post: String,
        /// The emoji's name.
        emoji: String,
    },
}

impl Post {
    /// A post from an answer of the server.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| json[key].as_i64().unwrap_or_default();
        let id = json["id"].as_str().filter(|id| !id.is_empty())?.to_owned();
        let files = json["file_ids"].as_array().into_iter().flatten();
        Some(Self {
            id,
            channel: text("channel_id"),
            author: text("user_id"),
            root: text("root_id"),
            message: said(json),
            kind: text("type"),
            files: files.filter_map(|file| Some(file.as_str()?.to_owned())).collect(),
            from_webhook: json["props"]["from_webhook"] == "true",
            created_ms: number("create_at"),
            updated_ms: number("update_at"),
            deleted_ms: number("delete_at"),
        })
    }
}

/// What it says, and below that its attachments, as a person sees them: a line at the side, in its colour.
fn said(json: &Value) -> String {
    let text = |json: &Value, key: &str| json[key].as_str().unwrap_or_default().to_owned();
    let mut said = text(json, "message");
    for card in json["props"]["attachments"].as_array().into_iter().flatten() {
        let mut lines = vec![format!("[{}] {}", text(card, "color"), text(card, "title")).trim_end().to_owned()];
        lines.extend(text(card, "text").lines().map(str::to_owned));
        for field in card["fields"].as_array().into_iter().flatten() {
            lines.push(format!("{}: {}", text(field, "title"), text(field, "value")));
        }
        for line in lines {
            let gap = if said.is_empty() { "" } else { "\n" };
            said.push_str(&format!("{gap}{}", format!("\u{2503} {line}").trim_end()));
        }
    }
    said
}

impl Event {
    /// What a text frame says; `None` for everything that nobody sees.
    pub fn from_frame(frame: &str) -> Option<Self> {
        let frame: Value = serde_json::from_str(frame).ok()?;
        let data = &frame["data"];
        let inner = |key: &str| serde_json::from_str::<Value>(data[key].as_str()?).ok();
        match frame["event"].as_str()? {
            "posted" => {
                let mentions = inner("mentions").unwrap_or_default();
                let mentions = mentions.as_array().into_iter().flatten();
                Some(Self::Posted {
                    post: Post::from_json(&inner("post")?)?,
                    mentions: mentions.filter_map(|id| Some(id.as_str()?.to_owned())).collect(),
                })
            }
            "post_edited" => Post::from_json(&inner("post")?).map(Self::Edited),
            "reaction_added" => Self::reaction(&inner("reaction")?),
            "reaction_removed" => match Self::reaction(&inner("reaction")?)? {
                Self::Reacted { user, post, emoji, .. } => Some(Self::Unreacted { user, post, emoji }),
                Self::Posted { .. } | Self::Edited(_) | Self::Unreacted { .. } => None,
            },
            _ => None,
        }
    }

    /// A reaction from an answer of the server.
    pub fn reaction(json: &Value) -> Option<Self> {
        let text = |key: &str| Some(json[key].as_str()?.to_owned());
        Some(Self::Reacted {
            user: text("user_id")?,
            post: text("post_id")?,
            emoji: text("emoji_name")?,
            at_ms: json["create_at"].as_i64().unwrap_or_default(),
        })
    }
}

/// Whether a text frame is the server's hello.
pub fn is_hello(frame: &str) -> bool {
    serde_json::from_str::<Value>(frame).is_ok_and(|frame| frame["event"] == "hello")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_post_inside_a_string_is_read_with_its_mentions() {
        let post = json!({"id": "p", "channel_id": "c", "user_id": "u", "root_id": "r", "message": "hi", "file_ids": ["f"],
                          "props": {"from_webhook": "true"}, "create_at": 5});
        let frame = json!({"event": "posted", "seq": 3,
                           "data": {"post": post.to_string(), "mentions": "[\"a\",\"b\"]"}});
        let Some(Event::Posted { post, mentions }) = Event::from_frame(&frame.to_string()) else { panic!("posted") };
        assert_eq!((post.root.as_str(), post.files.len(), post.from_webhook, post.created_ms), ("r", 1, true, 5));
        assert_eq!(mentions, ["a", "b"]);
    }

    #[test]
    fn a_card_is_seen_with_its_colour_below_what_the_post_says() {
        let card = json!({"color": "#d1373a", "title": "Disks", "text": "full\n\nvery",
                          "fields": [{"title": "host", "value": "web-1", "short": true}]});
        let post = json!({"id": "p", "message": "look", "props": {"attachments": [card]}});
        let post = Post::from_json(&post).expect("a post");
        assert_eq!(
            post.message,
            "look\n\u{2503} [#d1373a] Disks\n\u{2503} full\n\u{2503}\n\u{2503} very\n\u{2503} host: web-1"
        );
    }

    #[test]
    fn reactions_come_and_go() {
        let reaction = json!({"user_id": "u", "post_id": "p", "emoji_name": "+1", "create_at": 7}).to_string();
        let frame = |event| json!({"event": event, "data": {"reaction": reaction}}).to_string();
        assert!(matches!(Event::from_frame(&frame("reaction_added")), Some(Event::Reacted { at_ms: 7, .. })));
        assert!(matches!(Event::from_frame(&frame("reaction_removed")), Some(Event::Unreacted { .. })));
    }

    #[test]
    fn garbage_is_nothing() {
        for frame in
            ["", "[]", "{\"event\":1}", "{\"event\":\"posted\"}", "{\"event\":\"posted\",\"data\":{\"post\":\"{}\"}}"]
        {
            assert_eq!(Event::from_frame(frame), None);
        }
        assert!(is_hello("{\"event\":\"hello\"}") && !is_hello("hello"));
    }
}
