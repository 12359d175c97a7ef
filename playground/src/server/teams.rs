//! The one team.

use std::sync::Arc;

use axum::extract::{Path, State as Shares};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, json as reply};
use super::caller::Caller;
use super::ids::{is_id, new_id};
use super::state::{Shared, State};
use crate::cast;

/// A team as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Team {
    pub(crate) id: String,
    create_at: u64,
    update_at: u64,
    delete_at: u64,
    display_name: String,
    pub(crate) name: String,
    description: String,
    email: String,
    #[serde(rename = "type")]
    kind: &'static str,
    company_name: String,
    allowed_domains: String,
    invite_id: String,
    allow_open_invite: bool,
    scheme_id: Option<String>,
    group_constrained: Option<bool>,
    policy_id: Option<String>,
}

impl Team {
    pub(crate) fn new(now: u64) -> Team {
        Team {
            id: new_id(),
            create_at: now,
            update_at: now,
            delete_at: 0,
            display_name: "Bartizan".into(),
            name: cast::TEAM.into(),
            description: String::new(),
            email: String::new(),
            kind: "O",
            company_name: String::new(),
            allowed_domains: String::new(),
            invite_id: new_id(),
            allow_open_invite: false,
            scheme_id: None,
            group_constrained: None,
            policy_id: None,
        }
    }
}

/// `GET /teams` and `GET /users/{user_id}/teams`
pub(crate) async fn all(Shares(shared): Shares<Arc<Shared>>, _: Caller) -> Answer {
    Ok(reply(&[&shared.lock().team]))
}

/// `GET /teams/{team_id}`
pub(crate) async fn by_id(Shares(shared): Shares<Arc<Shared>>, _: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    state.must_be_team(&id)?;
    Ok(reply(&state.team))
}

/// `GET /teams/name/{name}`
pub(crate) async fn by_name(Shares(shared): Shares<Arc<Shared>>, _: Caller, Path(name): Path<String>) -> Answer {
    let state = shared.lock();
    state.must_be_team_name(&name)?;
    Ok(reply(&state.team))
}

/// `GET /teams/{team_id}/members`
pub(crate) async fn members(Shares(shared): Shares<Arc<Shared>>, _: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    state.must_be_team(&id)?;
    Ok(reply(&state.team_members.iter().map(|user| state.team_member(user)).collect::<Vec<_>>()))
}

/// `GET /teams/{team_id}/members/{user_id}`
pub(crate) async fn member(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path((id, user_id)): Path<(String, String)>,
) -> Answer {
    let state = shared.lock();
    state.must_be_team(&id)?;
    let user_id = caller.or_me(user_id);
    if !state.team_members.contains(&user_id) {
        return Err(ApiError::not_found(
            "app.team.get_member.missing.app_error",
            "No team member found for that user ID and team ID.",
        ));
    }
    Ok(reply(&state.team_member(&user_id)))
}

/// `GET /users/{user_id}/teams/members`
pub(crate) async fn memberships(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(user_id): Path<String>,
) -> Answer {
    let user_id = caller.or_me(user_id);
    caller.must_be(&user_id)?;
    Ok(reply(&[shared.lock().team_member(&user_id)]))
}

impl State {
    pub(crate) fn must_be_team(&self, id: &str) -> Result<(), ApiError> {
        if !is_id(id) {
            return Err(ApiError::bad_url("team_id"));
        }
        if self.team.id == id {
            return Ok(());
        }
        Err(ApiError::not_found("app.team.get.find.app_error", "Unable to find the existing team."))
    }

    pub(crate) fn must_be_team_name(&self, name: &str) -> Result<(), ApiError> {
        if self.team.name == name {
            return Ok(());
        }
        Err(ApiError::not_found("app.team.get_by_name.missing.app_error", "Unable to find the existing team."))
    }

    fn team_member(&self, user_id: &str) -> Value {
        let guest = self.users.get(user_id).is_some_and(|user| user.is_guest());
        json!({
            "team_id": self.team.id,
            "user_id": user_id,
            "roles": if guest { "team_guest" } else { "team_user" },
            "delete_at": 0,
            "scheme_guest": guest,
            "scheme_user": !guest,
            "scheme_admin": false,
            "explicit_roles": "",
        })
    }
}
