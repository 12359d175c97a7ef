//! A hostile or broken program in the place of one of the processes: it is dropped and killed, what it said has no effect,
//! the others go on, and the service has the real one back.
//!
//! Over 400 lines: one list of lies, told by one harness to one service.

use bartizan_playground::server::{Aim, Fault, Options, Server};
use bartizan_proto::carrier::{Attempt, FromCarrier, ToCarrier};
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{Cursor, Delivered, DeliveryId, FromConnector, Report};
use bartizan_proto::control::Request;
use bartizan_proto::egress::{AttestedUser, FromEgress, Outcome, QuestionId, Ready, ToEgress};
use bartizan_proto::ids::PostId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::limits::MAX_FRAME;
use bartizan_proto::verbs::{FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::worker::{Ending, FromWorker, ToWorker, Usage};
use bartizan_proto::{Bytes, List, Role, Text, Version};
use bartizan_tests::house::puppet::{Part, Puppets, connector, greet, part, raw, report_of, until_dropped};
use bartizan_tests::house::{House, Plan, programs, seen};
use serde_json::Value;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Ends a conversation for both sides.
fn hang_up(channel: &Channel) {
    let socket = channel.try_clone().expect("a handle").into_socket();
    let _the_other_was_faster = socket.shutdown(std::net::Shutdown::Both);
}

/// Lies about lengths, before and after saying who it is.
fn lies(role: Role) -> Vec<Part> {
    vec![
        part(|channel| raw(channel, &u32::MAX.to_le_bytes())),
        part(move |channel| {
            greet(channel, role);
            raw(channel, &u32::try_from(MAX_FRAME + 1).expect("small").to_le_bytes());
        }),
        part(move |channel| {
            greet(channel, role);
            // bincode: a list of 2 to the 60 items, in a frame of 9 bytes.
            raw(channel, &[9, 0, 0, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16]);
        }),
        // A frame that ends in the middle.
        Box::new(move |mut channel| {
            greet(&mut channel, role);
            raw(&channel, &[200, 0, 0, 0, 1, 2, 3]);
        }),
    ]
}

/// Is somebody else, of another version, sends along a descriptor or more than a message.
fn disguises(role: Role) -> Vec<Part> {
    let other = if role == Role::Connector { Role::Egress } else { Role::Connector };
    vec![
        part(move |channel| greet(channel, other)),
        part(move |channel| channel.send(&Version { role, protocol: 77 }).expect("sent")),
        part(move |channel| {
            let null = File::open("/dev/null").expect("null");
            channel.send_with(&Version::of(role), &[null.as_fd()]).expect("sent");
        }),
        part(move |channel| {
            greet(channel, role);
            raw(channel, &[&[70u8, 0, 0, 0][..], &[0; 70]].concat());
        }),
    ]
}

/// Starts a service with these parts, waits until all are played, and checks that everything works again.
async fn survives(role: Role, parts: Vec<Part>) -> (House, Puppets) {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let count = parts.len();
    let puppets = Puppets::instead_of(role, parts);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    house.wait("the parts to be played", || (puppets.played() == count).then_some(())).await;
    // A worker that has just gone may still be given this one: then it is told to be interrupted.
    house.ask("carol", "ops", "!hello First").await;
    house.works().await;
    assert_eq!(house.audit().iter().filter(|record| record["event"] == "start").count(), 1, "the core lived");
    (house, puppets)
}

fn alerts(house: &House, words: &str) -> usize {
    let records = house.audit();
    let all =
        records.iter().filter(|r| r["event"] == "alert" && r["error"].as_str().is_some_and(|e| e.contains(words)));
    all.count()
}

#[tokio::test(flavor = "current_thread")]
async fn row_80_a_connector_that_lies_about_lengths_is_dropped() {
    let (house, _puppets) = survives(Role::Connector, lies(Role::Connector)).await;
    // The last one only ended in the middle of a frame, as one that was killed does.
    assert_eq!(alerts(&house, "connector dropped"), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_and_39_a_connector_that_is_not_one_or_sends_descriptors_is_dropped() {
    let (house, _puppets) = survives(Role::Connector, disguises(Role::Connector)).await;
    assert_eq!(alerts(&house, "connector dropped"), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn row_80_an_egress_that_lies_about_lengths_is_dropped() {
    let (house, _puppets) = survives(Role::Egress, lies(Role::Egress)).await;
    // The last one only ended in the middle of a frame, as one that was killed does.
    assert_eq!(alerts(&house, "egress dropped"), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_and_39_an_egress_that_is_not_one_or_sends_descriptors_is_dropped() {
    let (house, _puppets) = survives(Role::Egress, disguises(Role::Egress)).await;
    assert_eq!(alerts(&house, "egress dropped"), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn row_80_a_worker_that_lies_about_lengths_is_dropped() {
    let (house, _puppets) = survives(Role::Worker, lies(Role::Worker)).await;
    assert_eq!(alerts(&house, "worker dropped"), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_and_39_a_worker_that_is_not_one_or_sends_descriptors_is_dropped() {
    let (house, _puppets) = survives(Role::Worker, disguises(Role::Worker)).await;
    assert_eq!(alerts(&house, "worker dropped"), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn row_78_a_connector_that_forges_author_channel_text_or_thread_is_refused_and_killed() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    let posts: Vec<String> = (0..4).map(|_| server.say("carol", "ops", "!deploy").expect("said")).collect();
    let mut lies: Vec<Report> = posts.iter().map(|post| report_of(&server, "ops", post)).collect();
    lies[0].author = file.users["alice"].id.parse().expect("an id");
    lies[1].channel = file.channels["random"].parse().expect("an id");
    lies[2].text = Text::cut("!hello");
    lies[3].root = posts[0].parse().ok();
    let parts =
        lies.into_iter().map(|lie| connector(move |channel, _| channel.send(&FromConnector::Post(lie)).expect("sent")));
    let puppets = Puppets::instead_of(Role::Connector, parts.collect());
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    house.wait("the parts to be played", || (puppets.played() == 4).then_some(())).await;
    for post in &posts {
        assert!(house.cause(post).await.contains("another author, channel or text"));
    }
    assert_eq!(alerts(&house, "connector dropped"), 4);
    house.warned("connector dropped: the connector reported post").await;
    assert_eq!(house.told("alice").len(), 1, "said once for all of them; the audit log has each");
    let status = house.operator(&["status"]).await.output;
    assert!(status.contains("ago: connector dropped: the connector reported post"), "{status}");
    house.service.connected().await.expect("the real one is back");
    house.works().await;
    posts.iter().for_each(|post| house.ignored(post));
    assert_eq!(house.jobs(), 1);
}

/// Whoever is banned is told so once an hour: a connector that lies must not be able to use that up.
#[tokio::test(flavor = "current_thread")]
async fn a_connector_that_lies_about_a_banned_person_does_not_use_up_their_notice() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let mallory = server.file().users["mallory"].id.parse().expect("an id");
    let post = server.say("carol", "ops", "!hello").expect("said");
    let lie = Report { author: mallory, ..report_of(&server, "ops", &post) };
    let part = connector(move |channel, _| channel.send(&FromConnector::Post(lie)).expect("sent"));
    let puppets = Puppets::instead_of(Role::Connector, vec![part]);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    assert!(house.cause(&post).await.contains("another author"));
    house.service.connected().await.expect("the real one is back");
    house.ignored(&post);
    let told = house.say("mallory", "ops", "!hello");
    assert!(house.reply(&told).await.contains("You are banned"));
    let record = house.recorded("a decision", |record| record["postId"] == *told).await;
    assert_eq!(record["gates"]["ban"], "refuse", "{record}");
}

#[tokio::test(flavor = "current_thread")]
async fn rows_56_to_60_and_78_what_a_connector_reports_against_the_rules_is_refused_by_the_core_too() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    let hook = server.create_webhook("alice", "ops").expect("a webhook");
    let web = |path: &str, token: &str, body: Value| {
        assert!(bartizan_tests::house::web::post_json(&server.url(), path, token, &body).0 < 300);
        server.posts("ops").last().expect("a post")["id"].as_str().expect("an id").to_owned()
    };
    server.add_user("robot", bartizan_playground::server::UserOptions { bot: true, ..Default::default() });
    let by_carol =
        |props: Value| serde_json::json!({"channel_id": file.channels["ops"], "message": "!hello", "props": props});
    let carols = &file.users["carol"].token;
    let cases = [
        (web(&hook, "", serde_json::json!({"text": "!deploy"})), "does not come from a person"),
        (web(&hook, "", serde_json::json!({"text": "!deploy", "username": "alice"})), "does not come from a person"),
        (
            web("/api/v4/posts", carols, by_carol(serde_json::json!({"from_bot": "false"}))),
            "does not come from a person",
        ),
        (web("/api/v4/posts", carols, by_carol(serde_json::json!({"from_x": 1}))), "does not come from a person"),
        (
            web("/api/v4/posts", carols, by_carol(serde_json::json!({"override_username": "alice"}))),
            "does not come from a person",
        ),
        (server.say("robot", "ops", "!hello").expect("said"), "a bot's"),
    ];
    let mut reports: Vec<Report> = cases.iter().map(|(post, _)| report_of(&server, "ops", post)).collect();
    let invented = "q".repeat(26);
    reports.push(Report { post: invented.parse().expect("an id"), ..reports[5].clone() });
    let alive = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&alive);
    let part = connector(move |channel, _| {
        for report in reports {
            channel.send(&FromConnector::Post(report)).expect("sent");
        }
        kept.lock().expect("not poisoned").push(channel.try_clone().expect("a handle"));
    });
    let puppets = Puppets::instead_of(Role::Connector, vec![part]);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    for (post, why) in &cases {
        let cause = house.cause(post).await;
        assert!(cause.contains(why), "{why}: {cause}");
    }
    assert!(house.cause(&invented).await.contains("no such post"));
    assert_eq!(alerts(&house, "dropped"), 0, "it told the truth");
    alive.lock().expect("not poisoned").drain(..).for_each(|channel| hang_up(&channel));
    house.wait("the real one", || (house.server.sockets("bartizan") > 0).then_some(())).await;
    house.works().await;
    cases.iter().for_each(|(post, _)| house.ignored(post));
    assert_eq!(house.jobs(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn row_63_a_report_that_is_replayed_by_this_and_the_next_connector_runs_once() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let post = server.say("carol", "ops", "!hello Once").expect("said");
    let report = report_of(&server, "ops", &post);
    let replay = || {
        let report = report.clone();
        connector(move |channel, _| {
            for _ in 0..50 {
                channel.send(&FromConnector::Post(report.clone())).expect("sent");
            }
            // Ends by saying what it may not.
            channel
                .send(&FromConnector::Delivered { delivery: DeliveryId(9999), outcome: Delivered::Done })
                .expect("sent");
        })
    };
    let puppets = Puppets::instead_of(Role::Connector, vec![replay(), replay(), replay()]);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    house.wait("the parts to be played", || (puppets.played() == 3).then_some(())).await;
    assert!(house.reply(&post).await.contains("Hello, Once!"));
    house.works().await;
    assert_eq!(house.said(&post).len(), 1);
    assert_eq!(house.jobs(), 2);
    assert_eq!(alerts(&house, "which it was not given"), 3);
}

/// Calls egress over its verbs and gives what it answers; `None` when it hangs up.
fn call(verbs: &mut Channel, verb: Verb) -> Option<FromVerbs> {
    verbs.send(&ToVerbs::Call { request: RequestId(9), verb: Box::new(verb) }).ok()?;
    verbs.receive().ok()?
}

/// What the core wrote is what people see: the connector once could have edited any post of the bot's.
#[tokio::test(flavor = "current_thread")]
async fn row_81_a_post_of_the_cores_cannot_be_changed_by_a_connector_also_after_egress_was_started_again() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let direct = server.direct_channel("alice", "bartizan").expect("a channel");
    let channel = direct.parse().expect("an id");
    // The first lies, which makes an alert. The others look for it and change it, each in its own way.
    let lie = connector(|channel, _| {
        channel.send(&FromConnector::Delivered { delivery: DeliveryId(9999), outcome: Delivered::Done }).expect("sent");
    });
    let tamper = |change: fn(PostId) -> Verb| {
        connector(move |core, [verbs, _]| {
            let alert = loop {
                let newest = Verb::PostsNewest { channel, per_page: 10 };
                let Some(FromVerbs::Answer { body, .. }) = call(verbs, newest) else { return };
                let list: Value = serde_json::from_slice(&body).expect("JSON");
                if let Some(id) = list["order"][0].as_str() {
                    break id.parse().expect("an id");
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            assert_eq!(call(verbs, change(alert)), None, "egress hangs up");
            until_dropped(core);
        })
    };
    let edit = |post| Verb::PatchPost { post, message: Text::cut("never mind") };
    let react = |post| Verb::AddReaction { post, emoji: "white_check_mark".parse().expect("an emoji") };
    let parts = vec![lie, tamper(edit), tamper(react)];
    let after: Vec<Part> = vec![tamper(edit)];
    let puppets = Puppets::instead_of(Role::Connector, parts.into_iter().chain(after).collect());
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    let alert = house.warned("which it was not given").await;
    house.wait("two who tamper", || (puppets.played() >= 3).then_some(())).await;
    // A new egress knows it as well.
    let egress = house.pids("egress").await;
    if let Some(pid) = egress.first() {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(*pid).expect("a pid")),
            nix::sys::signal::SIGKILL,
        )
        .expect("killed");
    }
    house.wait("the last who tampers", || (puppets.played() == 4).then_some(())).await;
    house.works().await;
    let now = house.warned("which it was not given").await;
    assert_eq!((&now["id"], &now["message"], &now["edit_at"]), (&alert["id"], &alert["message"], &Value::from(0)));
    assert_eq!(house.server.reactions(alert["id"].as_str().expect("an id")), []);
    assert_eq!(alerts(&house, "a change of a post that the core itself wrote"), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_a_connector_that_speaks_before_it_may_is_dropped() {
    let early = |message: FromConnector| {
        part(move |channel| {
            greet(channel, Role::Connector);
            channel.send(&message).expect("sent");
        })
    };
    let id = "a".repeat(26);
    let parts = vec![
        early(FromConnector::Connected { resumed: false }),
        early(FromConnector::Seen(Cursor { channel: id.parse().expect("an id"), seen_ms: u64::MAX, begun_ms: 0 })),
        early(FromConnector::Delivered { delivery: DeliveryId(1), outcome: Delivered::Done }),
    ];
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    // So long nobody may read chat.
    server.fault_at(
        &Aim { user: None, route: Some("GET /api/v4/".to_owned()) },
        Fault::Slow { by: Duration::from_secs(2), count: 1 },
    );
    let puppets = Puppets::instead_of(Role::Connector, parts);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    house.works().await;
    assert_eq!(alerts(&house, "connector dropped: it said what it may not say now"), 3);
}

#[tokio::test(flavor = "current_thread")]
async fn rows_80_and_81_what_a_connector_says_to_egress_against_the_rules_ends_its_session_and_not_egress() {
    let call = |verb| ToVerbs::Call { request: RequestId(1), verb: Box::new(verb) };
    let id = "a".repeat(26);
    let bad_page = call(Verb::PostsNewest { channel: id.parse().expect("an id"), per_page: 0 });
    let bad_name = call(Verb::UploadFile {
        channel: id.parse().expect("an id"),
        name: Text::cut("../../api/v4/users/me"),
        content: Bytes::default(),
    });
    fn on_verbs(play: impl FnOnce(&mut Channel) + Send + 'static) -> Part {
        connector(move |core, [verbs, _]| {
            play(verbs);
            until_dropped(verbs);
            hang_up(core);
        })
    }
    fn on_carrier(play: impl FnOnce(&mut Channel) + Send + 'static) -> Part {
        connector(move |core, [_, carrier]| {
            play(carrier);
            until_dropped(carrier);
            hang_up(core);
        })
    }
    let verbs = vec![
        on_verbs(|verbs| raw(verbs, &u32::MAX.to_le_bytes())),
        on_verbs(move |verbs| verbs.send(&bad_page).expect("sent")),
        on_verbs(move |verbs| verbs.send(&bad_name).expect("sent")),
    ];
    let carrier = vec![
        on_carrier(|carrier| raw(carrier, &u32::MAX.to_le_bytes())),
        on_carrier(|carrier| {
            let bytes = Bytes::new(&b"\x81\x82\0\0\0\0{}"[..]).expect("short");
            carrier.send(&ToCarrier::Data { attempt: Attempt(1), bytes }).expect("sent");
        }),
        // A frame that could say something to the server ends the websocket and nothing else.
        connector(|core, [_, carrier]| {
            carrier.send(&ToCarrier::Open { attempt: Attempt(1), resume: None }).expect("sent");
            let text = Bytes::new(&b"\x81\x82\0\0\0\0{}"[..]).expect("short");
            carrier.send(&ToCarrier::Data { attempt: Attempt(1), bytes: text }).expect("sent");
            while !matches!(
                carrier.receive(),
                Ok(None | Some(FromCarrier::Closed { .. } | FromCarrier::Refused { .. })) | Err(_)
            ) {}
            hang_up(core);
        }),
    ];
    for parts in [verbs, carrier] {
        let (house, _puppets) = survives(Role::Connector, parts).await;
        let lost = house.audit().iter().filter(|r| r["event"] == "child-lost" && r["role"] == "egress").count();
        assert_eq!(lost, 0, "egress lived");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_80_an_egress_that_lies_to_the_connector_ends_a_session_and_disturbs_nothing_else() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let file = server.file();
    let hostile = |lie: fn(&mut Channel, &mut Channel)| {
        let file = file.clone();
        part(move |core| {
            core.greet(Role::Egress, Role::Core).expect("the core");
            let bot = AttestedUser {
                id: file.bot.id.parse().expect("an id"),
                name: Text::cut("bartizan"),
                bot: true,
                guest: false,
                deactivated: false,
                remote: false,
                system_admin: false,
            };
            let ready = Ready {
                bot,
                team: file.team.id.parse().expect("an id"),
                server_version: Text::cut("x"),
                max_post: 16_383,
                server_ms: 1,
            };
            loop {
                let Ok(Some((message, fds))) = core.receive_with::<ToEgress>() else { return };
                match message {
                    ToEgress::Setup(_) => core.send(&FromEgress::Ready(Box::new(ready.clone()))).expect("sent"),
                    ToEgress::Attest { question, .. } => {
                        core.send(&FromEgress::Attested { question, outcome: Outcome::NotFound }).expect("sent");
                    }
                    ToEgress::Protected { .. } | ToEgress::Protect(_) | ToEgress::Token(_) => {}
                    ToEgress::Attach => {
                        let [mut verbs, mut carrier] = <[OwnedFd; 2]>::try_from(fds).expect("two").map(Channel::from);
                        lie(&mut verbs, &mut carrier);
                        // Then it ends, which the core sees.
                        return core
                            .try_clone()
                            .expect("a handle")
                            .into_socket()
                            .shutdown(std::net::Shutdown::Both)
                            .expect("closed");
                    }
                }
            }
        })
    };
    let parts = vec![
        hostile(|verbs, _| {
            greet(verbs, Role::Egress);
            raw(verbs, &u32::MAX.to_le_bytes());
        }),
        hostile(|_, carrier| {
            greet(carrier, Role::Egress);
            raw(carrier, &u32::MAX.to_le_bytes());
        }),
        hostile(|verbs, carrier| {
            greet(verbs, Role::Egress);
            greet(carrier, Role::Egress);
            let unasked =
                FromVerbs::Answer { request: RequestId(77), status: 200, retry_after_ms: None, body: Bytes::default() };
            verbs.send(&unasked).expect("sent");
            raw(carrier, &[0xff; 64]);
        }),
    ];
    let puppets = Puppets::instead_of(Role::Egress, parts);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    house.wait("the parts to be played", || (puppets.played() == 3).then_some(())).await;
    house.works().await;
    let starts = house.audit().iter().filter(|record| record["event"] == "start").count();
    assert_eq!(starts, 1, "the core lived");
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_an_egress_that_attests_before_it_is_ready_or_what_was_not_asked_is_dropped_or_passed_over() {
    let early = part(|core| {
        core.greet(Role::Egress, Role::Core).expect("the core");
        let _setup = core.receive::<ToEgress>();
        core.send(&FromEgress::Attested { question: QuestionId(1), outcome: Outcome::NotFound }).expect("sent");
    });
    let (house, _puppets) = survives(Role::Egress, vec![early]).await;
    assert_eq!(alerts(&house, "egress dropped: it said what it may not say now"), 1);
}

/// A worker that gets its order and then does as it likes.
fn worker(play: impl FnOnce(&mut Channel) + Send + 'static) -> Part {
    part(move |channel| {
        channel.greet(Role::Worker, Role::Core).expect("the core");
        match channel.receive_with::<ToWorker>() {
            Ok(Some((ToWorker::Order(_), fds))) => assert_eq!(fds.len(), 1, "the script"),
            other => panic!("no order: {other:?}"),
        }
        play(channel);
    })
}

fn running() -> FromWorker {
    FromWorker::Running { pid: 1, layers: List::default(), given: List::default() }
}

fn finished() -> FromWorker {
    FromWorker::Finished { ending: Ending::Ended(ExitStatus::Code(0)), usage: Usage::default() }
}

#[tokio::test(flavor = "current_thread")]
async fn rows_79_and_80_a_worker_that_breaks_the_rules_in_a_job_is_dropped_its_job_told_and_nothing_run_again() {
    programs();
    let says = |messages: Vec<FromWorker>| {
        worker(move |channel| {
            for message in messages {
                channel.send(&message).expect("sent");
            }
        })
    };
    let server = Server::start(Options::default()).expect("the server starts");
    let output = || FromWorker::Output(Bytes::new(vec![b'x'; 100]).expect("short"));
    let parts = vec![
        says(vec![output()]),
        says(vec![finished()]),
        says(vec![running(), running()]),
        says(vec![running(), FromWorker::Refused { step: Text::default(), why: Text::default() }]),
        worker(|channel| raw(channel, &u32::MAX.to_le_bytes())),
        worker(|channel| {
            let null = File::open("/dev/null").expect("null");
            channel.send_with(&running(), &[null.as_fd()]).expect("sent");
        }),
        Box::new(|mut channel: Channel| {
            greet(&mut channel, Role::Worker);
            let _greeting = channel.receive::<Version>();
            let _order = channel.receive_with::<ToWorker>();
            raw(&channel, &[200, 0, 0, 0, 1]);
        }),
    ];
    let count = parts.len();
    let puppets = Puppets::instead_of(Role::Worker, parts);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    let (mut asked, mut interrupted) = (0, 0);
    while interrupted < count {
        let post = house.say("carol", "ops", "!hello Interrupted");
        let reply = house.reply(&post).await;
        asked += 1;
        // Of two workers that wait the later one may be the puppet: then an honest one has answered.
        if reply.contains("was interrupted: its worker died") {
            house.reaction(&post, "no_entry").await;
            interrupted += 1;
        } else {
            assert!(reply.contains("Hello, Interrupted!") && asked - interrupted < 4, "{interrupted}: {reply}");
        }
    }
    house.works().await;
    assert_eq!(house.jobs(), asked + 1, "nothing was started twice");
}

/// It failed on a slow machine: of two workers that wait, either may be the puppet, and half a gigabyte took longer than
/// the job's time. So the flood goes on until others have been served in it, in a job with time enough.
#[tokio::test(flavor = "current_thread")]
async fn row_80_a_worker_that_floods_takes_no_memory_and_others_are_served() {
    const AT_LEAST: usize = 64 << 20;
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let (floods, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let part = worker({
        let (floods, served) = (Arc::clone(&floods), Arc::clone(&served));
        move |channel| {
            channel.send(&running()).expect("sent");
            let piece = FromWorker::Output(Bytes::new(vec![b'x'; 32 * 1024]).expect("fits"));
            let mut sent = 0;
            while sent < AT_LEAST || !served.load(Ordering::SeqCst) {
                channel.send(&piece).expect("the core reads");
                sent += 32 * 1024;
                floods.store(true, Ordering::SeqCst);
            }
            channel.send(&finished()).expect("sent");
        }
    });
    let puppets = Puppets::instead_of(Role::Worker, vec![part]);
    let plan = Plan::default().bash("flood", "echo honest", "timeout = \"10m\"").programs(puppets.programs());
    let house = House::at(server, plan).await;
    let core = house.pids("core").await[0];
    let post = loop {
        let post = house.say("carol", "ops", "!flood");
        let flooded_or_honest = || (floods.load(Ordering::SeqCst) || !house.said(&post).is_empty()).then_some(());
        house.wait("a worker with a job", flooded_or_honest).await;
        if floods.load(Ordering::SeqCst) {
            break post;
        }
    };
    let before = seen::resident(core);
    for number in 0..3 {
        assert!(house.ask("bob", "ops", "!hello Others").await.contains("Hello, Others!"), "{number}");
    }
    assert_eq!(house.said(&post), [""; 0], "it went on all the time");
    served.store(true, Ordering::SeqCst);
    let reply = house.reply(&post).await;
    assert!(reply.contains("the file holds the beginning"), "{}", reply.chars().take(200).collect::<String>());
    assert!(seen::resident(core) < before + 16 * 1024, "from {before} to {} KiB", seen::resident(core));
}

#[tokio::test(flavor = "current_thread")]
async fn row_80_a_connector_that_floods_does_not_keep_operators_waiting() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let post = server.say("carol", "ops", "!hello").expect("said");
    let honest = report_of(&server, "ops", &post);
    let part = connector(move |channel, _| {
        for number in 0..300 {
            let post = format!("flood{number:021}").parse().expect("an id");
            channel.send(&FromConnector::Post(Report { post, ..honest.clone() })).expect("sent");
        }
    });
    let puppets = Puppets::instead_of(Role::Connector, vec![part]);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    for _ in 0..5 {
        let begun = std::time::Instant::now();
        assert!(house.operator(&["status", "--json"]).await.output.contains("undecided"));
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
    house.recorded("the last of the flood", |r| r["postId"] == "flood000000000000000000299").await;
    assert_eq!(house.jobs(), 0);
}

#[tokio::test(flavor = "current_thread")]
async fn rows_39_79_and_80_garbage_on_the_control_socket_hurts_nobody() {
    let house = House::open().await;
    let core = house.pids("core").await;
    let connect = || UnixStream::connect(house.service.socket()).expect("it listens");
    let mut held = Vec::new();
    for bytes in
        [&[0xff; 64][..], &[9, 0, 0, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16], &[200, 0, 0, 0, 1], b"GET / HTTP/1.1\r\n\r\n"]
    {
        let channel = Channel::from(connect());
        raw(&channel, bytes);
        held.push(channel);
    }
    let mut wrong = Channel::from(connect());
    greet(&mut wrong, Role::Connector);
    until_dropped(&wrong);
    let mut with_fd = Channel::from(connect());
    greet(&mut with_fd, Role::Control);
    let null = File::open("/dev/null").expect("null");
    with_fd.send_with(&Request::Status, &[null.as_fd()]).expect("sent");
    until_dropped(&with_fd);
    // Some who connect and say nothing leave room for others.
    held.extend((0..8).map(|_| Channel::from(connect())));
    assert!(house.operator(&["status"]).await.status.is_some_and(|status| status.code() == Some(0)));
    house.works().await;
    assert_eq!(house.pids("core").await, core);
}
