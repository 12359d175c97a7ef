//! The answers' forms against the published API description (`api/v4/source/definitions.yaml`): each property
//! it lists that this server gives has the listed type, and none of those that clients rely on is missing.

use serde_json::{Value, json};

use crate::support::{inner, person, start};

/// A property's name, its type in the description, and whether clients rely on it.
type Property = (&'static str, &'static str, bool);

const USER: &[Property] = &[
    ("id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("username", "string", true),
    ("first_name", "string", true),
    ("last_name", "string", true),
    ("nickname", "string", true),
    ("email", "string", true),
    ("email_verified", "boolean", false),
    ("auth_service", "string", true),
    ("roles", "string", true),
    ("locale", "string", true),
    ("notify_props", "object", true),
    ("props", "object", false),
    ("last_password_update", "integer", true),
    ("last_picture_update", "integer", false),
    ("failed_attempts", "integer", false),
    ("mfa_active", "boolean", false),
    ("timezone", "object", true),
    ("terms_of_service_id", "string", false),
    ("terms_of_service_create_at", "integer", false),
];

const TEAM: &[Property] = &[
    ("id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("display_name", "string", true),
    ("name", "string", true),
    ("description", "string", true),
    ("email", "string", true),
    ("type", "string", true),
    ("allowed_domains", "string", true),
    ("invite_id", "string", true),
    ("allow_open_invite", "boolean", true),
];

const CHANNEL: &[Property] = &[
    ("id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("team_id", "string", true),
    ("type", "string", true),
    ("display_name", "string", true),
    ("name", "string", true),
    ("header", "string", true),
    ("purpose", "string", true),
    ("last_post_at", "integer", true),
    ("total_msg_count", "integer", true),
    ("extra_update_at", "integer", true),
    ("creator_id", "string", true),
];

const CHANNEL_MEMBER: &[Property] = &[
    ("channel_id", "string", true),
    ("user_id", "string", true),
    ("roles", "string", true),
    ("last_viewed_at", "integer", true),
    ("msg_count", "integer", true),
    ("mention_count", "integer", true),
    ("notify_props", "object", true),
    ("last_update_at", "integer", true),
];

const POST: &[Property] = &[
    ("id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("edit_at", "integer", true),
    ("user_id", "string", true),
    ("channel_id", "string", true),
    ("root_id", "string", true),
    ("parent_id", "string", false),
    ("original_id", "string", true),
    ("message", "string", true),
    ("type", "string", true),
    ("props", "object", true),
    ("hashtag", "string", false),
    ("hashtags", "string", true),
    ("file_ids", "array", true),
    ("pending_post_id", "string", true),
    ("metadata", "object", true),
];

const FILE_INFO: &[Property] = &[
    ("id", "string", true),
    ("user_id", "string", true),
    ("post_id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("name", "string", true),
    ("extension", "string", true),
    ("size", "integer", true),
    ("mime_type", "string", true),
    ("width", "integer", false),
    ("height", "integer", false),
    ("has_preview_image", "boolean", false),
];

const REACTION: &[Property] = &[
    ("user_id", "string", true),
    ("post_id", "string", true),
    ("emoji_name", "string", true),
    ("create_at", "integer", true),
];

const POST_LIST: &[Property] = &[
    ("order", "array", true),
    ("posts", "object", true),
    ("next_post_id", "string", true),
    ("prev_post_id", "string", true),
];

const STATUS: &[Property] = &[
    ("user_id", "string", true),
    ("status", "string", true),
    ("manual", "boolean", true),
    ("last_activity_at", "integer", true),
];

const APP_ERROR: &[Property] = &[
    ("status_code", "integer", true),
    ("id", "string", true),
    ("message", "string", true),
    ("request_id", "string", true),
];

const BOT: &[Property] = &[
    ("user_id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("username", "string", true),
    ("display_name", "string", true),
    ("description", "string", true),
    ("owner_id", "string", true),
];

const INCOMING_WEBHOOK: &[Property] = &[
    ("id", "string", true),
    ("create_at", "integer", true),
    ("update_at", "integer", true),
    ("delete_at", "integer", true),
    ("channel_id", "string", true),
    ("description", "string", true),
    ("display_name", "string", true),
];

fn fits(what: &str, value: &Value, properties: &[Property]) {
    for (name, wanted, needed) in properties {
        let found = match value.get(name) {
            None => "missing",
            Some(Value::String(_)) => "string",
            Some(Value::Number(number)) if number.is_u64() => "integer",
            Some(Value::Number(_)) => "number",
            Some(Value::Bool(_)) => "boolean",
            Some(Value::Object(_)) => "object",
            Some(Value::Array(_)) => "array",
            Some(Value::Null) => "null",
        };
        assert!(found == *wanted || (found == "missing" && !needed), "{what}.{name} is {found}: {value}");
    }
}

#[tokio::test]
async fn answers_fit_the_published_description() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let mut socket = bot.socket().await;
    fits("User", &bot.get("/users/me").await.json, USER);
    fits("Team", &bot.get("/teams/name/bartizan").await.json, TEAM);
    fits("Channel", &bot.get(&format!("/channels/{ops}")).await.json, CHANNEL);
    fits("Channel", &bot.post("/channels/direct", json!([bot.id, bot.id])).await.json, CHANNEL);
    fits("ChannelMember", &bot.get(&format!("/channels/{ops}/members/me")).await.json, CHANNEL_MEMBER);
    let upload =
        bot.request(reqwest::Method::POST, &format!("/api/v4/files?channel_id={ops}&filename=a.txt")).body("abc");
    let upload = bot.send(upload).await.expect("an answer").json;
    let id = upload["file_infos"][0]["id"].clone();
    let post = bot.post("/posts", json!({ "channel_id": ops, "message": "x", "file_ids": [id] })).await;
    fits("Post", &post.json, POST);
    fits("Post", &inner(&socket.event("posted").await["data"]["post"]), POST);
    fits("FileInfo", &post.json["metadata"]["files"][0], FILE_INFO);
    let reaction = json!({ "user_id": bot.id, "post_id": post.id(), "emoji_name": "tada" });
    fits("Reaction", &bot.post("/reactions", reaction).await.json, REACTION);
    fits("Reaction", &inner(&socket.event("reaction_added").await["data"]["reaction"]), REACTION);
    for query in ["", "?since=1", "?per_page=1"] {
        fits("PostList", &bot.get(&format!("/channels/{ops}/posts{query}")).await.json, POST_LIST);
    }
    fits("PostList", &bot.get(&format!("/posts/{}/thread", post.id())).await.json, POST_LIST);
    fits("Status", &bot.get("/users/me/status").await.json, STATUS);
    fits("AppError", &bot.get("/posts/xyz").await.json, APP_ERROR);
    fits("Bot", &bot.get("/bots/me").await.json, BOT);
    let admin = bot.with_token(&server.admin_token());
    let hook = json!({ "channel_id": ops, "display_name": "builds" });
    fits("IncomingWebhook", &admin.post("/hooks/incoming", hook).await.json, INCOMING_WEBHOOK);
}
