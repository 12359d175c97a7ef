//! The core's own posts: written once, found again when their answer was lost, and never changed by a connector.

mod support;

use bartizan_proto::List;
use bartizan_proto::egress::{FromEgress, ProtectedAct, ProtectedOutcome, Target, ToEgress, WriteId};
use bartizan_proto::verbs::{FromVerbs, RequestId, ToVerbs, Verb};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::server::Seen;
use support::{ALICE, Answer, BOT, Egress, End, OPS, OTHER, POST, Server, alice, call, id, ops, post, text};

const KEY: &str = "alert-1";

fn create(target: Target) -> ProtectedAct {
    ProtectedAct::Create { target, root: None, message: text("Look!"), key: text(KEY) }
}

fn own_post(id: &str, props: &Value, edited: u64) -> Value {
    json!({"id": id, "user_id": BOT, "channel_id": OPS, "message": "Look!", "props": props, "edit_at": edited, "delete_at": 0})
}

/// A server that takes posts.
fn takes(seen: &Seen) -> Answer {
    match seen.line.as_str() {
        "POST /api/v4/posts HTTP/1.1" => {
            Answer::Json(201, own_post(POST, &json!({"bartizan_protected": KEY}), 0).to_string())
        }
        line if line.starts_with("PUT ") || line.contains("/reactions") => Answer::Json(200, "{}".to_owned()),
        _ => Answer::Usual,
    }
}

fn order(egress: &mut Egress, act: ProtectedAct, again: bool) -> ProtectedOutcome {
    egress.core.send(&ToEgress::Protected { write: WriteId(5), act: Box::new(act), again });
    outcome(egress)
}

fn outcome(egress: &mut Egress) -> ProtectedOutcome {
    match egress.next() {
        FromEgress::Protected { write: WriteId(5), outcome } => outcome,
        other => panic!("no outcome: {other:?}"),
    }
}

fn posted() -> ProtectedOutcome {
    ProtectedOutcome::Posted { post: post(), channel: ops() }
}

#[test]
fn a_protected_post_has_a_key_that_no_connector_can_set() {
    let server = Server::start(takes);
    let mut egress = Egress::ready(&server);
    assert_eq!(order(&mut egress, create(Target::Channel(ops())), false), posted());
    let seen = server.seen();
    let expected = json!({"channel_id": OPS, "message": "Look!", "pending_post_id": "protected:alert-1",
        "props": {"bartizan_protected": KEY}});
    assert_eq!((seen.len(), seen[0].json()), (1, expected));
}

/// Each of these is one connector that is dropped, and the core hears of it.
fn is_refused(egress: &mut Egress, session: u32, verb: Verb) {
    let (mut verbs, _carrier) = egress.attach();
    verbs.send(&ToVerbs::Call { request: RequestId(1), verb: Box::new(verb) });
    assert_eq!(verbs.next::<FromVerbs>(), None);
    match egress.next() {
        FromEgress::Dropped { session: told, why } => {
            assert_eq!(told, session);
            assert!(why.contains("over its verbs"), "{why}");
        }
        other => panic!("not dropped: {other:?}"),
    }
}

fn changes() -> Vec<Verb> {
    vec![
        Verb::PatchPost { post: post(), message: text("Never mind") },
        Verb::AddReaction { post: post(), emoji: id("white_check_mark") },
        Verb::RemoveReaction { post: post(), emoji: id("no_entry") },
    ]
}

#[test]
fn no_connector_changes_a_protected_post_or_a_reaction_to_it() {
    let server = Server::start(takes);
    let mut egress = Egress::ready(&server);
    order(&mut egress, create(Target::Channel(ops())), false);
    for (session, verb) in (1..).zip(changes()) {
        is_refused(&mut egress, session, verb);
    }
    assert_eq!(server.seen().len(), 1, "nothing of it went to the server");
    let (mut verbs, _carrier) = egress.attach();
    for verb in
        [Verb::PatchPost { post: id(OTHER), message: text("x") }, Verb::AddReaction { post: id(OTHER), emoji: id("x") }]
    {
        assert!(matches!(call(&mut verbs, verb), FromVerbs::Answer { status: 200, .. }), "others can be changed");
    }
}

#[test]
fn a_new_egress_protects_what_the_core_names_before_it_serves_a_connector() {
    let server = Server::start(takes);
    let mut egress = Egress::ready(&server);
    egress.core.send(&ToEgress::Protect(List::cut([post()])));
    for (session, verb) in (1..).zip(changes()) {
        is_refused(&mut egress, session, verb);
    }
    let edit = ProtectedAct::Edit { post: post(), message: text("Done") };
    assert_eq!(order(&mut egress, edit, false), ProtectedOutcome::Done, "the core itself changes it");
    let emoji = id("white_check_mark");
    assert_eq!(order(&mut egress, ProtectedAct::React { post: post(), emoji }, false), ProtectedOutcome::Done);
    let lines: Vec<String> = server.seen().iter().map(|seen| seen.line.clone()).collect();
    assert_eq!(lines, [format!("PUT /api/v4/posts/{POST}/patch HTTP/1.1"), "POST /api/v4/reactions HTTP/1.1".into()]);
}

/// The connector hears of a post over the websocket, perhaps before egress has the answer with its id.
#[test]
fn a_post_is_protected_already_while_it_is_being_made() {
    let go = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&go);
    let server = Server::start(move |seen| {
        while seen.line.starts_with("POST /api/v4/posts") && !gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        takes(seen)
    });
    let mut egress = Egress::ready(&server);
    let (mut verbs, _carrier): (End, End) = egress.attach();
    egress.core.send(&ToEgress::Protected {
        write: WriteId(5),
        act: Box::new(create(Target::Channel(ops()))),
        again: false,
    });
    while server.seen().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    verbs.send(&ToVerbs::Call { request: RequestId(1), verb: Box::new(changes().remove(0)) });
    std::thread::sleep(Duration::from_millis(100));
    go.store(true, Ordering::SeqCst);
    assert_eq!(verbs.next::<FromVerbs>(), None, "it was waited for, then refused");
    assert!(server.seen().iter().all(|seen| !seen.line.starts_with("PUT")));
}

/// The server answers a second post of the same pending id with the first one, for 30 s: a connector that guessed the
/// id could have had its own text taken for the core's.
#[test]
fn a_connector_cannot_prepare_a_post_that_is_taken_for_the_cores() {
    let server = Server::start(takes);
    let mut egress = Egress::ready(&server);
    let verb = Verb::CreatePost {
        channel: ops(),
        root: None,
        message: text("All is well"),
        pending: text("protected:alert-1"),
        reply_id: text(KEY),
        files: List::default(),
        card: None,
    };
    is_refused(&mut egress, 1, verb);
    assert!(server.seen().is_empty());
    // And if the server answers with another post all the same, it is not the core's.
    let liar = Server::start(|seen| match seen.line.as_str() {
        "POST /api/v4/posts HTTP/1.1" => {
            Answer::Json(201, own_post(POST, &json!({"bartizan_reply": KEY}), 0).to_string())
        }
        _ => Answer::Usual,
    });
    let outcome = order(&mut Egress::ready(&liar), create(Target::Channel(ops())), false);
    assert!(matches!(outcome, ProtectedOutcome::Unavailable { .. }), "{outcome:?}");
}

#[test]
fn one_whose_answer_was_lost_is_found_again_unless_it_was_changed() {
    for (edited, made) in [(0, 0), (7, 1)] {
        let posts = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&posts);
        let server = Server::start(move |seen| {
            if seen.path().starts_with(&format!("/api/v4/channels/{OPS}/posts?")) {
                let there = own_post(POST, &json!({"bartizan_protected": KEY}), edited);
                let forged = own_post(OTHER, &json!({"bartizan_reply": KEY}), 0);
                let list = json!({"order": [OTHER, POST], "posts": {OTHER: forged, POST: there}});
                return Answer::Json(200, list.to_string());
            }
            if seen.line.starts_with("POST /api/v4/posts") {
                count.fetch_add(1, Ordering::SeqCst);
            }
            takes(seen)
        });
        assert_eq!(order(&mut Egress::ready(&server), create(Target::Channel(ops())), true), posted());
        assert_eq!(posts.load(Ordering::SeqCst), made, "edited: {edited}");
    }
}

#[test]
fn a_direct_message_goes_to_the_one_it_is_for() {
    let direct = |name: String| {
        Server::start(move |seen| match seen.line.as_str() {
            "POST /api/v4/channels/direct HTTP/1.1" => Answer::Json(
                201,
                json!({"id": OPS, "type": "D", "name": name, "team_id": "", "delete_at": 0}).to_string(),
            ),
            _ => takes(seen),
        })
    };
    let server = direct(format!("{ALICE}__{BOT}"));
    assert_eq!(order(&mut Egress::ready(&server), create(Target::Direct(alice())), false), posted());
    assert_eq!(server.seen()[0].json(), json!([BOT, ALICE]));
    let liar = direct(format!("{OTHER}__{BOT}"));
    let outcome = order(&mut Egress::ready(&liar), create(Target::Direct(alice())), false);
    assert!(matches!(outcome, ProtectedOutcome::Unavailable { .. }), "somebody else's: {outcome:?}");
    assert!(liar.seen().iter().all(|seen| seen.path() != "/api/v4/posts"));
}

#[test]
fn what_the_server_will_never_take_is_told_apart_from_what_is_to_be_tried_again() {
    for (status, refused) in [(403, true), (404, true), (400, true), (401, false), (429, false), (500, false)] {
        let server = Server::start(move |seen| match seen.line.as_str() {
            "POST /api/v4/posts HTTP/1.1" => Answer::Json(status, "{}".to_owned()),
            _ => Answer::Usual,
        });
        let outcome = order(&mut Egress::ready(&server), create(Target::Channel(ops())), false);
        assert_eq!(matches!(outcome, ProtectedOutcome::Rejected { .. }), refused, "{status}: {outcome:?}");
    }
}
