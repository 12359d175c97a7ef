//! Direct and group channels: made when somebody first asks for them, and the same ones ever after.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as Shares;
use serde_json::json;

use super::answer::{Answer, ApiError, created, go_json, parse};
use super::caller::Caller;
use super::channels::{Channel, Kind};
use super::hub::{Event, To};
use super::ids::new_id;
use super::state::{Shared, State};

/// `POST /channels/direct`: a new one or the one there is.
pub(crate) async fn direct(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let ids: Vec<String> = parse(&body, "user_ids")?;
    let [one, other] = ids.as_slice() else { return Err(ApiError::bad_body("user_ids")) };
    if !caller.admin && caller.id != *one && caller.id != *other {
        return Err(ApiError::forbidden());
    }
    let mut state = shared.lock();
    if !state.users.contains_key(one) || !state.users.contains_key(other) {
        return Err(ApiError::bad_request(
            "api.channel.create_direct_channel.invalid_user.app_error",
            "Invalid user ID for direct channel creation.",
        ));
    }
    let teammate = if *one == caller.id { other } else { one };
    let id = state.direct_channel(&caller.id, teammate);
    Ok(created(&state.channels.get(&id)))
}

/// `POST /channels/group`: three to eight people, the caller among them.
pub(crate) async fn group(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let mut ids: Vec<String> = parse(&body, "user_ids")?;
    if !ids.contains(&caller.id) {
        ids.push(caller.id.clone());
    }
    ids.sort();
    ids.dedup();
    let mut state = shared.lock();
    if !(3..=8).contains(&ids.len()) || !ids.iter().all(|id| state.users.contains_key(id)) {
        return Err(ApiError::bad_request(
            "api.channel.create_group.bad_size.app_error",
            "Group message channels must contain at least 3 and no more than 8 users.",
        ));
    }
    let id = state.group_channel(&caller.id, &ids);
    Ok(created(&state.channels.get(&id)))
}

impl State {
    /// The direct channel of two people, made if there is none; its name is both ids, the lesser one first.
    pub(crate) fn direct_channel(&mut self, creator: &str, teammate: &str) -> String {
        let (first, second) = if creator <= teammate { (creator, teammate) } else { (teammate, creator) };
        let name = format!("{first}__{second}");
        if let Some(channel) = self.channels.values().find(|channel| channel.name == name) {
            return channel.id.clone();
        }
        let id = self.add_channel(&name, Kind::Direct, creator);
        self.put_member(&id, creator);
        self.put_member(&id, teammate);
        let data = json!({ "creator_id": creator, "teammate_id": teammate });
        self.publish(&Event::new("direct_added", To::Channel(id.clone()), data));
        id
    }

    /// The group channel of these people, made if there is none. The real name is a hash of the ids; any that
    /// is the same for the same people does.
    pub(crate) fn group_channel(&mut self, creator: &str, sorted_ids: &[String]) -> String {
        let same = |channel: &&Channel| {
            channel.kind == Kind::Group
                && self.members.get(&channel.id).is_some_and(|members| members.keys().eq(sorted_ids.iter()))
        };
        if let Some(channel) = self.channels.values().find(same) {
            return channel.id.clone();
        }
        let id = self.add_channel(&format!("{}{}", new_id(), &new_id()[..14]), Kind::Group, creator);
        for member in sorted_ids {
            self.put_member(&id, member);
        }
        let names: Vec<_> = sorted_ids.iter().map(|member| self.username(member)).collect();
        if let Some(channel) = self.channels.get_mut(&id) {
            channel.display_name = names.join(", ");
        }
        let data = json!({ "teammate_ids": go_json(&sorted_ids) });
        self.publish(&Event::new("group_added", To::Channel(id.clone()), data));
        id
    }
}
