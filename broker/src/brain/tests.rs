//! The brain over its real file: what an attacker with the database in hand can do to it, and what a kill leaves.

mod backup;

use super::*;
use crate::brain::memory::LOCK_FOR;
use bartizan_proto::brain::Opening;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CANARY: &[u8] = b"canary-of-a-secret-value";

struct Ground {
    folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("temp dir") }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self, known: Option<Checkpoint>) -> (Brain, Store) {
        self.start_with(KeySource::Own(self.at("brain.key")), known)
    }

    fn start_with(&self, source: KeySource, known: Option<Checkpoint>) -> (Brain, Store) {
        let mut store = Store::open(&self.at("state.db")).expect("a store");
        let brain = Brain::start(source, None, Trust::single_user(), known, &mut store).expect("a brain");
        store.commit().expect("commit");
        (brain, store)
    }

    /// Does something to the database behind the brain's back.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.at("state.db")).expect("open");
        assert!(connection.execute(sql, params![]).expect(sql) > 0, "{sql} changed nothing");
    }

    fn copy_to(&self, other: &Ground) {
        for entry in std::fs::read_dir(self.folder.path()).expect("a folder").flatten() {
            std::fs::copy(entry.path(), other.at(&entry.file_name().to_string_lossy())).expect("copy");
        }
    }

    fn contains(&self, needle: &[u8]) -> bool {
        ["state.db", "state.db-wal", "state.db-journal"].into_iter().any(|name| {
            let bytes = std::fs::read(self.at(name)).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    }
}

fn secret(name: &str) -> RecordId {
    RecordId::secret(&name.parse().expect("a name"))
}

fn put(brain: &mut Brain, store: &mut Store, name: &str, value: &[u8]) {
    brain.put(store, &secret(name), value).expect("put");
    store.commit().expect("commit");
}

fn value(brain: &mut Brain, store: &Store, name: &str) -> Vec<u8> {
    brain.get(store, &secret(name)).expect("get").expose().to_vec()
}

fn damaged(brain: &mut Brain, store: &Store, name: &str) -> String {
    match brain.get(store, &secret(name)) {
        Err(error @ BrainError::Damaged { .. }) => error.to_string(),
        other => panic!("not damaged: {other:?}"),
    }
}

#[test]
fn a_secret_is_there_after_a_restart_and_nowhere_in_the_file() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    put(&mut brain, &mut store, "deploy/key", b"second");
    put(&mut brain, &mut store, "deploy/other", CANARY);
    let known = brain.checkpoint();
    drop((brain, store));
    let (mut brain, store) = ground.start(known);
    assert_eq!(value(&mut brain, &store, "deploy/key"), b"second");
    assert_eq!(value(&mut brain, &store, "deploy/other"), CANARY);
    assert!(!ground.contains(CANARY));
    assert!(matches!(brain.get(&store, &secret("deploy/none")), Err(BrainError::Missing(_))));
}

#[test]
fn row_83_a_flipped_bit_is_an_error_that_names_the_record_and_is_not_written_over() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    put(&mut brain, &mut store, "deploy/other", b"other");
    drop((brain, store));
    // In the middle of the ciphertext, which the index does not cover by itself.
    ground.tamper(
        "UPDATE brain_record SET sealed = CAST(substr(sealed, 1, 15) || X'00' || substr(sealed, 17) AS BLOB) WHERE key = 'key'",
    );
    let (mut brain, mut store) = ground.start(None);
    let why = damaged(&mut brain, &store, "deploy/key");
    assert!(why.contains("secret deploy/key"), "{why}");
    let refused = brain.put(&mut store, &secret("deploy/key"), b"new");
    assert!(matches!(refused, Err(BrainError::Damaged { .. })), "written over");
    assert_eq!(value(&mut brain, &store, "deploy/other"), b"other", "the others are as they were");
    assert_eq!(brain.problems().len(), 1);
    brain.remove(&mut store, &secret("deploy/key")).expect("what is damaged can be removed");
    brain.put(&mut store, &secret("deploy/key"), b"new").expect("and made anew");
}

#[test]
fn row_83_two_swapped_records_are_both_errors() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    put(&mut brain, &mut store, "deploy/other", b"other");
    drop((brain, store));
    for (from, to) in [("key", "between"), ("other", "key"), ("between", "other")] {
        ground.tamper(&format!("UPDATE brain_record SET key = '{to}' WHERE key = '{from}'"));
    }
    let (mut brain, store) = ground.start(None);
    damaged(&mut brain, &store, "deploy/key");
    damaged(&mut brain, &store, "deploy/other");
}

#[test]
fn row_83_a_record_of_another_place_does_not_open_even_with_an_index_that_was_not_asked() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    let row = store.brain_record("secret", "deploy", "key").expect("read").expect("there");
    let open = brain.open().expect("open");
    let about = secret("deploy/key").about(&open.key_id, row.version, row.written_ms);
    assert!(open.cipher.open(&about, &row.sealed).is_ok());
    for other in [
        secret("deploy/kez").about(&open.key_id, row.version, row.written_ms),
        secret("deplox/key").about(&open.key_id, row.version, row.written_ms),
        secret("deploy/key").about(&open.key_id, row.version + 1, row.written_ms),
        secret("deploy/key").about(&[0; KEY_ID], row.version, row.written_ms),
    ] {
        assert_eq!(open.cipher.open(&other, &row.sealed).err(), Some(SealError::Authentic));
    }
}

#[test]
fn row_83_an_older_version_of_a_record_is_noticed() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", b"first");
    let first = store.brain_record("secret", "deploy", "key").expect("read").expect("there");
    put(&mut brain, &mut store, "deploy/key", b"second");
    drop((brain, store));
    let mut store = Store::open(&ground.at("state.db")).expect("open");
    store.put_brain_record(&first).expect("put back");
    store.commit().expect("commit");
    drop(store);
    let (mut brain, store) = ground.start(None);
    let why = damaged(&mut brain, &store, "deploy/key");
    assert!(why.contains("version 1 was put back where version 2 belongs"), "{why}");
}

#[test]
fn row_83_a_removed_row_and_a_row_from_elsewhere_are_named() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    drop((brain, store));
    ground.tamper("UPDATE brain_record SET key = 'moved'");
    let (brain, _store) = ground.start(None);
    let problems = brain.problems().join("\n");
    assert!(problems.contains("deploy/key was removed") && problems.contains("deploy/moved"), "{problems}");
}

#[test]
fn row_83_an_older_database_is_noticed_by_the_audit_logs_epoch() {
    let (ground, old) = (Ground::new(), Ground::new());
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", b"first");
    drop((brain, store));
    ground.copy_to(&old);
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", b"second");
    let known = brain.checkpoint().expect("open");
    drop((brain, store));
    assert!(ground.start(Some(known)).0.is_open(), "the newest one is believed");
    let (mut brain, mut store) = old.start(Some(known));
    let status = brain.status();
    assert_eq!(status.state, BrainState::Broken);
    assert!(status.remedy.contains("older database") && status.remedy.contains("bartizan brain accept"), "{status:?}");
    assert!(matches!(brain.get(&store, &secret("deploy/key")), Err(BrainError::Broken(_))));
    assert!(matches!(brain.put(&mut store, &secret("deploy/key"), b"x"), Err(BrainError::Broken(_))));
    brain.accept(&mut store).expect("an operator says so");
    assert_eq!(value(&mut brain, &store, "deploy/key"), b"first");
    assert!(brain.checkpoint().expect("open").epoch > known.epoch);
}

#[test]
fn row_83_another_database_of_the_same_epoch_and_one_that_is_gone_are_noticed() {
    let (ground, other) = (Ground::new(), Ground::new());
    drop(ground.start(None));
    ground.copy_to(&other);
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", b"one");
    let known = brain.checkpoint().expect("open");
    let (mut brain, mut store) = other.start(None);
    put(&mut brain, &mut store, "deploy/key", b"two");
    assert_eq!(brain.checkpoint().map(|c| c.epoch), Some(known.epoch));
    drop((brain, store));
    assert_eq!(other.start(Some(known)).0.status().state, BrainState::Broken);
    assert_eq!(Ground::new().start(Some(known)).0.status().state, BrainState::Broken);
}

#[test]
fn without_its_key_it_is_locked_and_with_another_it_stays_so() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    drop((brain, store));
    std::fs::rename(ground.at("brain.key"), ground.at("kept.key")).expect("rename");
    let (brain, store) = ground.start(None);
    assert_eq!(brain.status().state, BrainState::Locked);
    assert!(brain.status().remedy.contains("does not open this brain"), "{:?}", brain.status());
    drop((brain, store));
    std::fs::remove_file(ground.at("brain.key")).expect("the one that was made");
    std::fs::rename(ground.at("kept.key"), ground.at("brain.key")).expect("rename");
    let (mut brain, store) = ground.start(None);
    assert_eq!(value(&mut brain, &store, "deploy/key"), CANARY);
}

#[test]
fn a_brain_with_a_passphrase_waits_for_it() {
    let ground = Ground::new();
    let typed = |text: &str| Opening::Passphrase(Confidential::copy_of(text.as_bytes()).expect("short"));
    let (mut brain, mut store) = ground.start_with(KeySource::Passphrase, None);
    assert_eq!(brain.status().state, BrainState::Absent);
    brain.init(&mut store, &typed("correct horse battery"), false).expect("made");
    put(&mut brain, &mut store, "deploy/key", CANARY);
    drop((brain, store));
    let (mut brain, store) = ground.start_with(KeySource::Passphrase, None);
    assert_eq!(brain.status().state, BrainState::Locked);
    assert!(brain.status().remedy.contains("bartizan brain unlock"));
    assert!(matches!(brain.get(&store, &secret("deploy/key")), Err(BrainError::Locked)));
    assert!(matches!(brain.unlock(&store, &typed("wrong horse battery")), Err(BrainError::WrongKey)));
    assert_eq!(brain.status().state, BrainState::Locked);
    brain.unlock(&store, &typed("correct horse battery")).expect("opens");
    assert_eq!(value(&mut brain, &store, "deploy/key"), CANARY);
}

/// What is on the disk at a step is what a kill at that step leaves: each is copied and started from.
#[test]
fn a_rekey_that_is_killed_at_any_step_loses_nothing_and_is_finished_by_the_next_start() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    for i in 0..20 {
        put(&mut brain, &mut store, &format!("deploy/key{i}"), format!("value {i}").as_bytes());
    }
    let before = store.brain_records().expect("rows");
    let known = brain.checkpoint();
    let mut killed: Vec<(String, Ground)> = Vec::new();
    let mut kill = |step: &str| {
        let copy = Ground::new();
        ground.copy_to(&copy);
        killed.push((step.to_owned(), copy));
    };
    kill("before");
    brain.rekey(&mut store, &Opening::Configured).expect("a new key");
    kill("written");
    assert!(brain.take_remains());
    store.erase_remains(&mut kill).expect("erased");
    let after = brain.checkpoint();
    assert!(killed.iter().any(|(step, _)| step == "committed") && killed.len() == 7, "every step was seen");
    drop((brain, store));
    killed.push(("after".to_owned(), ground));
    for (step, copy) in killed {
        let (mut brain, store) = copy.start(known);
        assert!(brain.is_open(), "{step}: {:?}", brain.status());
        assert_eq!(brain.problems(), [""; 0], "{step}");
        for i in 0..20 {
            assert_eq!(
                value(&mut brain, &store, &format!("deploy/key{i}")),
                format!("value {i}").into_bytes(),
                "{step}"
            );
        }
        drop(store);
        if !["before", "written"].contains(&step.as_str()) {
            for row in &before {
                assert!(!copy.contains(&row.sealed), "{step}: an old ciphertext of {} is in the file", row.key);
            }
            assert_eq!(brain.checkpoint(), after, "{step}");
        }
    }
}

#[test]
fn the_ciphertext_that_a_new_value_replaced_is_not_in_the_file_after_a_rekey() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    let mut old = Vec::new();
    for round in 0..5 {
        for key in ["deploy/a", "deploy/b"] {
            put(&mut brain, &mut store, key, &[round; 9000]);
        }
        old.extend(store.brain_records().expect("rows").into_iter().map(|row| row.sealed));
    }
    old.push(store.brain_head().expect("head").expect("there").wrapped);
    assert!(old.iter().any(|sealed| ground.contains(&sealed[..64])), "there is something to find");
    brain.rekey(&mut store, &Opening::Configured).expect("a new key");
    store.erase_remains(&mut |_| {}).expect("erased");
    for sealed in &old {
        for piece in sealed.chunks(32).filter(|piece| piece.len() == 32) {
            assert!(!ground.contains(piece), "a piece of an old ciphertext");
        }
    }
    assert_eq!(value(&mut brain, &store, "deploy/a"), [4; 9000]);
}

#[test]
fn a_rekey_with_a_damaged_record_changes_nothing() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    drop((brain, store));
    ground.tamper("UPDATE brain_record SET version = 7");
    let (mut brain, mut store) = ground.start(None);
    assert!(matches!(brain.rekey(&mut store, &Opening::Configured), Err(BrainError::Damaged { .. })));
    assert!(!store.is_writing() && !brain.take_remains());
}

#[test]
fn a_memory_that_is_checked_out_to_change_is_changed_by_its_holder_only_and_for_so_long_only() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    let (space, key) = ("deploy".parse().expect("a name"), "last".parse().expect("a name"));
    let now = Instant::now();
    let (ticket, none) = brain.check_out(&store, &space, &key, true, now).expect("free");
    let ticket = ticket.expect("to change");
    assert!(none.is_none());
    assert!(matches!(brain.check_out(&store, &space, &key, true, now), Err(BrainError::CheckedOut(_))));
    assert!(brain.check_out(&store, &space, &key, false, now).expect("reading never waits").0.is_none());
    brain.update(&mut store, ticket, b"one", now).expect("the holder");
    assert!(matches!(brain.update(&mut store, ticket, b"two", now), Err(BrainError::CheckedOut(_))), "checked in");
    let (late, value) = brain.check_out(&store, &space, &key, true, now).expect("free again");
    assert_eq!(value.expect("there").expose(), b"one");
    let later = now + LOCK_FOR + Duration::from_secs(1);
    let (next, _) = brain.check_out(&store, &space, &key, true, later).expect("the time is over");
    assert!(matches!(
        brain.update(&mut store, late.expect("to change"), b"late", later),
        Err(BrainError::CheckedOut(_))
    ));
    brain.delete(&mut store, next.expect("to change"), later).expect("deleted");
    assert!(brain.check_out(&store, &space, &key, false, later).expect("reads").1.is_none());
    assert!(brain.memories(&space).expect("reads").is_empty());
    let bot = "bot".parse().expect("a name");
    assert!(matches!(brain.check_out(&store, &bot, &key, false, now), Err(BrainError::Reserved)));
}

#[test]
fn an_export_gives_every_secret_and_memory_and_never_the_token() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    brain.put(&mut store, &RecordId::token(), b"thetoken").expect("put");
    put(&mut brain, &mut store, "deploy/key", CANARY);
    assert!(brain.has_token());
    let first = brain.nth(&store, 0).expect("reads").expect("one");
    assert_eq!((&*first.value, first.row.key.as_str()), (CANARY, "key"));
    assert!(brain.nth(&store, 1).expect("reads").is_none());
}

#[test]
fn a_value_has_a_limit_and_cannot_be_empty() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    let too_large = vec![0; MAX_SECRET + 1];
    assert!(matches!(brain.put(&mut store, &secret("a/b"), &too_large), Err(BrainError::TooLarge)));
    assert!(brain.put(&mut store, &secret("a/b"), b"").is_err());
    assert!(Path::new(&ground.at("state.db")).exists());
}
