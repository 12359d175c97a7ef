//! Incoming webhooks. What comes through one is a post **by the hook's owner**, told apart only by its props.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shares};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer::{Answer, ApiError, created, json as reply, ok};
use super::caller::Caller;
use super::ids::new_id;
use super::posts::{Post, check_props, complete_attachments};
use super::state::{Shared, State};

/// Props that a hook's payload cannot set itself.
const OUR_PROPS: [&str; 4] = ["from_webhook", "override_username", "override_icon_url", "attachments"];

/// An incoming webhook as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hook {
    pub(crate) id: String,
    create_at: u64,
    update_at: u64,
    delete_at: u64,
    pub(crate) user_id: String,
    pub(crate) channel_id: String,
    team_id: String,
    display_name: String,
    description: String,
    username: String,
    icon_url: String,
    channel_locked: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    channel_id: String,
    #[serde(default)]
    user_id: String,
    #[serde(default)]
    display_name: String,
}

/// `POST /hooks/incoming`: for administrators, on anyone's behalf, as the permissions are by default.
pub(crate) async fn create(Shares(shared): Shares<Arc<Shared>>, caller: Caller, body: Bytes) -> Answer {
    let new: New = super::answer::parse(&body, "incoming_webhook")?;
    caller.must_be_admin()?;
    let mut state = shared.lock();
    state.channel(&new.channel_id)?;
    let owner = if new.user_id.is_empty() { caller.id } else { new.user_id };
    state.user(&owner)?;
    let id = state.add_hook(&owner, &new.channel_id, &new.display_name);
    Ok(created(&state.hooks.get(&id)))
}

/// `GET /hooks/incoming`
pub(crate) async fn all(Shares(shared): Shares<Arc<Shared>>, caller: Caller) -> Answer {
    caller.must_be_admin()?;
    Ok(reply(&shared.lock().hooks.values().collect::<Vec<_>>()))
}

/// `DELETE /hooks/incoming/{hook_id}`
pub(crate) async fn delete(Shares(shared): Shares<Arc<Shared>>, caller: Caller, Path(id): Path<String>) -> Answer {
    caller.must_be_admin()?;
    match shared.lock().hooks.remove(&id) {
        Some(_) => Ok(ok()),
        None => Err(ApiError::not_found("app.webhooks.get_incoming.app_error", "Unable to get the webhook.")),
    }
}

/// What is posted to a hook.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    text: String,
    username: String,
    icon_url: String,
    channel: String,
    props: Option<Map<String, Value>>,
    attachments: Option<Vec<Value>>,
    #[serde(rename = "type")]
    kind: String,
}

/// `POST /hooks/{hook_id}`: JSON, or a form with a `payload` of JSON. No token: the id is the secret.
pub(crate) async fn post(
    Shares(shared): Shares<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let payload = if kind.starts_with("application/x-www-form-urlencoded") {
        let form: Vec<(String, String)> = form_pairs(&body);
        form.into_iter().find(|(name, _)| name == "payload").map(|(_, value)| value.into_bytes()).unwrap_or_default()
    } else {
        body.to_vec()
    };
    let unreadable =
        |_| ApiError::bad_request("model.incoming_hook.parse_data.app_error", "Unable to parse incoming data.");
    let payload: Payload = serde_json::from_slice(&payload).map_err(unreadable)?;
    shared.lock().post_through(&id, payload)?;
    let mut response = Response::new(Body::from("ok"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

impl State {
    /// Makes an incoming webhook of `owner`'s.
    pub(crate) fn add_hook(&mut self, owner: &str, channel_id: &str, display_name: &str) -> String {
        let hook = Hook {
            id: new_id(),
            create_at: self.now,
            update_at: self.now,
            delete_at: 0,
            user_id: owner.to_owned(),
            channel_id: channel_id.to_owned(),
            team_id: self.team.id.clone(),
            display_name: display_name.to_owned(),
            description: String::new(),
            username: String::new(),
            icon_url: String::new(),
            channel_locked: false,
        };
        let id = hook.id.clone();
        self.hooks.insert(id.clone(), hook);
        id
    }

    fn post_through(&mut self, hook_id: &str, payload: Payload) -> Result<(), ApiError> {
        let invalid = || ApiError::bad_request("web.incoming_webhook.invalid.app_error", "Invalid webhook.");
        let hook = self.hooks.get(hook_id).cloned().ok_or_else(invalid)?;
        let attachments = payload.attachments.filter(|attachments| !attachments.is_empty());
        if payload.text.is_empty() && attachments.is_none() {
            return Err(ApiError::bad_request("web.incoming_webhook.text.app_error", "No text specified."));
        }
        let channel_id = self.hook_channel(&hook, payload.channel.trim_start_matches('#'))?;
        let mut props: Map<String, Value> = payload.props.unwrap_or_default();
        props.retain(|name, _| !OUR_PROPS.contains(&name.as_str()));
        let name = if payload.username.is_empty() { "webhook".to_owned() } else { payload.username };
        props.insert("from_webhook".into(), "true".into());
        props.insert("override_username".into(), name.into());
        props.insert("webhook_display_name".into(), hook.display_name.into());
        if !payload.icon_url.is_empty() {
            props.insert("override_icon_url".into(), payload.icon_url.into());
        }
        let mut kind = payload.kind;
        if let Some(attachments) = attachments {
            props.insert("attachments".into(), attachments.into());
            complete_attachments(&mut props);
            kind = "slack_attachment".into();
        }
        check_props(Some(&props))?;
        // A long text becomes several posts.
        let letters: Vec<char> = payload.text.chars().collect();
        let mut parts: Vec<String> = letters.chunks(self.max_post).map(|part| part.iter().collect()).collect();
        if parts.is_empty() {
            parts.push(String::new());
        }
        for message in parts {
            self.check_text(&message)?;
            let (user_id, channel_id) = (hook.user_id.clone(), channel_id.clone());
            self.save(
                Post { user_id, channel_id, message, kind: kind.clone(), props: props.clone(), ..Post::default() },
                "",
            );
        }
        Ok(())
    }

    /// A payload may name another channel, or `@user` for a direct message from the hook's owner.
    fn hook_channel(&mut self, hook: &Hook, named: &str) -> Result<String, ApiError> {
        let missing = || ApiError::not_found("web.incoming_webhook.channel.app_error", "Couldn't find the channel.");
        if named.is_empty() {
            return Ok(hook.channel_id.clone());
        }
        if let Some(username) = named.strip_prefix('@') {
            let other = self.user_named(username).map(|user| user.id.clone()).ok_or_else(missing)?;
            return Ok(self.direct_channel(&hook.user_id, &other));
        }
        let channel = self.channels.values().find(|channel| channel.name == named || channel.id == named);
        let channel = channel.ok_or_else(missing)?;
        if channel.kind != super::channels::Kind::Open && !self.is_member(&channel.id, &hook.user_id) {
            return Err(ApiError::forbidden());
        }
        Ok(channel.id.clone())
    }
}

fn form_pairs(body: &Bytes) -> Vec<(String, String)> {
    let uri = format!("/?{}", String::from_utf8_lossy(body)).parse().unwrap_or_default();
    axum::extract::Query::try_from_uri(&uri).map(|pairs| pairs.0).unwrap_or_default()
}
