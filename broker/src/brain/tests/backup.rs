//! A backup of a brain over its real file: into an empty house, over a newer brain, and damaged.

use super::*;
use bartizan_proto::brain::BrainAnswer;

fn backup_of(brain: &mut Brain, store: &Store) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        match brain.backup_part(store, bytes.len() as u64).expect("a part") {
            BrainAnswer::Part { part, .. } if part.is_empty() => return bytes,
            BrainAnswer::Part { part, .. } => bytes.extend_from_slice(&part),
            other => panic!("{other:?}"),
        }
    }
}

fn restore(brain: &mut Brain, store: &mut Store, bytes: &[u8], opening: &Opening) -> Result<usize, BrainError> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert!(brain.take_part(0, first, false).expect("a part").is_none());
    let backup = brain.take_part(first.len() as u64, second, true)?.expect("whole");
    brain.restore(store, backup, opening)
}

#[test]
fn a_backup_is_restored_into_an_empty_house_and_over_a_newer_brain() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    for i in 0..100 {
        put(&mut brain, &mut store, &format!("deploy/k{i}"), &vec![i; 15_000]);
    }
    let bytes = backup_of(&mut brain, &store);
    assert!(bytes.len() > 1_400_000 && !bytes.windows(24).any(|window| window == CANARY));
    put(&mut brain, &mut store, "deploy/k5", b"newer");
    let newer = brain.checkpoint().expect("open");
    assert_eq!(restore(&mut brain, &mut store, &bytes, &Opening::Configured).expect("restored"), 100);
    store.commit().expect("commit");
    assert_eq!(value(&mut brain, &store, "deploy/k5"), vec![5; 15_000]);
    assert!(brain.checkpoint().expect("open").epoch > newer.epoch, "not taken for an old database");

    let empty = Ground::new();
    std::fs::copy(ground.at("brain.key"), empty.at("brain.key")).expect("the key is kept apart");
    let (mut brain, mut store) = empty.start(Some(newer));
    assert_eq!(brain.status().state, BrainState::Broken);
    restore(&mut brain, &mut store, &bytes, &Opening::Configured).expect("restored");
    store.commit().expect("commit");
    let known = brain.checkpoint();
    drop((brain, store));
    let (mut brain, store) = empty.start(known);
    assert_eq!(value(&mut brain, &store, "deploy/k99"), vec![99; 15_000]);
}

#[test]
fn a_damaged_backup_changes_nothing_wherever_it_is_damaged() {
    let ground = Ground::new();
    let (mut brain, mut store) = ground.start(None);
    put(&mut brain, &mut store, "deploy/key", CANARY);
    put(&mut brain, &mut store, "deploy/other", b"other");
    let bytes = backup_of(&mut brain, &store);
    put(&mut brain, &mut store, "deploy/key", b"now");
    for at in (0..bytes.len()).step_by(3) {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        assert!(restore(&mut brain, &mut store, &bad, &Opening::Configured).is_err(), "byte {at}");
    }
    for end in [0, 10, 40, bytes.len() - 1] {
        assert!(restore(&mut brain, &mut store, &bytes[..end], &Opening::Configured).is_err(), "cut at {end}");
    }
    assert!(!store.is_writing());
    assert_eq!(value(&mut brain, &store, "deploy/key"), b"now");
}
