//! Approvals over the real processes, where a transcript cannot say it.

use bartizan_tests::house::{House, Plan};

fn guarded() -> Plan {
    Plan::default().bash("guarded", "echo it ran", "approvals = 1\napprover-level = \"operator\"")
}

/// A new database numbers its requests from the beginning. Under the old one's keys the server took the new request for the
/// old one said twice: there was no new post, and what people had agreed to was counted for what nobody had seen.
#[tokio::test(flavor = "current_thread")]
async fn what_was_approved_for_an_earlier_database_approves_nothing_in_a_new_one() {
    let house = House::build(guarded()).await;
    let post = house.say("carol", "ops", "!guarded");
    let request = house.reply(&post).await;
    assert!(request.contains("approve"), "{request}");
    let number = request.split("approve ").nth(1).and_then(|rest| rest.split('`').next()).expect("a number").to_owned();
    house.say("bob", "ops", &format!("!approve {number}"));
    house.wait("its result", || house.said(&post).iter().find(|said| said.contains("it ran")).cloned()).await;
    let House { service, server, files: _files, .. } = house;
    service.stop().await;

    let house = House::at(server, guarded()).await;
    let post = house.say("carol", "ops", "!guarded");
    let request = house.reply(&post).await;
    assert!(request.contains(&format!("approve {number}`")), "the same number: {request}");
    house.works().await;
    assert!(!house.said(&post).iter().any(|said| said.contains("it ran")), "nobody has agreed to this one");
}
