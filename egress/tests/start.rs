//! Starting, getting ready, and ending.

mod support;

use bartizan_proto::Role;
use bartizan_proto::egress::Subject;
use rustix::net::{AddressFamily, SocketType};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::server::{DATE_MS, json};
use support::{Answer, BOT, Egress, Server, TEAM, alice, setup};

fn usual() -> Server {
    Server::start(|_| Answer::Usual)
}

#[test]
fn a_server_that_knows_the_token_makes_egress_ready() {
    let server = usual();
    let ready = Egress::with(&server).expect_ready();
    assert_eq!(ready.bot.id.as_str(), BOT);
    assert!(ready.bot.bot && !ready.bot.system_admin);
    assert_eq!((ready.team.as_str(), ready.max_post, ready.server_ms), (TEAM, 16_383, DATE_MS));
    assert_eq!(ready.server_version.as_str(), "5.37.0");
    assert!(server.all().iter().all(|seen| seen.line.starts_with("GET ") && seen.line.ends_with(" HTTP/1.1")));
}

#[test]
fn a_base_address_with_a_path_stays_in_front() {
    let server = Server::start(|seen| match seen.path() {
        "/chat/api/v4/users/me" => Answer::Json(200, support::server::user(BOT, "bartizan", "")),
        "/chat/api/v4/teams/name/main" => Answer::Json(200, format!(r#"{{"id":"{TEAM}","name":"main"}}"#)),
        "/chat/api/v4/config/client?format=old" => Answer::Json(200, "{}".to_owned()),
        other => panic!("asked for {other}"),
    });
    let mut egress = Egress::start();
    egress.core.send(&setup(&format!("{}/chat/", server.url), b""));
    assert_eq!(egress.expect_ready().max_post, 4_000);
}

#[test]
fn a_server_by_name_is_resolved_inside_the_confinement() {
    let server = usual();
    let mut egress = Egress::start();
    egress.core.send(&setup(&server.url.replace("127.0.0.1", "localhost"), b""));
    egress.expect_ready();
}

#[test]
fn a_refused_token_is_said_clearly_and_tried_again() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |seen| match seen.path() {
        "/api/v4/users/me" if tries.fetch_add(1, Ordering::Relaxed) == 0 => Answer::Json(401, "{}".to_owned()),
        _ => Answer::Usual,
    });
    let mut egress = Egress::with(&server);
    let (why, retry_ms) = egress.expect_unready();
    assert!(why.contains("token") && why.contains("401"), "{why}");
    assert!((250..=500).contains(&retry_ms), "{retry_ms}");
    egress.expect_ready();
}

#[test]
fn a_server_that_is_down_busy_or_senseless_makes_egress_unready_with_the_reason() {
    type Case = (&'static str, fn() -> Answer, &'static str);
    let cases: [Case; 6] = [
        ("/api/v4/users/me", || Answer::Json(500, "{}".to_owned()), "500"),
        ("/api/v4/users/me", || Answer::Json(200, "{\"id\":\"canary\"}".to_owned()), "not a user"),
        ("/api/v4/users/me", || Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec()), "not a user"),
        ("/api/v4/users/me", || Answer::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()), "could not be reached"),
        ("/api/v4/teams/name/main", || Answer::Json(404, "{}".to_owned()), "no team main"),
        ("/api/v4/teams/name/main", || Answer::Json(200, format!(r#"{{"id":"{TEAM}","name":"b"}}"#)), "something else"),
    ];
    for (path, answer, reason) in cases {
        let server = Server::start(move |seen| if seen.path() == path { answer() } else { Answer::Usual });
        let (why, _) = Egress::with(&server).expect_unready();
        assert!(why.contains(reason), "{path}: {why}");
        assert!(!why.contains("canary"), "{why}");
    }
}

#[test]
fn retry_after_is_waited_for_at_least() {
    let server = Server::start(|_| Answer::Raw(json(429, "Retry-After: 7\r\n", "too many requests")));
    let (why, retry_ms) = Egress::with(&server).expect_unready();
    assert!(why.contains("429"), "{why}");
    assert_eq!(retry_ms, 7_000);
}

#[test]
fn a_server_that_is_not_there_is_tried_again_until_it_is() {
    // Bound and not listening: the port is nobody else's, and connections are refused.
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("bind");
    let address = SocketAddr::try_from(rustix::net::getsockname(&socket).expect("bound")).expect("IPv4");
    let mut egress = Egress::start();
    egress.core.send(&setup(&format!("http://{address}"), b""));
    let (why, _) = egress.expect_unready();
    assert!(why.contains("refused"), "{why}");
    let (_, second) = egress.expect_unready();
    assert!((500..=1000).contains(&second), "{second}");
}

#[test]
fn a_name_that_cannot_be_resolved_is_said_and_tried_again() {
    let mut egress = Egress::start();
    // A label over 63 bytes: the resolver refuses it by itself and asks nobody.
    egress.core.send(&setup(&format!("http://{}", "a".repeat(64)), b""));
    for _ in 0..2 {
        let (why, _) = egress.expect_unready();
        assert!(why.contains("lookup") || why.contains("resol") || why.contains("ame"), "{why}");
    }
}

#[test]
fn a_token_that_is_refused_later_is_noticed_and_so_is_its_return() {
    let revoked = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&revoked);
    let server = Server::start(move |_| match own.load(Ordering::Relaxed) {
        0 => Answer::Usual,
        _ => Answer::Json(401, format!("{{\"message\":\"token={}\"}}", support::TOKEN)),
    });
    let mut egress = Egress::ready(&server);
    revoked.store(1, Ordering::Relaxed);
    let outcome = format!("{:?}", egress.attest(Subject::User(alice())));
    assert!(outcome.contains("401"), "{outcome}");
    let (why, _) = egress.expect_unready();
    assert!(why.contains("token"), "{why}");
    revoked.store(0, Ordering::Relaxed);
    egress.expect_ready();
}

#[test]
fn egress_ends_with_0_when_the_core_closes_at_any_time() {
    let server = usual();
    for mut egress in [Egress::start(), Egress::with(&server), Egress::ready(&server)] {
        egress.core.socket.shutdown(std::net::Shutdown::Both).expect("shutdown");
        assert_eq!(egress.wait().code(), Some(0));
    }
}

#[test]
fn a_core_that_dies_with_something_unread_has_closed_too() {
    let server = usual();
    let mut egress = Egress::with(&server);
    while server.all().len() < 3 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // Ready is on its way or there, and is never read: the kernel answers with a reset.
    std::thread::sleep(std::time::Duration::from_millis(100));
    egress.hang_up();
    assert_eq!(egress.wait().code(), Some(0));
}

#[test]
fn egress_confines_itself() {
    let server = usual();
    let egress = Egress::ready(&server);
    let status = std::fs::read_to_string(format!("/proc/{}/status", egress.pid())).expect("status");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    // Not dumpable: what is in /proc belongs to root.
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{}/mem", egress.pid())).expect("stat"));
    assert_eq!(owner, 0);
}

#[test]
fn a_setup_that_cannot_work_ends_egress_with_a_line_that_names_it() {
    for (url, ca, said) in [
        ("chat.example.com", &b""[..], "not a URL"),
        ("ftp://127.0.0.1", b"", "must be http"),
        ("https://127.0.0.1", b"", "needs CA certificates"),
        ("https://127.0.0.1", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1"),
    ] {
        let mut egress = Egress::start();
        egress.core.send(&setup(url, ca));
        let log = egress.log_at_end();
        assert!(log.contains(said), "{url}: {log}");
        assert_eq!(log.lines().filter(|line| line.contains("ERROR")).count(), 1, "{log}");
    }
}

#[test]
fn a_peer_that_is_not_the_core_is_refused() {
    for role in [Role::Connector, Role::Worker, Role::Launcher] {
        let mut egress = Egress::start_as(role);
        assert_eq!(egress.wait().code(), Some(1));
    }
}
