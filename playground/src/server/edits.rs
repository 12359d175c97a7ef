//! Changing, pinning and deleting posts. Every change leaves the old wording behind as a deleted copy, and a
//! `post_edited` event, even where the text stayed the same.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shares};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiError, go_json, json as reply, ok, parse};
use super::caller::Caller;
use super::hub::{Event, To};
use super::ids::{is_id, new_id};
use super::posts::{Post, PostView, check_props, complete_attachments};
use super::state::{Shared, State};

/// What a patch may change; what is left out stays.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Patch {
    message: Option<String>,
    props: Option<Map<String, Value>>,
    is_pinned: Option<bool>,
    file_ids: Option<Vec<String>>,
}

/// `PUT /posts/{post_id}/patch`
pub(crate) async fn patch(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let patch: Patch = parse(&body, "post")?;
    Ok(reply(&shared.lock().edit(&caller, &id, patch)?))
}

/// `PUT /posts/{post_id}`: what is left out becomes empty.
pub(crate) async fn update(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    #[derive(Deserialize)]
    struct Whole {
        id: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        props: Option<Map<String, Value>>,
        #[serde(default)]
        is_pinned: bool,
    }
    let whole: Whole = parse(&body, "post")?;
    if whole.id != id {
        return Err(ApiError::bad_request("api.context.invalid_param.app_error", "Invalid id parameter."));
    }
    let patch = Patch {
        message: Some(whole.message),
        props: Some(whole.props.unwrap_or_default()),
        is_pinned: Some(whole.is_pinned),
        file_ids: None,
    };
    Ok(reply(&shared.lock().edit(&caller, &id, patch)?))
}

/// `POST /posts/{post_id}/pin`
pub(crate) async fn pin(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    shared.lock().set_pinned(&caller, &id, true)?;
    Ok(ok())
}

/// `POST /posts/{post_id}/unpin`
pub(crate) async fn unpin(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    shared.lock().set_pinned(&caller, &id, false)?;
    Ok(ok())
}

/// `DELETE /posts/{post_id}`: with its replies, if it has any.
pub(crate) async fn delete(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    if !is_id(&id) {
        return Err(ApiError::bad_url("post_id"));
    }
    let mut state = shared.lock();
    let post = state.posts.alive(&id).cloned().ok_or_else(ApiError::forbidden)?;
    state.must_be_member(&caller, &post.channel_id)?;
    caller.must_be(&post.user_id)?;
    state.delete_post(&post, &caller.id);
    Ok(ok())
}

impl State {
    fn edit(&mut self, caller: &Caller, id: &str, patch: Patch) -> Result<PostView, ApiError> {
        if !is_id(id) {
            return Err(ApiError::bad_url("post_id"));
        }
        let old = self.posts.alive(id).cloned().ok_or_else(ApiError::forbidden)?;
        self.must_be_member(caller, &old.channel_id)?;
        caller.must_be(&old.user_id)?;
        if self.channels.get(&old.channel_id).is_some_and(|channel| channel.delete_at != 0) {
            return Err(ApiError::bad_request(
                "api.post.patch_post.can_not_update_post_in_deleted.error",
                "Can not update a post in a deleted channel.",
            ));
        }
        if old.is_system() {
            return Err(ApiError::bad_request(
                "api.post.update_post.system_message.app_error",
                "Unable to update system message.",
            ));
        }
        if let Some(message) = &patch.message {
            self.check_text(message)?;
        }
        check_props(patch.props.as_ref())?;
        Ok(self.rewrite(&old, patch))
    }

    fn set_pinned(&mut self, caller: &Caller, id: &str, pinned: bool) -> Result<(), ApiError> {
        let missing = || ApiError::not_found("app.post.get.app_error", "Unable to get the post.");
        let post = self.posts.alive(id).cloned().ok_or_else(missing)?;
        self.must_be_member(caller, &post.channel_id)?;
        self.rewrite(&post, Patch { is_pinned: Some(pinned), ..Patch::default() });
        Ok(())
    }

    fn rewrite(&mut self, old: &Post, patch: Patch) -> PostView {
        let now = self.now;
        let mut new = old.clone();
        new.update_at = now;
        if let Some(message) = patch.message {
            if message != old.message {
                new.edit_at = now;
            }
            new.message = message;
        }
        if let Some(mut props) = patch.props {
            complete_attachments(&mut props);
            new.props = props;
        }
        new.is_pinned = patch.is_pinned.unwrap_or(old.is_pinned);
        new.file_ids = patch.file_ids.unwrap_or_else(|| old.file_ids.clone());

        let mut copy = old.clone();
        copy.original_id = std::mem::replace(&mut copy.id, new_id());
        copy.delete_at = now;
        copy.update_at = now;
        self.posts.insert(copy);
        if let Some(post) = self.posts.change(&old.id) {
            *post = new.clone();
        }
        let view = self.view(&new, self.reply_count(&new), "");
        let data = json!({ "post": go_json(&view) });
        self.publish(&Event::new("post_edited", To::Channel(new.channel_id.clone()), data));
        view
    }

    /// The event shows the post as it was, with `delete_at` still 0. Its replies go with it, and like on the real
    /// server they are left with the root's props.
    pub(crate) fn delete_post(&mut self, post: &Post, by: &str) {
        let data = json!({ "post": go_json(&self.view(post, 0, "")) });
        let now = self.now;
        let mut props = post.props.clone();
        props.insert("deleteBy".into(), by.into());
        let mut ids: Vec<String> =
            self.posts.replies(&post.id).filter(|reply| reply.delete_at == 0).map(|reply| reply.id.clone()).collect();
        ids.push(post.id.clone());
        for id in ids {
            if let Some(post) = self.posts.change(&id) {
                post.delete_at = now;
                post.update_at = now;
                post.props = props.clone();
            }
        }
        self.publish(&Event::new("post_deleted", To::Channel(post.channel_id.clone()), data));
    }
}
