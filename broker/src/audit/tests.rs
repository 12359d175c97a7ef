//! The log in files of its own, as the core uses it.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::Write as _;

/// How many lines there are, all of them as they were written.
fn verify(folder: &Path) -> u64 {
    bartizan_audit::verify_files(&folder.join("audit.jsonl"), None, Vec::new()).expect("verifies").last
}

fn alert(what: &str) -> Record {
    Record::Alert { what: what.into() }
}

fn written(folder: &Path, lines: usize) -> Audit {
    let mut audit = Audit::open(folder, &[]).expect("open");
    for number in 0..lines {
        audit.append(&alert(&format!("number {number}")));
    }
    audit.write().expect("write");
    audit
}

#[test]
fn the_file_is_put_aside_when_it_is_full_and_the_chain_goes_on_in_the_next() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut audit = written(folder.path(), 5);
    for _ in 0..3 {
        audit.rotate(1000);
        audit.append(&alert("after"));
        audit.rotate(1000);
        audit.write().expect("write");
        for number in 0..4 {
            audit.append(&alert(&format!("more {number}")));
        }
        audit.write().expect("write");
    }
    let files = bartizan_audit::segments(audit.path()).expect("segments");
    assert!(files.len() >= 3, "{files:?}");
    let count = verify(folder.path());
    drop(audit);
    // Nothing came after it was put aside.
    std::fs::rename(folder.path().join("audit.jsonl"), folder.path().join("audit-00000000000000000018.jsonl"))
        .expect("rename");
    let mut audit = Audit::open(folder.path(), &[]).expect("open");
    assert!(audit.unrecorded().is_empty());
    audit.append(&alert("later"));
    audit.write().expect("write");
    assert_eq!(verify(folder.path()), count + 1);
    std::fs::remove_file(&files[0].path).expect("remove");
    assert!(bartizan_audit::verify_files(audit.path(), None, Vec::new()).is_err(), "the first file is missing");
}

#[test]
fn what_is_pruned_leaves_a_stub_and_the_rest_verifies_also_when_it_is_pruned_again() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut audit = written(folder.path(), 5);
    assert!(audit.plan_prune(jiff::Timestamp::UNIX_EPOCH, "uid 0").expect("plan").is_none());
    for round in 0..3 {
        audit.rotate(u64::from(round == 1));
        audit.append(&alert("newest"));
        audit.write().expect("write");
        std::thread::sleep(std::time::Duration::from_millis(5));
        let plan = audit.plan_prune(jiff::Timestamp::now(), "uid 0").expect("plan").expect("something is old");
        audit.write().expect("write");
        assert!(audit.prune(&plan).expect("prune").0 > 0);
        audit.append(&alert("after"));
        audit.write().expect("write");
        verify(folder.path());
    }
    assert_eq!(bartizan_audit::segments(audit.path()).expect("segments").len(), 1);
    drop(audit);
    let audit = Audit::open(folder.path(), &[]).expect("open");
    assert!(audit.unrecorded().is_empty());
    let text = std::fs::read_to_string(audit.path()).expect("read");
    let (stub, rest) = text.split_once('\n').expect("a stub");
    assert!(stub.contains("\"pruned\""), "{stub}");
    std::fs::write(audit.path(), rest).expect("write");
    assert!(bartizan_audit::verify_files(audit.path(), None, Vec::new()).is_err(), "the stub is missing");
}

#[test]
fn another_key_takes_over_also_when_a_crash_came_before_it_had_its_place() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut audit = written(folder.path(), 2);
    let old = audit.public_key().clone();
    audit.rotate_key("uid 0").expect("rotate");
    audit.write().expect("write");
    let new = audit.public_key().clone();
    assert_ne!(old, new);
    drop(audit);
    let mut audit = Audit::open(folder.path(), &[]).expect("open");
    assert_eq!((audit.public_key(), audit.unrecorded().len()), (&new, 0));
    audit.append(&alert("signed by the new key"));
    audit.write().expect("write");
    assert_eq!(verify(folder.path()), 4);
    std::fs::remove_file(folder.path().join("audit.key")).expect("remove");
    let audit = Audit::open(folder.path(), &[]).expect("open");
    assert!(audit.unrecorded()[0].1.contains("the key is now another"), "a lost key is told about");
}

#[test]
fn the_chain_and_the_signatures_hold_over_a_restart_and_a_half_written_line() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut audit = Audit::open(folder.path(), &[]).expect("open");
    audit.append(&Record::Alert { what: "one \"quoted\"\nline".into() });
    audit.append(&Record::Alert { what: "two".into() });
    audit.write().expect("write");
    drop(audit);
    let path = folder.path().join("audit.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
    file.write_all(b"{\"sequence\":3,\"half").expect("write");
    drop(file);
    let mut audit = Audit::open(folder.path(), &[]).expect("open again");
    audit.append(&Record::Alert { what: "three".into() });
    audit.write().expect("write");
    assert_eq!(verify(folder.path()), 3);
}

/// Every place where a crash can cut the way of three lines from the transaction to the file: each line is there once.
#[test]
fn a_crash_anywhere_between_the_transaction_and_the_file_leaves_neither_a_gap_nor_a_doubled_line() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("audit.jsonl");
    let mut audit = Audit::open(folder.path(), &[]).expect("open");
    for what in ["one", "two", "three"] {
        audit.append(&Record::Alert { what: what.into() });
    }
    let remembered = audit.unrecorded().to_vec();
    audit.write().expect("write");
    drop(audit);
    let whole = std::fs::read(&path).expect("read");
    for length in 0..=whole.len() {
        std::fs::write(&path, &whole[..length]).expect("cut");
        let mut audit = Audit::open(folder.path(), &remembered).expect("open");
        assert_eq!(std::fs::read(&path).expect("read"), whole, "cut at {length}");
        assert!(audit.unrecorded().is_empty(), "no alarm: this is what a crash leaves");
        audit.append(&Record::Alert { what: "four".into() });
        audit.write().expect("write");
        assert_eq!(verify(folder.path()), 4);
    }
}

#[test]
fn a_file_that_lost_what_was_on_the_disk_is_told_about_and_the_chain_shows_the_gap() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("audit.jsonl");
    let mut audit = Audit::open(folder.path(), &[]).expect("open");
    for what in ["one", "two", "three"] {
        audit.append(&Record::Alert { what: what.into() });
    }
    let last = audit.unrecorded()[2..].to_vec();
    let first = audit.unrecorded()[0].1.clone();
    audit.write().expect("write");
    drop(audit);
    std::fs::write(&path, format!("{first}\n")).expect("cut");
    let audit = Audit::open(folder.path(), &last).expect("open");
    let (sequence, alarm) = &audit.unrecorded()[0];
    assert_eq!(*sequence, 4, "numbers are not given again");
    assert!(alarm.contains("line 1") && alarm.contains("line 3"), "{alarm}");
}

/// Written by the first version, which kept no lines in the database and had no checkpoints.
#[test]
fn a_log_of_the_first_version_verifies_and_is_gone_on_with() {
    let folder = tempfile::tempdir().expect("temp dir");
    let old = include_bytes!("../../../audit/tests/format-1.jsonl");
    std::fs::write(folder.path().join("audit.jsonl"), old).expect("write");
    assert_eq!(verify(folder.path()), 3);
    let key = BASE64.decode("/jJ0UGHyn9p9NAhKQzwbFcTaC6QSRDq47v8BElfr1Bc=").expect("base64");
    let path = folder.path().join("audit.key");
    std::fs::write(&path, key).expect("write");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    std::fs::set_permissions(&path, closed).expect("mode");
    let mut audit = Audit::open(folder.path(), &[]).expect("open");
    assert!(audit.unrecorded().is_empty());
    audit.append(&alert("of a later version"));
    audit.checkpoint(None);
    audit.write().expect("write");
    assert_eq!(verify(folder.path()), 5);
}

#[test]
fn a_log_that_ends_in_something_else_is_refused() {
    let folder = tempfile::tempdir().expect("temp dir");
    std::fs::write(folder.path().join("audit.jsonl"), "hello\n").expect("write");
    assert!(matches!(Audit::open(folder.path(), &[]), Err(AuditError::Broken { .. })));
}

fn copied(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("folder") {
        let entry = entry.expect("entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}

/// The service is killed at each step by which a file is put aside: nothing is missing, doubled or told to be wrong.
#[test]
fn a_crash_at_any_step_of_putting_the_file_aside_leaves_a_log_that_goes_on() {
    let before = tempfile::tempdir().expect("temp dir");
    let mut audit = written(before.path(), 5);
    let text = std::fs::read_to_string(audit.path()).expect("read");
    let mut remembered = vec![(5, text.lines().last().expect("a line").to_owned())];
    audit.close().expect("close");
    let crashed = |steps: &dyn Fn(&Path), remembered: &[(u64, String)]| {
        let folder = tempfile::tempdir().expect("temp dir");
        copied(before.path(), folder.path());
        steps(folder.path());
        let mut audit = Audit::open(folder.path(), remembered).expect("open");
        assert!(audit.unrecorded().is_empty(), "no alarm: {:?}", audit.unrecorded());
        audit.append(&alert("later"));
        audit.write().expect("write");
        assert_eq!(verify(folder.path()), 8);
        let files = bartizan_audit::segments(audit.path()).expect("segments");
        assert_eq!(files.len(), 2, "it is put aside now, if it was not before");
    };
    assert!(audit.rotate(1));
    audit.append(&alert("first of the next"));
    remembered.extend_from_slice(audit.unrecorded());
    let (path, closed) = ("audit.jsonl", "audit-00000000000000000001.jsonl");
    let lines = format!("{}\n{}\n", remembered[1].1, remembered[2].1);
    let aside = |folder: &Path| std::fs::rename(folder.join(path), folder.join(closed)).expect("rename");
    crashed(&|_| {}, &remembered);
    crashed(&aside, &remembered);
    for length in 0..=lines.len() {
        let steps = |folder: &Path| {
            aside(folder);
            std::fs::write(folder.join(path), &lines[..length]).expect("write");
        };
        crashed(&steps, &remembered);
    }
}

/// The service is killed at each step of a prune.
#[test]
fn a_crash_at_any_step_of_a_prune_leaves_a_log_that_verifies() {
    let before = tempfile::tempdir().expect("temp dir");
    let mut audit = written(before.path(), 3);
    for _ in 0..2 {
        assert!(audit.rotate(1));
        audit.append(&alert("next"));
        audit.write().expect("write");
    }
    std::thread::sleep(Duration::from_millis(5));
    let plan = audit.plan_prune(jiff::Timestamp::now(), "uid 0").expect("plan").expect("something is old");
    audit.write().expect("write");
    let after = tempfile::tempdir().expect("temp dir");
    copied(before.path(), after.path());
    let whole = bartizan_audit::segments(&after.path().join("audit.jsonl")).expect("segments");
    assert!(audit.prune(&plan).expect("prune").0 > 3);
    let pruned = std::fs::read(audit.path()).expect("read");
    // The file with the stub has its name, and none, one or both of the others are gone.
    for gone in 0..whole.len() {
        let folder = tempfile::tempdir().expect("temp dir");
        copied(after.path(), folder.path());
        std::fs::write(folder.path().join("audit.jsonl"), &pruned).expect("write");
        std::fs::write(folder.path().join("audit.new"), "half of it").expect("write");
        for segment in &whole[..gone] {
            std::fs::remove_file(folder.path().join(segment.path.file_name().expect("a name"))).expect("remove");
        }
        let audit = Audit::open(folder.path(), &[]).expect("open");
        assert!(audit.unrecorded().is_empty());
        verify(folder.path());
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 2, "log and key, and nothing left over");
    }
    // Nothing has its name yet.
    let audit = Audit::open(after.path(), &[]).expect("open");
    assert!(audit.unrecorded().is_empty());
    verify(after.path());
}

#[test]
fn a_file_that_is_taken_away_replaced_or_cut_while_it_is_open_is_told_about() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut audit = written(folder.path(), 3);
    let path = audit.path().to_owned();
    let whole = std::fs::read(&path).expect("read");
    assert_eq!(audit.keep_in_place().expect("kept"), None);
    std::fs::remove_file(&path).expect("remove");
    assert!(audit.keep_in_place().expect("kept").is_some_and(|what| what.contains("taken away")));
    assert_eq!(std::fs::read(&path).expect("read"), whole);
    std::fs::rename(&path, folder.path().join("elsewhere")).expect("rename");
    std::fs::write(&path, "another").expect("write");
    assert!(audit.keep_in_place().expect("kept").is_some());
    assert_eq!(std::fs::read(&path).expect("read"), whole);
    audit.append(&alert("goes on"));
    audit.write().expect("write");
    assert_eq!(verify(folder.path()), 4);
    std::fs::OpenOptions::new().write(true).open(&path).expect("open").set_len(10).expect("cut");
    assert!(audit.keep_in_place().expect("kept").is_some_and(|what| what.contains("cut")));
    assert_eq!(audit.keep_in_place().expect("kept"), None, "told once");
}

#[test]
fn a_log_that_was_rolled_back_or_whose_newest_file_is_gone_is_told_about() {
    let folder = tempfile::tempdir().expect("temp dir");
    let mut audit = written(folder.path(), 3);
    let old = std::fs::read(audit.path()).expect("read");
    assert!(audit.rotate(1));
    audit.append(&alert("newest"));
    let remembered = audit.unrecorded().to_vec();
    audit.write().expect("write");
    let newest = std::fs::read(audit.path()).expect("read");
    drop(audit);
    let path = folder.path().join("audit.jsonl");
    let closed = folder.path().join("audit-00000000000000000001.jsonl");
    let opened = || Audit::open(folder.path(), &remembered[1..]).expect("open").take_alarms();
    assert_eq!(opened().len(), 0);
    // The newest file is gone: the log ends with the one before it.
    std::fs::remove_file(&path).expect("remove");
    assert!(opened()[0].contains("ends at line 3, and line 5"), "the newest file");
    // All of it as it was before the file was put aside.
    std::fs::write(&path, &old).expect("write");
    std::fs::remove_file(&closed).expect("remove");
    assert!(opened()[0].contains("ends at line 3, and line 5"), "rolled back");
    // Only the older file is gone: that is what `verify` is for.
    std::fs::write(&path, &newest).expect("write");
    assert_eq!(opened().len(), 0);
    assert!(bartizan_audit::verify_files(&path, None, Vec::new()).is_err());
    // Everything is gone.
    std::fs::remove_file(&path).expect("remove");
    assert!(opened()[0].contains("empty or new"), "everything");
}
