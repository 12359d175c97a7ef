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

/// Once a script that everybody may start could have done what only operators may, by the rights of an operator who started it,
/// and by nobody's where a schedule did.
#[tokio::test(flavor = "current_thread")]
async fn what_everybody_may_start_adds_nothing_that_only_some_may_whoever_began_it() {
    let adds = "for verb in add-task final-task spawn-job; do bz $verb deploy || true; done; bz add-task hello there";
    let plan = Plan::default().bash("open", adds, "api = [\"add-task\", \"final-task\", \"spawn-job\"]\n");
    let house = House::build(plan).await;
    for who in ["bob", "alice"] {
        let post = house.say(who, "ops", "!open");
        house.reaction(&post, "white_check_mark").await;
        let said = house.said(&post).concat();
        let refused = said.matches("Deploy needs level operator, which open itself does not").count();
        assert_eq!(refused, 3, "{said}");
    }
    assert_eq!(started(&house), ["open", "hello", "open", "hello"]);
}

/// A script that lets anybody choose its tasks ran one of them as often as they liked.
#[tokio::test(flavor = "current_thread")]
async fn a_scripts_own_rate_counts_its_runs_as_a_task_and_beside_a_job_too() {
    let adds = "bz add-task limited; bz spawn-job limited";
    let plan = Plan::default().bash("open", adds, "api = [\"add-task\", \"spawn-job\"]\n").bash(
        "limited",
        "echo ran",
        "rate = \"2/d\"\n",
    );
    let house = House::build(plan).await;
    let post = house.say("bob", "ops", "!open");
    house.reaction(&post, "white_check_mark").await;
    house.wait("both", || (started(&house).len() == 3).then_some(())).await;
    let post = house.say("carol", "ops", "!open");
    house.reaction(&post, "x").await;
    let refused = |record: &Value| {
        record["event"] == "job-end" && record["scriptName"] == "limited" && record["success"] == false
    };
    house
        .wait("both refusals", || (house.audit().iter().filter(|record| refused(record)).count() == 2).then_some(()))
        .await;
    assert_eq!(started(&house).iter().filter(|name| *name == "limited").count(), 2, "{:?}", started(&house));
    // It is one bucket: a command of its own finds it empty, too.
    let alone = house.say("alice", "ops", "!limited");
    assert!(house.cause(&alone).await.contains("too fast for this script"));
}

/// Its name in quotes, and the log had it as the script that added it.
#[tokio::test(flavor = "current_thread")]
async fn a_task_is_recorded_as_what_runs_however_its_name_is_written() {
    let adds = "bz add-command '\"hello\" there'; bz add-command '!hel\\lo again'";
    let house = House::build(Plan::default().bash("odd", adds, "api = [\"add-command\"]\n")).await;
    let post = house.say("carol", "ops", "!odd");
    house.reaction(&post, "white_check_mark").await;
    assert_eq!(started(&house), ["odd", "hello", "hello"]);
    let receipt = house.operator(&["receipt", "2"]).await.output;
    let receipt: Value = serde_json::from_str(receipt.trim()).expect("a receipt");
    assert_eq!(receipt["script"], "hello");
}

#[tokio::test(flavor = "current_thread")]
async fn what_runs_beside_a_job_has_nothing_more_run_beside_it() {
    let beside = "bz spawn-job chain || echo refused";
    let house = House::build(Plan::default().bash("chain", beside, "api = [\"spawn-job\"]\n")).await;
    let post = house.say("carol", "ops", "!chain");
    let said = house.replies(&post, 2).await.concat();
    assert!(said.contains("a job that runs beside another one cannot have more run beside it"), "{said}");
    house.works().await;
    assert_eq!(started(&house), ["chain", "chain", "hello"]);
}

/// A task of an `idempotent` script was begun again by the next start, and added its tasks a second time.
#[tokio::test(flavor = "current_thread")]
async fn a_task_that_ran_counts_as_failed_also_where_its_script_may_run_twice() {
    let adds = "idempotent = true\napi = [\"final-task\"]\n";
    let plan = Plan::default()
        .bash("whole", "echo whole", "steps = [\"long\"]\n")
        .bash("long", "bz final-task cleanup; echo long; sleep 600 & wait $!", adds)
        .bash("cleanup", "echo cleanup", "");
    let house = House::build(plan).await;
    let post = house.say("carol", "ops", "!whole");
    house.wait("its task", || house.said(&post).concat().contains("cleanup").then_some(())).await;
    house.service.kill(Role::Core).await.expect("killed");
    house.service.connected().await.expect("back");
    house.reaction(&post, "x").await;
    assert_eq!(started(&house), ["whole", "long", "cleanup"]);
}

/// What nobody asked for has nobody's rights: its script's own entry is what may be done.
#[tokio::test(flavor = "current_thread")]
async fn what_a_schedule_begins_adds_nothing_that_its_own_entry_does_not_stand_for() {
    let adds = "bz add-task deploy || true; bz add-task hello there";
    let mut plan = Plan::default().bash("open", adds, "api = [\"add-task\"]\n");
    let schedule = "name = \"once\"\ncommand = \"open\"\nwhen = \"@start\"\nchannel = \"ops\"";
    plan.allowlist.push_str(&format!("\n[[schedules]]\n{schedule}\n"));
    let house = House::build(plan).await;
    let is_hello = |record: &Value| record["event"] == "job-end" && record["scriptName"] == "hello";
    house.recorded("the task that it may add", is_hello).await;
    assert_eq!(started(&house), ["open", "hello"]);
}
