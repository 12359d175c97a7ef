//! What ends again and again: it is tried less often, people are told, and one bad command does not take the others with it.

use bartizan_playground::service::Role;
use bartizan_tests::house::{House, programs};
use std::time::Duration;

#[tokio::test(flavor = "current_thread")]
async fn a_command_that_ends_the_core_each_time_is_refused_in_the_end_and_the_others_are_answered() {
    programs();
    let house = House::open().await;
    house.works().await;
    // The core that starts next looks for the order.
    std::fs::write(house.service.state().join("fault-point"), "deadly Poison").expect("the order");
    house.service.kill(Role::Core).await.expect("killed");
    house.service.connected().await.expect("back");
    let post = house.say("carol", "ops", "!hello Poison");
    let others = [house.say("carol", "ops", "!hello After"), house.say("bob", "random", "!hello Elsewhere")];
    let answer = house.reply(&post).await;
    assert!(answer.contains("was interrupted: I ended unexpectedly each time"), "{answer}");
    assert!(house.cause(&post).await.contains("ended 2 times while it read this command"));
    for other in &others {
        // A job of theirs may have been under way when the command ended the core.
        let reply = house.reply(other).await;
        assert!(reply.contains("Hello, ") || reply.contains("was interrupted"), "{reply}");
        assert_eq!(house.said(other).len(), 1, "once");
    }
    house.service.connected().await.expect("it stays");
    house.works().await;
    // One kill, and three times the command.
    let warning = house.warned("crash loop").await;
    let warning = warning["message"].as_str().unwrap_or_default();
    assert!(warning.contains("ended unexpectedly 3 times within 10 minutes"), "{warning}");
    let status = house.service.status().await.expect("a status");
    assert_eq!(house.told("alice").len(), 1, "told once");
    assert!(house.audit().iter().any(|record| record["event"] == "alert" && record.to_string().contains("crash loop")));
    assert!(status["connected"] == true, "{status}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_process_that_ends_again_and_again_is_named_and_tried_again() {
    programs();
    let house = House::open().await;
    house.works().await;
    for _ in 0..5 {
        house.wait("a connector", || house.service.runs(Role::Connector).then_some(())).await;
        house.service.kill(Role::Connector).await.expect("killed");
    }
    let seen =
        |status: &serde_json::Value| status["problems"].to_string().contains("crash loop: ended 5 times in a row");
    let mut status = serde_json::Value::Null;
    for _ in 0..200 {
        status = house.service.status().await.expect("a status");
        if seen(&status) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(seen(&status), "{status}");
    house.warned("connector is in a crash loop: it ended 5 times in a row").await;
    house.service.connected().await.expect("back");
    house.works().await;
}
