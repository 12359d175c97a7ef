//! What egress tells the core about posts, users and channels, with honest and with lying servers.

mod support;

use bartizan_proto::egress::{AttestedPost, Origin, Outcome, QuestionId, Subject, ToEgress};
use bartizan_proto::limits::MAX_MESSAGE;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::server::{DATE_MS, Seen, a_post, channel, json, user};
use support::{ALICE, Answer, Egress, OPS, OTHER, POST, Server, alice, id, ops, post, team, text};

/// A server that answers one path in its own way, and everything else as usual.
fn server_with(path: &str, answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Server {
    let path = format!("/api/v4/{path}");
    Server::start(move |seen| if seen.path() == path { answer(seen) } else { Answer::Usual })
}

fn attested(outcome: Outcome) -> AttestedPost {
    match outcome {
        Outcome::Post(post) => *post,
        other => panic!("not a post: {other:?}"),
    }
}

fn unavailable(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unavailable { why } => why.into_string(),
        other => panic!("not unavailable: {other:?}"),
    }
}

#[test]
fn a_post_comes_with_its_author_its_channel_and_the_servers_clock() {
    let server = Server::start(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    let post = attested(egress.attest(Subject::Post(post())));
    assert_eq!((post.author.id, post.author.name.as_str()), (alice(), "alice"));
    assert_eq!((post.channel.id, post.channel.name.as_str(), post.channel.team), (ops(), "ops", Some(team())));
    assert_eq!((post.text.as_str(), post.kind.as_str(), post.origin), ("!ping", "", Origin::default()));
    assert_eq!((post.created_ms, post.edited_ms, post.deleted_ms, post.root), (5, 0, 0, None));
    assert_eq!(post.server_ms, DATE_MS);
}

#[test]
fn author_and_channel_are_asked_once_and_the_post_every_time() {
    let server = Server::start(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    for _ in 0..3 {
        attested(egress.attest(Subject::Post(post())));
    }
    let count = |part: &str| server.seen().iter().filter(|seen| seen.path().contains(part)).count();
    assert_eq!((count("/posts/"), count("/users/"), count("/channels/")), (3, 1, 1));
    egress.attest(Subject::User(alice()));
    assert_eq!(count("/users/"), 2, "a question about a user is always asked of the server");
}

#[test]
fn origin_edits_and_kind_are_told_as_the_server_has_them() {
    let more = format!(r#","remote_id":"r1","pending_post_id":"{POST}""#);
    let props = r#"{"from_webhook":"true","from_bot":false,"from_plugin":{},"override_username":"x"}"#;
    let body = a_post(POST, "é", props, &more)
        .replace("\"edit_at\":0", "\"edit_at\":9")
        .replace("\"delete_at\":0", "\"delete_at\":10")
        .replace("\"type\":\"\"", "\"type\":\"system_join_channel\"")
        .replace("\"root_id\":\"\"", &format!("\"root_id\":\"{OTHER}\""));
    let server = server_with(&format!("posts/{POST}"), move |_| Answer::Json(200, body.clone()));
    let post = attested(Egress::ready(&server).attest(Subject::Post(post())));
    assert_eq!(post.origin, Origin { bot: true, webhook: true, other: true, disguised: true });
    assert_eq!((post.edited_ms, post.deleted_ms, post.kind.as_str()), (9, 10, "system_join_channel"));
    assert_eq!(post.root, Some(id(OTHER)));
    assert!(post.author.remote, "a post of another server has a remote author");
}

#[test]
fn the_longest_post_that_mattermost_stores_is_told_whole_and_a_longer_one_not_at_all() {
    for (length, fits) in [(MAX_MESSAGE / 4, true), (MAX_MESSAGE / 4 + 1, false)] {
        let message = "\u{1f680}".repeat(length);
        let body = a_post(POST, &message, "{}", "");
        let server = server_with(&format!("posts/{POST}"), move |_| Answer::Json(200, body.clone()));
        let outcome = Egress::ready(&server).attest(Subject::Post(post()));
        if fits {
            assert_eq!(attested(outcome).text.as_str(), message);
        } else {
            assert!(unavailable(outcome).contains("over"));
        }
    }
}

#[test]
fn a_post_that_a_replica_does_not_have_yet_is_asked_for_again_and_then_refused() {
    for (missing, found) in [(0, true), (1, true), (2, true), (3, false)] {
        let tries = AtomicUsize::new(0);
        let server =
            server_with(&format!("posts/{POST}"), move |_| match tries.fetch_add(1, Ordering::Relaxed) < missing {
                true => Answer::Json(404, "{}".to_owned()),
                false => Answer::Usual,
            });
        let outcome = Egress::ready(&server).attest(Subject::Post(post()));
        assert_eq!(matches!(outcome, Outcome::Post(_)), found, "{missing} times 404: {outcome:?}");
        assert_eq!(matches!(outcome, Outcome::NotFound), !found);
    }
}

#[test]
fn an_answer_about_something_else_is_no_answer() {
    let lies = [
        (format!("posts/{POST}"), a_post(OTHER, "!ping", "{}", ""), Subject::Post(post())),
        (format!("users/{ALICE}"), user(OTHER, "alice", ""), Subject::User(alice())),
        (format!("users/{ALICE}"), user(OTHER, "alice", ""), Subject::Post(post())),
        ("users/username/alice".to_owned(), user(ALICE, "mallory", ""), Subject::UserNamed(text("alice"))),
        (format!("channels/{OPS}"), channel(OTHER, "ops"), Subject::Channel(ops())),
        (format!("channels/{OPS}"), channel(OTHER, "ops"), Subject::Post(post())),
        (format!("teams/{}/channels/name/ops", team()), channel(OPS, "random"), Subject::ChannelNamed(text("ops"))),
        (
            format!("teams/{}/channels/name/ops", team()),
            channel(OPS, "ops").replace(team().as_str(), OTHER),
            Subject::ChannelNamed(text("ops")),
        ),
    ];
    for (path, body, subject) in lies {
        let server = server_with(&path, move |_| Answer::Json(200, body.clone()));
        let why = unavailable(Egress::ready(&server).attest(subject.clone()));
        assert!(why.contains("something else"), "{subject:?}: {why}");
    }
}

#[test]
fn no_usable_answer_is_told_as_such_without_what_the_server_said() {
    let deep = format!("{{\"id\":\"{POST}\",\"props\":{}", "[".repeat(100_000));
    let good = a_post(POST, "!ping", "{}", "");
    let undated = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{good}", good.len()).into_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("500", json(500, "", "{\"message\":\"canary\"}")),
        ("(429)", json(429, "Retry-After: 1\r\n", "canary")),
        ("301", json(301, "Location: http://127.0.0.1:1/canary\r\n", "")),
        ("not a post", json(200, "", "canary")),
        ("not a post", json(200, "", &format!("{{\"id\":\"{POST}\",\"message\":\"canary\"}}"))),
        ("not a post", json(200, "", &deep)),
        ("not a post", json(200, "", "[]")),
        ("not a post", json(200, "", "")),
        ("no date", undated),
        ("over", json(200, "", &"x".repeat(2 << 20))),
        ("could not be reached", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncanary".to_vec()),
    ];
    for (reason, bytes) in cases {
        let own = bytes.clone();
        let server = server_with(&format!("posts/{POST}"), move |_| Answer::Raw(own.clone()));
        let why = unavailable(Egress::ready(&server).attest(Subject::Post(post())));
        assert!(why.contains(reason), "{reason}: {why}");
        assert!(!why.contains("canary"), "{why}");
    }
}

#[test]
fn a_server_that_breaks_off_does_not_disturb_the_next_question() {
    let tries = AtomicUsize::new(0);
    let server = server_with(&format!("posts/{POST}"), move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Raw(Vec::new()),
        _ => Answer::Usual,
    });
    let mut egress = Egress::ready(&server);
    assert!(unavailable(egress.attest(Subject::Post(post()))).contains("could not be reached"));
    attested(egress.attest(Subject::Post(post())));
}

#[test]
fn users_and_channels_are_found_by_id_and_by_name() {
    let server = Server::start(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    for subject in [Subject::User(alice()), Subject::UserNamed(text("alice"))] {
        assert!(matches!(egress.attest(subject), Outcome::User(user) if user.id == alice()));
    }
    for subject in [Subject::Channel(ops()), Subject::ChannelNamed(text("ops"))] {
        assert!(matches!(egress.attest(subject), Outcome::Channel(channel) if channel.id == ops()));
    }
    for nobody in [Subject::User(id(OTHER)), Subject::UserNamed(text("dave")), Subject::Channel(id(OTHER))] {
        assert_eq!(egress.attest(nobody), Outcome::NotFound);
    }
}

#[test]
fn a_name_that_would_be_another_path_names_nobody_and_is_not_asked_for() {
    let server = Server::start(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    for name in ["", ".", "..", "../me", "a/b", "alice?x=1", "alice#x", "al ice", "alice\r\nX: y"] {
        assert_eq!(egress.attest(Subject::UserNamed(text(name))), Outcome::NotFound, "{name:?}");
        assert_eq!(egress.attest(Subject::ChannelNamed(text(name))), Outcome::NotFound, "{name:?}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn guests_the_deactivated_and_the_remote_are_told_as_such() {
    let body = user(ALICE, "alice", ",\"remote_id\":\"r\"")
        .replace("system_user", "system_guest")
        .replace("\"delete_at\":0", "\"delete_at\":1");
    let server = server_with(&format!("users/{ALICE}"), move |_| Answer::Json(200, body.clone()));
    match Egress::ready(&server).attest(Subject::User(alice())) {
        Outcome::User(user) => assert!(user.guest && user.deactivated && user.remote && !user.bot),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_flood_of_questions_is_answered_to_the_last_and_what_is_too_much_is_said() {
    let server = Server::start(|_| Answer::Usual);
    let mut egress = Egress::ready(&server);
    let all = 1_000;
    let mut sender = egress.core.socket.try_clone().expect("dup");
    let asking = std::thread::spawn(move || {
        for number in 0..all {
            let ask = ToEgress::Attest { question: QuestionId(number), subject: Subject::Post(post()) };
            let frame = bartizan_proto::frame::encode(&ask).expect("encode");
            std::io::Write::write_all(&mut sender, &frame).expect("egress reads");
        }
    });
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..all {
        match egress.next() {
            bartizan_proto::egress::FromEgress::Attested { question, outcome } => {
                assert!(answered.insert(question.0), "answered twice");
                if !matches!(outcome, Outcome::Post(_)) {
                    assert!(unavailable(outcome).contains("too many"));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    asking.join().expect("all asked");
}

#[test]
fn a_slow_answer_holds_up_no_other() {
    let server = server_with(&format!("users/{ALICE}"), |_| {
        std::thread::sleep(std::time::Duration::from_millis(800));
        Answer::Usual
    });
    let mut egress = Egress::ready(&server);
    egress.core.send(&ToEgress::Attest { question: QuestionId(1), subject: Subject::User(alice()) });
    assert!(matches!(egress.attest(Subject::Channel(ops())), Outcome::Channel(_)));
    assert!(matches!(
        egress.next(),
        bartizan_proto::egress::FromEgress::Attested { question: QuestionId(1), outcome: Outcome::User(_) }
    ));
}

#[test]
fn a_post_whose_author_cannot_be_had_is_not_attested() {
    let server = server_with(&format!("users/{ALICE}"), |_| Answer::Json(503, "{}".to_owned()));
    assert!(unavailable(Egress::ready(&server).attest(Subject::Post(post()))).contains("503"));
}

fn reaction(user: &str, emoji: &str, created: u64, more: &str) -> String {
    format!(r#"{{"user_id":"{user}","post_id":"{POST}","emoji_name":"{emoji}","create_at":{created}{more}}}"#)
}

fn reacted(list: &str, emoji: &[&str]) -> Outcome {
    let list = list.to_owned();
    let server = server_with(&format!("posts/{POST}/reactions"), move |_| Answer::Json(200, list.clone()));
    let emoji = bartizan_proto::List::cut(emoji.iter().map(|emoji| id(emoji)));
    Egress::ready(&server).attest(Subject::Reactions { post: post(), emoji })
}

#[test]
fn reactions_come_with_their_people_and_times_oldest_first_and_without_those_taken_back() {
    let list = format!(
        "[{},{},{},{}]",
        reaction(ALICE, "+1", 9, ""),
        reaction(ALICE, "eyes", 3, ""),
        reaction(ALICE, "+1", 4, r#","delete_at":5"#),
        reaction(ALICE, "+1", 7, r#","remote_id":"r1""#)
    );
    let Outcome::Reactions(found) = reacted(&list, &["+1"]) else { panic!("no reactions") };
    let seen: Vec<_> =
        found.reactions.iter().map(|r| (r.user.id, r.emoji.as_str(), r.created_ms, r.user.remote)).collect();
    assert_eq!(seen, [(alice(), "+1", 7, true), (alice(), "+1", 9, false)]);
    assert!(!found.more && found.post == post() && found.server_ms == DATE_MS);
    let Outcome::Reactions(all) = reacted(&list, &[]) else { panic!("no reactions") };
    assert_eq!(all.reactions.len(), 3);
    for none in ["null", "[]"] {
        assert!(matches!(reacted(none, &[]), Outcome::Reactions(found) if found.reactions.is_empty()), "{none}");
    }
}

#[test]
fn an_answer_about_another_posts_reactions_or_an_unknown_person_is_no_answer() {
    let other = reaction(ALICE, "+1", 1, "").replace(POST, OTHER);
    unavailable(reacted(&format!("[{other}]"), &[]));
    // A user whom the server does not know cannot have reacted.
    assert_eq!(reacted(&format!("[{}]", reaction(OTHER, "+1", 1, "")), &[]), Outcome::NotFound);
    unavailable(reacted(&format!("[{}]", reaction(ALICE, "../x", 1, "")), &[]));
    unavailable(reacted("{}", &[]));
}

#[test]
fn more_reactions_than_fit_are_said_to_be_more_and_other_emoji_crowd_nobody_out() {
    let many =
        |emoji: &str, count: u64| (0..count).map(|n| reaction(ALICE, emoji, n, "")).collect::<Vec<_>>().join(",");
    let Outcome::Reactions(found) = reacted(&format!("[{}]", many("+1", 300)), &["+1"]) else { panic!("none") };
    assert!(found.more && found.reactions.len() == 256);
    let noise = format!("[{},{}]", many("eyes", 300), reaction(ALICE, "+1", 999, ""));
    let Outcome::Reactions(found) = reacted(&noise, &["+1"]) else { panic!("none") };
    assert!(!found.more && found.reactions.len() == 1);
}
