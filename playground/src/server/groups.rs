//! Custom groups, as far as they can be read.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shares};
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, json as reply};
use super::caller::Caller;
use super::ids::new_id;
use super::state::{Shared, State};

/// A group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    id: String,
    name: String,
    /// User ids.
    members: Vec<String>,
}

impl State {
    /// See [`super::Server::set_group`].
    pub(crate) fn set_group(&mut self, name: &str, members: &[&str]) {
        let ids = self.users.values().filter(|user| members.contains(&user.username.as_str()));
        let members: Vec<String> = ids.map(|user| user.id.clone()).collect();
        let groups = self.groups.get_or_insert_default();
        let id = groups.iter().find(|group| group.name == name).map_or_else(new_id, |group| group.id.clone());
        groups.retain(|group| group.name != name);
        if !members.is_empty() {
            groups.push(Group { id, name: name.to_owned(), members });
        }
    }

    fn licensed_groups(&self) -> Result<&[Group], ApiError> {
        self.groups.as_deref().ok_or_else(|| {
            let status = axum::http::StatusCode::NOT_IMPLEMENTED;
            ApiError::new(status, "api.license_error", "Your license does not support this feature.")
        })
    }
}

/// `GET /groups?q=…`
pub(crate) async fn all(
    Shares(shared): Shares<Arc<Shared>>,
    _: Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let state = shared.lock();
    let wanted = query.get("q").map(String::as_str).unwrap_or_default();
    let shown = |group: &Group| -> Value {
        json!({
            "id": group.id, "name": group.name, "display_name": group.name, "description": "", "source": "custom",
            "remote_id": null, "create_at": 1, "update_at": 1, "delete_at": 0, "has_syncables": false,
            "allow_reference": true,
        })
    };
    let groups = state.licensed_groups()?.iter().filter(|group| group.name.contains(wanted));
    Ok(reply(&groups.map(shown).collect::<Vec<_>>()))
}

/// `GET /groups/{group_id}/members?page=…&per_page=…`
pub(crate) async fn members(
    Shares(shared): Shares<Arc<Shared>>,
    _: Caller,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let state = shared.lock();
    let number = |key: &str, otherwise: usize| query.get(key).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (page, per_page) = (number("page", 0), number("per_page", 60).min(200));
    let group = state.licensed_groups()?.iter().find(|group| group.id == id);
    let group = group.ok_or_else(|| ApiError::not_found("app.group.no_rows", "no matching group found"))?;
    let ids = group.members.iter().skip(page * per_page).take(per_page);
    let users: Vec<Value> = ids.filter_map(|id| state.users.get(id)).map(|user| user.view(false)).collect();
    Ok(reply(&json!({ "members": users, "total_member_count": group.members.len() })))
}
