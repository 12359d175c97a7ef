//! What a client may ask over its websocket.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::hub::{Event, Outgoing, Socket, To, VERSION};
use super::state::{Shared, State};
use super::websocket::{Done, Peer, reply};

/// A client's message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    action: String,
    seq: i64,
    data: Value,
}

impl Request {
    fn text(&self, name: &str) -> &str {
        self.data.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Carries out one request. Before the peer is known there is one action only.
pub(crate) fn carry_out(shared: &Arc<Shared>, socket: &Socket, peer: &mut Peer, request: Request) -> Done {
    let mut state = shared.lock();
    let sequence = request.seq;
    if request.action.is_empty() {
        return fail(&mut state, peer, sequence, "no_action", "No websocket action.", 400);
    }
    if sequence <= 0 {
        return fail(&mut state, peer, 0, "bad_seq", "Invalid sequence for WebSocket message.", 400);
    }
    if request.action == "authentication_challenge" {
        return challenge(&mut state, socket, peer, &request);
    }
    let Some((token, user_id)) = peer.token.clone().zip(peer.user_id.clone()) else {
        return fail(
            &mut state,
            peer,
            sequence,
            "not_authenticated",
            "WebSocket connection is not authenticated. Please log in and try again.",
            401,
        );
    };
    if state.session(&token).is_none() {
        return expired(&mut state, peer, sequence, &token);
    }
    let data = match request.action.as_str() {
        "ping" => Some(json!({ "text": "pong", "version": VERSION, "server_time": state.now, "node_id": "" })),
        "get_statuses" => Some(json!(state.online())),
        "get_statuses_by_ids" => Some(json!(statuses_of(&state, request.data.get("user_ids")))),
        "user_typing" => {
            let channel_id = request.text("channel_id");
            if !state.is_member(channel_id, &user_id) {
                return fail(
                    &mut state,
                    peer,
                    sequence,
                    "permissions",
                    "You do not have the appropriate permissions.",
                    403,
                );
            }
            state.publish_typing(&user_id, channel_id, request.text("parent_id"));
            None
        }
        "user_update_active_status" => None,
        _ => return fail(&mut state, peer, sequence, "bad_action", "Unknown WebSocket action.", 500),
    };
    let text = reply(sequence.unsigned_abs(), data);
    state.hub.push(peer.serial, Outgoing::Reply(text));
    Done::Continue
}

/// The other way to say who one is. `hello` comes before the answer; there is no resuming.
fn challenge(state: &mut State, socket: &Socket, peer: &mut Peer, request: &Request) -> Done {
    let token = request.text("token").to_owned();
    let Some(user_id) = state.session(&token).map(|user| user.id.clone()) else { return Done::Cut };
    if peer.user_id.is_some() {
        // A second challenge is heard and changes nothing.
        return Done::Continue;
    }
    state.hub.join(&user_id, None, socket.clone());
    state.hub.push(peer.serial, Outgoing::Reply(reply(request.seq.unsigned_abs(), None)));
    state.came_online(&user_id);
    peer.token = Some(token);
    peer.user_id = Some(user_id);
    Done::Continue
}

/// After a token was revoked the socket stays and still hears events, but it may ask for nothing. As on the
/// real server the error's text contains the token.
fn expired(state: &mut State, peer: &Peer, sequence: i64, token: &str) -> Done {
    let error = json!({
        "id": "api.context.invalid_token.error",
        "message": format!("Invalid session token={token}, err="),
        "detailed_error": "",
        "status_code": 401,
    });
    refuse(state, peer, sequence, error)
}

fn fail(state: &mut State, peer: &Peer, sequence: i64, id: &str, message: &str, status: u16) -> Done {
    let error = json!({
        "id": format!("api.web_socket_router.{id}.app_error"),
        "message": message,
        "detailed_error": "",
        "status_code": status,
    });
    refuse(state, peer, sequence, error)
}

fn refuse(state: &mut State, peer: &Peer, sequence: i64, error: Value) -> Done {
    let text = match sequence {
        0 => json!({ "status": "FAIL", "error": error }),
        _ => json!({ "status": "FAIL", "seq_reply": sequence, "error": error }),
    };
    state.hub.push(peer.serial, Outgoing::Reply(text.to_string()));
    Done::Continue
}

fn statuses_of(state: &State, ids: Option<&Value>) -> BTreeMap<String, String> {
    let ids = ids.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    ids.map(|id| (id.to_owned(), state.status_of(id).status)).collect()
}

impl State {
    /// Tells the other members of a channel that someone is writing.
    pub(crate) fn publish_typing(&mut self, user_id: &str, channel_id: &str, parent_id: &str) {
        let data = json!({ "user_id": user_id, "parent_id": parent_id });
        self.publish(&Event::new("typing", To::Channel(channel_id.to_owned()), data).except(user_id));
    }
}
