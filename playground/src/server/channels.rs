//! Channels: open, private, direct and group ones. Who is in them is in `members.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shares};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Answer, ApiError, created, go_json, json as reply, ok, parse};
use super::caller::Caller;
use super::hub::{Event, To};
use super::ids::{is_id, new_id};
use super::state::{Shared, State};

pub(crate) use super::members::Member;

/// A channel as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) create_at: u64,
    pub(crate) update_at: u64,
    /// When it was archived; 0 for an open one.
    pub(crate) delete_at: u64,
    /// Empty for direct and group channels.
    pub(crate) team_id: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) display_name: String,
    pub(crate) name: String,
    pub(crate) header: String,
    pub(crate) purpose: String,
    pub(crate) last_post_at: u64,
    pub(crate) total_msg_count: u64,
    pub(crate) extra_update_at: u64,
    pub(crate) creator_id: String,
    pub(crate) scheme_id: Option<String>,
    pub(crate) props: Option<BTreeMap<String, String>>,
    pub(crate) group_constrained: Option<bool>,
    pub(crate) shared: Option<bool>,
    pub(crate) total_msg_count_root: u64,
    pub(crate) policy_id: Option<String>,
}

/// What kind of channel it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Open to the team.
    #[serde(rename = "O")]
    Open,
    /// By invitation.
    #[serde(rename = "P")]
    Private,
    /// Two people, or one with themselves.
    #[serde(rename = "D")]
    Direct,
    /// Three to eight people.
    #[serde(rename = "G")]
    Group,
}

impl Kind {
    /// The letter in events.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Kind::Open => "O",
            Kind::Private => "P",
            Kind::Direct => "D",
            Kind::Group => "G",
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewChannel {
    team_id: String,
    name: String,
    display_name: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    header: String,
    #[serde(default)]
    purpose: String,
}

/// `POST /channels`
pub(crate) async fn create(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let new: NewChannel = parse(&body, "channel")?;
    let mut state = shared.lock();
    if new.team_id != state.team.id || !state.may_create(&caller) {
        return Err(ApiError::forbidden());
    }
    if matches!(new.kind, Kind::Direct | Kind::Group) {
        return Err(ApiError::bad_request(
            "api.channel.create_channel.direct_channel.app_error",
            "Must use createDirectChannel API service for direct message channel creation.",
        ));
    }
    if state.channels.values().any(|channel| channel.name == new.name) {
        return Err(ApiError::bad_request(
            "store.sql_channel.save_channel.exists.app_error",
            "A channel with that name already exists on the same team.",
        ));
    }
    let id = state.add_channel(&new.name, new.kind, &caller.id);
    state.put_member(&id, &caller.id);
    if let Some(channel) = state.channels.get_mut(&id) {
        channel.display_name = new.display_name;
        channel.header = new.header;
        channel.purpose = new.purpose;
    }
    let data = json!({ "channel_id": id, "team_id": new.team_id });
    state.publish(&Event::new("channel_created", To::User(caller.id.clone()), data));
    Ok(created(&state.channels.get(&id)))
}

/// `GET /channels/{channel_id}`: open ones to the whole team.
pub(crate) async fn by_id(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let channel = state.channel(&id)?;
    state.must_see(&caller, channel)?;
    Ok(reply(channel))
}

/// `GET /teams/{team_id}/channels/name/{name}`
pub(crate) async fn by_name(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((team_id, name)): Path<(String, String)>,
) -> Answer {
    let state = shared.lock();
    state.must_be_team(&team_id)?;
    named(&state, &caller, &name)
}

/// `GET /teams/name/{team}/channels/name/{name}`
pub(crate) async fn by_team_name(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((team, name)): Path<(String, String)>,
) -> Answer {
    let state = shared.lock();
    state.must_be_team_name(&team)?;
    named(&state, &caller, &name)
}

fn named(state: &State, caller: &Caller, name: &str) -> Answer {
    let Some(channel) = state.channels.values().find(|channel| channel.name == name && channel.delete_at == 0) else {
        return Err(ApiError::not_found("app.channel.get_by_name.missing.app_error", "Channel does not exist."));
    };
    state.must_see(caller, channel)?;
    Ok(reply(channel))
}

/// `GET /teams/{team_id}/channels`: the open ones.
pub(crate) async fn open(Shares(shared): Shares<Arc<Shared>>, _: Caller, Path(team_id): Path<String>) -> Answer {
    let state = shared.lock();
    state.must_be_team(&team_id)?;
    let open = state.channels.values().filter(|channel| channel.kind == Kind::Open && channel.delete_at == 0);
    Ok(reply(&open.collect::<Vec<_>>()))
}

/// `GET /users/{user_id}/teams/{team_id}/channels`: the user's own, direct ones included.
pub(crate) async fn of_user_in_team(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((user_id, team_id)): Path<(String, String)>,
) -> Answer {
    let user_id = caller.or_me(user_id);
    caller.must_be(&user_id)?;
    let state = shared.lock();
    state.must_be_team(&team_id)?;
    Ok(reply(&state.channels_of(&user_id)))
}

/// `GET /users/{user_id}/channels`
pub(crate) async fn of_user(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(user_id): Path<String>,
) -> Answer {
    let user_id = caller.or_me(user_id);
    caller.must_be(&user_id)?;
    Ok(reply(&shared.lock().channels_of(&user_id)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Patch {
    header: Option<String>,
    purpose: Option<String>,
    display_name: Option<String>,
}

/// `PUT /channels/{channel_id}/patch`
pub(crate) async fn patch(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let patch: Patch = parse(&body, "channel")?;
    let mut state = shared.lock();
    state.channel(&id)?;
    state.must_be_member(&caller, &id)?;
    let now = state.now;
    let Some(channel) = state.channels.get_mut(&id) else { return Err(ApiError::forbidden()) };
    let old = channel.header.clone();
    channel.update_at = now;
    channel.header = patch.header.clone().unwrap_or(old.clone());
    channel.purpose = patch.purpose.unwrap_or(channel.purpose.clone());
    channel.display_name = patch.display_name.unwrap_or(channel.display_name.clone());
    let changed = channel.clone();
    let data = json!({ "channel": go_json(&changed) });
    state.publish(&Event::new("channel_updated", To::Channel(id.clone()), data));
    if let Some(new) = patch.header.filter(|new| *new != old) {
        let name = state.username(&caller.id);
        let text = format!("{name} updated the channel header to: {new}");
        let props = json!({ "new_header": new, "old_header": old, "username": name });
        state.system_post(&caller.id, &id, "system_header_change", text, props);
    }
    Ok(reply(&changed))
}

/// `DELETE /channels/{channel_id}`: archives.
pub(crate) async fn archive(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let mut state = shared.lock();
    let channel = state.channel(&id)?.clone();
    state.must_be_member(&caller, &id)?;
    if matches!(channel.kind, Kind::Direct | Kind::Group) {
        return Err(ApiError::bad_request(
            "api.channel.delete_channel.type.invalid",
            "Unable to delete direct or group message channels.",
        ));
    }
    let name = state.username(&caller.id);
    let text = format!("{name} archived the channel.");
    state.system_post(&caller.id, &id, "system_channel_deleted", text, json!({ "username": name }));
    let now = state.now;
    if let Some(channel) = state.channels.get_mut(&id) {
        channel.delete_at = now;
        channel.update_at = now;
    }
    let data = json!({ "channel_id": id, "delete_at": now });
    let team = state.team.id.clone();
    state.publish(&Event::new("channel_deleted", To::Team(team), data));
    Ok(ok())
}

impl State {
    /// A channel by its id, archived or not.
    pub(crate) fn channel(&self, id: &str) -> Result<&Channel, ApiError> {
        if !is_id(id) {
            return Err(ApiError::bad_url("channel_id"));
        }
        let missing =
            || ApiError::not_found("app.channel.get.existing.app_error", "Unable to find the existing channel.");
        self.channels.get(id).ok_or_else(missing)
    }

    fn must_see(&self, caller: &Caller, channel: &Channel) -> Result<(), ApiError> {
        let guest = self.users.get(&caller.id).is_some_and(|user| user.is_guest());
        let open = channel.kind == Kind::Open && !guest && self.team_members.contains(&caller.id);
        if caller.admin || open || self.is_member(&channel.id, &caller.id) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "api.context.permissions.app_error",
            "You do not have the appropriate permissions.",
        ))
    }

    fn may_create(&self, caller: &Caller) -> bool {
        caller.admin
            || (self.team_members.contains(&caller.id)
                && self.users.get(&caller.id).is_some_and(|user| !user.is_guest()))
    }

    fn channels_of(&self, user_id: &str) -> Vec<&Channel> {
        let mut own: Vec<_> = self
            .channels
            .values()
            .filter(|channel| channel.delete_at == 0 && self.is_member(&channel.id, user_id))
            .collect();
        own.sort_by(|one, other| one.display_name.cmp(&other.display_name));
        own
    }

    /// Makes a channel without members.
    pub(crate) fn add_channel(&mut self, name: &str, kind: Kind, creator_id: &str) -> String {
        let id = new_id();
        let in_team = matches!(kind, Kind::Open | Kind::Private);
        let channel = Channel {
            id: id.clone(),
            create_at: self.now,
            update_at: self.now,
            delete_at: 0,
            team_id: if in_team { self.team.id.clone() } else { String::new() },
            kind,
            display_name: if in_team { title(name) } else { String::new() },
            name: name.to_owned(),
            header: String::new(),
            purpose: String::new(),
            last_post_at: self.now,
            total_msg_count: 0,
            extra_update_at: 0,
            creator_id: creator_id.to_owned(),
            scheme_id: None,
            props: None,
            group_constrained: None,
            shared: (kind == Kind::Direct).then_some(false),
            total_msg_count_root: 0,
            policy_id: None,
        };
        self.channels.insert(id.clone(), channel);
        id
    }

    /// A username for texts; empty for nobody.
    pub(crate) fn username(&self, user_id: &str) -> String {
        self.users.get(user_id).map(|user| user.username.clone()).unwrap_or_default()
    }
}

fn title(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join(" ")
}
