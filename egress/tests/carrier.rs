//! The carried websocket: what passes in each direction, and what does not.

mod support;

use bartizan_proto::carrier::{Attempt, FromCarrier, Resume, ToCarrier};
use bartizan_proto::{Bytes, Text};
use std::sync::mpsc;
use std::time::Duration;
use support::server::{Seen, Wire, accepted, json};
use support::{Answer, Egress, End, Server, TOKEN, carried, tell, text};

/// A server whose websocket does this once it is open.
fn websocket(then: impl Fn(&mut dyn Wire) + Clone + Send + Sync + 'static) -> Server {
    Server::start(move |seen| {
        if !seen.path().starts_with("/api/v4/websocket") {
            return Answer::Usual;
        }
        let (head, then) = (accepted(seen, ""), then.clone());
        Answer::Take(Box::new(move |wire| {
            if wire.write_all(&head).and_then(|()| wire.flush()).is_ok() {
                then(wire);
            }
        }))
    })
}

/// A websocket that tells the test what it reads, until the end.
fn listening() -> (Server, mpsc::Receiver<Vec<u8>>) {
    let (heard, listen) = mpsc::channel();
    let server = websocket(move |wire| {
        let mut buffer = [0; 4096];
        while let Ok(read) = wire.read(&mut buffer) {
            let _ = heard.send(buffer[..read].to_vec());
            if read == 0 {
                break;
            }
        }
    });
    (server, listen)
}

fn open(carrier: &mut End, attempt: u32) {
    tell(carrier, ToCarrier::Open { attempt: Attempt(attempt), resume: None });
}

fn opened(server: &Server) -> (Egress, End, End) {
    let mut egress = Egress::ready(server);
    let (verbs, mut carrier) = egress.attach();
    open(&mut carrier, 1);
    assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(1) });
    (egress, verbs, carrier)
}

fn data(attempt: u32, bytes: &[u8]) -> ToCarrier {
    ToCarrier::Data { attempt: Attempt(attempt), bytes: Bytes::new(bytes).expect("short") }
}

/// Everything that comes on a connection, and why it ended.
fn all_of(carrier: &mut End, number: u32) -> (Vec<u8>, String) {
    let mut all = Vec::new();
    loop {
        match carried(carrier) {
            FromCarrier::Data { attempt: Attempt(n), bytes } if n == number => all.extend_from_slice(&bytes),
            FromCarrier::Closed { attempt: Attempt(n), why } if n == number => return (all, why.into_string()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_upgrade_has_the_token_in_its_header_and_the_bytes_of_the_server_come_as_they_are() {
    let server = websocket(|wire| {
        for piece in [&b"\x81\x05hello"[..], b"\x89\x00", b"\xff\xfe\x00"] {
            let _ = wire.write_all(piece).and_then(|()| wire.flush());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let (_egress, _verbs, mut carrier) = opened(&server);
    let (all, why) = all_of(&mut carrier, 1);
    assert_eq!(all, b"\x81\x05hello\x89\x00\xff\xfe\x00");
    assert!(why.contains("closed"), "{why}");
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "GET /api/v4/websocket HTTP/1.1");
    assert_eq!(seen.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    assert_eq!(seen.header("sec-websocket-version"), Some("13"));
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    assert_eq!(seen.header("sec-websocket-extensions"), None);
    assert_eq!(seen.header("origin"), None);
}

#[test]
fn bytes_that_come_together_with_the_101_are_not_lost() {
    let server = Server::start(|seen| match seen.path() {
        "/api/v4/websocket" => Answer::Raw([accepted(seen, ""), b"\x81\x02{}".to_vec()].concat()),
        _ => Answer::Usual,
    });
    let (_egress, _verbs, mut carrier) = opened(&server);
    assert_eq!(all_of(&mut carrier, 1).0, b"\x81\x02{}");
}

#[test]
fn it_works_over_tls() {
    let server = Server::start_tls(|seen| match seen.path() {
        "/api/v4/websocket" => Answer::Raw([accepted(seen, ""), b"\x81\x02{}".to_vec()].concat()),
        _ => Answer::Usual,
    });
    let (_egress, _verbs, mut carrier) = opened(&server);
    assert_eq!(all_of(&mut carrier, 1).0, b"\x81\x02{}");
}

#[test]
fn a_resumed_connection_is_asked_for_by_query_and_nothing_else_fits_into_it() {
    let (server, _listen) = listening();
    let mut egress = Egress::ready(&server);
    let (_verbs, mut carrier) = egress.attach();
    let resume = Some(Resume { connection: text("a&b=c#d/../é"), sequence: 42 });
    tell(&mut carrier, ToCarrier::Open { attempt: Attempt(1), resume });
    carried(&mut carrier);
    assert_eq!(
        server.seen()[0].line,
        "GET /api/v4/websocket?connection_id=a%26b%3Dc%23d%2F..%2F%C3%A9&sequence_number=42 HTTP/1.1"
    );
}

#[test]
fn control_frames_of_the_connector_reach_the_server() {
    let (server, listen) = listening();
    let (_egress, _verbs, mut carrier) = opened(&server);
    let frames = [&b"\x8a\x80abcd"[..], b"\x89\x82abcdxy", b"\x88\x82abcd\x03\xe8"];
    for frame in frames {
        tell(&mut carrier, data(1, frame));
    }
    let mut heard = Vec::new();
    while heard.len() < frames.concat().len() {
        heard.extend(listen.recv_timeout(Duration::from_secs(10)).expect("the frames arrive"));
    }
    assert_eq!(heard, frames.concat());
}

#[test]
fn anything_else_of_the_connector_drops_the_websocket_and_never_reaches_the_server() {
    let text_frame = b"\x81\x82abcd{}";
    let refused: [&[u8]; 7] = [
        text_frame,
        b"\x82\x82abcd{}",
        b"\x89\x00",
        b"\x89\x82abcdx",
        b"\x09\x80abcd",
        b"POST /api/v4/posts HTTP/1.1\r\nHost: x\r\n\r\n",
        &[b"\x8a\x80abcd", &text_frame[..]].concat(),
    ];
    for bytes in refused {
        let (server, listen) = listening();
        let (_egress, _verbs, mut carrier) = opened(&server);
        tell(&mut carrier, data(1, bytes));
        let (_, why) = all_of(&mut carrier, 1);
        assert!(why.contains("refused"), "{why}");
        let heard = listen.recv_timeout(Duration::from_secs(10)).expect("the server sees the end");
        assert!(heard.is_empty(), "{heard:?}");
        // The socket to egress goes on: a new connection can be opened.
        open(&mut carrier, 2);
        assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(2) });
    }
}

#[test]
fn a_refused_upgrade_says_the_status_and_when_to_come_back() {
    let cases: Vec<(Vec<u8>, u16, Option<u32>)> = vec![
        (json(429, "Retry-After: 3\r\n", "limit exceeded"), 429, Some(3_000)),
        (json(401, "", &format!("token={TOKEN}")), 401, None),
        (json(302, "Location: http://127.0.0.1:1/\r\n", ""), 302, None),
        (json(200, "", "{}"), 200, None),
        (Vec::new(), 0, None),
        (b"no http\r\n\r\n".to_vec(), 0, None),
    ];
    for (bytes, expected, retry) in cases {
        let server = Server::start(move |seen| match seen.path() {
            "/api/v4/websocket" => Answer::Raw(bytes.clone()),
            _ => Answer::Usual,
        });
        let mut egress = Egress::ready(&server);
        let (_verbs, mut carrier) = egress.attach();
        open(&mut carrier, 9);
        match carried(&mut carrier) {
            FromCarrier::Refused { attempt: Attempt(9), status, retry_after_ms, why } => {
                assert_eq!((status, retry_after_ms), (expected, retry), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_101_that_does_not_answer_this_key_or_adds_something_is_refused() {
    const WRONG: &[u8] = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let answers: [fn(&Seen) -> Vec<u8>; 4] = [
        |_| WRONG.to_vec(),
        |_| b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".to_vec(),
        |seen| accepted(seen, "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        |seen| accepted(seen, "Sec-WebSocket-Protocol: x\r\n"),
    ];
    for answer in answers {
        let server = Server::start(move |seen| match seen.path() {
            "/api/v4/websocket" => Answer::Raw(answer(seen)),
            _ => Answer::Usual,
        });
        let mut egress = Egress::ready(&server);
        let (_verbs, mut carrier) = egress.attach();
        open(&mut carrier, 1);
        let said = carried(&mut carrier);
        assert!(matches!(said, FromCarrier::Refused { status: 101, .. }), "{said:?}");
    }
}

#[test]
fn the_token_in_a_websocket_message_is_overwritten_also_when_it_is_cut_in_two() {
    let server = websocket(|wire| {
        let message = format!("{{\"error\":\"token={TOKEN}\"}}{{\"canary\":1}}");
        for piece in message.as_bytes().chunks(11) {
            let _ = wire.write_all(piece).and_then(|()| wire.flush());
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let (_egress, _verbs, mut carrier) = opened(&server);
    let (all, _) = all_of(&mut carrier, 1);
    let stars = "*".repeat(TOKEN.len());
    assert_eq!(String::from_utf8_lossy(&all), format!("{{\"error\":\"token={stars}\"}}{{\"canary\":1}}"));
}

#[test]
fn a_new_attempt_drops_the_older_one_whose_bytes_are_then_passed_over() {
    let (server, listen) = listening();
    let (_egress, _verbs, mut carrier) = opened(&server);
    open(&mut carrier, 2);
    assert!(listen.recv_timeout(Duration::from_secs(10)).expect("the first ends").is_empty());
    tell(&mut carrier, data(1, b"\x81\x80abcd"));
    tell(&mut carrier, ToCarrier::Close { attempt: Attempt(1) });
    tell(&mut carrier, data(2, b"\x8a\x80abcd"));
    assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(2) });
    assert_eq!(listen.recv_timeout(Duration::from_secs(10)).expect("the second lives"), b"\x8a\x80abcd");
}

#[test]
fn a_close_is_carried_out_and_confirmed() {
    let (server, listen) = listening();
    let (_egress, _verbs, mut carrier) = opened(&server);
    tell(&mut carrier, ToCarrier::Close { attempt: Attempt(1) });
    assert_eq!(carried(&mut carrier), FromCarrier::Closed { attempt: Attempt(1), why: text("closed as asked") });
    assert!(listen.recv_timeout(Duration::from_secs(10)).expect("the server sees it").is_empty());
}

#[test]
fn while_the_connector_does_not_read_the_server_is_not_read() {
    let (written, count) = mpsc::channel();
    let server = websocket(move |wire| {
        let piece = vec![b'}'; 64 * 1024];
        while wire.write_all(&piece).is_ok() {
            if written.send(piece.len()).is_err() {
                break;
            }
        }
    });
    let (_egress, _verbs, mut carrier) = opened(&server);
    let mut total = 0;
    while let Ok(more) = count.recv_timeout(Duration::from_secs(1)) {
        total += more;
        assert!(total < 64 << 20, "egress swallows what nobody reads");
    }
    // The line is still alive: reading sets it going again.
    let FromCarrier::Data { bytes, .. } = carried(&mut carrier) else { panic!("no data") };
    assert!(!bytes.is_empty());
    while count.try_recv().is_err() {
        carried(&mut carrier);
    }
}

#[test]
fn when_the_connector_closes_either_end_the_websocket_ends_and_a_new_connector_is_served() {
    let (server, listen) = listening();
    let (mut egress, verbs, carrier) = opened(&server);
    drop(verbs);
    assert!(listen.recv_timeout(Duration::from_secs(10)).expect("the websocket ends").is_empty());
    drop(carrier);
    let (_verbs, mut carrier) = egress.attach();
    open(&mut carrier, 1);
    assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(1) });
    drop(carrier);
    assert!(listen.recv_timeout(Duration::from_secs(10)).expect("the websocket ends").is_empty());
}

#[test]
fn a_reason_is_bounded_and_says_nothing_of_the_server() {
    let server = Server::start(|seen| match seen.path() {
        "/api/v4/websocket" => {
            Answer::Raw([b"HTTP/1.1 500 canary".to_vec(), vec![b'c'; 5_000], b"\r\n\r\n".to_vec()].concat())
        }
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (_verbs, mut carrier) = egress.attach();
    open(&mut carrier, 1);
    let FromCarrier::Refused { why, .. } = carried(&mut carrier) else { panic!("not refused") };
    let why: Text<1024> = why;
    assert!(!why.contains("canary"), "{why}");
}
