//! The time limits that take their time, all at once: the one for requests, and that the websocket has none.

mod support;

use bartizan_proto::carrier::{Attempt, FromCarrier, ToCarrier};
use bartizan_proto::verbs::{Failure, FromVerbs, Verb};
use std::time::{Duration, Instant};
use support::server::accepted;
use support::{Answer, Egress, Server, call, carried, post, tell};

#[test]
fn a_server_that_drips_its_answer_is_given_up_after_30_s() {
    let server = Server::start(|seen| match seen.path() {
        path if path.ends_with("/thread") => Answer::Take(Box::new(|wire| {
            let mut alive = wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").is_ok();
            while alive {
                std::thread::sleep(Duration::from_millis(500));
                alive = wire.write_all(b"x").and_then(|()| wire.flush()).is_ok();
            }
        })),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    verbs.socket.set_read_timeout(Some(Duration::from_secs(40))).expect("timeout");
    let start = Instant::now();
    let answer = call(&mut verbs, Verb::Thread { root: post() });
    assert!(matches!(answer, FromVerbs::Failed { failure: Failure::Timeout, .. }), "{answer:?}");
    assert!((29..35).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[test]
fn a_websocket_outlives_the_time_limit_for_requests() {
    let server = Server::start(|seen| match seen.path() {
        "/api/v4/websocket" => {
            let head = accepted(seen, "");
            Answer::Take(Box::new(move |wire| {
                let opened = wire.write_all(&head).and_then(|()| wire.flush());
                std::thread::sleep(Duration::from_secs(33));
                opened.and_then(|()| wire.write_all(b"\x89\x00")).expect("egress is still there");
            }))
        }
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (_verbs, mut carrier) = egress.attach();
    carrier.socket.set_read_timeout(Some(Duration::from_secs(40))).expect("timeout");
    tell(&mut carrier, ToCarrier::Open { attempt: Attempt(1), resume: None });
    assert_eq!(carried(&mut carrier), FromCarrier::Opened { attempt: Attempt(1) });
    let said = carried(&mut carrier);
    assert!(matches!(&said, FromCarrier::Data { bytes, .. } if **bytes == *b"\x89\x00"), "{said:?}");
}
