//! Too much at once, a slow server, a clock that jumps: what docs/delivery.md says of each.

use bartizan_playground::server::Fault;
use bartizan_playground::service::Role;
use bartizan_tests::house::{House, Plan};
use nix::sys::signal::Signal;
use std::time::Duration;

/// One place for jobs, no rates, and a script that takes its time.
async fn narrow(nap: &str) -> House {
    let config = "[limits]\njobs = 1\n[rate]\nuser = \"none\"\nthread-replies = \"none\"\nchannel-replies = \"none\"\n";
    House::build(Plan::default().config(config).bash("nap", &format!("sleep {nap}; echo rested"), "")).await
}

fn answered(house: &House, posts: &[String], words: &str) -> usize {
    posts.iter().filter(|post| house.said(post).iter().any(|said| said.contains(words))).count()
}

/// Waits for the answer to a command beside a flood. If it is told that it waits, only others' turns are before it, not their floods.
async fn next_in_turn(house: &House, post: &str, answer: &str, places: &[&str]) {
    house.wait(answer, || house.said(post).iter().any(|said| said.contains(answer)).then_some(())).await;
    let waited: Vec<String> = house.said(post).into_iter().filter(|said| said.contains("in line")).collect();
    let is_near = |said: &String| places.iter().any(|place| said.contains(&format!(" {place} in line")));
    assert!(waited.iter().all(is_near), "{waited:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_flood_of_one_person_makes_only_that_person_wait_and_what_is_too_much_is_refused_and_told() {
    // Long naps: while 300 posts are attested, however slowly, few of them end and make room for others.
    let house = narrow("4").await;
    let flood: Vec<String> = (0..300).map(|_| house.say("carol", "ops", "!nap")).collect();
    house.wait("the first of them", || (answered(&house, &flood, "rested") > 0).then_some(())).await;
    let other = house.say("bob", "random", "!hello Bob");
    next_in_turn(&house, &other, "Hello, Bob!", &["1st"]).await;
    let before = answered(&house, &flood, "rested");
    assert!(before < 20, "{before} jobs of the flood went before");
    // 250 of one person wait; the others were refused, each in its thread.
    house.wait("the refusals", || (answered(&house, &flood, "Too many commands") >= 30).then_some(())).await;
    let refused = answered(&house, &flood, "Too many commands");
    assert!((30..=50).contains(&refused), "{refused}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_is_slow_or_busy_delays_answers_and_loses_and_doubles_none() {
    let house = House::open().await;
    for fault in [
        Fault::Slow { by: Duration::from_millis(700), count: 30 },
        Fault::TooManyRequests { retry_after: 1, count: 10 },
        Fault::InternalError { count: 10 },
    ] {
        house.server.fault(fault.clone());
        let posts: Vec<String> = (0..8).map(|_| house.say("carol", "ops", "!hello Slow")).collect();
        for post in &posts {
            let reply = house.reply(post).await;
            assert!(reply.contains("Hello, Slow!") || reply.contains("could not check"), "{fault:?}: {reply}");
        }
        house.works().await;
        assert!(posts.iter().all(|post| house.said(post).len() == 1), "{fault:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_clock_that_jumps_by_hours_makes_no_new_command_old() {
    let house = House::open().await;
    house.works().await;
    house.server.clock_advance(Duration::from_secs(7200));
    house.works().await;
    house.server.restart();
    house.server.clock_advance(Duration::from_secs(26 * 3600));
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_flood_of_several_people_in_one_channel_makes_nobody_wait_elsewhere() {
    let house = narrow("1").await;
    let mut flood = Vec::new();
    for _ in 0..100 {
        flood.extend(["alice", "bob", "dave"].map(|who| house.say(who, "random", "!nap")));
    }
    house.wait("the first of them", || (answered(&house, &flood, "rested") > 0).then_some(())).await;
    let other = house.say("carol", "ops", "!hello Carol");
    next_in_turn(&house, &other, "Hello, Carol!", &["1st", "2nd", "3rd"]).await;
    let before = answered(&house, &flood, "rested");
    assert!(before < 30, "{before} jobs of the flood went before");
}

#[tokio::test(flavor = "current_thread")]
async fn a_machine_that_was_suspended_answers_what_is_young_and_asks_about_what_is_old() {
    let house = House::build(Plan::default().bash("nap", "sleep 2; echo rested", "")).await;
    house.works().await;
    let asleep = house.say("carol", "ops", "!nap");
    house.reaction(&asleep, "hourglass_flowing_sand").await;
    let all = [Role::Launcher, Role::Core, Role::Egress, Role::Connector, Role::Worker];
    all.iter().for_each(|role| house.service.send(*role, Signal::SIGSTOP));
    let old = house.say("carol", "ops", "!hello Old");
    house.server.clock_advance(Duration::from_secs(3600));
    let young = house.say("carol", "ops", "!hello Young");
    // As long as the server puts up with a silent connection, or not.
    house.server.fault(Fault::CloseSocket);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    all.iter().for_each(|role| house.service.send(*role, Signal::SIGCONT));
    assert!(house.reply(&young).await.contains("Hello, Young!"));
    let asked = house.reply(&old).await;
    assert!(asked.contains("Is it still wanted?"), "{asked}");
    assert!(house.reply(&asleep).await.contains("rested"), "what ran goes on");
    house.works().await;
    assert!([&old, &young, &asleep].iter().all(|post| house.said(post).len() == 1));
}
