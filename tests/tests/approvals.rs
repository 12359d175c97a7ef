//! Approvals over the real processes, where a transcript cannot say it.

use bartizan_playground::server::{Options, Server};
use bartizan_playground::service::Role as Service;
use bartizan_proto::connector::{FromConnector, Reaction, Report};
use bartizan_proto::ids::{PostId, UserId};
use bartizan_proto::{Role, Text};
use bartizan_tests::house::puppet::{Puppets, connector, report_of};
use bartizan_tests::house::{House, Plan, programs};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

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

const SEALED: &str = "approvals = 1\napprover-level = \"operator\"\napproval = \"signed\"";

fn sealed() -> Plan {
    Plan::default().bash("sealed", "echo it ran", SEALED)
}

/// Bob's key for SSH, and its public half as `bartizan people key add` takes it.
fn bobs_key() -> (&'static str, &'static str) {
    (include_str!("../../audit/tests/person/id_ed25519"), include_str!("../../audit/tests/person/id_ed25519.pub"))
}

/// The request's number and the block that is to be signed.
fn block(request: &str) -> (String, String) {
    let number = request.split("approve ").nth(1).and_then(|rest| rest.split('`').next()).expect("a number");
    let block = request.split("```").nth(1).expect("a block").trim();
    (number.to_owned(), block.to_owned())
}

/// Runs a program with something on its standard input.
fn fed(program: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).expect("text"))
}

/// What `bartizan approve` prints on bob's own machine, where there is no service.
fn signed(number: &str, block: &str) -> String {
    let folder = tempfile::tempdir().expect("a directory");
    let key = folder.path().join("id_ed25519");
    std::fs::write(&key, bobs_key().0).expect("written");
    let arguments = ["approve", number, "--key", key.to_str().expect("text")];
    let (good, said) = fed(&programs().join("bartizan"), &arguments, block);
    assert!(good && said.starts_with(&format!("approve {number} ")), "{said}");
    said.trim().to_owned()
}

/// Attack row 59: whoever can write as bob on the server, or change what others read there, does not have bob's key.
#[tokio::test(flavor = "current_thread")]
async fn row_59_what_is_to_be_signed_starts_by_a_signature_of_what_was_shown_and_by_nothing_else() {
    let house = House::build(sealed()).await;
    let post = house.say("carol", "ops", "!sealed");
    let request = house.reply(&post).await;
    let (number, shown) = block(&request);
    let direct = house.server.direct_channel("bob", "bartizan").expect("a channel");
    let try_it = async |text: &str, words: &str| {
        let tried = house.server.say("bob", &direct, text).expect("said");
        let answer = house.reply(&tried).await;
        assert!(answer.contains(words), "{text}: {answer}");
    };
    // All that chat can say.
    let asked = house.server.replies(&post).first().and_then(|reply| reply["id"].as_str().map(str::to_owned));
    assert!(house.server.react("bob", &asked.expect("the request"), "white_check_mark"));
    let told = house.replies(&post, 2).await.swap_remove(1);
    assert!(told.contains("Only a signature counts"), "{told}");
    try_it(&format!("approve {number}"), "Only a signature counts").await;
    let line = signed(&number, &shown);
    try_it(&line, "not registered for anybody").await;
    // Registered for somebody else, and for two.
    let add = async |who: &str| house.operator(&["people", "key", "add", who, bobs_key().1]).await;
    assert!(add("alice").await.success());
    try_it(&line, "not registered for you").await;
    let again = add("bob").await;
    assert!(again.code() == Some(4) && again.output.contains("registered for alice"), "{again:?}");
    let listed = house.operator(&["people", "key", "list"]).await.output;
    let fingerprint = listed.split_whitespace().find(|word| word.starts_with("SHA256:")).expect("a key").to_owned();
    assert!(house.operator(&["people", "key", "remove", &fingerprint]).await.success());
    assert!(add("bob").await.success());
    house.warned("a key was registered that bob can sign approvals with").await;
    // What a changed post would have shown.
    let changed = shown.replace("script sealed", "script hello");
    try_it(&signed(&number, &changed), "not a signature of this request").await;
    assert_eq!(house.jobs(), 0);
    try_it(&line, "was approved by").await;
    house.wait("its result", || house.said(&post).iter().find(|said| said.contains("it ran")).cloned()).await;
    // The same signature for another request.
    let second = house.say("carol", "ops", "!sealed");
    let (other, _) = block(&house.reply(&second).await);
    let line = line.replace(&format!("approve {number} "), &format!("approve {other} "));
    try_it(&line, "not a signature of this request").await;
    house.works().await;
    assert_eq!(house.jobs(), 2, "one of each");
    let receipt = house.operator(&["receipt", "1"]).await.output;
    // Anybody can write one and sign it with a key of their own: without a key that is known nothing is verified.
    let file = house.files.path().join("receipt.json");
    std::fs::write(&file, &receipt).expect("written");
    let file = file.to_str().expect("text");
    let key: serde_json::Value = serde_json::from_str(receipt.trim()).expect("a receipt");
    let key = key["publicKey"].as_str().expect("a key");
    let verified = house.operator(&["receipt", "verify", file]).await;
    assert!(verified.code() == Some(1) && verified.output.contains("WARNING"), "{verified:?}");
    assert!(!verified.output.contains("As it was written"), "{verified:?}");
    let verified = house.operator(&["receipt", "verify", file, "--json"]).await;
    assert!(verified.code() == Some(1) && verified.output.contains("\"ok\": false"), "{verified:?}");
    let verified = house.operator(&["receipt", "verify", file, "--key", key]).await;
    assert!(verified.success() && verified.output.contains("As it was written"), "{verified:?}");
    let receipt: serde_json::Value = serde_json::from_str(receipt.trim()).expect("a receipt");
    let by = &receipt["approval"]["by"][0];
    assert_eq!(by["name"], "bob");
    assert!(by["key"].as_str().is_some_and(|key| bobs_key().1.starts_with(key)), "{by}");
    assert!(line.ends_with(by["signature"].as_str().expect("a signature")), "{by}");
    let vote = house.recorded("bob's vote", |record| record["event"] == "approval" && record["action"] == "vote").await;
    assert_eq!((vote["how"].as_str(), vote["key"].as_str()), (Some("signature"), Some(fingerprint.as_str())));
}

/// As OpenSSH prints it, in lines.
#[tokio::test(flavor = "current_thread")]
async fn a_signature_is_taken_as_ssh_keygen_prints_it_and_a_key_that_was_taken_away_starts_nothing() {
    let house = House::build(sealed()).await;
    assert!(house.operator(&["people", "key", "add", "bob", bobs_key().1]).await.success());
    let direct = house.server.direct_channel("bob", "bartizan").expect("a channel");
    let post = house.say("carol", "ops", "!sealed");
    let (number, shown) = block(&house.reply(&post).await);
    let line = signed(&number, &format!("{shown}\n"));
    let lines: Vec<String> = line.rsplit(' ').next().expect("a signature").as_bytes().chunks(70).map(text).collect();
    let armored = format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----", lines.join("\n"));
    house.server.say("bob", &direct, &format!("!approve {number}\n```\n{armored}\n```")).expect("said");
    house.wait("its result", || house.said(&post).iter().find(|said| said.contains("it ran")).cloned()).await;
    // One for another namespace: somebody was made to sign a file.
    let second = house.say("carol", "ops", "!sealed");
    let (number, shown) = block(&house.reply(&second).await);
    let of_a_file = include_str!("../../audit/tests/person/file.sig");
    let tried = house.server.say("bob", &direct, &format!("!approve {number}\n{of_a_file}")).expect("said");
    assert!(house.reply(&tried).await.contains("made for something else"));
    assert!(house.operator(&["people", "key", "remove", bobs_key().1]).await.success());
    let tried = house.server.say("bob", &direct, &signed(&number, &shown)).expect("said");
    assert!(house.reply(&tried).await.contains("not registered for anybody"));
    house.works().await;
    assert_eq!(house.jobs(), 2, "one of each");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The service begins anew with another script than the one that was asked for: the request is void, and its post says so.
#[tokio::test(flavor = "current_thread")]
async fn what_would_not_run_as_it_was_asked_for_is_void_after_a_restart_and_its_post_says_so() {
    let house = House::build(guarded()).await;
    let post = house.say("carol", "ops", "!guarded");
    let request = house.reply(&post).await;
    let id = house.server.replies(&post)[0]["id"].as_str().expect("an id").to_owned();
    let script = house.files.path().join("scripts/guarded");
    std::fs::write(&script, "#!/bin/bash\necho another ran\n").expect("written");
    house.service.restart(Service::Core).await.expect("it begins anew");
    let told = house.replies(&post, 2).await.swap_remove(1);
    assert!(told.contains("is void"), "{told}");
    let shown = house
        .wait("the request's post to say so", || {
            let post = house.server.replies(&post).into_iter().find(|reply| reply["id"] == *id)?;
            post["message"].as_str().filter(|message| message.contains("is void")).map(str::to_owned)
        })
        .await;
    let digest = request.lines().last().expect("its digest");
    assert!(shown.starts_with(":wastebasket:") && shown.ends_with(digest), "what was asked for stays: {shown}");
    assert!(house.server.react("bob", &id, "white_check_mark"));
    house.works().await;
    assert_eq!(house.jobs(), 1, "and only what works");
}

/// Each of them has the request in a channel of their own, and nobody may be left with one that looks open. Their keys were cut
/// once, and nobody was told.
#[tokio::test(flavor = "current_thread")]
async fn those_who_were_asked_by_direct_message_see_there_how_it_ended() {
    let house = House::build(guarded()).await;
    let direct = house.server.direct_channel("carol", "bartizan").expect("a channel");
    let asked = house.server.say("carol", &direct, "guarded").expect("said");
    house.reply(&asked).await;
    let told = async |who: &str, words: &str| {
        let has = |post: &serde_json::Value| post["message"].as_str().is_some_and(|message| message.contains(words));
        house.wait(&format!("{words} for {who}"), || house.told(who).into_iter().find(has)).await
    };
    for who in ["alice", "bob"] {
        told(who, ":lock: `approve a1`?").await;
    }
    let bobs = house.server.direct_channel("bob", "bartizan").expect("a channel");
    assert!(house.server.say("bob", &bobs, "deny a1 not today").is_some());
    for who in ["alice", "bob"] {
        let request = told(who, ":no_entry: `a1` was denied by `bob`: not today").await;
        let has = |post: &serde_json::Value| post["root_id"] == request["id"];
        house.wait("a word in its thread", || house.told(who).into_iter().find(has)).await;
    }
    assert!(house.replies(&asked, 2).await[1].contains("was denied by `bob`: not today"));
    assert_eq!(house.jobs(), 0);
}

/// A connector in the power of somebody else says that people agreed: by reactions that nobody made, by posts that nobody wrote, by
/// a post of somebody else's. Nothing of it counts, signed or not.
#[tokio::test(flavor = "current_thread")]
async fn row_59_votes_that_a_hostile_connector_makes_up_start_nothing() {
    programs();
    let server = Server::start(Options::default()).expect("the server starts");
    let bob: UserId = server.file().users["bob"].id.parse().expect("an id");
    let asked = ["!guarded", "!sealed"].map(|line| server.say("carol", "ops", line).expect("said"));
    let another = server.say("carol", "ops", "!whoami").expect("said");
    let honest = asked.clone().map(|post| report_of(&server, "ops", &post));
    let lie = Report { author: bob, text: Text::cut("!approve a1"), ..report_of(&server, "ops", &another) };
    let (seen, requests) = mpsc::channel::<PostId>();
    let part = connector(move |channel, _| {
        for report in &honest {
            channel.send(&FromConnector::Post(report.clone())).expect("sent");
        }
        for number in 1..=2 {
            let Ok(request) = requests.recv_timeout(Duration::from_secs(60)) else { return };
            let emoji = "white_check_mark".parse().expect("an emoji");
            channel.send(&FromConnector::Reaction(Reaction { post: request, user: bob, emoji })).expect("sent");
            channel.send(&FromConnector::ReactionsMissed).expect("sent");
            // A post that nobody wrote.
            let (post, text) =
                ("zyx".repeat(9)[..26].parse().expect("an id"), Text::cut(format!("!approve a{number}")));
            let forged = Report { post, author: bob, text, ..honest[0].clone() };
            channel.send(&FromConnector::Post(forged)).expect("sent");
        }
        // One of somebody else's: it is seen to lie, and is killed.
        channel.send(&FromConnector::Post(lie)).expect("sent");
    });
    let puppets = Puppets::instead_of(Role::Connector, vec![part]);
    let plan = guarded().bash("sealed", "echo it ran", SEALED).programs(puppets.programs());
    let house = House::at(server, plan).await;
    let mut shown = Vec::new();
    for post in &asked {
        house.reply(post).await;
        let request = house.server.replies(post)[0]["id"].as_str().expect("an id").to_owned();
        seen.send(request.parse().expect("an id")).expect("it listens");
        shown.push(request);
    }
    house.wait("the part to be played", || (puppets.played() == 1).then_some(())).await;
    house.service.connected().await.expect("the real one is back");
    house.works().await;
    assert_eq!(house.jobs(), 1, "nothing of what was made up");
    assert!(!house.audit().iter().any(|record| record["event"] == "approval" && record["action"] != "requested"));
    // What bob does himself counts where chat is enough.
    assert!(house.server.react("bob", &shown[0], "white_check_mark"));
    house.wait("its result", || house.said(&asked[0]).iter().find(|said| said.contains("it ran")).cloned()).await;
    assert_eq!(house.jobs(), 2);
}
