//! Pipelines over real processes: what a restart leaves of them, and that nobody's rights outlive their loss.

use bartizan_playground::service::Role;
use bartizan_tests::house::{House, Plan};
use serde_json::Value;

/// Three steps, the middle one of which takes as long as it is let.
fn plan() -> Plan {
    let whole = "steps = [\"first\", \"long\", \"third\"]\non-failure = [\"alarm\"]\nfinally = [\"cleanup\"]\n";
    Plan::default()
        .bash("whole", "echo whole", whole)
        .bash("first", "echo first", "")
        .bash("long", "echo long; sleep 600 & wait $!", "")
        .bash("third", "echo third", "")
        .bash("alarm", "echo alarm", "")
        .bash("cleanup", "echo cleanup", "")
}

fn started(house: &House) -> Vec<String> {
    let is_start = |record: &Value| record["event"] == "job-start";
    let name = |record: Value| record["scriptName"].as_str().unwrap_or_default().to_owned();
    house.audit().into_iter().filter(is_start).map(name).collect()
}

async fn is_long(house: &House) {
    house.recorded("the long step", |record| record["event"] == "job-start" && record["scriptName"] == "long").await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_restart_counts_what_ran_as_failed_and_cleans_up_once() {
    let house = House::build(plan()).await;
    let post = house.say("carol", "ops", "!whole");
    is_long(&house).await;
    house.service.kill(Role::Core).await.expect("killed");
    house.service.connected().await.expect("back");
    house.reaction(&post, "x").await;
    let order = started(&house);
    assert_eq!(order, ["whole", "first", "long", "alarm", "cleanup"]);
    let said = house.said(&post);
    assert!(said.iter().any(|said| said.contains("**long** was interrupted")), "{said:?}");
    let end = said.iter().filter(|said| said.contains("is over: `long` failed; 1 task did not run")).count();
    assert_eq!(end, 1, "{said:?}");
    // Every task says what it is a part of, and has an id of its own.
    let tasks: Vec<Value> = house.audit().into_iter().filter(|record| record["event"] == "job-start").collect();
    let whole = &tasks[0]["executionId"];
    assert!(tasks[1..].iter().all(|task| task["pipeline"] == *whole && task["postId"] != tasks[0]["postId"]));
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_service_that_ends_in_order_cleans_up_when_it_is_back() {
    let house = House::build(plan()).await;
    let post = house.say("carol", "ops", "!whole");
    is_long(&house).await;
    let told = house.operator(&["restart", "--now"]).await;
    assert!(told.success(), "{told:?}");
    house.reaction(&post, "x").await;
    assert_eq!(started(&house), ["whole", "first", "long", "alarm", "cleanup"]);
}

#[tokio::test(flavor = "current_thread")]
async fn row_74_whoever_is_banned_in_the_middle_has_nothing_more_done() {
    let house = House::build(plan()).await;
    let post = house.say("carol", "ops", "!whole");
    is_long(&house).await;
    let banned = house.ask("alice", "ops", "!ban @carol \"enough\" 1h").await;
    assert!(banned.contains("banned"), "{banned}");
    let job = house.audit().into_iter().rfind(|record| record["event"] == "job-start").expect("the long one");
    let killed = house.operator(&["kill", &job["executionId"].to_string()]).await;
    assert!(killed.success(), "{killed:?}");
    house.reaction(&post, "x").await;
    assert_eq!(started(&house), ["whole", "first", "long"], "neither alarm nor cleanup is for banned people");
    let refused =
        house.audit().into_iter().filter(|record| record["event"] == "job-end" && record["error"] != Value::Null);
    assert_eq!(refused.count(), 2);
}
