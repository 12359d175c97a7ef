//! How a post comes about: what a client may send, the checks in the real server's order, and the two races that
//! it loses in public: the same `pending_post_id` twice, and two first replies to one root.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, State as Shares};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiError, created, go_json, parse};
use super::caller::Caller;
use super::gateway::Arrived;
use super::hub::{Event, To};
use super::ids::new_id;
use super::posts::{Post, PostView, check_props, complete_attachments, unable_to_save};
use super::state::{Shared, State};

/// How many characters of JSON a post's file ids may have: five ids.
const LONGEST_FILE_IDS: usize = 150;

/// How long a `pending_post_id` is remembered.
const PENDING_MS: u64 = 30_000;

/// What a client may send. Whatever else it sends is ignored, as on the real server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Draft {
    id: String,
    pub(crate) channel_id: String,
    root_id: String,
    parent_id: String,
    pub(crate) message: String,
    #[serde(rename = "type")]
    kind: String,
    props: Option<Map<String, Value>>,
    file_ids: Option<Vec<String>>,
    pending_post_id: String,
    edit_at: u64,
    is_pinned: bool,
}

/// `POST /posts`
pub(crate) async fn create(
    Shares(shared): Shares<Arc<Shared>>,
    Extension(Arrived(arrived)): Extension<Arrived>,
    caller: Caller,
    body: Bytes,
) -> Answer {
    let draft: Draft = parse(&body, "post")?;
    let threaded = !draft.root_id.is_empty();
    let admitted = shared.lock().admit(&caller, &draft);
    let first_reply = matches!(admitted, Ok(Admitted::FirstReply));
    // The time is spent before anything is seen of the post, as by a database.
    match shared.options.service_times {
        Some(_) => shared.serve(arrived, |times| if threaded { times.reply } else { times.post }).await,
        None if first_reply => shared.timer.until(arrived + shared.options.first_reply_window).await,
        None => {}
    }
    let mut state = shared.lock();
    match admitted? {
        Admitted::Known(view) => Ok(created(&view)),
        Admitted::New => state.commit(&caller.id, draft),
        Admitted::FirstReply => {
            state.first_replies.remove(&draft.root_id);
            state.commit(&caller.id, draft)
        }
        Admitted::TooLate => {
            state.pending.remove(&draft.pending_post_id);
            Err(unable_to_save())
        }
    }
}

/// `POST /posts/ephemeral`: for system administrators.
pub(crate) async fn ephemeral(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    #[derive(Deserialize)]
    struct Ephemeral {
        user_id: String,
        post: Draft,
    }
    let Ephemeral { user_id, post } = parse(&body, "body")?;
    caller.must_be_admin()?;
    let mut state = shared.lock();
    let post = Post {
        id: new_id(),
        create_at: state.now,
        user_id: caller.id,
        kind: "system_ephemeral".into(),
        props: post.props.unwrap_or_default(),
        channel_id: post.channel_id,
        message: post.message,
        ..Post::default()
    };
    let view = state.view(&post, 0, "");
    let data = json!({ "post": go_json(&view) });
    state.publish(&Event::new("ephemeral_message", To::UserInChannel(user_id, post.channel_id.clone()), data));
    Ok(created(&view))
}

/// What is to become of a draft that passed the first checks.
#[derive(Debug)]
enum Admitted {
    /// A `pending_post_id` that was here before: the post it made.
    Known(Box<PostView>),
    New,
    /// The first reply to its root, alone so far.
    FirstReply,
    /// A first reply while another one is being saved: the database refuses the thread's second row.
    TooLate,
}

fn bad_root() -> ApiError {
    ApiError::bad_request("api.post.create_post.root_id.app_error", "Invalid RootId parameter.")
}

impl State {
    /// The checks of a draft in the real server's order. What it reserves here, [`State::commit`] releases.
    fn admit(&mut self, caller: &Caller, draft: &Draft) -> Result<Admitted, ApiError> {
        self.must_be_member(caller, &draft.channel_id)?;
        self.must_be_open(&draft.channel_id)?;
        if draft.kind.starts_with("system_") {
            return Err(ApiError::bad_request("api.context.invalid_param.app_error", "Invalid post.type parameter."));
        }
        if !draft.pending_post_id.is_empty() {
            let now = self.now;
            if now >= self.prune_pending_at {
                self.pending.retain(|_, (_, until)| *until > now);
                self.prune_pending_at = now + 1_000;
            }
            match self.pending.get(&draft.pending_post_id).filter(|(_, until)| *until > now) {
                Some((Some(post_id), _)) => {
                    let post = self.posts.alive(post_id).ok_or_else(unable_to_save)?;
                    let mut view = self.view(post, 0, "");
                    view.metadata = None;
                    return Ok(Admitted::Known(Box::new(view)));
                }
                Some((None, _)) => {
                    return Err(ApiError::internal(
                        "api.post.deduplicate_create_post.pending",
                        "Rejected post since another client is making the same request.",
                    ));
                }
                None => {}
            }
        }
        self.check(draft)?;
        if !draft.pending_post_id.is_empty() {
            self.pending.insert(draft.pending_post_id.clone(), (None, self.now + PENDING_MS));
        }
        if draft.root_id.is_empty() || self.posts.has_replies(&draft.root_id) {
            return Ok(Admitted::New);
        }
        Ok(if self.first_replies.insert(draft.root_id.clone()) { Admitted::FirstReply } else { Admitted::TooLate })
    }

    /// An archived channel takes no posts.
    fn must_be_open(&self, channel_id: &str) -> Result<(), ApiError> {
        match self.channels.get(channel_id) {
            Some(channel) if channel.delete_at != 0 => Err(ApiError::bad_request(
                "api.post.create_post.can_not_post_to_deleted.error",
                "Can not post to deleted channel.",
            )),
            _ => Ok(()),
        }
    }

    fn check(&self, draft: &Draft) -> Result<(), ApiError> {
        if !draft.root_id.is_empty() {
            let root = self.posts.alive(&draft.root_id).ok_or_else(bad_root)?;
            if root.channel_id != draft.channel_id {
                return Err(ApiError::bad_request(
                    "api.post.create_post.channel_root_id.app_error",
                    "Invalid ChannelId for RootId parameter.",
                ));
            }
            if !root.root_id.is_empty() {
                return Err(bad_root());
            }
        } else if !draft.parent_id.is_empty() {
            return Err(ApiError::bad_request(
                "model.post.is_valid.root_parent.app_error",
                "Invalid root ID must be set if parent ID set.",
            ));
        }
        if !draft.id.is_empty() {
            return Err(ApiError::bad_request(
                "app.post.save.existing.app_error",
                "You cannot update an existing Post.",
            ));
        }
        self.check_text(&draft.message)?;
        check_props(draft.props.as_ref())?;
        if draft.file_ids.as_ref().is_some_and(|ids| go_json(ids).chars().count() > LONGEST_FILE_IDS) {
            return Err(ApiError::bad_request("model.post.is_valid.file_ids.app_error", "Invalid file IDs."));
        }
        Ok(())
    }

    /// Saves an admitted draft. What it answers to may have gone in the meantime.
    fn commit(&mut self, user_id: &str, draft: Draft) -> Answer {
        let pending = draft.pending_post_id.clone();
        if !draft.root_id.is_empty() && self.posts.alive(&draft.root_id).is_none() {
            self.pending.remove(&pending);
            return Err(bad_root());
        }
        let mut props = draft.props.unwrap_or_default();
        complete_attachments(&mut props);
        let is_bot = self.users.get(user_id).is_some_and(|user| user.is_bot);
        if is_bot {
            props.insert("from_bot".into(), "true".into());
        }
        let post = Post {
            user_id: user_id.to_owned(),
            channel_id: draft.channel_id,
            root_id: draft.root_id,
            message: draft.message,
            kind: draft.kind,
            props,
            file_ids: draft.file_ids.unwrap_or_default(),
            edit_at: draft.edit_at,
            is_pinned: draft.is_pinned,
            ..Post::default()
        };
        let channel_id = post.channel_id.clone();
        let view = self.save(post, &pending);
        if !pending.is_empty() {
            self.pending.insert(pending, (Some(view.id.clone()), self.now + PENDING_MS));
        }
        self.came_online(user_id);
        if !is_bot {
            self.viewed(&channel_id, user_id);
        }
        Ok(created(&view))
    }
}
