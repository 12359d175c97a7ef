//! The connector's calls: what exactly goes to the server for each, and what comes back.

mod support;

use bartizan_proto::card::{Card, Colour, Field};
use bartizan_proto::limits::MAX_BODY;
use bartizan_proto::verbs::{Failure, FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::{Bytes, List};
use serde_json::json;
use std::sync::mpsc;
use std::time::Duration;
use support::server::json as answer;
use support::{ALICE, Answer, BOT, Egress, OPS, OTHER, POST, Server, TEAM, TOKEN, call, id, ops, post, text};

fn failed(answer: FromVerbs) -> (Failure, String) {
    match answer {
        FromVerbs::Failed { request: RequestId(3), failure, why } => (failure, why.into_string()),
        other => panic!("not failed: {other:?}"),
    }
}

fn answered(answer: FromVerbs) -> (u16, Option<u32>, Vec<u8>) {
    match answer {
        FromVerbs::Answer { request: RequestId(3), status, retry_after_ms, body } => {
            (status, retry_after_ms, body.into_vec())
        }
        other => panic!("not answered: {other:?}"),
    }
}

#[test]
fn each_verb_makes_exactly_its_one_request() {
    let file = Bytes::new(*b"\x00\xffcontent").expect("short");
    let list = |ids: &[&str]| List::new(ids.iter().map(|text| id(text)).collect::<Vec<_>>()).expect("few");
    let new = |root, files| Verb::CreatePost {
        channel: ops(),
        root,
        message: text("a \"b\"\n@all\\ \u{202e}é"),
        pending: text("p:1"),
        reply_id: text("r1"),
        files,
        card: None,
    };
    let newest = |per_page| Verb::PostsNewest { channel: ops(), per_page };
    let after = Verb::PostsAfter { channel: ops(), after: post(), per_page: 200 };
    let reaction = json!({"user_id": BOT, "post_id": POST, "emoji_name": "+1"});
    let message = "a \"b\"\n@all\\ \u{202e}é";
    let plain = json!({"channel_id": OPS, "message": message, "pending_post_id": "p:1",
        "props": {"bartizan_reply": "r1"}});
    let mut full = plain.clone();
    full["root_id"] = json!(POST);
    full["file_ids"] = json!([OTHER, ALICE]);
    let mut carded = new(None, list(&[]));
    if let Verb::CreatePost { card, .. } = &mut carded {
        *card = Some(Box::new(Card {
            colour: Colour::Danger,
            title: text("a title"),
            text: text("**3** \"failed\""),
            fields: List::cut([Field { name: text("host"), value: text("web-1"), short: true }]),
        }));
    }
    let mut shown = plain.clone();
    shown["props"]["attachments"] = json!([{"fallback": "a title", "color": "#d1373a", "title": "a title",
        "text": "**3** \"failed\"", "fields": [{"title": "host", "value": "web-1", "short": true}]}]);
    let none = || None::<serde_json::Value>;
    let cases = [
        (new(None, list(&[])), "POST /posts".to_owned(), Some(plain)),
        (new(Some(post()), list(&[OTHER, ALICE])), "POST /posts".to_owned(), Some(full)),
        (carded, "POST /posts".to_owned(), Some(shown)),
        (
            Verb::PatchPost { post: post(), message: text("new") },
            format!("PUT /posts/{POST}/patch"),
            Some(json!({"message": "new"})),
        ),
        (Verb::AddReaction { post: post(), emoji: id("+1") }, "POST /reactions".to_owned(), Some(reaction)),
        (
            Verb::RemoveReaction { post: post(), emoji: id("+1") },
            format!("DELETE /users/{BOT}/posts/{POST}/reactions/+1"),
            none(),
        ),
        (
            Verb::PostsSince { channel: ops(), since_ms: u64::MAX },
            format!("GET /channels/{OPS}/posts?since=18446744073709551615"),
            none(),
        ),
        (after, format!("GET /channels/{OPS}/posts?after={POST}&per_page=200&page=0"), none()),
        (newest(1), format!("GET /channels/{OPS}/posts?page=0&per_page=1"), none()),
        (Verb::Thread { root: post() }, format!("GET /posts/{POST}/thread"), none()),
        (Verb::Channels, format!("GET /users/{BOT}/teams/{TEAM}/channels"), none()),
    ];
    let server = Server::start(|seen| match seen.path() {
        path if path.contains("/users/me") || path.contains("/name/") || path.contains("/config/") => Answer::Usual,
        _ => Answer::Json(201, "{\"as\":\"it came\"}".to_owned()),
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    for (index, (verb, line, body)) in cases.into_iter().enumerate() {
        assert_eq!(answered(call(&mut verbs, verb)), (201, None, b"{\"as\":\"it came\"}".to_vec()));
        let seen = server.seen();
        assert_eq!(seen.len(), index + 1, "one request for {line}");
        let (method, path) = line.split_once(' ').expect("both");
        assert_eq!(seen[index].line, format!("{method} /api/v4{path} HTTP/1.1"));
        match body {
            Some(body) => assert_eq!(seen[index].json(), body),
            None => assert!(seen[index].body.is_empty()),
        }
    }
    let upload = Verb::UploadFile { channel: ops(), name: text("a b&c=é.txt"), content: file };
    answered(call(&mut verbs, upload));
    let seen = server.seen();
    let seen = seen.last().expect("an upload");
    assert_eq!(seen.line, format!("POST /api/v4/files?channel_id={OPS}&filename=a+b%26c%3D%C3%A9.txt HTTP/1.1"));
    assert_eq!(seen.body, b"\x00\xffcontent");

    let names = |seen: &support::server::Seen| {
        let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    };
    for seen in server.all() {
        assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        let expected: &[&str] = if seen.body.is_empty() && !seen.line.starts_with("POST") {
            &["accept", "authorization", "host", "user-agent"]
        } else {
            &["accept", "authorization", "content-length", "content-type", "host", "user-agent"]
        };
        assert_eq!(names(&seen), expected, "{}", seen.line);
    }
}

#[test]
fn failures_of_the_server_come_back_as_they_are() {
    let server = Server::start(|seen| match seen.path() {
        path if path.ends_with(&format!("/posts/{POST}/thread")) => {
            Answer::Raw(answer(429, "Retry-After: 2\r\nConnection: close\r\n", "limit exceeded"))
        }
        path if path.contains("/posts") => Answer::Json(500, "{\"id\":\"store.sql_post.save.app_error\"}".to_owned()),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    let limited = answered(call(&mut verbs, Verb::Thread { root: post() }));
    assert_eq!(limited, (429, Some(2_000), b"limit exceeded".to_vec()));
    let (status, _, body) = answered(call(&mut verbs, Verb::PostsNewest { channel: ops(), per_page: 60 }));
    assert_eq!((status, body), (500, b"{\"id\":\"store.sql_post.save.app_error\"}".to_vec()));
}

#[test]
fn an_error_text_with_the_token_in_it_comes_back_without_it() {
    let server = Server::start(|seen| match seen.path() {
        path if path.ends_with("/thread") => Answer::Json(401, format!("{{\"message\":\"token={TOKEN} is bad\"}}")),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    let (status, _, body) = answered(call(&mut verbs, Verb::Thread { root: post() }));
    let stars = "*".repeat(TOKEN.len());
    assert_eq!((status, body), (401, format!("{{\"message\":\"token={stars} is bad\"}}").into_bytes()));
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| Answer::Json(200, "{}".to_owned()));
    let target = elsewhere.url.clone();
    let server = Server::start(move |seen| match seen.path() {
        path if path.ends_with("/thread") => {
            Answer::Raw(answer(302, &format!("Location: {target}/x\r\nConnection: close\r\n"), ""))
        }
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    assert_eq!(answered(call(&mut verbs, Verb::Thread { root: post() })).0, 302);
    assert!(elsewhere.all().is_empty());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn answers_that_are_too_large_cut_or_no_http_are_failures_and_the_next_call_works() {
    let server = Server::start(|seen| match seen.path() {
        path if path.contains("since=1") && path.ends_with("since=1") => Answer::Json(200, "x".repeat(MAX_BODY + 1)),
        path if path.ends_with("since=2") => {
            Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx".to_vec())
        }
        path if path.ends_with("since=3") => {
            let endless = "10000\r\n".to_owned() + &"x".repeat(0x10000) + "\r\n";
            Answer::Raw(
                ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned() + &endless.repeat(20)).into_bytes(),
            )
        }
        path if path.ends_with("since=4") => {
            Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort".to_vec())
        }
        path if path.ends_with("since=5") => Answer::Raw(b"\xff\x00no http\r\n\r\n".to_vec()),
        path if path.ends_with("since=6") => Answer::Raw(Vec::new()),
        path if path.ends_with("since=7") => Answer::Json(200, "y".repeat(MAX_BODY)),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    let mut since = |since_ms| call(&mut verbs, Verb::PostsSince { channel: ops(), since_ms });
    for too_large in [1, 2, 3] {
        assert_eq!(failed(since(too_large)).0, Failure::TooLarge, "{too_large}");
    }
    for broken in [4, 5, 6] {
        let (failure, why) = failed(since(broken));
        assert_eq!(failure, Failure::Network, "{broken}: {why}");
    }
    assert_eq!(answered(since(7)).2.len(), MAX_BODY);
}

#[test]
fn calls_are_answered_in_any_order_and_the_65th_at_once_is_busy() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let server = Server::start(move |seen| match seen.path() {
        path if path.ends_with("/thread") => {
            // Holds every call until the test lets one go.
            gate.lock().expect("held").recv_timeout(Duration::from_secs(20)).expect("let go");
            Answer::Json(200, "{}".to_owned())
        }
        path if path.contains("/posts?") => Answer::Json(200, "{}".to_owned()),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    let mut ask = |request, verb| verbs.send(&ToVerbs::Call { request: RequestId(request), verb: Box::new(verb) });
    for request in 0..63 {
        ask(request, Verb::Thread { root: post() });
    }
    ask(100, Verb::PostsNewest { channel: ops(), per_page: 1 });
    let next = |verbs: &mut support::End| verbs.next::<FromVerbs>().expect("an answer");
    assert!(matches!(next(&mut verbs), FromVerbs::Answer { request: RequestId(100), .. }), "overtakes the held ones");
    let mut ask = |request, verb| verbs.send(&ToVerbs::Call { request: RequestId(request), verb: Box::new(verb) });
    ask(63, Verb::Thread { root: post() });
    ask(64, Verb::Thread { root: post() });
    let busy = next(&mut verbs);
    assert!(matches!(busy, FromVerbs::Failed { request: RequestId(64), failure: Failure::Busy, .. }), "{busy:?}");
    for _ in 0..64 {
        open.send(()).expect("the server lives");
    }
    let mut seen: Vec<u32> = (0..64)
        .map(|_| match next(&mut verbs) {
            FromVerbs::Answer { request, status: 200, .. } => request.0,
            other => panic!("{other:?}"),
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..64).collect::<Vec<_>>());
}

#[test]
fn before_the_server_was_reached_a_call_that_needs_the_bots_id_fails_and_nothing_is_sent() {
    let server = Server::start(|_| Answer::Json(500, "{}".to_owned()));
    let mut egress = Egress::with(&server);
    egress.expect_unready();
    let (mut verbs, _carrier) = egress.attach();
    assert_eq!(failed(call(&mut verbs, Verb::Channels)).0, Failure::Network);
    assert_eq!(failed(call(&mut verbs, Verb::AddReaction { post: post(), emoji: id("x") })).0, Failure::Network);
    assert!(server.seen().is_empty());
}

#[test]
fn a_call_that_no_connector_of_ours_makes_drops_the_connector_and_nothing_is_sent() {
    let server = Server::start(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    let file = |name: &str| Verb::UploadFile { channel: ops(), name: text(name), content: Bytes::default() };
    for verb in [
        Verb::PostsNewest { channel: ops(), per_page: 0 },
        Verb::PostsAfter { channel: ops(), after: post(), per_page: 201 },
        file("../../etc/passwd"),
        file("a\r\nX-Header: b"),
        file(""),
    ] {
        let (mut verbs, mut carrier) = egress.attach();
        verbs.send(&ToVerbs::Call { request: RequestId(1), verb: Box::new(verb) });
        assert_eq!(verbs.next::<FromVerbs>(), None);
        assert_eq!(carrier.next::<bartizan_proto::carrier::FromCarrier>(), None);
    }
    assert!(server.seen().is_empty());
}
