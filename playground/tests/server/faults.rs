//! Faults on order, each seen from the client it is aimed at.

use std::time::{Duration, Instant};

use bartizan_playground::server::{Aim, Fault};
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{inner, person, start};

fn text(event: &Value) -> String {
    inner(&event["data"]["post"])["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn events_are_dropped_doubled_swapped_and_held_up() {
    let (server, file) = start();
    let (mut socket, mut other) = (person(&file, "bartizan").socket().await, person(&file, "alice").socket().await);
    server.fault(Fault::Drop { count: 1 });
    server.say("alice", "ops", "dropped");
    server.say("alice", "ops", "first");
    let first = socket.event("posted").await;
    assert_eq!(text(&first), "first");
    assert_eq!(text(&other.event("posted").await), "dropped", "others are not hit");

    server.fault(Fault::Duplicate { count: 1 });
    server.say("alice", "ops", "twice");
    let (one, two) = (socket.event("posted").await, socket.event("posted").await);
    assert_eq!((text(&one), &one["seq"]), ("twice".into(), &two["seq"]));

    server.fault(Fault::Reorder { count: 1 });
    server.say("alice", "ops", "late");
    server.say("alice", "ops", "early");
    assert_eq!(text(&socket.event("posted").await), "early");
    assert_eq!(text(&socket.event("posted").await), "late");

    server.fault(Fault::Delay { by: Duration::from_millis(300), count: 1 });
    let began = Instant::now();
    server.say("alice", "ops", "slow");
    assert_eq!(text(&socket.event("posted").await), "slow");
    assert!(began.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn a_429_is_plain_text_and_hits_the_upgrade_too() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    server.fault(Fault::TooManyRequests { retry_after: 3, count: 2 });
    assert_eq!(person(&file, "alice").get("/users/me").await.status, 200);
    let refused = bot.get("/users/me").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "3"));
    assert!(refused.header("content-type").starts_with("text/plain"));
    let upgrade = bot
        .request(Method::GET, "/api/v4/websocket")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(bot.send(upgrade).await.expect("an answer").status, 429);
    assert_eq!(bot.get("/users/me").await.status, 200);
    assert_eq!(bot.get("/users/me").await.header("x-ratelimit-limit"), "");
}

#[tokio::test]
async fn a_500_changes_nothing_and_can_be_aimed_at_one_route() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let aim = Aim { route: Some("POST /api/v4/posts".into()), user: None };
    server.fault_at(&aim, Fault::InternalError { count: 1 });
    assert_eq!(bot.get("/users/me").await.status, 200);
    let failed = bot.say(ops, "x").await;
    assert_eq!((failed.status, &failed.json["status_code"]), (500, &json!(500)));
    assert!(server.posts("ops").is_empty());
    assert_eq!(bot.say(ops, "x").await.status, 201);
}

#[tokio::test]
async fn an_answer_may_be_missing_halved_late_or_anything() {
    let (server, file) = start();
    let (bot, ops) = (person(&file, "bartizan"), &file.channels["ops"]);
    let post =
        || bot.request(Method::POST, "/api/v4/posts").body(json!({ "channel_id": ops, "message": "x" }).to_string());
    server.fault(Fault::HangUp { count: 1 });
    assert!(bot.send(post()).await.is_err());
    assert_eq!(server.posts("ops").len(), 0);
    server.fault(Fault::LoseAnswer { count: 1 });
    assert!(bot.send(post()).await.is_err());
    assert_eq!(server.posts("ops").len(), 1, "it was carried out");
    server.fault(Fault::Truncate { count: 1 });
    assert!(bot.send(post()).await.is_err());
    assert_eq!(server.posts("ops").len(), 2);
    server.fault(Fault::Slow { by: Duration::from_millis(200), count: 1 });
    let began = Instant::now();
    assert_eq!(bot.get("/users/me").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(190));
    let html = b"<html>Bad gateway</html>".to_vec();
    server.fault(Fault::Answer { status: 502, content_type: "text/html".into(), body: html, count: 1 });
    let answer = bot.get("/users/me").await;
    assert_eq!((answer.status, answer.text.as_str()), (502, "<html>Bad gateway</html>"));
}

#[tokio::test]
async fn a_socket_may_end_freeze_or_speak_nonsense() {
    let (server, file) = start();
    let bot = person(&file, "bartizan");
    let mut socket = bot.socket().await;
    server.fault(Fault::CloseSocket);
    assert_eq!(socket.end().await, None);

    let mut socket = bot.socket().await;
    server.fault(Fault::Text { text: "[".repeat(100_000) });
    let frame = async {
        loop {
            let frame = socket.stream.next().await.expect("a frame").expect("a frame");
            if frame.len() == 100_000 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), frame).await.expect("the frame");

    server.fault("garbage".parse().expect("a fault"));
    let broken = async {
        loop {
            match socket.stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.to_string(),
                None => return String::new(),
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(5), broken).await.expect("an error");
    assert!(error.to_lowercase().contains("utf"), "{error}");

    let mut socket = bot.socket().await;
    server.fault(Fault::HalfOpen);
    server.say("alice", "ops", "unheard");
    while let Some(frame) = socket.next_within(Duration::from_millis(500)).await {
        assert_ne!(frame["event"], "posted");
    }
    assert_eq!(bot.get("/users/me").await.status, 200, "other connections are well");
}
