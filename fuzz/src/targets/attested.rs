//! REST answers that decide about rights (`egress/src/answers.rs`): whole and of the right types, or nothing.

use bartizan_egress::answers::{ClientConfig, Post, Team, channel, user};
use serde_json::Value;

/// # Panics
/// When an answer is taken that does not say what decides.
pub fn target(data: &[u8]) {
    // What is passed over (other fields, the values of props) need not even be text that JSON allows.
    let Ok(json) = serde_json::from_slice::<Value>(data) else {
        let _taken = (Post::parse(data).is_ok(), user(data).is_ok(), channel(data).is_ok(), Team::parse(data).is_ok());
        return;
    };
    if let Ok(mut post) = Post::parse(data) {
        for key in ["id", "user_id", "channel_id", "root_id", "message", "type", "create_at", "edit_at", "delete_at"] {
            assert!(!json[key].is_null(), "a post without {key}");
        }
        let props = json["props"].as_object().cloned().unwrap_or_default();
        let origin = post.origin.0;
        assert_eq!(origin.bot, props.contains_key("from_bot"));
        assert_eq!(origin.webhook, props.contains_key("from_webhook"));
        let _text = post.take_text();
    }
    if let Ok(user) = user(data) {
        assert!(json["roles"].is_string() && json["delete_at"].is_u64());
        assert_eq!(user.deactivated, json["delete_at"] != 0);
    }
    if channel(data).is_ok() {
        assert!(json["type"].is_string());
    }
    let _team = Team::parse(data);
    if let Ok(config) = ClientConfig::parse(data) {
        let _longest = config.max_post();
    }
}

/// As a server sends them.
pub fn corpus() -> Vec<Vec<u8>> {
    let id = |letter: &str| letter.repeat(26);
    let user = format!(
        r#"{{"id":"{}","username":"alice","roles":"system_user system_admin","delete_at":0,"is_bot":true,"remote_id":""}}"#,
        id("u")
    );
    let channel = format!(r#"{{"id":"{}","type":"O","name":"ops","team_id":"{}","delete_at":0}}"#, id("c"), id("t"));
    let team = format!(r#"{{"id":"{}","name":"bartizan","delete_at":0}}"#, id("t"));
    let config = r#"{"MaxPostSize":"16383","Version":"10.5.0","BuildNumber":"1"}"#.to_owned();
    let posts = [r#"{}"#, r#"{"from_bot":"true","override_username":"x"}"#, "null"];
    let posts = posts.map(|props| super::answers::post("!deploy api-server staging", props));
    posts.into_iter().chain([user, channel, team, config]).map(String::into_bytes).collect()
}
