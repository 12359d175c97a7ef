//! Posting, threads, limits, edits and deletions.

use std::time::Duration;

use bartizan_playground::server::{Options, ServiceTimes, UserOptions};
use serde_json::json;

use crate::support::{inner, person, start, start_with};

#[tokio::test]
async fn a_post_comes_back_as_it_was_saved() {
    let (_server, file) = start();
    let bot = person(&file, "bartizan");
    let post = bot.say(&file.channels["ops"], "deploy started").await;
    assert_eq!(post.status, 201);
    assert_eq!(post.json["user_id"], bot.id.as_str());
    assert_eq!(post.json["props"], json!({ "from_bot": "true" }));
    assert_eq!(post.json["create_at"], post.json["update_at"]);
    assert_eq!((&post.json["edit_at"], &post.json["delete_at"]), (&json!(0), &json!(0)));
    assert_eq!(post.header("x-request-id").len(), 26);
    assert!(post.header("x-version-id").starts_with("5.37.0."));
    assert!(!post.header("date").is_empty());
    assert_eq!(bot.get(&format!("/posts/{}", post.id())).await.json["message"], "deploy started");
}

#[tokio::test]
async fn people_may_claim_to_be_bots_and_webhooks_but_nobody_else() {
    let (_server, file) = start();
    let alice = person(&file, "alice");
    let claim = json!({
        "channel_id": file.channels["ops"], "message": "x", "user_id": file.bot.id,
        "create_at": 1, "props": { "from_bot": "true", "from_webhook": "true" },
    });
    let post = alice.post("/posts", claim).await;
    assert_eq!(post.json["user_id"], alice.id.as_str());
    assert_eq!(post.json["props"]["from_webhook"], "true");
    assert_ne!(post.json["create_at"], 1);
}

#[tokio::test]
async fn a_root_must_be_a_root_of_the_same_channel() {
    let (_server, file) = start();
    let (alice, ops, random) = (person(&file, "alice"), &file.channels["ops"], &file.channels["random"]);
    let root = alice.say(ops, "root").await.id();
    let reply = alice.reply(ops, &root, "one").await;
    assert_eq!((reply.status, &reply.json["reply_count"]), (201, &json!(1)));
    for (channel, root) in [(ops, reply.id()), (random, root.clone()), (ops, "a".repeat(26))] {
        assert_eq!(alice.reply(channel, &root, "x").await.status, 400);
    }
    assert_eq!(alice.post("/posts", json!({ "channel_id": ops, "message": "x", "parent_id": root })).await.status, 400);
    alice.delete(&format!("/posts/{root}")).await;
    assert_eq!(alice.reply(ops, &root, "late").await.status, 400);
}

#[tokio::test]
async fn one_of_two_concurrent_first_replies_fails() {
    // Long enough for a busy machine to bring both requests within it.
    let long = Duration::from_millis(100);
    let times = ServiceTimes { reply: long, ..ServiceTimes::real() };
    for options in [
        Options { first_reply_window: long, ..Options::default() },
        Options { service_times: Some(times), ..Options::default() },
    ] {
        let (server, file) = start_with(options);
        let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
        let other = bot.again();
        // Connections that are open already, so that both requests arrive together.
        tokio::join!(bot.get("/users/me"), other.get("/users/me"));
        let root = server.say("alice", "ops", "root").unwrap_or_default();
        let (one, two) = tokio::join!(bot.reply(ops, &root, "one"), other.reply(ops, &root, "two"));
        let mut both = [one.status, two.status];
        both.sort_unstable();
        assert_eq!(both, [201, 500]);
        let failed = if one.status == 500 { one } else { two };
        assert_eq!(failed.json["message"], "Unable to save the Post.");
        assert_eq!(failed.json["id"], "app.post.save.app_error");
        let (three, four) = tokio::join!(bot.reply(ops, &root, "three"), other.reply(ops, &root, "four"));
        assert_eq!((three.status, four.status), (201, 201), "later replies are free to come together");
    }
}

#[tokio::test]
async fn a_pending_id_makes_one_post_for_thirty_seconds() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let once = json!({ "channel_id": ops, "message": "once", "pending_post_id": format!("{}:1", bot.id) });
    let first = bot.post("/posts", once.clone()).await;
    let second = bot.post("/posts", once.clone()).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.id(), second.id());
    assert_eq!(second.json["pending_post_id"], "");
    server.clock_advance(Duration::from_secs(31));
    assert_ne!(bot.post("/posts", once).await.id(), first.id());
}

#[tokio::test]
async fn length_is_counted_in_code_points() {
    let (_server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    assert_eq!(bot.say(ops, &"é".repeat(16_383)).await.status, 201);
    let long = bot.say(ops, &"x".repeat(16_384)).await;
    assert_eq!((long.status, &long.json["id"]), (400, &json!("model.post.is_valid.msg.app_error")));
    let nul = bot.say(ops, "a\0b").await;
    assert_eq!((nul.status, &nul.json["message"]), (500, &json!("Unable to save the Post.")));
    let props = json!({ "channel_id": ops, "message": "x", "props": { "p": "x".repeat(8_000) } });
    assert_eq!(bot.post("/posts", props).await.status, 400);
    // As Go writes it, one such letter is six characters.
    let escaped = json!({ "channel_id": ops, "message": "x", "props": { "p": "<".repeat(1_400) } });
    assert_eq!(bot.post("/posts", escaped).await.status, 400);
}

#[tokio::test]
async fn only_ones_own_posts_can_be_changed() {
    let (_server, file) = start();
    let (bot, alice, ops) = (person(&file, "bartizan"), person(&file, "alice"), &file.channels["ops"]);
    let theirs = alice.say(ops, "mine").await.id();
    for answer in [
        bot.put(&format!("/posts/{theirs}/patch"), json!({ "message": "hijack" })).await,
        bot.put(&format!("/posts/{theirs}"), json!({ "id": theirs, "message": "hijack" })).await,
        bot.delete(&format!("/posts/{theirs}")).await,
        bot.put(&format!("/posts/{}/patch", "z".repeat(26)), json!({ "message": "x" })).await,
    ] {
        assert_eq!((answer.status, &answer.json["id"]), (403, &json!("api.context.permissions.app_error")));
    }
}

#[tokio::test]
async fn a_patch_keeps_what_it_leaves_out_and_a_put_blanks_it() {
    let (_server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let post = json!({ "channel_id": ops, "message": "one", "props": { "a": 1 } });
    let id = bot.post("/posts", post).await.id();
    let patched = bot.put(&format!("/posts/{id}/patch"), json!({ "message": "two" })).await.json;
    assert_eq!(patched["props"], json!({ "a": 1, "from_bot": "true" }));
    assert_eq!(patched["edit_at"], patched["update_at"]);
    let same = bot.put(&format!("/posts/{id}/patch"), json!({ "message": "two" })).await.json;
    assert_eq!(same["edit_at"], patched["edit_at"], "the same text is no edit");
    let put = bot.put(&format!("/posts/{id}"), json!({ "id": id, "message": "three" })).await.json;
    assert_eq!(put["props"], json!({}));
}

#[tokio::test]
async fn edits_and_pins_are_heard_even_when_the_text_stays() {
    let (_server, file) = start();
    let (alice, ops) = (person(&file, "alice"), &file.channels["ops"]);
    let mut socket = person(&file, "bartizan").socket().await;
    let id = alice.say(ops, "text").await.id();
    alice.put(&format!("/posts/{id}/patch"), json!({ "message": "text" })).await;
    let same = inner(&socket.event("post_edited").await["data"]["post"]);
    assert_eq!((&same["message"], &same["edit_at"]), (&json!("text"), &json!(0)));
    alice.post(&format!("/posts/{id}/pin"), json!({})).await;
    assert_eq!(inner(&socket.event("post_edited").await["data"]["post"])["is_pinned"], true);
}

#[tokio::test]
async fn a_deleted_root_takes_its_replies_along() {
    let (_server, file) = start();
    let (alice, ops) = (person(&file, "alice"), &file.channels["ops"]);
    let mut socket = person(&file, "bartizan").socket().await;
    let root = alice.say(ops, "root").await.id();
    let reply = alice.reply(ops, &root, "reply").await.id();
    assert_eq!(alice.delete(&format!("/posts/{root}")).await.status, 200);
    let deleted = inner(&socket.event("post_deleted").await["data"]["post"]);
    assert_eq!((&deleted["delete_at"], &deleted["message"]), (&json!(0), &json!("root")));
    for id in [&root, &reply] {
        assert_eq!(alice.get(&format!("/posts/{id}")).await.status, 404);
    }
    assert_eq!(alice.delete(&format!("/posts/{root}")).await.status, 403);
}

#[tokio::test]
async fn ephemeral_posts_are_for_administrators() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let post = json!({ "user_id": bot.id, "post": { "channel_id": ops, "message": "only you" } });
    assert_eq!(bot.post("/posts/ephemeral", post.clone()).await.status, 403);
    let mut socket = bot.socket().await;
    assert_eq!(bot.with_token(&server.admin_token()).post("/posts/ephemeral", post).await.status, 201);
    let event = socket.event("ephemeral_message").await;
    assert_eq!(inner(&event["data"]["post"])["type"], "system_ephemeral");
}

#[tokio::test]
async fn strangers_and_the_archive_take_no_posts() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let stranger = server.add_user("outsider", UserOptions { outside: true, ..UserOptions::default() });
    assert_eq!(bot.with_token(&stranger.token).say(ops, "x").await.status, 403);
    assert_eq!(bot.say("short", "x").await.status, 403);
    let admin = bot.with_token(&server.admin_token());
    let post = bot.say(&file.channels["random"], "before").await.id();
    assert_eq!(admin.delete(&format!("/channels/{}", file.channels["random"])).await.status, 200);
    assert_eq!(bot.say(&file.channels["random"], "x").await.status, 400);
    assert_eq!(bot.get(&format!("/posts/{post}")).await.status, 200);
    assert_eq!(bot.put(&format!("/posts/{post}/patch"), json!({ "message": "y" })).await.status, 400);
}

#[tokio::test]
async fn nobody_writes_system_posts() {
    let (_server, file) = start();
    let post = json!({ "channel_id": file.channels["ops"], "message": "x", "type": "system_join_channel" });
    assert_eq!(person(&file, "alice").post("/posts", post).await.status, 400);
}

#[tokio::test]
async fn slash_me_is_a_post_of_its_own_type() {
    let (server, file) = start();
    let command = json!({ "channel_id": file.channels["ops"], "command": "/me waves" });
    assert_eq!(person(&file, "alice").post("/commands/execute", command).await.status, 200);
    let posts = server.posts("ops");
    assert_eq!((&posts[0]["type"], &posts[0]["message"]), (&json!("me"), &json!("*waves*")));
}
