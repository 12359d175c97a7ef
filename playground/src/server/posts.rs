//! Posts: what they are, how they are kept and shown. How a client makes one is in `drafts.rs`, reading lists of
//! them in `listing.rs`, changing them in `edits.rs`.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::{ApiError, go_json};
use super::channels::Kind;
use super::hub::{Event, To};
use super::ids::new_id;
use super::mentions::hashtags;
use super::state::State;

/// How many characters of JSON a post's props may have.
const LONGEST_PROPS: usize = 8_000;

/// A post.
#[derive(Debug, Clone, Default)]
pub(crate) struct Post {
    pub(crate) id: String,
    pub(crate) create_at: u64,
    pub(crate) update_at: u64,
    pub(crate) edit_at: u64,
    pub(crate) delete_at: u64,
    pub(crate) is_pinned: bool,
    pub(crate) user_id: String,
    pub(crate) channel_id: String,
    pub(crate) root_id: String,
    /// The post that this is an older wording of; such copies only show up in `since` lists, as deleted.
    pub(crate) original_id: String,
    pub(crate) message: String,
    /// Empty for what a person wrote.
    pub(crate) kind: String,
    pub(crate) props: Map<String, Value>,
    pub(crate) file_ids: Vec<String>,
}

/// A post as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PostView {
    pub(crate) id: String,
    create_at: u64,
    update_at: u64,
    edit_at: u64,
    delete_at: u64,
    is_pinned: bool,
    user_id: String,
    channel_id: String,
    root_id: String,
    parent_id: String,
    original_id: String,
    message: String,
    #[serde(rename = "type")]
    kind: String,
    props: Map<String, Value>,
    hashtags: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    file_ids: Vec<String>,
    pending_post_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_reactions: bool,
    reply_count: u64,
    last_reply_at: u64,
    participants: Option<Vec<Value>>,
    is_following: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Value>,
}

impl Post {
    /// Whether the server wrote it about something that happened.
    pub(crate) fn is_system(&self) -> bool {
        self.kind.starts_with("system_")
    }
}

/// All posts in the order they came about; nothing is ever taken out.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    all: Vec<Post>,
    by_id: HashMap<String, usize>,
    by_channel: HashMap<String, Vec<usize>>,
    replies: HashMap<String, Vec<usize>>,
}

impl Posts {
    pub(crate) fn insert(&mut self, post: Post) {
        let index = self.all.len();
        self.by_id.insert(post.id.clone(), index);
        self.by_channel.entry(post.channel_id.clone()).or_default().push(index);
        if !post.root_id.is_empty() && post.original_id.is_empty() {
            self.replies.entry(post.root_id.clone()).or_default().push(index);
        }
        self.all.push(post);
    }

    /// Any post, deleted or not.
    pub(crate) fn any(&self, id: &str) -> Option<&Post> {
        self.by_id.get(id).and_then(|index| self.all.get(*index))
    }

    /// A post that is not deleted.
    pub(crate) fn alive(&self, id: &str) -> Option<&Post> {
        self.any(id).filter(|post| post.delete_at == 0)
    }

    pub(crate) fn change(&mut self, id: &str) -> Option<&mut Post> {
        self.by_id.get(id).and_then(|index| self.all.get_mut(*index))
    }

    /// Everything in a channel, deleted posts and old wordings included, oldest first.
    pub(crate) fn of_channel(&self, id: &str) -> impl DoubleEndedIterator<Item = &Post> {
        self.by_channel.get(id).into_iter().flatten().filter_map(|index| self.all.get(*index))
    }

    /// The replies to a root, deleted ones included.
    pub(crate) fn replies(&self, root_id: &str) -> impl DoubleEndedIterator<Item = &Post> {
        self.replies.get(root_id).into_iter().flatten().filter_map(|index| self.all.get(*index))
    }

    pub(crate) fn has_replies(&self, root_id: &str) -> bool {
        self.replies.contains_key(root_id)
    }
}

impl State {
    /// Length is counted in code points; NUL is more than the database can take.
    pub(crate) fn check_text(&self, message: &str) -> Result<(), ApiError> {
        if message.chars().count() > self.max_post {
            return Err(ApiError::bad_request("model.post.is_valid.msg.app_error", "Invalid message."));
        }
        if message.contains('\0') { Err(unable_to_save()) } else { Ok(()) }
    }

    /// Gives a new post its id and times, keeps it, and tells everyone in the channel.
    pub(crate) fn save(&mut self, mut post: Post, pending: &str) -> PostView {
        post.id = new_id();
        post.create_at = self.now;
        post.update_at = self.now;
        // A file belongs to the first post that names it; an id that is unknown or taken is dropped.
        let (post_id, author) = (post.id.clone(), post.user_id.clone());
        post.file_ids.retain(|id| self.attach_file(id, &post_id, &author));
        self.counts.posts += 1;
        if let Some(channel) = self.channels.get_mut(&post.channel_id) {
            channel.last_post_at = post.create_at;
            channel.total_msg_count += u64::from(!post.is_system());
            channel.total_msg_count_root += u64::from(!post.is_system() && post.root_id.is_empty());
        }
        if let Some(root) = self.posts.change(&post.root_id) {
            root.update_at = post.create_at;
        }
        self.posts.insert(post.clone());
        let view = self.view(&post, self.reply_count(&post), pending);
        self.publish_posted(&post, &view);
        view
    }

    /// A post the server makes about something that happened.
    pub(crate) fn system_post(&mut self, user_id: &str, channel_id: &str, kind: &str, message: String, props: Value) {
        let props = match props {
            Value::Object(props) => props,
            _ => Map::new(),
        };
        let (user_id, channel_id) = (user_id.to_owned(), channel_id.to_owned());
        self.save(Post { user_id, channel_id, kind: kind.into(), message, props, ..Post::default() }, "");
    }

    fn publish_posted(&mut self, post: &Post, view: &PostView) {
        let Some(channel) = self.channels.get(&post.channel_id) else { return };
        let from_webhook = post.props.get("from_webhook").and_then(Value::as_str) == Some("true");
        let sender = match post.props.get("override_username").and_then(Value::as_str) {
            _ if post.is_system() => "System".to_owned(),
            Some(name) if from_webhook => name.to_owned(),
            _ => format!("@{}", self.username(&post.user_id)),
        };
        let display_name = match channel.kind {
            Kind::Direct => sender.clone(),
            Kind::Open | Kind::Private | Kind::Group => channel.display_name.clone(),
        };
        let mut data = json!({
            "channel_display_name": display_name,
            "channel_name": channel.name,
            "channel_type": channel.kind.letter(),
            "post": go_json(view),
            "sender_name": sender,
            "set_online": true,
            "team_id": channel.team_id,
        });
        let mentions = self.mentioned(post);
        if !mentions.is_empty() {
            data["mentions"] = go_json(&mentions).into();
        }
        if !post.file_ids.is_empty() {
            let image = post.file_ids.iter().any(|id| self.files.get(id).is_some_and(|file| file.is_image()));
            data["otherFile"] = "true".into();
            if image {
                data["image"] = "true".into();
            }
        }
        self.publish(&Event::new("posted", To::Channel(post.channel_id.clone()), data));
    }

    /// How many replies the post's thread has now.
    pub(crate) fn reply_count(&self, post: &Post) -> u64 {
        let root = if post.root_id.is_empty() { &post.id } else { &post.root_id };
        self.posts.replies(root).filter(|reply| reply.delete_at == 0).count() as u64
    }

    /// The post as the API shows it. Of a deleted one nothing is shown that it said.
    pub(crate) fn view(&self, post: &Post, reply_count: u64, pending: &str) -> PostView {
        let gone = post.delete_at != 0;
        let reactions = self.reactions.get(&post.id).filter(|reactions| !reactions.is_empty());
        let mut metadata = Map::new();
        if !gone {
            if post.props.get("attachments").is_some_and(Value::is_array) {
                metadata.insert("embeds".into(), json!([{ "type": "message_attachment" }]));
            }
            let files: Vec<_> =
                post.file_ids.iter().filter_map(|id| self.files.get(id)).map(|file| &file.info).collect();
            if !files.is_empty() {
                metadata.insert("files".into(), json!(files));
            }
            if let Some(reactions) = reactions {
                metadata.insert("reactions".into(), json!(reactions));
            }
        }
        let message = if gone { String::new() } else { post.message.clone() };
        PostView {
            id: post.id.clone(),
            create_at: post.create_at,
            update_at: post.update_at,
            edit_at: post.edit_at,
            delete_at: post.delete_at,
            is_pinned: post.is_pinned,
            user_id: post.user_id.clone(),
            channel_id: post.channel_id.clone(),
            root_id: post.root_id.clone(),
            parent_id: post.root_id.clone(),
            original_id: post.original_id.clone(),
            hashtags: hashtags(&message),
            message,
            kind: post.kind.clone(),
            props: post.props.clone(),
            file_ids: if gone { Vec::new() } else { post.file_ids.clone() },
            pending_post_id: pending.to_owned(),
            has_reactions: reactions.is_some(),
            reply_count,
            last_reply_at: 0,
            participants: None,
            is_following: false,
            metadata: Some(Value::Object(metadata)),
        }
    }
}

/// The database could not.
pub(crate) fn unable_to_save() -> ApiError {
    ApiError::internal("app.post.save.app_error", "Unable to save the Post.")
}

/// Props are counted as Go writes them.
pub(crate) fn check_props(props: Option<&Map<String, Value>>) -> Result<(), ApiError> {
    if props.is_some_and(|props| go_json(props).chars().count() > LONGEST_PROPS) {
        return Err(ApiError::bad_request("model.post.is_valid.props.app_error", "Invalid props."));
    }
    Ok(())
}

/// Every attachment has every field, whatever was sent.
pub(crate) fn complete_attachments(props: &mut Map<String, Value>) {
    for attachment in props.get_mut("attachments").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(fields) = attachment.as_object_mut() else { continue };
        for name in [
            "fallback",
            "color",
            "pretext",
            "author_name",
            "author_link",
            "author_icon",
            "title",
            "title_link",
            "text",
            "image_url",
            "thumb_url",
            "footer",
            "footer_icon",
        ] {
            fields.entry(name).or_insert_with(|| "".into());
        }
        fields.entry("id").or_insert_with(|| 0.into());
        fields.entry("fields").or_insert(Value::Null);
        fields.entry("ts").or_insert(Value::Null);
    }
}
