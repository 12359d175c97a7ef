//! The websocket: who may, what is heard, what may be asked, resuming.

use std::time::{Duration, Instant};

use bartizan_playground::server::Options;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{inner, person, start, start_with};

#[tokio::test]
async fn a_header_brings_hello_at_once() {
    let (_server, file) = start();
    let mut socket = person(&file, "bartizan").socket_at("").await;
    let hello = socket.next().await;
    assert_eq!((&hello["event"], &hello["seq"]), (&json!("hello"), &json!(0)));
    assert_eq!(hello["broadcast"]["user_id"], file.bot.id.as_str());
    assert_eq!(hello["data"]["connection_id"].as_str().map(str::len), Some(26));
    assert_eq!(socket.event("status_change").await["seq"], 1);
}

#[tokio::test]
async fn a_challenge_is_the_other_way_in() {
    let (_server, file) = start();
    let nobody = person(&file, "alice").with_token("");
    let mut socket = nobody.socket_at("").await;
    let challenge = |token: &str| json!({ "seq": 1, "action": "authentication_challenge", "data": { "token": token } });
    socket.send(challenge(&file.bot.token)).await;
    assert_eq!(socket.next().await["event"], "hello");
    assert_eq!(socket.next().await, json!({ "status": "OK", "seq_reply": 1 }));
    let mut bad = nobody.socket_at("").await;
    bad.send(challenge("nonsense")).await;
    assert_eq!(bad.end().await, None);
}

#[tokio::test]
async fn who_does_not_say_who_they_are_is_dropped_after_five_seconds() {
    let (_server, file) = start();
    let bot = person(&file, "bartizan");
    let began = Instant::now();
    let (mut bad, mut none) =
        (bot.with_token(&"q".repeat(26)).socket_at("").await, bot.with_token("").socket_at("").await);
    assert_eq!((bad.end().await, none.end().await), (None, None));
    let took = began.elapsed();
    assert!(took > Duration::from_millis(4_900) && took < Duration::from_millis(9_000), "{took:?}");
}

#[tokio::test]
async fn events_carry_json_in_strings() {
    let (_server, file) = start();
    let (bot, alice, ops) = (person(&file, "bartizan"), person(&file, "alice"), &file.channels["ops"]);
    let mut socket = bot.socket().await;
    alice.say(ops, "hello @bartizan.").await;
    let posted = socket.event("posted").await;
    let data = &posted["data"];
    assert_eq!(
        (&data["sender_name"], &data["channel_type"], &data["channel_name"]),
        (&json!("@alice"), &json!("O"), &json!("ops"))
    );
    assert_eq!(data["mentions"], json!([bot.id]).to_string());
    assert_eq!(inner(&data["post"])["message"], "hello @bartizan.");
    assert_eq!(posted["broadcast"]["channel_id"], ops.as_str());
    alice.say(ops, "no one `@bartizan`").await;
    assert_eq!(socket.event("posted").await["data"].get("mentions"), None);
    alice.say(ops, "@all hands").await;
    assert!(inner(&socket.event("posted").await["data"]["mentions"]).to_string().contains(&bot.id));
    let attachment = json!({ "channel_id": ops, "message": "", "props": { "attachments": [{ "text": "@bartizan" }] } });
    alice.post("/posts", attachment).await;
    assert_eq!(socket.event("posted").await["data"]["mentions"], json!([bot.id]).to_string());
}

#[tokio::test]
async fn every_connection_hears_own_posts_too() {
    let (_server, file) = start();
    let bot = person(&file, "bartizan");
    let (mut one, mut two) = (bot.socket().await, bot.socket().await);
    let id = bot.say(&file.channels["ops"], "x").await.id();
    for socket in [&mut one, &mut two] {
        assert_eq!(inner(&socket.event("posted").await["data"]["post"])["id"], id.as_str());
    }
}

#[tokio::test]
async fn actions_are_answered() {
    let (_server, file) = start();
    let (bot, alice, ops) = (person(&file, "bartizan"), person(&file, "alice"), &file.channels["ops"]);
    let (mut socket, mut other) = (bot.socket().await, alice.socket().await);
    socket.send(json!({ "seq": 1, "action": "ping" })).await;
    assert_eq!(socket.answer().await["data"]["text"], "pong");
    socket.send(json!({ "seq": 2, "action": "user_typing", "data": { "channel_id": ops, "parent_id": "" } })).await;
    assert_eq!(socket.answer().await, json!({ "status": "OK", "seq_reply": 2 }));
    assert_eq!(other.event("typing").await["data"]["user_id"], bot.id.as_str());
    socket.send(json!({ "seq": 3, "action": "get_statuses" })).await;
    assert_eq!(socket.answer().await["data"][&alice.id], "online");
    socket.send(json!({ "seq": 4, "action": "explode" })).await;
    assert_eq!(socket.answer().await["error"]["status_code"], 500);
    socket.send(json!({ "seq": 0, "action": "ping" })).await;
    let bad = socket.answer().await;
    assert_eq!((&bad["status"], bad.get("seq_reply")), (&json!("FAIL"), None));
    assert_eq!(alice.post("/users/me/typing", json!({ "channel_id": ops })).await.status, 200);
    assert_eq!(socket.event("typing").await["data"]["user_id"], alice.id.as_str());
}

#[tokio::test]
async fn a_revoked_token_still_hears_but_may_not_ask() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    let mut socket = bot.socket().await;
    server.revoke_token("bartizan");
    server.say("alice", "ops", "still there?");
    socket.event("posted").await;
    socket.send(json!({ "seq": 1, "action": "ping" })).await;
    let refused = socket.answer().await;
    assert_eq!((&refused["status"], &refused["error"]["status_code"]), (&json!("FAIL"), &json!(401)));
    assert!(refused["error"]["message"].as_str().unwrap_or_default().contains(&bot.token));
    assert_eq!(bot.get("/users/me").await.status, 401);
    let again = server.new_token("bartizan").expect("a token");
    assert_eq!(bot.with_token(&again).get("/users/me").await.status, 200);
}

#[tokio::test]
async fn a_lost_connection_is_resumed_where_it_was() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    let mut socket = bot.socket().await;
    server.say("alice", "ops", "one");
    let seen = socket.event("posted").await["seq"].as_u64().unwrap_or_default();
    let id = socket.connection_id.clone();
    drop(socket);
    while server.sockets("bartizan") > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for text in ["two", "three"] {
        server.say("alice", "ops", text);
    }
    let mut socket = bot.socket_at(&format!("?connection_id={id}&sequence_number={}", seen + 1)).await;
    let mut texts = Vec::new();
    let mut numbers = Vec::new();
    while texts.len() < 2 {
        let event = socket.next().await;
        assert_ne!(event["event"], "hello", "a resumed connection gets none");
        numbers.push(event["seq"].as_u64().unwrap_or_default());
        if event["event"] == "posted" {
            texts.push(inner(&event["data"]["post"])["message"].clone());
        }
    }
    assert_eq!(texts, ["two", "three"]);
    assert!(numbers.iter().zip(seen + 1..).all(|(number, wanted)| *number == wanted), "{numbers:?}");
    // Once more, as if the last event had been lost on the way: it comes again with its number.
    let last = numbers[numbers.len() - 1];
    drop(socket);
    while server.sockets("bartizan") > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut socket = bot.socket_at(&format!("?connection_id={id}&sequence_number={last}")).await;
    assert_eq!(socket.next().await["seq"], last);
}

#[tokio::test]
async fn what_cannot_be_resumed_begins_with_hello() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    let unknown = format!("?connection_id={}&sequence_number=7", "x".repeat(26));
    let hello = bot.socket_at(&unknown).await.next().await;
    assert_eq!((&hello["event"], &hello["seq"]), (&json!("hello"), &json!(0)));

    assert_eq!(bot.socket_at("?connection_id=nonsense&sequence_number=1").await.end().await, None);

    // More than 128 events were sent: the first are no longer kept.
    let mut socket = bot.socket().await;
    for n in 0..140 {
        server.say("alice", "ops", &n.to_string());
    }
    while inner(&socket.event("posted").await["data"]["post"])["message"] != "139" {}
    let id = socket.connection_id.clone();
    drop(socket);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let hello = bot.socket_at(&format!("?connection_id={id}&sequence_number=3")).await.next().await;
    assert_eq!(hello["event"], "hello");
    assert_ne!(hello["data"]["connection_id"], id.as_str());
}

#[tokio::test]
async fn odd_frames_end_the_connection() {
    let (_server, file) = start();
    let bot = person(&file, "bartizan");
    let mut socket = bot.socket().await;
    socket.stream.send(Message::Text("not JSON".into())).await.expect("sent");
    assert_eq!(socket.end().await, None);
    let mut socket = bot.socket().await;
    socket.stream.send(Message::Text("x".repeat(9_000).into())).await.expect("sent");
    assert_eq!(socket.end().await, Some(1009));
    let mut socket = bot.socket().await;
    let ping = json!({ "seq": 1, "action": "ping" }).to_string();
    socket.stream.send(Message::Binary(ping.into())).await.expect("sent");
    assert_eq!(socket.answer().await["status"], "OK");
}

#[tokio::test]
async fn open_sockets_are_pinged() {
    let (_server, file) = start_with(Options { ping_every: Duration::from_millis(50), ..Options::default() });
    let mut socket = person(&file, "bartizan").socket().await;
    let ping = async { while !matches!(socket.stream.next().await, Some(Ok(Message::Ping(_)))) {} };
    tokio::time::timeout(Duration::from_secs(5), ping).await.expect("a ping");
}

#[tokio::test]
async fn a_slow_reader_is_closed_after_part_of_the_events() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    let mut socket = bot.socket().await;
    let long = "x".repeat(16_000);
    // Nothing is read meanwhile: the socket's buffers fill, then the queue.
    for _ in 0..2_000 {
        server.say("alice", "ops", &long);
        tokio::task::yield_now().await;
    }
    assert_eq!(server.sockets("bartizan"), 0);
    let mut heard = 0;
    while socket.next_within(Duration::from_millis(500)).await.is_some() {
        heard += 1;
    }
    assert!(heard < 2_000, "{heard}");
}
