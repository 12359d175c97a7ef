//! Every message of a protocol in every phase in which it may not be said, over real processes.
//!
//! The messages are walked variant by variant with an exhaustive `match`: a new one without a case does not compile.

use bartizan_playground::server::{Aim, Fault, Options, Server};
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{Cursor, Delivered, DeliveryId, FromConnector, Reaction, Report};
use bartizan_proto::egress::{FromEgress, Outcome, ProtectedOutcome, QuestionId, ToEgress, WriteId};
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::script::Call;
use bartizan_proto::worker::{CallId, Ending, FromWorker, ToWorker, Usage};
use bartizan_proto::{Bytes, List, Role, Text};
use bartizan_tests::house::puppet::{Part, Puppets, greet, until_dropped};
use bartizan_tests::house::{House, Plan, programs};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn id<T: std::str::FromStr>() -> T
where
    T::Err: std::fmt::Debug,
{
    "a".repeat(26).parse().expect("an id")
}

/// All messages, by asking for the one after each.
fn all<M: Clone>(next: fn(Option<&M>) -> Option<M>) -> Vec<M> {
    let mut messages: Vec<M> = Vec::new();
    while let Some(message) = next(messages.last()) {
        messages.push(message);
    }
    messages
}

fn next_of_connector(after: Option<&FromConnector>) -> Option<FromConnector> {
    Some(match after {
        None => FromConnector::Connected { resumed: false },
        Some(FromConnector::Connected { .. }) => FromConnector::Disconnected { why: Text::default(), retry_ms: 1 },
        Some(FromConnector::Disconnected { .. }) => FromConnector::Post(Report {
            post: id(),
            channel: id(),
            author: id(),
            root: None,
            text: Text::cut("!hello"),
            created_ms: 1,
            direct: false,
            caught_up: false,
            webhook: false,
        }),
        Some(FromConnector::Post(_)) => FromConnector::Reaction(Reaction {
            post: id(),
            user: id(),
            emoji: "white_check_mark".parse().expect("an emoji"),
        }),
        Some(FromConnector::Reaction(_)) => FromConnector::ReactionsMissed,
        Some(FromConnector::ReactionsMissed) => {
            FromConnector::Seen(Cursor { channel: id(), seen_ms: u64::MAX, begun_ms: 0 })
        }
        Some(FromConnector::Seen(_)) => {
            FromConnector::Delivered { delivery: DeliveryId(1), outcome: Delivered::Posted(id()) }
        }
        Some(FromConnector::Delivered { .. }) => return None,
    })
}

fn next_of_egress(after: Option<&FromEgress>) -> Option<FromEgress> {
    Some(match after {
        None => FromEgress::Attested { question: QuestionId(1), outcome: Outcome::NotFound },
        Some(FromEgress::Attested { .. }) => {
            FromEgress::Protected { write: WriteId(1), outcome: ProtectedOutcome::Done }
        }
        // What may be said at any time, and what `Ready` needs to be true: in the other tests.
        Some(
            FromEgress::Protected { .. }
            | FromEgress::Ready(_)
            | FromEgress::Unready { .. }
            | FromEgress::Dropped { .. }
            | FromEgress::TokenChecked(_),
        ) => {
            return None;
        }
    })
}

fn next_of_worker(after: Option<&FromWorker>) -> Option<FromWorker> {
    Some(match after {
        None => FromWorker::Running { pid: 1, layers: List::default(), given: List::default() },
        Some(FromWorker::Running { .. }) => FromWorker::Refused { step: Text::default(), why: Text::default() },
        Some(FromWorker::Refused { .. }) => FromWorker::Output(Bytes::default()),
        Some(FromWorker::Output(_)) => {
            FromWorker::Finished { ending: Ending::Ended(ExitStatus::Code(0)), usage: Usage::default() }
        }
        Some(FromWorker::Finished { .. }) => {
            FromWorker::Inspected { layers: List::default(), pids: List::default(), usage: Usage::default() }
        }
        Some(FromWorker::Inspected { .. }) => {
            FromWorker::Call { call: CallId(1), what: Box::new(Call::Say { text: Text::default(), code: false }) }
        }
        Some(FromWorker::Call { .. }) => FromWorker::Hangup(CallId(1)),
        Some(FromWorker::Hangup(_)) => FromWorker::Misused(Text::default()),
        Some(FromWorker::Misused(_)) => return None,
    })
}

/// Says who it is, or not, and something else.
fn says(
    role: Role,
    greets: bool,
    at: &Arc<Mutex<Vec<Instant>>>,
    say: impl FnOnce(&mut Channel) + Send + 'static,
) -> Part {
    let at = Arc::clone(at);
    Box::new(move |mut channel: Channel| {
        at.lock().expect("not poisoned").push(Instant::now());
        if greets {
            greet(&mut channel, role);
        }
        say(&mut channel);
        until_dropped(&channel);
    })
}

async fn dropped(server: Server, role: Role, parts: Vec<Part>, words: &str) -> House {
    let count = parts.len();
    let puppets = Puppets::instead_of(role, parts);
    let house = House::at(server, Plan::default().programs(puppets.programs())).await;
    for played in 1..=count {
        house.wait(&format!("part {played} of {count}"), || (puppets.played() >= played).then_some(())).await;
    }
    house.works().await;
    let alerts = house.audit().into_iter().filter(|record| {
        record["event"] == "alert" && record["error"].as_str().is_some_and(|error| error.contains(words))
    });
    assert_eq!(alerts.count(), count, "each is an alert in the audit log");
    house.warned(words.split(':').next().unwrap_or(words)).await;
    assert_eq!(house.audit().iter().filter(|record| record["event"] == "start").count(), 1, "the core lived");
    assert_eq!(house.jobs(), 1, "nothing of it had an effect");
    house
}

fn server() -> Server {
    programs();
    Server::start(Options::default()).expect("the server starts")
}

/// A server that lets nobody read chat for a while.
fn slow_server() -> Server {
    let server = server();
    let aim = Aim { user: None, route: Some("GET /api/v4/".to_owned()) };
    server.fault_at(&aim, Fault::Slow { by: Duration::from_secs(9), count: 1 });
    server
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_a_connector_that_says_anything_before_it_may_is_killed_and_started_again_ever_later() {
    let at = Arc::new(Mutex::new(Vec::new()));
    let messages = all(next_of_connector);
    assert_eq!(messages.len(), 7);
    let parts = messages
        .into_iter()
        .map(|message| says(Role::Connector, true, &at, move |core| core.send(&message).expect("the core reads")))
        .collect();
    let words = "connector dropped: it said what it may not say now";
    dropped(slow_server(), Role::Connector, parts, words).await;
    let at = at.lock().expect("not poisoned");
    for (number, pair) in at.windows(2).enumerate() {
        let (gap, least) = (pair[1] - pair[0], Duration::from_millis(100 << number));
        assert!(gap >= least, "start {number}: {gap:?} after the one before, at least {least:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_a_connector_that_says_anything_before_who_it_is_is_killed() {
    let at = Arc::default();
    let parts = all(next_of_connector)
        .into_iter()
        .map(|message| says(Role::Connector, false, &at, move |core| core.send(&message).expect("the core reads")))
        .collect();
    dropped(server(), Role::Connector, parts, "connector dropped:").await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_an_egress_that_answers_before_it_has_a_server_is_killed() {
    let at = Arc::default();
    let parts: Vec<Part> = all(next_of_egress)
        .into_iter()
        .map(|message| says(Role::Egress, true, &at, move |core| core.send(&message).expect("the core reads")))
        .collect();
    assert_eq!(parts.len(), 2);
    dropped(server(), Role::Egress, parts, "egress dropped: it said what it may not say now").await;
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_an_egress_that_says_what_became_of_a_post_that_was_not_ordered_changes_nothing() {
    let part: Part = Box::new(|mut channel: Channel| {
        channel.greet(Role::Egress, Role::Core).expect("the core");
        let _setup = channel.receive::<ToEgress>();
        channel.send(&FromEgress::Unready { why: Text::cut("not yet"), retry_ms: 1 }).expect("sent");
        // A connector that was dropped, of a session that there never was.
        channel.send(&FromEgress::Dropped { session: 7, why: Text::cut("a lie") }).expect("sent");
        let early = FromEgress::Protected { write: WriteId(u64::MAX), outcome: ProtectedOutcome::Done };
        channel.send(&early).expect("sent");
        until_dropped(&channel);
    });
    let house = dropped(server(), Role::Egress, vec![part], "egress dropped: it said what it may not say now").await;
    assert!(house.audit().iter().all(|record| !record["error"].as_str().is_some_and(|error| error.contains("a lie"))));
}

#[tokio::test(flavor = "current_thread")]
async fn row_79_a_worker_that_says_anything_before_it_has_an_order_is_killed() {
    let at = Arc::default();
    let parts: Vec<Part> = all(next_of_worker)
        .into_iter()
        .map(|message| says(Role::Worker, true, &at, move |core| core.send(&message).expect("the core reads")))
        .collect();
    assert_eq!(parts.len(), 8);
    dropped(server(), Role::Worker, parts, "worker dropped: it said what it may not say now").await;
}

/// After its order, in each phase, everything that the phase does not allow.
#[tokio::test(flavor = "current_thread")]
async fn row_79_and_82_a_worker_that_says_what_its_phase_does_not_allow_ends_its_job_and_nothing_else() {
    let kind = |message: &FromWorker| match message {
        FromWorker::Running { .. } => "running",
        FromWorker::Refused { .. } => "refused",
        FromWorker::Output(_) => "output",
        FromWorker::Finished { .. } => "finished",
        FromWorker::Inspected { .. } => "inspected",
        FromWorker::Call { .. } => "call",
        FromWorker::Hangup(_) => "hangup",
        FromWorker::Misused(_) => "misused",
    };
    let messages = all(next_of_worker);
    let of = |wanted: &str| messages.iter().find(|message| kind(message) == wanted).expect("one").clone();
    let mut plays: Vec<Vec<FromWorker>> = Vec::new();
    for message in &messages {
        match kind(message) {
            "running" | "refused" => plays.push(vec![of("running"), message.clone()]),
            _ => plays.push(vec![message.clone()]),
        }
    }
    let parts: Vec<Part> = plays
        .into_iter()
        .map(|messages| -> Part {
            Box::new(move |mut channel: Channel| {
                channel.greet(Role::Worker, Role::Core).expect("the core");
                assert!(matches!(channel.receive_with::<ToWorker>(), Ok(Some((ToWorker::Order(_), _)))));
                for message in messages {
                    channel.send(&message).expect("the core reads");
                }
                until_dropped(&channel);
            })
        })
        .collect();
    let count = parts.len();
    let puppets = Puppets::instead_of(Role::Worker, parts);
    let house = House::at(server(), Plan::default().programs(puppets.programs())).await;
    let (mut asked, mut interrupted) = (0, 0);
    while interrupted < count {
        let reply = house.ask("carol", "ops", "!hello Interrupted").await;
        asked += 1;
        // Of two workers that wait the later one may be the puppet: then an honest one has answered.
        if reply.contains("was interrupted: its worker died") {
            interrupted += 1;
        } else {
            assert!(reply.contains("Hello, Interrupted!") && asked - interrupted < 4, "{interrupted}: {reply}");
        }
    }
    house.works().await;
    assert_eq!(house.jobs(), asked + 1, "nothing was started twice");
}
