//! Who is in a channel; joining, leaving, being added and removed, with the system posts that go with it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shares};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, created, json as reply, ok, parse};
use super::caller::Caller;
use super::channels::Kind;
use super::hub::{Event, To};
use super::state::{Shared, State};

/// A membership as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Member {
    channel_id: String,
    user_id: String,
    pub(crate) roles: &'static str,
    last_viewed_at: u64,
    msg_count: u64,
    mention_count: u64,
    mention_count_root: u64,
    msg_count_root: u64,
    notify_props: Value,
    last_update_at: u64,
    scheme_guest: bool,
    scheme_user: bool,
    scheme_admin: bool,
    explicit_roles: &'static str,
}

/// `GET /channels/{channel_id}/members`
pub(crate) async fn all(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    state.channel(&id)?;
    state.must_be_member(&caller, &id)?;
    Ok(reply(&state.members.get(&id).map(|members| members.values().collect::<Vec<_>>()).unwrap_or_default()))
}

/// `POST /channels/{channel_id}/members/ids`
pub(crate) async fn by_ids(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let ids: Vec<String> = parse(&body, "user_ids")?;
    let state = shared.lock();
    state.must_be_member(&caller, &id)?;
    Ok(reply(&ids.iter().filter_map(|user| state.members.get(&id)?.get(user)).collect::<Vec<_>>()))
}

/// `GET /channels/{channel_id}/members/{user_id}`
pub(crate) async fn one(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((id, user_id)): Path<(String, String)>,
) -> Answer {
    let state = shared.lock();
    state.channel(&id)?;
    state.must_be_member(&caller, &id)?;
    Ok(reply(state.member(&id, &caller.or_me(user_id))?))
}

/// `GET /users/{user_id}/teams/{team_id}/channels/members`
pub(crate) async fn of_user(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((user_id, team_id)): Path<(String, String)>,
) -> Answer {
    let user_id = caller.or_me(user_id);
    caller.must_be(&user_id)?;
    let state = shared.lock();
    state.must_be_team(&team_id)?;
    Ok(reply(&state.members.values().filter_map(|members| members.get(&user_id)).collect::<Vec<_>>()))
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewMember {
    user_id: String,
}

/// `POST /channels/{channel_id}/members`: joining, or adding somebody.
pub(crate) async fn add(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let new: NewMember = parse(&body, "user_id")?;
    let mut state = shared.lock();
    let channel = state.channel(&id)?.clone();
    let joins = new.user_id == caller.id && channel.kind == Kind::Open && state.team_members.contains(&caller.id);
    if !joins {
        state.must_be_member(&caller, &id)?;
    }
    if matches!(channel.kind, Kind::Direct | Kind::Group) {
        return Err(ApiError::bad_request(
            "api.channel.add_user_to_channel.type.app_error",
            "Can not add user to this channel type.",
        ));
    }
    state.user(&new.user_id)?;
    state.add_member(&id, &new.user_id, &caller.id);
    Ok(created(state.member(&id, &new.user_id)?))
}

/// `DELETE /channels/{channel_id}/members/{user_id}`: leaving, or removing somebody.
pub(crate) async fn remove(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((id, user_id)): Path<(String, String)>,
) -> Answer {
    let user_id = caller.or_me(user_id);
    let mut state = shared.lock();
    let channel = state.channel(&id)?.clone();
    state.must_be_member(&caller, &id)?;
    if channel.name == "town-square" || matches!(channel.kind, Kind::Direct | Kind::Group) {
        return Err(ApiError::bad_request(
            "api.channel.remove.default.app_error",
            "Unable to remove user from the default channel.",
        ));
    }
    state.member(&id, &user_id)?;
    state.remove_member(&id, &user_id, &caller.id);
    Ok(ok())
}

/// `POST /channels/members/{user_id}/view`
pub(crate) async fn view(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(user_id): Path<String>,
    body: Bytes,
) -> Answer {
    let view: Value = parse(&body, "channel_view")?;
    let user_id = caller.or_me(user_id);
    caller.must_be(&user_id)?;
    let id = view.get("channel_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut state = shared.lock();
    if state.is_member(&id, &user_id) {
        state.viewed(&id, &user_id);
    }
    Ok(reply(&json!({ "status": "OK", "last_viewed_at_times": { id: state.now } })))
}

/// `GET /channels/{channel_id}/stats`
pub(crate) async fn stats(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    state.channel(&id)?;
    state.must_be_member(&caller, &id)?;
    let members = state.members.get(&id);
    let guests = members
        .map(|members| members.keys().filter(|id| state.users.get(*id).is_some_and(|user| user.is_guest())).count());
    Ok(reply(&json!({
        "channel_id": id,
        "member_count": members.map_or(0, |members| members.len()),
        "guest_count": guests.unwrap_or_default(),
        "pinnedpost_count": state.posts.of_channel(&id).filter(|post| post.is_pinned && post.delete_at == 0).count(),
    })))
}

impl State {
    pub(crate) fn is_member(&self, channel_id: &str, user_id: &str) -> bool {
        self.members.get(channel_id).is_some_and(|members| members.contains_key(user_id))
    }

    /// Refuses whoever is not in the channel, as if it did not exist.
    pub(crate) fn must_be_member(&self, caller: &Caller, channel_id: &str) -> Result<(), ApiError> {
        let allowed =
            self.is_member(channel_id, &caller.id) || (caller.admin && self.channels.contains_key(channel_id));
        if allowed { Ok(()) } else { Err(ApiError::forbidden()) }
    }

    fn member(&self, channel_id: &str, user_id: &str) -> Result<&Member, ApiError> {
        let member = self.members.get(channel_id).and_then(|members| members.get(user_id));
        member.ok_or_else(|| {
            ApiError::not_found(
                "app.channel.get_member.missing.app_error",
                "No channel member found for that user ID and channel ID.",
            )
        })
    }

    /// Puts somebody into a channel, without a word.
    pub(crate) fn put_member(&mut self, channel_id: &str, user_id: &str) {
        let guest = self.users.get(user_id).is_some_and(|user| user.is_guest());
        let creator = self
            .channels
            .get(channel_id)
            .is_some_and(|channel| channel.creator_id == user_id && matches!(channel.kind, Kind::Open | Kind::Private));
        let member = Member {
            channel_id: channel_id.to_owned(),
            user_id: user_id.to_owned(),
            roles: match (guest, creator) {
                (true, _) => "channel_guest",
                (false, true) => "channel_user channel_admin",
                (false, false) => "channel_user",
            },
            last_viewed_at: 0,
            msg_count: 0,
            mention_count: 0,
            mention_count_root: 0,
            msg_count_root: 0,
            notify_props: json!({
                "desktop": "default", "email": "default", "ignore_channel_mentions": "default",
                "mark_unread": "all", "push": "default",
            }),
            last_update_at: self.now,
            scheme_guest: guest,
            scheme_user: !guest,
            scheme_admin: creator,
            explicit_roles: "",
        };
        self.members.entry(channel_id.to_owned()).or_default().insert(user_id.to_owned(), member);
    }

    /// Lets somebody join, or be added by another.
    pub(crate) fn add_member(&mut self, channel_id: &str, user_id: &str, by: &str) {
        if self.is_member(channel_id, user_id) {
            return;
        }
        self.put_member(channel_id, user_id);
        let data = json!({ "user_id": user_id, "team_id": self.team.id });
        self.publish(&Event::new("user_added", To::Channel(channel_id.to_owned()), data));
        let (name, by_name) = (self.username(user_id), self.username(by));
        if user_id == by {
            let text = format!("{name} joined the channel.");
            self.system_post(user_id, channel_id, "system_join_channel", text, json!({ "username": name }));
        } else {
            let text = format!("{name} added to the channel by {by_name}.");
            let props = json!({
                "addedUserId": user_id, "addedUsername": name, "userId": by, "username": by_name,
            });
            self.system_post(by, channel_id, "system_add_to_channel", text, props);
        }
    }

    /// Lets somebody leave, or be removed by another. Those who stay and the one who goes hear it differently.
    pub(crate) fn remove_member(&mut self, channel_id: &str, user_id: &str, by: &str) {
        if self.members.get_mut(channel_id).is_none_or(|members| members.remove(user_id).is_none()) {
            return;
        }
        let data = json!({ "user_id": user_id, "remover_id": by });
        self.publish(&Event::new("user_removed", To::Channel(channel_id.to_owned()), data));
        let data = json!({ "channel_id": channel_id, "remover_id": by });
        self.publish(&Event::new("user_removed", To::User(user_id.to_owned()), data));
        let name = self.username(user_id);
        if user_id == by {
            let text = format!("@{name} left the channel.");
            self.system_post(user_id, channel_id, "system_leave_channel", text, json!({ "username": name }));
        } else {
            let text = format!("@{name} removed from the channel.");
            let props = json!({ "removedUserId": user_id, "removedUsername": name });
            self.system_post(by, channel_id, "system_remove_from_channel", text, props);
        }
    }

    /// Marks a channel as read.
    pub(crate) fn viewed(&mut self, channel_id: &str, user_id: &str) {
        let now = self.now;
        if let Some(member) = self.members.get_mut(channel_id).and_then(|members| members.get_mut(user_id)) {
            member.last_viewed_at = now;
        }
        let data = json!({ "channel_id": channel_id });
        self.publish(&Event::new("channel_viewed", To::User(user_id.to_owned()), data));
    }
}
