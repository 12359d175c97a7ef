//! The brain over real processes: what whoever can write to its file can do (row 83), what a kill leaves, a token that is
//! exchanged, and what chat sees of a secret.

use bartizan_playground::service::{Finished, Role};
use bartizan_tests::house::{House, Plan};
use rusqlite::{Connection, params};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CANARY: &str = "canary-5f0e1c7b2a";

fn plan() -> Plan {
    let tell = "s=$(<\"$BARTIZAN_SECRETS/deploy/key\"); echo \"${#s} of $s\"; printf %s \"$s\" | base64; printf %s \"$s\" | od -An -tx1 | tr -d ' \\n'";
    Plan::default().bash("tell", tell, "secrets = [\"deploy/key\"]").bash(
        "other",
        "wc -c <\"$BARTIZAN_SECRETS/deploy/other\"",
        "secrets = [\"deploy/other\"]",
    )
}

/// `bartizan …` with something on its standard input.
async fn tell(house: &House, words: &str, input: &str) -> Finished {
    house.service.operator_line(&format!("printf %s '{input}' | bartizan {words}")).await.expect("a shell")
}

async fn set(house: &House, name: &str, value: &str) {
    let done = tell(house, &format!("secret set {name}"), value).await;
    assert!(done.success(), "{done:?}");
}

/// Does something to the files of the service while it does not run, and starts it again.
async fn behind_its_back(house: &mut House, change: impl FnOnce(&Path)) {
    house.service.pause();
    change(&house.service.state());
    house.service.begin_again().expect("it starts");
    // The control socket answers, whatever the brain is like.
    for _ in 0..400 {
        if house.service.status().await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not answer: {}", house.service.log_tail(20));
}

fn database(state: &Path) -> Connection {
    Connection::open(state.join("state.db")).expect("the database")
}

fn sealed(database: &Connection, key: &str) -> (u64, u64, Vec<u8>) {
    let query = "SELECT version, written_ms, sealed FROM brain_record WHERE key = ?1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?));
    let (version, written, sealed) = database.query_row(query, [key], row).expect("a record");
    (version.unsigned_abs(), written.unsigned_abs(), sealed)
}

fn put(database: &Connection, key: &str, (version, written, sealed): &(u64, u64, Vec<u8>)) {
    let change = "UPDATE brain_record SET version = ?2, written_ms = ?3, sealed = ?4 WHERE key = ?1";
    let changed = database.execute(change, params![key, version.cast_signed(), written.cast_signed(), sealed]);
    assert_eq!(changed.expect("written"), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn row_83_flipped_bits_swapped_and_older_records_are_named_and_given_to_no_job() {
    let mut house = House::build(plan()).await;
    set(&house, "deploy/key", "an older value").await;
    set(&house, "deploy/other", "another").await;
    let mut older = (0, 0, Vec::new());
    behind_its_back(&mut house, |state| older = sealed(&database(state), "key")).await;
    house.service.connected().await.expect("connected");
    set(&house, "deploy/key", CANARY).await;
    assert!(house.ask("carol", "ops", "!tell").await.contains(&format!("{} of [redacted]", CANARY.len())));

    let mut right = ((0, 0, Vec::new()), (0, 0, Vec::new()));
    type Change<'a> = Box<dyn Fn(&Connection) + 'a>;
    let changes: [(&str, Change<'_>); 3] = [
        (
            "secret deploy/key does not authenticate",
            Box::new(|database| {
                let (version, written, mut bytes) = sealed(database, "key");
                bytes[20] ^= 1;
                put(database, "key", &(version, written, bytes));
            }),
        ),
        (
            "secret deploy/other is not the record that was written last",
            Box::new(|database| {
                let (one, other) = (sealed(database, "key"), sealed(database, "other"));
                put(database, "key", &other);
                put(database, "other", &one);
            }),
        ),
        (
            "secret deploy/key version 1 was put back where version 2 belongs",
            Box::new(|database| put(database, "key", &older)),
        ),
    ];
    for (said, change) in changes {
        behind_its_back(&mut house, |state| {
            let database = database(state);
            right = (sealed(&database, "key"), sealed(&database, "other"));
            change(&database);
        })
        .await;
        house.service.connected().await.expect("connected: the token is as it was");
        let reply = house.ask("carol", "ops", "!tell").await;
        assert!(reply.contains("cannot be run right now"), "{said}: {reply}");
        let refused = tell(&house, "secret set deploy/key", "written over").await;
        assert!(!refused.success() && refused.output.contains("nothing was read or written"), "{said}: {refused:?}");
        let log = house.service.log_tail(2000);
        assert!(log.contains(said), "{said}: {log}");
        assert!(!log.contains("canary"), "{log}");
        // Put right, all of it is as before: nothing was written over.
        behind_its_back(&mut house, |state| {
            put(&database(state), "key", &right.0);
            put(&database(state), "other", &right.1);
        })
        .await;
        house.service.connected().await.expect("connected");
        assert!(
            house.ask("carol", "ops", "!tell").await.contains(&format!("{} of [redacted]", CANARY.len())),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "current_thread")]
async fn row_83_an_older_file_as_a_whole_is_noticed_and_gives_no_token_until_it_is_accepted() {
    let mut house = House::build(plan()).await;
    set(&house, "deploy/key", "leaked and replaced").await;
    let copy = house.files.path().join("copy.db");
    behind_its_back(&mut house, |state| {
        fs::copy(state.join("state.db"), &copy).expect("copied");
    })
    .await;
    house.service.connected().await.expect("connected");
    set(&house, "deploy/key", CANARY).await;
    behind_its_back(&mut house, |state| {
        for name in ["state.db-wal", "state.db-shm"] {
            let _none = fs::remove_file(state.join(name));
        }
        fs::copy(&copy, state.join("state.db")).expect("put back");
    })
    .await;
    let status = tell(&house, "brain status", "").await;
    assert!(status.output.contains("an older database was put back"), "{status:?}");
    assert_ne!(house.service.status().await.expect("a status")["connected"], true, "there is no token, so no chat");
    assert!(tell(&house, "brain accept", "").await.success());
    house.service.connected().await.expect("connected");
    assert!(house.ask("carol", "ops", "!tell").await.contains("exit 0"));
}

#[tokio::test(flavor = "current_thread")]
async fn row_83_no_nonce_is_used_twice() {
    let mut house = House::build(plan()).await;
    let (mut nonces, mut seen) = (HashSet::new(), 0);
    for round in 0..4 {
        for _ in 0..4 {
            set(&house, "deploy/key", "the same value").await;
        }
        set(&house, "deploy/other", "the same value").await;
        assert!(round % 2 == 0 || tell(&house, "brain rekey", "").await.success());
        let mut all = Vec::new();
        behind_its_back(&mut house, |state| {
            let database = database(state);
            for query in
                ["SELECT sealed FROM brain_record", "SELECT sealed_index FROM brain", "SELECT wrapped FROM brain"]
            {
                let mut rows = database.prepare(query).expect(query);
                let rows = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect(query);
                all.extend(rows.map(|row| row.expect("bytes")));
            }
        })
        .await;
        // Two secrets, the token, the index, the wrapped key. A wrapped key stays until there is another.
        assert_eq!(all.len(), 5);
        for bytes in all {
            seen += usize::from(nonces.insert(bytes[..12].to_vec()));
        }
    }
    // In the one round after the first without a new key, the wrapped key and the token stay as they were.
    assert_eq!(seen, 4 * 5 - 2, "a nonce came twice");
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_is_exchanged_while_the_service_runs_and_a_wrong_one_changes_nothing() {
    let house = House::build(plan()).await;
    let before = house.pids("egress").await;
    let bot = house.server.file().bot;
    let wrong = tell(&house, "token rotate", "nosuchtokennosuchtokennosu").await;
    assert!(!wrong.success() && wrong.output.contains("does not know that token"), "{wrong:?}");
    let alices = house.server.new_token("alice").expect("a token");
    let others = tell(&house, "token rotate", &alices).await;
    assert!(!others.success() && others.output.contains("alice"), "{others:?}");
    house.works().await;
    let new = house.server.new_token(&bot.name).expect("a token");
    let done = tell(&house, "token rotate", &new).await;
    assert!(done.success() && done.output.contains("in use"), "{done:?}");
    house.works().await;
    assert_eq!(house.pids("egress").await, before, "nothing was started again");
    let log =
        house.service.log_tail(5000) + &fs::read_to_string(house.service.state().join("audit.jsonl")).expect("a log");
    for token in [&bot.token, &alices, &new, "nosuchtoken"] {
        assert!(!log.contains(token));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_kill_anywhere_in_a_rekey_loses_nothing_and_the_old_ciphertext_is_gone_in_the_end() {
    let mut house = House::build(plan()).await;
    set(&house, "deploy/key", CANARY).await;
    for number in 0..60 {
        set(&house, &format!("bulk/n{number}"), &"x".repeat(8000)).await;
    }
    let mut old: Vec<Vec<u8>> = Vec::new();
    behind_its_back(&mut house, |state| {
        let database = database(state);
        let mut rows = database.prepare("SELECT sealed FROM brain_record").expect("a query");
        let rows = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("rows");
        old.extend(
            rows.map(|row| row.expect("bytes")).filter(|bytes| bytes.len() > 4000).map(|b| b[100..164].to_vec()),
        );
        let file = files(state);
        assert_eq!(old.iter().filter(|piece| memchr::memmem::find(&file, piece).is_some()).count(), 60);
    })
    .await;
    house.service.connected().await.expect("connected");
    for step in 0..8u64 {
        let rekey = house.service.operator_line("printf '' | bartizan brain rekey");
        let kill = async {
            tokio::time::sleep(Duration::from_micros(500 + step * 2_500)).await;
            house.service.kill(Role::Core).await.expect("a core");
        };
        let _cut_short = tokio::join!(rekey, kill);
        // By a manager that has not seen it end so often.
        house.service.pause();
        house.service.begin_again().expect("it starts");
        house.service.connected().await.expect("connected");
        let reply = house.ask("carol", "ops", "!tell").await;
        assert!(reply.contains(&format!("{} of [redacted]", CANARY.len())), "step {step}: {reply}");
        assert_eq!(house.service.status().await.expect("a status")["problems"], serde_json::json!([]), "step {step}");
    }
    assert!(tell(&house, "brain rekey", "").await.success());
    assert!(house.ask("carol", "ops", "!tell").await.contains("of [redacted]"));
    let now = files(&house.service.state());
    let left = old.iter().filter(|piece| memchr::memmem::find(&now, piece).is_some()).count();
    assert_eq!(left, 0, "old ciphertext is still there");
}

fn files(state: &Path) -> Vec<u8> {
    let paths: Vec<PathBuf> = ["state.db", "state.db-wal"].map(|name| state.join(name)).into();
    paths.iter().flat_map(|path| fs::read(path).unwrap_or_default()).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn chat_sees_no_secret_that_a_script_prints_in_a_common_form() {
    let house = House::build(plan()).await;
    set(&house, "deploy/key", CANARY).await;
    let reply = house.ask("carol", "ops", "!tell").await;
    assert_eq!(reply.matches("[redacted]").count(), 3, "{reply}");
    assert!(!reply.contains("canary") && !reply.contains("Y2FuYXJ5"), "{reply}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_support_bundle_has_no_secret_no_token_no_key_and_nothing_that_was_typed() {
    let house = House::build(plan()).await;
    set(&house, "deploy/key", CANARY).await;
    assert!(house.ask("carol", "ops", "!tell").await.contains("exit 0"));
    assert!(house.ask("carol", "ops", &format!("!tell {CANARY}-typed")).await.contains("Usage"));
    let locked = tell(&house, &format!("lockdown {CANARY}-reason"), "").await;
    assert!(locked.success(), "{locked:?}");
    let bundle = tell(&house, "support-bundle", "").await;
    assert!(bundle.success(), "{bundle:?}");
    let text = bundle.output;
    let parsed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&parsed["status"]["health"], &parsed["status"]["lockdown"]), (&"ok".into(), &true.into()), "{text}");
    for part in ["sandbox", "doctor", "configuration", "jobs", "audit", "metrics"] {
        assert!(
            !parsed[part].is_null() && parsed[part]["error"].is_null() || part == "configuration",
            "{part}: {text}"
        );
    }
    let key = fs::read(house.service.state().join("brain.key")).expect("the key");
    let key = String::from_utf8_lossy(&key).trim().to_owned();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let token = house.server.file().bot.token;
    for hidden in [CANARY, "Y2FuYXJ5", hex.as_str(), token.as_str(), key.as_str(), "alice", "carol"] {
        assert!(hidden.len() > 4 && !text.contains(hidden), "{hidden} is in {text}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_secret_by_direct_message_is_in_the_brain_and_in_no_log() {
    let mut house = House::build(plan().config("\n[brain]\nsecrets-by-direct-message = true\n")).await;
    let bot = house.server.file().bot;
    for who in ["alice", "bob"] {
        house.server.direct_channel(who, &bot.name).expect("a direct channel");
    }
    let direct = |who: &str| house.server.direct_channel(who, &bot.name).expect("a direct channel");
    let say = |who: &str, text: &str| house.server.say(who, &direct(who), text).expect("said");
    let kept = say("alice", &format!("secret set deploy/key {CANARY}"));
    assert!(house.reply(&kept).await.contains("Delete your post now"));
    for (who, text) in [
        ("bob", format!("secret set deploy/other {CANARY}")),
        ("alice", format!("secret set deploy/other {CANARY} {CANARY}")),
        ("alice", format!("secert set deploy/other {CANARY}")),
        ("alice", format!("secret set bot/token {CANARY}")),
        ("alice", format!("explain secret set deploy/other {CANARY}")),
    ] {
        let post = say(who, &text);
        let reply = house.reply(&post).await;
        assert!(!reply.contains("canary"), "{text}: {reply}");
    }
    let public = house.say("alice", "ops", &format!("!secret set deploy/other {CANARY}"));
    assert!(house.reply(&public).await.contains("not secret any more"));
    assert!(house.ask("carol", "ops", "!tell").await.contains(&format!("{} of [redacted]", CANARY.len())));
    assert!(house.ask("carol", "ops", "!other").await.contains("cannot be run"));
    let record =
        house.recorded("the change", |record| record["event"] == "brain" && record["name"] == "deploy/key").await;
    assert!(record.to_string().contains("alice"), "{record}");
    // Not in the audit log, the journal, the database or anything else that was ever written.
    let state = house.service.state();
    house.service.pause();
    let home = state.parent().expect("the home").to_owned();
    for folder in [&home, &state] {
        for entry in fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
            let bytes = fs::read(entry.path()).expect("a file");
            assert!(memchr::memmem::find(&bytes, b"canary").is_none(), "{}", entry.path().display());
        }
    }
}
