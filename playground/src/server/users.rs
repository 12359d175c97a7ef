//! Accounts: looking them up, logging in, changing a name.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shares};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, ApiError, json as reply, ok, parse};
use super::caller::Caller;
use super::hub::{Event, To};
use super::ids::{is_id, new_id};
use super::state::{Shared, State};

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) create_at: u64,
    pub(crate) update_at: u64,
    /// When it was deactivated; 0 for an active one.
    pub(crate) delete_at: u64,
    pub(crate) roles: &'static str,
    pub(crate) is_bot: bool,
    /// Set for people of another server, seen through a shared channel.
    pub(crate) remote_id: Option<String>,
    pub(crate) nickname: String,
}

/// What an account of a test is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserOptions {
    /// A system administrator.
    pub admin: bool,
    /// A guest.
    pub guest: bool,
    /// Deactivated: known, but nobody can act as it.
    pub deactivated: bool,
    /// From another server, by a shared channel.
    pub remote: bool,
    /// A bot account.
    pub bot: bool,
    /// Not put into the team and the cast's channels.
    pub outside: bool,
}

/// The password of an account made here, for programs that log in with one. Bots have none.
pub fn password_of(username: &str) -> String {
    format!("{username}-password")
}

impl User {
    pub(crate) fn is_admin(&self) -> bool {
        self.roles.contains("system_admin")
    }

    pub(crate) fn is_guest(&self) -> bool {
        self.roles == "system_guest"
    }

    /// The account as the API shows it: in full to itself and to administrators.
    pub(crate) fn view(&self, full: bool) -> Value {
        let mut view = json!({
            "id": self.id,
            "create_at": self.create_at,
            "update_at": self.update_at,
            "delete_at": self.delete_at,
            "username": self.username,
            "auth_data": "",
            "auth_service": "",
            "email": format!("{}@{}", self.username, if self.is_bot { "localhost" } else { "bartizan.test" }),
            "nickname": self.nickname,
            "first_name": "",
            "last_name": "",
            "position": "",
            "roles": self.roles,
            "locale": "en",
            "timezone": { "automaticTimezone": "", "manualTimezone": "", "useAutomaticTimezone": "true" },
            "disable_welcome_email": false,
        });
        if full {
            view["notify_props"] = json!({
                "channel": "true", "comments": "never", "desktop": "mention", "desktop_sound": "true",
                "email": "true", "first_name": "false", "mention_keys": "", "push": "mention", "push_status": "away",
            });
            view["last_password_update"] = json!(self.create_at);
        }
        if self.is_bot {
            view["is_bot"] = json!(true);
            view["bot_description"] = json!("");
        }
        if let Some(remote) = &self.remote_id {
            view["remote_id"] = json!(remote);
        }
        view
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Login {
    id: String,
    login_id: String,
    password: String,
}

/// `POST /users/login`: by username, id or address, and password. The token comes in a header, and to browsers
/// in cookies, too.
pub(crate) async fn login(Shares(shared): Shares<Arc<Shared>>, asked: HeaderMap, body: Bytes) -> Answer {
    let login: Login = parse(&body, "login")?;
    let mut state = shared.lock();
    let name = login.login_id.trim_end_matches("@bartizan.test");
    let user = state.users.values().find(|user| user.id == login.id || user.username == name).cloned();
    let refused = |id| ApiError::new(StatusCode::UNAUTHORIZED, id, "Enter a valid email or username and/or password.");
    let Some(user) = user.filter(|user| !user.is_bot && password_of(&user.username) == login.password) else {
        return Err(refused("api.user.login.invalid_credentials_email_username"));
    };
    if user.delete_at != 0 {
        return Err(refused("api.user.login.inactive.app_error"));
    }
    let token = state.new_session(&user.id);
    let mut response = reply(&user.view(true));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&token) {
        headers.insert("token", value);
    }
    if asked.get("x-requested-with").is_none_or(|value| value != "XMLHttpRequest") {
        return Ok(response);
    }
    for cookie in [
        format!("MMAUTHTOKEN={token}; Path=/; HttpOnly"),
        format!("MMUSERID={}; Path=/", user.id),
        format!("MMCSRF={}; Path=/", new_id()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            headers.append(header::SET_COOKIE, value);
        }
    }
    Ok(response)
}

/// `POST /users/logout`
pub(crate) async fn logout(Shares(shared): Shares<Arc<Shared>>, caller: Caller) -> Answer {
    shared.lock().sessions.remove(&caller.token);
    Ok(ok())
}

/// `GET /users/{user_id}`
pub(crate) async fn by_id(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let state = shared.lock();
    let user = state.user(&caller.or_me(id))?;
    Ok(reply(&user.view(caller.admin || user.id == caller.id)))
}

/// `GET /users/username/{username}`
pub(crate) async fn by_name(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let state = shared.lock();
    match state.user_named(&name) {
        Some(user) => Ok(reply(&user.view(caller.admin || user.id == caller.id))),
        None => Err(ApiError::not_found(
            "app.user.get_by_username.app_error",
            "Unable to find an existing account matching your username for this team. This team may require an \
             invite from the team owner to join.",
        )),
    }
}

/// `GET /users/email/{email}`
pub(crate) async fn by_email(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(email): Path<String>) -> Answer {
    let state = shared.lock();
    let user = email.strip_suffix("@bartizan.test").and_then(|name| state.user_named(name));
    let user = user.ok_or_else(no_such_user)?;
    Ok(reply(&user.view(caller.admin || user.id == caller.id)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Which {
    page: usize,
    per_page: Option<usize>,
    in_channel: String,
    name: String,
}

/// `GET /users`
pub(crate) async fn all(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let state = shared.lock();
    let per_page = which.per_page.unwrap_or(60).clamp(1, 200);
    let users = state
        .users
        .values()
        .filter(|user| which.in_channel.is_empty() || state.is_member(&which.in_channel, &user.id))
        .skip(which.page * per_page)
        .take(per_page);
    Ok(reply(&users.map(|user| user.view(caller.admin || user.id == caller.id)).collect::<Vec<_>>()))
}

/// `POST /users/ids`
pub(crate) async fn by_ids(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let ids: Vec<String> = parse(&body, "user_ids")?;
    let state = shared.lock();
    let users = ids.iter().filter_map(|id| state.users.get(id));
    Ok(reply(&users.map(|user| user.view(caller.admin)).collect::<Vec<_>>()))
}

/// `POST /users/usernames`
pub(crate) async fn by_names(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let names: Vec<String> = parse(&body, "usernames")?;
    let state = shared.lock();
    let users = names.iter().filter_map(|name| state.user_named(name));
    Ok(reply(&users.map(|user| user.view(caller.admin)).collect::<Vec<_>>()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Search {
    term: String,
}

/// `POST /users/search`
pub(crate) async fn search(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let search: Search = parse(&body, "props")?;
    if search.term.is_empty() {
        return Err(ApiError::bad_body("term"));
    }
    let state = shared.lock();
    Ok(reply(&state.users_like(&search.term).map(|user| user.view(caller.admin)).collect::<Vec<_>>()))
}

/// `GET /users/autocomplete`
pub(crate) async fn autocomplete(Shares(shared): Shares<Arc<Shared>>, _: Caller, Query(which): Query<Which>) -> Answer {
    let state = shared.lock();
    let users: Vec<_> = state.users_like(&which.name).map(|user| user.view(false)).collect();
    Ok(reply(&json!({ "users": users })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Patch {
    username: Option<String>,
    nickname: Option<String>,
}

/// `PUT /users/{user_id}/patch`
pub(crate) async fn patch(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let patch: Patch = parse(&body, "user")?;
    let id = caller.or_me(id);
    caller.must_be(&id)?;
    let mut state = shared.lock();
    if let Some(username) = &patch.username {
        state.rename_user(&id, username)?;
    }
    if let (Some(nickname), Some(user)) = (patch.nickname, state.users.get_mut(&id)) {
        user.nickname = nickname;
    }
    Ok(reply(&state.user(&id)?.view(true)))
}

/// `DELETE /users/{user_id}`: deactivates.
pub(crate) async fn deactivate(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = caller.or_me(id);
    caller.must_be(&id)?;
    let mut state = shared.lock();
    state.user(&id)?;
    state.deactivate(&id);
    Ok(ok())
}

/// `POST /users/{user_id}/tokens`: a personal access token.
pub(crate) async fn new_token(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let wanted: Value = parse(&body, "user_access_token")?;
    let id = caller.or_me(id);
    caller.must_be_admin()?;
    let mut state = shared.lock();
    state.user(&id)?;
    let token = state.new_session(&id);
    let description = wanted.get("description").and_then(Value::as_str).unwrap_or_default();
    Ok(reply(&json!({ "id": new_id(), "token": token, "user_id": id, "description": description, "is_active": true })))
}

fn no_such_user() -> ApiError {
    ApiError::not_found("app.user.missing_account.const", "Unable to find the user.")
}

impl State {
    /// An account by its id.
    pub(crate) fn user(&self, id: &str) -> Result<&User, ApiError> {
        if !is_id(id) {
            return Err(ApiError::bad_url("user_id"));
        }
        self.users.get(id).ok_or_else(no_such_user)
    }

    /// An account by its username, in any case of letters.
    pub(crate) fn user_named(&self, username: &str) -> Option<&User> {
        self.users.values().find(|user| user.username.eq_ignore_ascii_case(username))
    }

    fn users_like<'a>(&'a self, term: &'a str) -> impl Iterator<Item = &'a User> {
        self.users.values().filter(move |user| user.delete_at == 0 && user.username.starts_with(term))
    }

    /// Makes an account; it is in no team and channel yet.
    pub(crate) fn add_user(&mut self, username: &str, options: UserOptions) -> String {
        let id = new_id();
        let roles = match options {
            UserOptions { admin: true, .. } => "system_user system_admin",
            UserOptions { guest: true, .. } => "system_guest",
            _ => "system_user",
        };
        let user = User {
            id: id.clone(),
            username: username.to_owned(),
            create_at: self.now,
            update_at: self.now,
            delete_at: if options.deactivated { self.now } else { 0 },
            roles,
            is_bot: options.bot,
            remote_id: options.remote.then(new_id),
            nickname: String::new(),
        };
        self.users.insert(id.clone(), user);
        if !options.outside {
            self.team_members.push(id.clone());
        }
        id
    }

    /// Gives an account another username, if no other has it.
    pub(crate) fn rename_user(&mut self, id: &str, username: &str) -> Result<(), ApiError> {
        if self.user_named(username).is_some_and(|other| other.id != id) {
            return Err(ApiError::bad_request(
                "app.user.save.username_exists.app_error",
                "An account with that username already exists.",
            ));
        }
        let now = self.now;
        let user = self.users.get_mut(id).ok_or_else(no_such_user)?;
        user.username = username.to_owned();
        user.update_at = now;
        let data = json!({ "user": user.view(false) });
        self.publish(&Event::new("user_updated", To::All, data));
        Ok(())
    }

    /// Ends every token of an account and keeps it from getting new ones.
    pub(crate) fn deactivate(&mut self, id: &str) {
        let now = self.now;
        if let Some(user) = self.users.get_mut(id) {
            user.delete_at = now;
            user.update_at = now;
        }
        self.sessions.retain(|_, user_id| user_id != id);
    }
}
