//! Another second factor than a code: the elevator that is shipped as an example, over the real processes.

use bartizan_tests::house::{House, Plan};
use std::path::Path;

const SCRIPT: &str = include_str!("../../config/scripts/said-on-host");

fn plan(said: &Path) -> Plan {
    let folder = said.to_str().expect("text");
    let mut plan = Plan::default()
        .bash(
            "careful",
            "echo \"did $*\"",
            "elevator = \"said\"\n[scripts.arguments.what]\ntype = \"string\"\nrequired = true",
        )
        .config(&format!("\n[profiles.said]\nread = [\"{folder}\"]\n"));
    plan.scripts.push(("said".to_owned(), SCRIPT.replace("/srv/said-on-host", folder)));
    plan.allowlist.push_str("\n[[elevators]]\nname = \"said\"\npath = \"scripts/said\"\nprofile = \"said\"\n");
    plan
}

/// Attack row 23: whoever has the session of somebody on the server has not said on the host what they run.
#[tokio::test(flavor = "current_thread")]
async fn row_23_a_command_that_was_not_said_on_the_host_by_who_asks_does_not_run() {
    let said = tempfile::Builder::new().prefix("said-").tempdir_in("/srv").or_else(|_| tempfile::tempdir());
    let said = said.expect("a directory");
    let house = House::build(plan(said.path())).await;
    let users = house.server.file().users;
    let say = |who: &str, line: &str| {
        let own = said.path().join(&users[who].id);
        std::fs::create_dir_all(&own).and_then(|()| std::fs::write(own.join("now"), line)).expect("written");
    };
    let refused = async |line: &str, why: &str| {
        let answer = house.ask("carol", "ops", line).await;
        assert!(answer.contains("show in another way that it is you"), "{line}: {answer}");
        let record = house.audit().into_iter().rev().find(|record| record["event"] == "elevator-end").expect("one");
        assert!(
            record["success"] == false && record["error"].as_str().is_some_and(|error| error.contains(why)),
            "{record}"
        );
    };
    refused("!careful it", "nothing was said").await;
    say("bob", "careful it\n");
    refused("!careful it", "nothing was said").await;
    say("carol", "careful it\n");
    refused("!careful that", "something else was said").await;
    assert!(house.ask("carol", "ops", "!careful it").await.contains("did it"));
    let started = house.recorded("the question", |record| record["event"] == "elevator-start").await;
    assert_eq!((started["elevator"].as_str(), started["userName"].as_str()), (Some("said"), Some("carol")));
    let receipt = house.operator(&["receipt", "4"]).await.output;
    let receipt: serde_json::Value = serde_json::from_str(receipt.trim()).expect("a receipt");
    assert_eq!(receipt["elevator"], "said");
    // Long ago.
    let now = said.path().join(&users["carol"].id).join("now");
    let file = std::fs::File::options().write(true).open(&now).expect("there");
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(300)).expect("set");
    refused("!careful it", "seconds ago").await;
    house.works().await;
    assert_eq!(house.jobs(), 2, "one, and what works");
}
