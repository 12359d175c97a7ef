//! Reactions: names of emoji under posts. The server does not check that there is such an emoji.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shares};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Answer, ApiError, go_json, json as reply, ok, parse};
use super::caller::Caller;
use super::hub::{Event, To};
use super::ids::is_id;
use super::state::{Shared, State};

/// The longest name of an emoji.
const LONGEST_NAME: usize = 64;

/// A reaction as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reaction {
    pub(crate) user_id: String,
    pub(crate) post_id: String,
    pub(crate) emoji_name: String,
    pub(crate) create_at: u64,
    pub(crate) update_at: u64,
    pub(crate) delete_at: u64,
    pub(crate) remote_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    user_id: String,
    post_id: String,
    emoji_name: String,
}

/// `POST /reactions`
pub(crate) async fn add(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let new: New = parse(&body, "reaction")?;
    if !is_id(&new.user_id) || !is_id(&new.post_id) || new.emoji_name.is_empty() {
        return Err(ApiError::bad_body("reaction"));
    }
    if new.user_id != caller.id {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "api.reaction.save_reaction.user_id.app_error",
            "You cannot save reaction for the other user.",
        ));
    }
    let mut state = shared.lock();
    let channel_id =
        state.posts.any(&new.post_id).map(|post| post.channel_id.clone()).ok_or_else(ApiError::forbidden)?;
    state.must_be_member(&caller, &channel_id)?;
    if state.posts.alive(&new.post_id).is_none() {
        return Err(ApiError::not_found("app.post.get.app_error", "Unable to get the post."));
    }
    if state.channels.get(&channel_id).is_some_and(|channel| channel.delete_at != 0) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "api.reaction.save.archived_channel.app_error",
            "You cannot react in an archived channel.",
        ));
    }
    let valid = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+_".contains(&byte));
    if new.emoji_name.len() > LONGEST_NAME || !valid(&new.emoji_name) {
        return Err(ApiError::bad_request("model.reaction.is_valid.emoji_name.app_error", "Invalid emoji name."));
    }
    Ok(reply(&state.react(&new.user_id, &new.post_id, &new.emoji_name)))
}

/// `DELETE /users/{user_id}/posts/{post_id}/reactions/{emoji_name}`
pub(crate) async fn remove(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((user_id, post_id, emoji_name)): Path<(String, String, String)>,
) -> Answer {
    let user_id = caller.or_me(user_id);
    let mut state = shared.lock();
    let channel_id = state.posts.any(&post_id).map(|post| post.channel_id.clone()).ok_or_else(ApiError::forbidden)?;
    state.must_be_member(&caller, &channel_id)?;
    caller.must_be(&user_id)?;
    state.unreact(&user_id, &post_id, &emoji_name);
    Ok(ok())
}

/// `GET /posts/{post_id}/reactions`
pub(crate) async fn of_post(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let channel_id = state.posts.any(&id).map(|post| post.channel_id.clone()).ok_or_else(ApiError::forbidden)?;
    state.must_be_member(&caller, &channel_id)?;
    Ok(reply(&state.reactions_of(&id)))
}

/// `POST /posts/ids/reactions`
pub(crate) async fn of_posts(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let ids: Vec<String> = parse(&body, "post_ids")?;
    let state = shared.lock();
    let mut all = BTreeMap::new();
    for id in &ids {
        state.readable(&caller, id)?;
        all.insert(id, state.reactions_of(id));
    }
    Ok(reply(&all))
}

impl State {
    pub(crate) fn reactions_of(&self, post_id: &str) -> &[Reaction] {
        self.reactions.get(post_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The same reaction once more is heard again and counted once.
    pub(crate) fn react(&mut self, user_id: &str, post_id: &str, emoji_name: &str) -> Reaction {
        let reaction = Reaction {
            user_id: user_id.to_owned(),
            post_id: post_id.to_owned(),
            emoji_name: emoji_name.to_owned(),
            create_at: self.now,
            update_at: self.now,
            delete_at: 0,
            remote_id: String::new(),
        };
        let all = self.reactions.entry(post_id.to_owned()).or_default();
        match all.iter_mut().find(|old| old.user_id == user_id && old.emoji_name == emoji_name) {
            Some(old) => old.update_at = reaction.update_at,
            None => all.push(reaction.clone()),
        }
        self.publish_reaction("reaction_added", &reaction);
        reaction
    }

    /// Taking back what was never there is heard all the same.
    pub(crate) fn unreact(&mut self, user_id: &str, post_id: &str, emoji_name: &str) {
        if let Some(all) = self.reactions.get_mut(post_id) {
            all.retain(|one| one.user_id != user_id || one.emoji_name != emoji_name);
        }
        let reaction = Reaction {
            user_id: user_id.to_owned(),
            post_id: post_id.to_owned(),
            emoji_name: emoji_name.to_owned(),
            create_at: 0,
            update_at: self.now,
            delete_at: 0,
            remote_id: String::new(),
        };
        self.publish_reaction("reaction_removed", &reaction);
    }

    /// A reaction changes its post's update time.
    fn publish_reaction(&mut self, name: &'static str, reaction: &Reaction) {
        let now = self.now;
        let Some(post) = self.posts.change(&reaction.post_id) else { return };
        post.update_at = now;
        let channel_id = post.channel_id.clone();
        self.publish(&Event::new(name, To::Channel(channel_id), json!({ "reaction": go_json(reaction) })));
    }
}
