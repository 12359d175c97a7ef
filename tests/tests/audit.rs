//! The audit log over real processes: what is in it, what `bartizan audit` makes of it, and that nothing runs which cannot
//! be recorded (rows 76, 77 and 84 of the attack catalogue).

use bartizan_playground::service::{Finished, Role};
use bartizan_tests::house::{House, Plan, skip};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use std::path::PathBuf;

fn log(house: &House) -> PathBuf {
    house.service.state().join("audit.jsonl")
}

fn said(finished: &Finished) -> Value {
    serde_json::from_str(&finished.output).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// Changes a copy of the log, and gives what `verify` calls that.
async fn verdict(house: &House, key: &str, change: impl Fn(&mut Vec<String>)) -> String {
    let text = std::fs::read_to_string(log(house)).expect("the log");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let copy = house.files.path().join("audit.jsonl");
    std::fs::write(&copy, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("written");
    let witness = house.files.path().join("witness");
    std::fs::write(&witness, text.lines().last().expect("a line")).expect("written");
    let (copy, witness) = (copy.display().to_string(), witness.display().to_string());
    let finished = house.operator(&["audit", "verify", &copy, "--key", key, "--checkpoint", &witness, "--json"]).await;
    let report = said(&finished);
    match report["ok"].as_bool() {
        Some(true) => {
            assert!(finished.success(), "{report}");
            "ok".to_owned()
        }
        _ => {
            assert_eq!(finished.status.and_then(|status| status.code()), Some(1), "{report}");
            report["fault"]["kind"].as_str().expect("a kind").to_owned()
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_84_edit_reorder_removal_and_a_cut_tail_are_named() {
    let house = House::open().await;
    house.works().await;
    house.say("bob", "ops", "!run nosuch");
    house.works().await;
    let whole = house.operator(&["audit", "verify", "--json"]).await;
    let report = said(&whole);
    assert!(whole.success() && report["ok"] == true && report["known-key"] == true, "{report}");
    assert_eq!(report["witnesses"], 1, "the running service agrees: {report}");
    let key = report["keys"][0].as_str().expect("a key").to_owned();
    assert_eq!(verdict(&house, &key, |_| {}).await, "ok");
    let let_through = |lines: &mut Vec<String>| {
        let line = lines.iter_mut().find(|line| line.contains("\"success\":false")).expect("a refusal");
        *line = line.replace("\"success\":false", "\"success\":true");
    };
    assert_eq!(verdict(&house, &key, let_through).await, "edited");
    assert_eq!(verdict(&house, &key, |lines| lines.swap(1, 3)).await, "reordered");
    assert_eq!(verdict(&house, &key, |lines| drop(lines.remove(2))).await, "removed");
    assert_eq!(verdict(&house, &key, |lines| drop(lines.remove(0))).await, "removed");
    assert_eq!(verdict(&house, &key, |lines| drop(lines.pop())).await, "cut");
    assert_eq!(verdict(&house, &key, |lines| lines[2].push('x')).await, "malformed");
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(verdict(&house, other, |_| {}).await, "foreign-key");
}

#[tokio::test(flavor = "current_thread")]
async fn row_84_what_cannot_be_recorded_is_not_run_and_chat_is_told_until_there_is_room_again() {
    let house = House::open().await;
    house.works().await;
    // A log that is longer than the database may grow, so that a limit on the size of files is reached by the log alone.
    let size = |name: &str| std::fs::metadata(house.service.state().join(name)).map_or(0, |file| file.len());
    let largest = || size("state.db").max(size("state.db-wal"));
    // In bursts: between them the database forgets the lines that the log has on the disk, and does not grow with it.
    while size("audit.jsonl") < largest() + 1_500_000 {
        let mut post = String::new();
        for number in 0..40 {
            post = house.say("bob", "ops", &format!("!run nosuch {number} {}", "x".repeat(15_000)));
        }
        house.reply(&post).await;
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    }
    house.works().await;
    let room = size("audit.jsonl");
    assert!(room > largest() + 1_000_000, "{room} {}", largest());
    let core = house.pids("core").await[0];
    let core = Pid::from_raw(i32::try_from(core).expect("a pid")).expect("a pid");
    let limit = Rlimit { current: Some(room), maximum: None };
    let Ok(old) = prlimit(Some(core), Resource::Fsize, limit) else {
        return skip("row_84_what_cannot_be_recorded", "this user may not set another process's limits here");
    };

    // The first decision is in the database, which has room; the file says no, and from then on nothing is begun.
    house.ask("bob", "ops", "!run nosuch").await;
    let jobs = house.jobs();
    for _ in 0..3 {
        let post = house.say("carol", "ops", "!hello");
        let told = house.reply(&post).await;
        assert!(told.contains("cannot record"), "{told}");
        house.reaction(&post, "no_entry").await;
    }
    assert_eq!((house.jobs(), size("audit.jsonl")), (jobs, room), "nothing ran, and no half a line is there");
    let shown = house.operator(&["audit", "verify"]).await;
    assert!(shown.output.contains("behind"), "{}", shown.output);

    // There is room again: what waited is written, once, and jobs run.
    prlimit(Some(core), Resource::Fsize, old).expect("the limit is taken back");
    house.wait("what waited to be written", || (size("audit.jsonl") > room).then_some(())).await;
    house.works().await;
    assert_eq!(house.jobs(), jobs + 1);
    let report = said(&house.operator(&["audit", "verify", "--json"]).await);
    assert_eq!(report["ok"], true, "{report}");
}

#[tokio::test(flavor = "current_thread")]
async fn row_84_a_file_taken_away_a_log_rolled_back_and_another_key_are_told_about() {
    let house = House::open().await;
    house.works().await;
    std::fs::remove_file(log(&house)).expect("removed");
    house.works().await;
    house.warned("taken away while the service ran").await;
    let report = said(&house.operator(&["audit", "verify", "--json"]).await);
    assert_eq!(report["ok"], true, "it was written again: {report}");

    let told = |record: &Value, words: &[&str]| {
        record["event"] == "alert"
            && words.iter().any(|word| record["error"].as_str().is_some_and(|e| e.contains(word)))
    };
    // Rolled back to its first lines. What it had for less than a few seconds is in the database, which heals it.
    let rolled_back = || house.audit().iter().any(|record| told(record, &["lines are missing", "or cut it"]));
    for pause in [3, 6, 12] {
        tokio::time::sleep(std::time::Duration::from_secs(pause)).await;
        let text = std::fs::read_to_string(log(&house)).expect("the log");
        let old: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
        std::fs::write(log(&house), old).expect("rolled back");
        house.service.kill(Role::Core).await.expect("killed");
        house.service.connected().await.expect("connected");
        if rolled_back() {
            break;
        }
        let report = said(&house.operator(&["audit", "verify", "--json"]).await);
        assert_eq!(report["ok"], true, "healed: {report}");
    }
    assert!(rolled_back(), "{:?}", house.audit().last());
    let verified = house.operator(&["audit", "verify", "--json"]).await;
    assert_eq!(verified.status.and_then(|status| status.code()), Some(1), "{verified:?}");
    assert_eq!(said(&verified)["fault"]["kind"], "removed", "{verified:?}");

    let key = house.service.state().join("audit.key");
    std::fs::remove_file(&key).expect("removed");
    house.service.kill(Role::Core).await.expect("killed");
    house.service.connected().await.expect("connected");
    house.recorded("the alarm", |record| told(record, &["the key is now another"])).await;
    house.works().await;
}

#[tokio::test(flavor = "current_thread")]
async fn checkpoints_are_posted_to_a_channel_where_they_are_witnesses() {
    let house = House::build(Plan::default().config("[audit]\ncheckpoint-channel = \"random\"\n")).await;
    house.works().await;
    assert!(house.operator(&["audit", "rotate-key"]).await.success());
    let server = house.server.file();
    let channel = &server.channels["random"];
    let posted = || {
        let texts: Vec<String> =
            house.server.posts(channel).iter().filter_map(|post| post["message"].as_str().map(str::to_owned)).collect();
        Some(texts).filter(|texts| texts.iter().filter(|text| text.contains("Audit checkpoint")).count() >= 2)
    };
    let texts = house.wait("two checkpoints, of the start and of the new key", posted).await;
    let witness = house.files.path().join("witness");
    std::fs::write(&witness, texts.join("\n")).expect("written");
    let witness = witness.display().to_string();
    let report = said(&house.operator(&["audit", "verify", "--json", "--checkpoint", &witness]).await);
    assert_eq!((&report["ok"], report["witnesses"].as_u64() >= Some(3)), (&true.into(), true), "{report}");
}

#[tokio::test(flavor = "current_thread")]
async fn every_decision_and_every_step_of_a_job_is_there_in_the_seeds_words() {
    let house = House::open().await;
    house.works().await;
    let refused = house.say("carol", "random", "!deploy");
    house.reply(&refused).await;
    let decision = house.recorded("the decision", |r| r["event"] == "decision" && r["postId"] == *refused).await;
    assert_eq!(decision["success"], false, "{decision}");
    for field in ["timestamp", "userId", "channelId", "command", "gates", "error", "previousHash", "publicKey"] {
        assert!(!decision[field].is_null(), "{field}: {decision}");
    }
    let start = house.recorded("the start", |r| r["event"] == "job-start").await;
    assert_eq!(start["scriptSha256"].as_str().map(str::len), Some(64), "{start}");
    let running = house.recorded("the sandbox", |r| r["event"] == "job-running").await;
    assert_eq!(running["layers"]["seccomp"], "on", "{running}");
    let end = house.recorded("the end", |r| r["event"] == "job-end").await;
    for field in ["executionId", "scriptName", "userId", "channelId", "success", "exitCode", "durationMs", "maxRss"] {
        assert!(!end[field].is_null(), "{field}: {end}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_independent_verifier_agrees_also_after_another_key_and_a_prune() {
    let house = House::open().await;
    house.works().await;
    let rotated = house.operator(&["audit", "rotate-key", "--json"]).await;
    assert!(rotated.success(), "{rotated:?}");
    house.works().await;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("verify-audit.py");
    let python = |path: &std::path::Path| std::process::Command::new("python3").arg(&script).arg(path).output();
    let Ok(output) = python(&log(&house)) else {
        return skip("an_independent_verifier_agrees", "python3 is not installed");
    };
    assert!(output.status.success(), "{output:?}");
    let report = said(&house.operator(&["audit", "verify", "--json"]).await);
    assert_eq!(report["keys"].as_array().map(Vec::len), Some(2), "{report}");

    let pruned = said(&house.operator(&["audit", "prune", "--older-than", "0s", "--json"]).await);
    assert!(pruned["lines"].as_u64().is_some_and(|lines| lines > 5), "{pruned}");
    house.works().await;
    let report = said(&house.operator(&["audit", "verify", "--json"]).await);
    assert_eq!((&report["ok"], &report["pruned-through"]), (&true.into(), &pruned["through"]), "{report}");
    let output = python(&log(&house)).expect("python3");
    assert!(output.status.success(), "{output:?}");
    // And it sees what ours sees.
    let text = std::fs::read_to_string(log(&house)).expect("the log").replacen("\"hello\"", "\"hallo\"", 1);
    let copy = house.files.path().join("audit.jsonl");
    std::fs::write(&copy, text).expect("written");
    assert!(!python(&copy).expect("python3").status.success());
}

#[tokio::test(flavor = "current_thread")]
async fn row_76_and_77_no_verb_shows_what_a_terminal_obeys_or_a_spreadsheet_computes() {
    let house = House::open().await;
    house.say("bob", "ops", "!hello \"=cmd|' /C calc'!A0\" \u{1b}[2J\u{9b}1m");
    house.say("bob", "ops", "=HYPERLINK(\"http://example.com\")");
    house.works().await;
    for arguments in [
        &["audit", "show"][..],
        &["audit", "show", "--json"],
        &["audit", "export", "--format", "json"],
        &["audit", "export", "--format", "csv"],
    ] {
        let finished = house.operator(arguments).await;
        assert!(finished.success(), "{finished:?}");
        assert!(finished.output.chars().all(|c| matches!(c, '\n' | '\r') || !c.is_control()), "{arguments:?}");
        assert!(finished.output.contains("decision"), "{arguments:?}: {}", finished.output);
    }
    let csv = house.operator(&["audit", "export", "--format", "csv"]).await.output;
    let cells = csv.split("\",\"").map(|cell| cell.trim_start_matches(['"', '\r', '\n', ' ']));
    assert!(cells.skip(1).all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{csv}");
    let export = said(&house.operator(&["audit", "export", "--event", "job-end"]).await);
    assert_eq!(export.as_array().map(Vec::len), Some(1), "{export}");
}
