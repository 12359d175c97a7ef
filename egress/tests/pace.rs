//! A server that allows the bot only so many requests, and says so.

mod support;

use bartizan_proto::egress::{Outcome, Subject};
use bartizan_proto::verbs::{FromVerbs, Verb};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::server::{a_post, json};
use support::{Answer, Egress, POST, Server, call, ops, post};

#[test]
fn a_budget_that_is_used_up_is_waited_for_instead_of_being_refused() {
    let used_up = "X-RateLimit-Limit: 4\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 4\r\n";
    let server = Server::start(move |seen| match seen.path() {
        path if path.contains("/posts") => Answer::Raw(json(200, used_up, "{\"order\":[],\"posts\":{}}")),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier) = egress.attach();
    let begun = Instant::now();
    for _ in 0..3 {
        let answer = call(&mut verbs, Verb::PostsNewest { channel: ops(), per_page: 10 });
        assert!(matches!(answer, FromVerbs::Answer { status: 200, .. }), "{answer:?}");
    }
    // The first finds nothing known; each of the others waits for one of four that come back in four seconds.
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
}

#[test]
fn a_post_that_the_server_wants_to_be_asked_for_later_is_attested_later() {
    let tries = AtomicUsize::new(0);
    let refused =
        json(429, "Retry-After: 1\r\nX-RateLimit-Limit: 9\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1\r\n", "");
    let good = a_post(POST, "!ping", "{}", "");
    let server = Server::start(move |seen| match seen.path() == format!("/api/v4/posts/{POST}") {
        true if tries.fetch_add(1, Ordering::Relaxed) < 2 => Answer::Raw(refused.clone()),
        true => Answer::Json(200, good.clone()),
        false => Answer::Usual,
    });
    let begun = Instant::now();
    let outcome = Egress::ready(&server).attest(Subject::Post(post()));
    assert!(matches!(outcome, Outcome::Post(_)), "{outcome:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "twice a second was wanted: {:?}", begun.elapsed());
}
