//! What was posted while the connector was not there: found over REST, whatever the server's paging does.

mod support;

use bartizan_proto::connector::Cursor;
use bartizan_proto::verbs::Failure;
use serde_json::json;
use support::{Fault, House, World, id, post};

fn backlog(count: u64) -> World {
    let mut world = World::new();
    world.posts = (1..=count).map(|n| post(n, 100_000 + 1_000 * n, "!missed")).collect();
    world
}

async fn all_of(house: &mut House, times: impl Iterator<Item = u64>) {
    for time in times {
        let report = house.report().await;
        assert_eq!((report.created_ms, report.caught_up), (100_000 + 1_000 * time, true));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn at_the_first_start_nothing_old_is_reported_and_the_cursor_begins_at_the_newest_post() {
    let mut house = House::with(backlog(5), &[]).await;
    let mut conn = house.wire.welcome("one").await;
    let cursor = house.seen().await;
    assert_eq!((cursor.channel, cursor.seen_ms, cursor.begun_ms), (id("c", 1), 105_000, 105_000));
    conn.posted(&post(6, 106_000, "!live"));
    assert_eq!(house.report().await.created_ms, 106_000);
}

/// A service that was restarted within seconds of its first start obeyed what had been said to an earlier one: the overlap
/// of pages reached back over its own beginning.
#[tokio::test(flavor = "current_thread")]
async fn what_was_there_before_the_first_start_is_never_reported_also_when_pages_overlap() {
    let mut house = House::with(backlog(5), &[]).await;
    let mut conn = house.wire.welcome("one").await;
    house.seen().await;
    house.world().posts.push(post(6, 106_000, "!live"));
    conn.posted(&post(6, 106_000, "!live"));
    assert_eq!(house.report().await.created_ms, 106_000);
    conn.drop_it().await;
    house.world().posts.push(post(7, 107_000, "!missed"));
    let mut conn = house.wire.accept().await;
    conn.hello("two").await;
    all_of(&mut house, 7..=7).await;
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_beginning_that_the_core_remembers_is_kept_after_a_restart() {
    let cursor = Cursor { channel: id("c", 1), seen_ms: 104_500, begun_ms: 103_000 };
    let mut house = House::begun(backlog(5), &[cursor]).await;
    let _conn = house.wire.welcome("one").await;
    all_of(&mut house, 4..=5).await;
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_came_after_the_cursor_is_reported_from_every_channel() {
    let mut world = backlog(10);
    world.channels = vec![(1, "O"), (2, "D")];
    let mut direct = post(20, 200_000, "no prefix needed");
    direct["channel_id"] = json!(id::<bartizan_proto::ids::ChannelId>("c", 2).to_string());
    world.posts.push(direct);
    // Channel 2 was made while nobody listened: it has no cursor.
    let mut house = House::with(world, &[(1, 107_500)]).await;
    let _conn = house.wire.welcome("one").await;
    let mut reports = Vec::new();
    // Five seconds of overlap: 103 to 107 come again, the core knows them.
    for _ in 0..9 {
        let report = house.report().await;
        reports.push((report.channel, report.created_ms, report.direct));
    }
    let in_one: Vec<u64> = reports.iter().filter(|(channel, ..)| *channel == id("c", 1)).map(|r| r.1).collect();
    assert_eq!(in_one, (103..=110).map(|n| n * 1_000).collect::<Vec<_>>());
    assert!(reports.contains(&(id("c", 2), 200_000, true)));
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_long_backlog_is_paged_in_order() {
    let mut house = House::with(backlog(700), &[(1, 100_500)]).await;
    let _conn = house.wire.welcome("one").await;
    all_of(&mut house, 1..=700).await;
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_answer_to_since_hides_nothing() {
    let mut world = backlog(150);
    world.since_lies = true;
    let mut house = House::with(world, &[(1, 100_500)]).await;
    let _conn = house.wire.welcome("one").await;
    all_of(&mut house, 1..=150).await;
}

#[tokio::test(flavor = "current_thread")]
async fn too_large_an_answer_is_asked_for_in_smaller_pages() {
    let mut world = backlog(30);
    world.too_large = Some(7);
    let mut house = House::with(world, &[(1, 126_000)]).await;
    let _conn = house.wire.welcome("one").await;
    // Seven of the newest fit, and reach back to the cursor's overlap only in part: the rest is said in the log.
    let first = house.report().await.created_ms;
    all_of(&mut house, (first - 100_000) / 1_000 + 1..=30).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_connection_lost_in_mid_life_is_caught_up_whole_even_in_small_pages() {
    let mut house = House::with(backlog(0), &[(1, 100_000)]).await;
    let mut conn = house.wire.welcome("one").await;
    for n in 1..=3 {
        let post = post(n, 100_000 + 1_000 * n, "!live");
        house.world().posts.push(post.clone());
        conn.posted(&post);
        house.report().await;
    }
    conn.drop_it().await;
    for n in 4..=120 {
        house.world().posts.push(post(n, 100_000 + 1_000 * n, "!missed"));
    }
    house.world().too_large = Some(7);
    let mut conn = house.wire.accept().await;
    conn.hello("two").await;
    all_of(&mut house, 4..=120).await;
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn posts_of_one_millisecond_are_not_lost_between_two_pages() {
    let mut world = World::new();
    world.posts = (1..=300).map(|n| post(n, 100_000 + n / 3, "!missed")).collect();
    let mut house = House::with(world, &[(1, 100_000)]).await;
    let _conn = house.wire.welcome("one").await;
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..300 {
        found.insert(house.report().await.post);
    }
    assert_eq!(found.len(), 300);
}

#[tokio::test(flavor = "current_thread")]
async fn faults_while_catching_up_lose_nothing() {
    let mut world = backlog(5);
    for kind in ["channels", "newest"] {
        world.fault(kind, Fault::Answer(429, Some(50)));
        world.fault(kind, Fault::Fail(Failure::Network));
        world.fault(kind, Fault::Answer(503, None));
        world.fault(kind, Fault::Garbage);
    }
    let mut house = House::with(world, &[(1, 100_500)]).await;
    let mut conn = house.wire.welcome("one").await;
    // Comes while the rest is still being fetched, and waits for its turn.
    conn.posted(&post(6, 106_000, "!live"));
    all_of(&mut house, 1..=5).await;
    assert_eq!(house.report().await.created_ms, 106_000);
}

#[tokio::test(flavor = "current_thread")]
async fn a_channel_that_may_not_be_read_does_not_stop_the_others() {
    let mut world = backlog(2);
    world.channels = vec![(7, "P"), (1, "O")];
    world.fault("newest", Fault::Answer(403, None));
    let mut house = House::with(world, &[(1, 100_500)]).await;
    let _conn = house.wire.welcome("one").await;
    all_of(&mut house, 1..=2).await;
}
