//! What a client asks a server about itself, and small things that clients ask for at their start: settings,
//! roles, preferences, slash commands.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State as Shares};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{Answer, ApiError, go_json, json as reply, ok, parse};
use super::caller::{Caller, Token};
use super::hub::{Event, To, VERSION};
use super::posts::Post;
use super::state::{Shared, State};

/// `GET /system/ping`
pub(crate) async fn ping() -> Answer {
    Ok(reply(&json!({
        "AndroidLatestVersion": "", "AndroidMinVersion": "", "DesktopLatestVersion": "", "DesktopMinVersion": "",
        "IosLatestVersion": "", "IosMinVersion": "", "status": "OK",
    })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Format {
    format: String,
}

/// `GET /config/client?format=old`: less without a token, as on the real server.
pub(crate) async fn config(Shares(shared): Shares<Arc<Shared>>, Query(format): Query<Format>, token: Token) -> Answer {
    if format.format != "old" {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "api.config.client.old_format.app_error",
            "New format for the client configuration is not supported yet. Please specify format=old in the query string.",
        ));
    }
    let known = token.0.is_some_and(|token| shared.lock().session(&token).is_some());
    let mut config = json!({
        "BuildNumber": VERSION, "Version": VERSION, "BuildEnterpriseReady": "false", "BuildHash": "", "BuildDate": "",
        "BuildHashEnterprise": "none", "DefaultClientLocale": "en", "DiagnosticId": "", "DiagnosticsEnabled": "false",
        "EnableBotAccountCreation": "true", "EnableCustomEmoji": "true", "EnableGuestAccounts": "false",
        "EnableMultifactorAuthentication": "false", "EnableSignInWithEmail": "true", "EnableSignInWithUsername": "true",
        "EnableUserCreation": "true", "HasImageProxy": "false", "NoAccounts": "false", "PluginsEnabled": "false",
        "SiteName": "Mattermost", "TelemetryId": "", "WebsocketPort": "80", "WebsocketSecurePort": "443",
        "WebsocketURL": "",
    });
    if known {
        for (name, value) in [
            ("MaxPostSize", shared.options.max_post.to_string()),
            ("MaxFileSize", super::files::LARGEST.to_string()),
            ("PostEditTimeLimit", "-1".into()),
            ("EnableFileAttachments", "true".into()),
            ("EnableIncomingWebhooks", "true".into()),
            ("EnablePostUsernameOverride", "true".into()),
            ("EnablePostIconOverride", "true".into()),
            ("EnableUserAccessTokens", "true".into()),
            ("EnableReliableWebSockets", "true".into()),
            ("RestrictDirectMessage", "any".into()),
            ("TeammateNameDisplay", "username".into()),
            ("SiteURL", String::new()),
        ] {
            config[name] = value.into();
        }
    }
    Ok(reply(&config))
}

/// `GET /license/client?format=old`
pub(crate) async fn license() -> Answer {
    Ok(reply(&json!({ "IsLicensed": "false" })))
}

/// `POST /roles/names`: those that there are, with what they permit.
pub(crate) async fn roles(Shares(shared): Shares<Arc<Shared>>, _: Caller, body: Bytes) -> Answer {
    let names: Vec<String> = parse(&body, "rolenames")?;
    let state = shared.lock();
    Ok(reply(&names.iter().filter_map(|name| state.role(name)).collect::<Vec<_>>()))
}

/// `GET /roles/name/{name}`
pub(crate) async fn role_by_name(Shares(shared): Shares<Arc<Shared>>, _: Caller, Path(name): Path<String>) -> Answer {
    let role = shared.lock().role(&name);
    role.map(|role| reply(&role))
        .ok_or_else(|| ApiError::not_found("app.role.get_by_name.app_error", "Unable to get role."))
}

/// What there is none of: custom emoji, sessions of others, unread teams.
pub(crate) async fn none(_: Caller) -> Answer {
    Ok(reply(&json!([])))
}

/// A preference as the API shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Preference {
    user_id: String,
    category: String,
    name: String,
    value: String,
}

/// `GET /users/{user_id}/preferences`
pub(crate) async fn preferences(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = caller.or_me(id);
    caller.must_be(&id)?;
    let state = shared.lock();
    let own = state.preferences.iter().filter(|((user_id, ..), _)| *user_id == id);
    let view = own.map(|((user_id, category, name), value)| Preference {
        user_id: user_id.clone(),
        category: category.clone(),
        name: name.clone(),
        value: value.clone(),
    });
    Ok(reply(&view.collect::<Vec<_>>()))
}

/// `PUT /users/{user_id}/preferences`
pub(crate) async fn set_preferences(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let new: Vec<Preference> = parse(&body, "preferences")?;
    let id = caller.or_me(id);
    caller.must_be(&id)?;
    let mut state = shared.lock();
    let data = json!({ "preferences": go_json(&new) });
    for one in new {
        state.preferences.insert((id.clone(), one.category, one.name), one.value);
    }
    state.publish(&Event::new("preferences_changed", To::User(id), data));
    Ok(ok())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Typing {
    channel_id: String,
    #[serde(default)]
    parent_id: String,
}

/// `POST /users/{user_id}/typing`
pub(crate) async fn typing(
    Shares(shared): Shares<Arc<Shared>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let typing: Typing = parse(&body, "typing")?;
    let id = caller.or_me(id);
    caller.must_be(&id)?;
    let mut state = shared.lock();
    state.must_be_member(&caller, &typing.channel_id)?;
    state.publish_typing(&id, &typing.channel_id, &typing.parent_id);
    Ok(ok())
}

#[derive(Debug, Deserialize)]
pub(crate) struct Command {
    channel_id: String,
    command: String,
}

/// `POST /commands/execute`: `/me` is the only one; its post has the type `me`.
pub(crate) async fn execute(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let command: Command = parse(&body, "command")?;
    let mut state = shared.lock();
    state.must_be_member(&caller, &command.channel_id)?;
    let Some(text) = command.command.strip_prefix("/me ") else {
        return Err(ApiError::not_found(
            "api.command.execute_command.not_found.app_error",
            "Command with a trigger of that name not found.",
        ));
    };
    state.check_text(text)?;
    post_me(&mut state, caller.id, command.channel_id, text);
    Ok(reply(&json!({ "response_type": "in_channel", "text": text })))
}

fn post_me(state: &mut State, user_id: String, channel_id: String, text: &str) {
    let props = Map::from_iter([("override_icon_url".to_owned(), Value::from(""))]);
    let message = format!("*{text}*");
    state.save(Post { user_id, channel_id, message, kind: "me".into(), props, ..Post::default() }, "");
}

/// Any other address, and a known one with the wrong method.
pub(crate) async fn unknown(request: Request) -> Response {
    let url = request.uri().path();
    let body = go_json(&json!({
        "id": "api.context.404.app_error",
        "message": "Sorry, we could not find the page.",
        "detailed_error": format!(
            "There doesn't appear to be an api call for the url='{url}'.  Typo? are you missing a team_id or \
             user_id as part of the url?"
        ),
        "status_code": 404,
    }));
    let mut response = (StatusCode::NOT_FOUND, body).into_response();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
