//! Bot accounts.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as Shares};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, created, json as reply, parse};
use super::caller::Caller;
use super::state::Shared;
use super::users::{User, UserOptions};

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    username: String,
}

/// `POST /bots`
pub(crate) async fn create(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let new: New = parse(&body, "bot")?;
    caller.must_be_admin()?;
    let mut state = shared.lock();
    if state.user_named(&new.username).is_some() {
        return Err(ApiError::bad_request(
            "app.user.save.username_exists.app_error",
            "An account with that username already exists.",
        ));
    }
    let id = state.add_user(&new.username, UserOptions { bot: true, ..UserOptions::default() });
    Ok(created(&view(state.user(&id)?)))
}

/// `GET /bots`
pub(crate) async fn all(Shares(shared): Shares<Arc<Shared>>, caller: Caller) -> Answer {
    caller.must_be_admin()?;
    Ok(reply(&shared.lock().users.values().filter(|user| user.is_bot).map(view).collect::<Vec<_>>()))
}

/// `GET /bots/{bot_user_id}`
pub(crate) async fn by_id(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let user = state.user(&caller.or_me(id))?;
    if !user.is_bot || !(caller.admin || caller.id == user.id) {
        return Err(ApiError::not_found("store.sql_bot.get.missing.app_error", "Bot does not exist."));
    }
    Ok(reply(&view(user)))
}

fn view(user: &User) -> Value {
    json!({
        "user_id": user.id,
        "create_at": user.create_at,
        "update_at": user.update_at,
        "delete_at": user.delete_at,
        "username": user.username,
        "display_name": "",
        "description": "",
        "owner_id": "",
    })
}
