//! Who is online. A socket makes its user so; the end of the last one makes them offline.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shares};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Answer, ApiError, json as reply, parse};
use super::caller::Caller;
use super::hub::{Event, To};
use super::state::{Shared, State};

/// One user's status.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub(crate) user_id: String,
    /// `online`, `away`, `dnd` or `offline`.
    pub(crate) status: String,
    pub(crate) manual: bool,
    pub(crate) last_activity_at: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewStatus {
    status: String,
}

/// `GET /users/{user_id}/status`
pub(crate) async fn of(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(user_id): Path<String>) -> Answer {
    let state = shared.lock();
    let user_id = caller.or_me(user_id);
    state.user(&user_id)?;
    Ok(reply(&state.status_of(&user_id)))
}

/// `POST /users/status/ids`
pub(crate) async fn by_ids(Shares(shared): Shares<Arc<Shared>>, _: Caller, body: Bytes) -> Answer {
    let ids: Vec<String> = parse(&body, "user_ids")?;
    let state = shared.lock();
    Ok(reply(&ids.iter().map(|id| state.status_of(id)).collect::<Vec<_>>()))
}

/// `PUT /users/{user_id}/status`
pub(crate) async fn set(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(user_id): Path<String>,
    body: Bytes,
) -> Answer {
    let wanted: NewStatus = parse(&body, "status")?;
    let user_id = caller.or_me(user_id);
    caller.must_be(&user_id)?;
    if !["online", "away", "dnd", "offline"].contains(&wanted.status.as_str()) {
        return Err(ApiError::bad_body("status"));
    }
    let mut state = shared.lock();
    state.set_status(&user_id, &wanted.status, true);
    Ok(reply(&state.status_of(&user_id)))
}

impl State {
    pub(crate) fn status_of(&self, user_id: &str) -> Status {
        self.statuses.get(user_id).cloned().unwrap_or_else(|| Status {
            user_id: user_id.to_owned(),
            status: "offline".into(),
            manual: false,
            last_activity_at: 0,
        })
    }

    /// Statuses of everyone who is not offline.
    pub(crate) fn online(&self) -> BTreeMap<String, String> {
        let online = self.statuses.values().filter(|status| status.status != "offline");
        online.map(|status| (status.user_id.clone(), status.status.clone())).collect()
    }

    pub(crate) fn came_online(&mut self, user_id: &str) {
        if self.status_of(user_id).status == "offline" {
            self.set_status(user_id, "online", false);
        }
    }

    /// One of the user's sockets has ended.
    pub(crate) fn went_offline(&mut self, user_id: &str) {
        if self.hub.sockets(user_id).is_empty() && !self.status_of(user_id).manual {
            self.set_status(user_id, "offline", false);
        }
    }

    fn set_status(&mut self, user_id: &str, status: &str, manual: bool) {
        let new = Status { user_id: user_id.into(), status: status.into(), manual, last_activity_at: self.now };
        self.statuses.insert(user_id.to_owned(), new);
        let data = json!({ "status": status, "user_id": user_id });
        self.publish(&Event::new("status_change", To::User(user_id.to_owned()), data));
    }
}
