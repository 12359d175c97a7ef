//! The websocket's life: hello, events, gaps, resuming, garbage, silence. The test is core, egress and server.

mod support;

use bartizan_connector::mattermost::socket::Timing;
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::FromConnector;
use serde_json::json;
use std::time::{Duration, Instant};
use support::{House, World, id, post};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(flavor = "current_thread")]
async fn what_is_meant_for_the_bot_is_reported_and_nothing_else() {
    let mut house = House::with(World::new(), &[]).await;
    let mut conn = house.wire.welcome("one").await;
    assert!(!house.connected().await);
    let mut own = post(1, 101, "!ping");
    own["user_id"] = json!(id::<bartizan_proto::ids::UserId>("b", 0).to_string());
    conn.posted(&own);
    let mut webhook = post(2, 102, "!ping");
    webhook["props"] = json!({"from_webhook": "true"});
    conn.posted(&webhook);
    let mut joined = post(3, 103, "!ping");
    joined["type"] = json!("system_join_channel");
    conn.posted(&joined);
    conn.posted(&post(4, 104, "just talk"));
    conn.event("post_edited", json!({"post": post(5, 105, "!ping").to_string()}));
    conn.posted(&post(6, 106, "@bartizan: ping"));
    conn.posted_in(&post(7, 107, "ping"), "D");
    conn.posted_in(&post(8, 108, "ping"), "G");
    let mut answer = post(9, 109, "!ping");
    answer["root_id"] = json!(id::<bartizan_proto::ids::PostId>("p", 4).to_string());
    conn.posted(&answer);
    // No command, but the admins are to hear of it.
    let impostor = house.report().await;
    assert_eq!((impostor.created_ms, impostor.webhook), (102, true));
    let named = house.report().await;
    assert_eq!((named.created_ms, named.direct, named.text.as_str()), (106, false, "@bartizan: ping"));
    let direct = house.report().await;
    assert_eq!((direct.created_ms, direct.direct), (107, true));
    let threaded = house.report().await;
    assert_eq!((threaded.created_ms, threaded.root, threaded.caught_up), (109, Some(id("p", 4)), false));
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn without_hello_for_ten_seconds_it_tries_anew() {
    let mut house = House::with(World::new(), &[]).await;
    let begun = Instant::now();
    let _mute = house.wire.accept().await;
    assert_eq!(house.disconnected().await, "no hello in time");
    assert!((9..25).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    house.wire.welcome("one").await;
    assert!(!house.connected().await);
}

#[tokio::test(flavor = "current_thread")]
async fn a_dropped_connection_is_resumed_and_nothing_comes_twice() {
    let mut house = House::with(World::new(), &[(1, 50)]).await;
    let mut conn = house.wire.welcome("one").await;
    conn.posted(&post(1, 101, "!one"));
    assert_eq!(house.report().await.text.as_str(), "!one");
    conn.event("typing", json!({}));
    conn.event("posted", json!({"post": "{", "channel_type": "O"}));
    conn.posted(&post(2, 102, "!two"));
    assert_eq!(house.report().await.text.as_str(), "!two");
    let next = conn.seq;
    conn.drop_it().await;
    let mut conn = house.wire.accept().await;
    let resume = conn.resume.clone().expect("resumes");
    assert_eq!((resume.connection.as_str(), resume.sequence), ("one", next));
    assert!(house.connected().await, "its pong is enough of a sign");
    conn.seq -= 1;
    conn.posted(&post(2, 102, "!two"));
    conn.posted(&post(3, 103, "!three"));
    let report = house.report().await;
    assert_eq!((report.text.as_str(), report.caught_up), ("!three", false));
    assert_eq!(house.world().count("channels"), 1, "caught up at the first hello only");
}

#[tokio::test(flavor = "current_thread")]
async fn a_restarted_server_says_a_new_hello_and_what_was_missed_is_caught_up_in_order() {
    let mut house = House::with(World::new(), &[(1, 50)]).await;
    let mut conn = house.wire.welcome("one").await;
    for n in 1..=3 {
        let post = post(n, 100_000 + n, "!live");
        house.world().posts.push(post.clone());
        conn.posted(&post);
        house.report().await;
    }
    conn.drop_it().await;
    for n in (4..=9).rev() {
        house.world().posts.push(post(n, 100_000 + n, "!missed"));
    }
    let mut conn = house.wire.accept().await;
    assert!(conn.resume.is_some());
    conn.hello("two").await;
    for n in 4..=9 {
        let report = house.report().await;
        assert_eq!((report.created_ms, report.caught_up), (100_000 + n, true));
    }
    conn.posted(&post(10, 100_010, "!live"));
    assert!(!house.report().await.caught_up);
    conn.drop_it().await;
    assert_eq!(house.wire.asked().await.1.expect("resumes").connection.as_str(), "two");
}

#[tokio::test(flavor = "current_thread")]
async fn a_gap_in_the_numbers_is_caught_up() {
    let mut house = House::with(World::new(), &[(1, 100_000)]).await;
    let mut conn = house.wire.welcome("one").await;
    conn.posted(&post(1, 100_001, "!one"));
    house.report().await;
    for n in 2..=4 {
        house.world().posts.push(post(n, 100_000 + n, "!some"));
    }
    conn.seq += 2;
    conn.posted(&post(4, 100_004, "!some"));
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(house.report().await.created_ms);
    }
    assert_eq!(times, [100_002, 100_003, 100_004]);
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn garbage_is_dropped_and_what_follows_is_read() {
    let mut house = House::with(World::new(), &[(1, 50)]).await;
    let mut conn = house.wire.welcome("one").await;
    let deep = format!(r#"{{"event":"posted","seq":1,"data":{}}}"#, "[".repeat(500_000));
    for garbage in ["", "null", "[]", "{\"event\":", "{\"event\":\"posted\"}", r#"{"event":7,"seq":-1}"#, &deep] {
        conn.text(garbage.to_owned());
    }
    conn.text(r#"{"status":"FAIL","error":{"message":"token"},"seq_reply":1}"#.to_owned());
    conn.frame(Message::Binary(vec![0xff; 100].into()));
    conn.posted(&post(1, 101, "!ping"));
    assert_eq!(house.report().await.created_ms, 101);
}

/// The same frame would come again on the same connection: a resume would never end.
async fn ends_without_a_resume(bytes: &[u8]) {
    let mut house = House::with(World::new(), &[(1, 100_000)]).await;
    let conn = house.wire.welcome("one").await;
    assert!(!house.connected().await);
    conn.raw(bytes).await;
    let why = house.disconnected().await;
    assert!(why.starts_with("not to be read"), "{why}");
    house.world().posts.push(post(1, 100_001, "!meanwhile"));
    let mut conn = house.wire.accept().await;
    assert_eq!(conn.resume, None);
    conn.hello("two").await;
    let report = house.report().await;
    assert_eq!((report.created_ms, report.caught_up), (100_001, true));
}

#[tokio::test(flavor = "current_thread")]
async fn a_text_that_is_not_utf8_ends_the_connection_without_a_resume() {
    ends_without_a_resume(&[0x81, 2, 0xff, 0xfe]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_websocket_ends_the_connection_without_a_resume() {
    ends_without_a_resume(&[0xff; 500]).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_frame_of_ten_megabytes_ends_the_connection_without_a_resume() {
    let mut huge = vec![0x81, 127];
    huge.extend((10u64 << 20).to_be_bytes());
    huge.resize(10 << 20, b'x');
    ends_without_a_resume(&huge).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_lying_frame_length_costs_no_memory_and_ends_the_connection_without_a_resume() {
    let mut lie = vec![0x81, 127];
    lie.extend((u64::MAX >> 1).to_be_bytes());
    ends_without_a_resume(&lie).await;
}

/// A number from far ahead would make every later event look as if it had come before.
#[tokio::test(flavor = "current_thread")]
async fn a_number_that_no_server_counts_does_not_make_the_bot_deaf() {
    for seq in [u64::MAX, 1 << 40] {
        let mut house = House::with(World::new(), &[(1, 50)]).await;
        let mut conn = house.wire.welcome("one").await;
        conn.text(json!({"event": "typing", "data": {}, "seq": seq}).to_string());
        conn.posted(&post(1, 101, "!lost with the connection"));
        house.disconnected().await;
        let mut conn = house.wire.accept().await;
        assert_eq!(conn.resume, None);
        conn.hello("two").await;
        conn.posted(&post(2, 102, "!ping"));
        assert_eq!(house.report().await.created_ms, 102);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn new_ends_in_the_middle_of_a_connection_expect_a_greeting_of_their_own() {
    let mut house = House::with(World::new(), &[(1, 50)]).await;
    let _conn = house.wire.welcome("one").await;
    house.connected().await;
    house.reattach().await;
    let mut conn = house.wire.accept().await;
    assert!(house.connected().await, "resumed");
    conn.posted(&post(1, 101, "!ping"));
    assert_eq!(house.report().await.created_ms, 101);
}

/// Before 6.0 a server's hello has an empty connection id: every drop means catching up.
#[tokio::test(flavor = "current_thread")]
async fn a_server_that_cannot_resume_is_caught_up_with_after_every_drop() {
    let mut house = House::with(World::new(), &[(1, 100_000)]).await;
    let mut conn = house.wire.welcome("").await;
    conn.posted(&post(1, 100_001, "!live"));
    assert_eq!(house.report().await.created_ms, 100_001);
    conn.drop_it().await;
    house.world().posts.push(post(2, 100_002, "!meanwhile"));
    let mut conn = house.wire.accept().await;
    assert_eq!(conn.resume, None);
    conn.hello("").await;
    let report = house.report().await;
    assert_eq!((report.created_ms, report.caught_up), (100_002, true));
}

#[tokio::test(flavor = "current_thread")]
async fn a_goodbye_from_the_server_is_resumed() {
    let mut house = House::with(World::new(), &[]).await;
    let conn = house.wire.welcome("one").await;
    house.connected().await;
    conn.frame(Message::Close(None));
    assert!(house.disconnected().await.contains("goodbye"));
    assert!(house.wire.asked().await.1.is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn a_refusal_is_waited_out_as_long_as_the_server_says() {
    let mut house = House::with(World::new(), &[]).await;
    house.wire.refuse(429, Some(1_500)).await;
    let begun = Instant::now();
    assert!(house.disconnected().await.contains("429"));
    house.wire.welcome("one").await;
    assert!(begun.elapsed() >= Duration::from_millis(1_450), "{:?}", begun.elapsed());
    assert!(!house.connected().await);
}

/// Half-open: the bytes go nowhere, and nobody says so. In this process, so that the wait is short.
#[tokio::test(flavor = "current_thread")]
async fn a_connection_that_fell_silent_is_noticed_and_a_quiet_one_is_kept() {
    let (ours, theirs) = Channel::pair().expect("socketpair");
    let timing =
        Timing { ping: Duration::from_millis(200), silence: Duration::from_millis(1_500), ..Timing::default() };
    tokio::spawn(bartizan_connector::run(theirs, timing));
    let mut house = House::around(ours, None, World::new());
    house.attach().await;
    house.start(&[]).await;
    let conn = house.wire.welcome("one").await;
    house.connected().await;
    assert!(
        tokio::time::timeout(Duration::from_secs(3), house.disconnected()).await.is_err(),
        "its pongs keep it alive"
    );
    conn.freeze();
    assert_eq!(house.disconnected().await, "nothing heard for too long");
}

#[tokio::test(flavor = "current_thread")]
async fn when_the_core_does_not_read_the_server_is_not_read_and_nothing_is_lost() {
    let mut house = House::with(World::new(), &[(1, 50)]).await;
    let mut conn = house.wire.welcome("one").await;
    house.connected().await;
    let count = 4_000;
    let text = format!("!{}", "x".repeat(4_000));
    for n in 1..=count {
        conn.posted(&post(n, 100 + n, &text));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let resident: u64 = house.status("VmRSS").trim_end_matches(" kB").parse().expect("a number");
    assert!(resident < 32 * 1024, "{resident} KiB are held of 16 MiB that nobody reads");
    for n in 1..=count {
        assert_eq!(house.report().await.created_ms, 100 + n);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn cursors_follow_what_was_reported_and_come_once_a_second_at_most() {
    let mut house = House::with(World::new(), &[(1, 50)]).await;
    let mut conn = house.wire.welcome("one").await;
    for n in 1..=50 {
        conn.posted(&post(n, 100 + n, if n % 2 == 0 { "!ping" } else { "talk" }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (mut reported, mut cursors) = (0, 0);
    loop {
        match house.next().await {
            FromConnector::Post(report) => reported = report.created_ms,
            FromConnector::Seen(cursor) => {
                cursors += 1;
                assert!(reported + 1 >= cursor.seen_ms, "the cursor is ahead: {cursor:?} {reported}");
                if cursor.seen_ms == 150 {
                    break;
                }
            }
            _ => {}
        }
    }
    assert!(cursors <= 3, "{cursors} cursors in little more than a second");
}

#[tokio::test(flavor = "current_thread")]
async fn it_is_confined_before_it_reads_anything() {
    let mut house = House::unattached(World::new());
    house.greet().await;
    assert_eq!(house.status("Seccomp"), "2");
    assert_eq!(house.status("NoNewPrivs"), "1");
    assert_eq!(house.status("Threads"), "1");
}

#[tokio::test(flavor = "current_thread")]
async fn it_ends_in_order_when_the_core_closes_its_socket() {
    let mut house = House::with(World::new(), &[]).await;
    let _conn = house.wire.welcome("one").await;
    house.connected().await;
    house.core.close();
    assert_eq!(house.exit().await.code(), Some(0));
}
