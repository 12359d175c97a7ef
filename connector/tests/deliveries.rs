//! The core's deliveries: in order, until they succeed, once.

mod support;

use bartizan_proto::connector::{Act, Attachment, Body, Delivered};
use bartizan_proto::verbs::{Failure, Verb};
use bartizan_proto::{Bytes, Text};
use std::time::{Duration, Instant};
use support::{Fault, House, World, id, reply};

async fn house(world: World) -> House {
    House::with(world, &[]).await
}

fn posted(outcome: &Delivered) -> bool {
    matches!(outcome, Delivered::Posted(_))
}

#[tokio::test(flavor = "current_thread")]
async fn replies_in_one_thread_are_sent_one_after_the_other() {
    let mut world = World::new();
    world.delay = Duration::from_millis(20);
    let mut house = house(world).await;
    for n in 1..=10 {
        house.deliver(n, false, reply(1, &format!("r{n}"), &format!("{n}"))).await;
    }
    for n in 1..=10 {
        let (number, outcome) = house.delivered().await;
        assert_eq!((number, posted(&outcome)), (n, true));
    }
    assert_eq!(house.world().by_bot(), (1..=10).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(house.world().most_under_way, 1);
}

#[tokio::test(flavor = "current_thread")]
async fn threads_do_not_wait_for_one_another_and_sixteen_are_sent_at_once() {
    let mut world = World::new();
    world.delay = Duration::from_millis(200);
    world.fault("create", Fault::Ignore);
    let mut house = house(world).await;
    for n in 1..=40 {
        house.deliver(n, false, reply(n, &format!("r{n}"), "x")).await;
    }
    let mut ended = std::collections::BTreeSet::new();
    for _ in 1..=39 {
        ended.insert(house.delivered().await.0);
    }
    assert_eq!(ended.len(), 39, "all but the one that is never answered");
    assert!((10..=16).contains(&house.world().most_under_way), "{}", house.world().most_under_way);
}

#[tokio::test(flavor = "current_thread")]
async fn a_rate_limit_is_waited_out_as_long_as_the_server_says() {
    let mut world = World::new();
    world.fault("create", Fault::Answer(429, Some(1_000)));
    let mut house = house(world).await;
    let begun = Instant::now();
    house.deliver(1, false, reply(1, "r1", "x")).await;
    assert!(posted(&house.delivered().await.1));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// Mattermost answers 500 to one of two concurrent first replies; and any 500 may have been done all the same.
#[tokio::test(flavor = "current_thread")]
async fn a_reply_that_failed_is_looked_for_before_it_is_sent_again() {
    let mut world = World::new();
    world.fault("create", Fault::Answer(500, None));
    world.fault("create", Fault::Lose);
    let mut house = house(world).await;
    house.deliver(1, false, reply(1, "r1", "x")).await;
    assert!(posted(&house.delivered().await.1));
    assert_eq!(house.world().by_bot(), ["x"]);
    assert_eq!(house.world().count("create"), 2, "the second was found, not sent again");
    let pending: Vec<String> = (house.world().calls.iter())
        .filter_map(|verb| match verb {
            Verb::CreatePost { pending, .. } => Some(pending.to_string()),
            _ => None,
        })
        .collect();
    assert!(pending.iter().all(|id| *id == pending[0]), "{pending:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn what_may_have_been_sent_by_an_earlier_process_is_found_and_reported() {
    let mut house = house(World::new()).await;
    house.deliver(1, false, reply(1, "r1", "x")).await;
    let (_, first) = house.delivered().await;
    house.deliver(2, true, reply(1, "r1", "x")).await;
    assert_eq!(house.delivered().await, (2, first));
    assert_eq!(house.world().by_bot().len(), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn somebody_elses_post_with_the_same_reply_id_is_not_taken_for_the_bots() {
    let mut world = World::new();
    let mut forged = support::post(50, 1, "x");
    forged["root_id"] = serde_json::json!(id::<bartizan_proto::ids::PostId>("p", 1).to_string());
    forged["props"] = serde_json::json!({"bartizan_reply": "r1"});
    world.posts.push(forged);
    let mut house = house(world).await;
    house.deliver(1, true, reply(1, "r1", "x")).await;
    assert_ne!(house.delivered().await.1, Delivered::Posted(id("p", 50)));
    assert_eq!(house.world().by_bot(), ["x"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_thread_too_large_to_search_is_searched_among_the_newest_posts() {
    let mut house = house(World::new()).await;
    house.deliver(1, false, reply(1, "r1", "x")).await;
    let (_, first) = house.delivered().await;
    house.world().fault("thread", Fault::Fail(Failure::TooLarge));
    house.world().fault("newest", Fault::Fail(Failure::TooLarge));
    house.deliver(2, true, reply(1, "r1", "x")).await;
    assert_eq!(house.delivered().await, (2, first));
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_server_will_never_take_is_reported_and_the_next_is_sent() {
    let mut world = World::new();
    world.fault("create", Fault::Answer(403, None));
    world.fault("react", Fault::Answer(400, None));
    world.fault("unreact", Fault::Answer(404, None));
    let mut house = house(world).await;
    house.deliver(1, false, reply(1, "r1", "x")).await;
    house.deliver(2, false, reply(1, "r2", "y")).await;
    let (number, outcome) = house.delivered().await;
    assert_eq!((number, outcome), (1, Delivered::Rejected { status: 403, why: Text::cut("limit exceeded") }));
    assert!(posted(&house.delivered().await.1));
    let emoji: bartizan_proto::ids::EmojiName = "no_such_emoji".parse().expect("a name");
    house.deliver(3, false, Act::React { post: id("p", 1), emoji: emoji.clone() }).await;
    assert!(matches!(house.delivered().await, (3, Delivered::Rejected { status: 400, .. })));
    house.deliver(4, false, Act::Unreact { post: id("p", 1), emoji }).await;
    assert_eq!(house.delivered().await, (4, Delivered::Done), "gone is what was wanted");
}

#[tokio::test(flavor = "current_thread")]
async fn reactions_on_one_post_keep_their_order_through_failures() {
    let mut world = World::new();
    world.fault("react", Fault::Fail(Failure::Timeout));
    let mut house = house(world).await;
    let emoji = |name: &str| name.parse().expect("a name");
    house.deliver(1, false, Act::React { post: id("p", 1), emoji: emoji("gear") }).await;
    house.deliver(2, false, Act::Unreact { post: id("p", 1), emoji: emoji("gear") }).await;
    house.deliver(3, false, Act::React { post: id("p", 1), emoji: emoji("white_check_mark") }).await;
    for n in 1..=3 {
        assert_eq!(house.delivered().await, (n, Delivered::Done));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn output_is_fenced_and_its_file_goes_with_it() {
    let mut world = World::new();
    world.fault("upload", Fault::Answer(503, None));
    let mut house = house(world).await;
    let act = |reply_id: &str| Act::Reply {
        channel: id("c", 1),
        root: id("p", 1),
        reply_id: Text::cut(reply_id),
        body: Body::Output { head: Text::cut("exit 0"), output: Text::cut("```\n@all") },
        attachment: Some(Attachment { name: Text::cut("output.txt"), content: Bytes::new(*b"all").expect("short") }),
    };
    house.deliver(1, false, act("r1")).await;
    assert!(posted(&house.delivered().await.1));
    let post = house.world().posts.last().expect("posted").clone();
    assert_eq!(post["message"], "exit 0\n````text\n```\n@all\n````");
    assert_eq!(post["file_ids"][0], id::<bartizan_proto::ids::FileId>("f", 1).to_string());
    house.world().fault("upload", Fault::Answer(413, None));
    house.deliver(2, false, act("r2")).await;
    assert!(posted(&house.delivered().await.1));
    let post = house.world().posts.last().expect("posted").clone();
    assert!(post["message"].as_str().is_some_and(|text| text.ends_with("did not take the file: 413.)*")), "{post}");
}

#[tokio::test(flavor = "current_thread")]
async fn new_ends_redo_what_was_under_way_and_resume_the_websocket() {
    let mut house = house(World::new()).await;
    let conn = house.wire.welcome("one").await;
    house.connected().await;
    house.calls("newest", 1).await;
    house.world().fault("create", Fault::Ignore);
    house.deliver(1, false, reply(1, "r1", "x")).await;
    house.calls("create", 1).await;
    drop(conn);
    house.attach().await;
    assert_eq!(house.wire.accept().await.resume.expect("resumes").connection.as_str(), "one");
    let (number, outcome) = house.delivered().await;
    assert_eq!((number, posted(&outcome)), (1, true));
    assert_eq!(house.world().count("thread"), 1, "it was looked for first");
    assert_eq!(house.world().by_bot(), ["x"]);
}

#[tokio::test(flavor = "current_thread")]
async fn deliveries_wait_for_the_first_ends_and_for_the_next_after_egress_died() {
    let mut house = House::unattached(World::new());
    house.greet().await;
    house.start(&[]).await;
    house.deliver(1, false, reply(1, "r1", "x")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.reattach().await;
    assert!(posted(&house.delivered().await.1));
}

#[tokio::test(flavor = "current_thread")]
async fn a_core_that_speaks_out_of_order_is_left() {
    let mut early = House::unattached(World::new());
    early.attach().await;
    early.deliver(1, false, reply(1, "r1", "x")).await;
    assert_eq!(early.exit().await.code(), Some(1));
    let mut twice = House::with(World::new(), &[]).await;
    twice.start(&[]).await;
    assert_eq!(twice.exit().await.code(), Some(1));
}
