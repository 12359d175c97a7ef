//! Whatever is done to a log by somebody who has not the key is seen, and named.

use bartizan_audit::{
    Chain, Fields, Kind, PublicKey, Report, SealingKey, VerifyError, Witness, proof_of_new_key, verify_files,
};
use bartizan_secret::SecretBytes;
use proptest::prelude::*;
use serde_json::json;
use std::path::PathBuf;

fn fields(event: &str) -> Fields {
    let value = json!({ "event": event, "userId": "u".repeat(26), "command": "deploy \"api\"\\n", "success": true });
    value.as_object().expect("an object").clone()
}

fn key(number: u8) -> SealingKey {
    let seed = SecretBytes::build(SealingKey::LENGTH, |memory| memory.fill(number)).expect("memory");
    SealingKey::of(&seed).expect("memory")
}

fn public(number: u8) -> PublicKey {
    key(number).public_key().clone()
}

fn log(lines: usize) -> Vec<String> {
    let mut chain = Chain::after(key(7), None);
    (0..lines)
        .map(|number| chain.seal(&format!("2026-01-01T00:00:{:02}.000Z", number % 60), fields("decision")))
        .collect()
}

fn verify(bytes: &[u8], witnesses: Vec<Witness>) -> Result<Report, (Kind, u64, String)> {
    let folder = tempfile::tempdir().expect("temp dir");
    let path: PathBuf = folder.path().join("audit.jsonl");
    std::fs::write(&path, bytes).expect("write");
    verify_files(&path, Some(public(7)), witnesses).map_err(|error| match error {
        VerifyError::Fault(fault) => (fault.kind, fault.line, fault.why),
        VerifyError::Io { source, .. } => panic!("{source}"),
    })
}

fn joined(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

fn witness(lines: &[String]) -> Vec<Witness> {
    let last = lines.last().expect("a line");
    Witness::all(&format!("Jan 1 host core[1]: checkpoint {last}"), "a journal", Some(&public(7))).expect("a witness")
}

#[test]
fn an_untouched_log_verifies() {
    let lines = log(1300);
    let report = verify(&joined(&lines), witness(&lines)).expect("verifies");
    assert_eq!((report.lines, report.first, report.last, report.known_key, report.witnesses), (1300, 1, 1300, true, 1));
    assert_eq!(verify(b"", Vec::new()).expect("nothing is wrong with nothing").lines, 0);
}

#[test]
fn each_kind_of_change_has_its_name_and_its_line() {
    let lines = log(9);
    let kind =
        |lines: &[String]| verify(&joined(lines), Vec::new()).map_err(|(kind, line, _)| (kind, line)).unwrap_err();
    let mut edited = lines.clone();
    edited[4] = edited[4].replace("deploy", "status");
    assert_eq!(kind(&edited), (Kind::Edited, 5));
    let mut removed = lines.clone();
    removed.remove(4);
    assert_eq!(kind(&removed), (Kind::Removed, 5));
    assert_eq!(kind(&lines[1..]), (Kind::Removed, 1));
    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    assert_eq!(kind(&swapped), (Kind::Reordered, 5));
    let mut doubled = lines.clone();
    doubled.insert(5, lines[4].clone());
    assert_eq!(kind(&doubled), (Kind::Reordered, 6));
    let mut malformed = lines.clone();
    malformed[4] = "hello".to_owned();
    assert_eq!(kind(&malformed), (Kind::Malformed, 5));
    let mut foreign = lines.clone();
    foreign[4] = Chain::after(key(8), Some((4, &lines[3]))).seal("2026-01-01T00:00:04.000Z", fields("decision"));
    assert_eq!(kind(&foreign), (Kind::ForeignKey, 5));
    let mut forked = lines.clone();
    forked[4] = Chain::after(key(7), Some((4, &lines[3]))).seal("2026-01-01T00:00:04.000Z", fields("other"));
    assert_eq!(kind(&forked), (Kind::Forked, 6), "only the next line shows that it is not the one that was there");
    let mut all_foreign = Chain::after(key(8), None);
    assert_eq!(kind(&[all_foreign.seal("2026-01-01T00:00:00.000Z", fields("decision"))]), (Kind::ForeignKey, 1));
}

#[test]
fn a_cut_tail_shows_against_a_witness_and_half_a_line_by_itself() {
    let lines = log(9);
    let bytes = joined(&lines);
    assert_eq!(verify(&bytes[..bytes.len() - 5], Vec::new()).unwrap_err().0, Kind::Cut);
    assert!(verify(&joined(&lines[..7]), Vec::new()).is_ok(), "a plain chain does not show it");
    let (kind, _, why) = verify(&joined(&lines[..7]), witness(&lines)).unwrap_err();
    assert_eq!(kind, Kind::Cut);
    assert!(why.contains("line 7") && why.contains("line 9"), "{why}");
    assert_eq!(verify(b"", witness(&lines)).unwrap_err().0, Kind::Cut);
}

#[test]
fn a_log_that_was_written_again_with_the_key_shows_against_a_witness() {
    let lines = log(9);
    let mut again = lines[..7].to_vec();
    let mut chain = Chain::after(key(7), Some((7, &lines[6])));
    for _ in 0..4 {
        again.push(chain.seal("2026-01-01T00:01:00.000Z", fields("other")));
    }
    assert!(verify(&joined(&again), Vec::new()).is_ok());
    assert_eq!(verify(&joined(&again), witness(&lines)).unwrap_err().0, Kind::Forked);
}

#[test]
fn a_forged_witness_is_none() {
    let line = log(1).remove(0);
    assert!(Witness::all(&line.replace("decision", "nothing"), "x", None).is_err());
    assert!(Witness::all("nothing of the kind", "x", None).is_err());
    assert!(Witness::all(&line, "x", Some(&public(8))).is_err());
}

fn rotated(proof_by: u8) -> Vec<String> {
    let mut lines = log(3);
    let mut chain = Chain::after(key(7), Some((3, &lines[2])));
    let (old, new) = (public(7), public(9));
    let mut record = fields("key-rotation");
    record.insert("newPublicKey".into(), new.as_str().into());
    let proof = proof_of_new_key(old.as_str(), new.as_str(), 4);
    record.insert("newSignature".into(), Chain::after(key(proof_by), None).sign(&proof).into());
    lines.push(chain.seal("2026-01-01T00:01:00.000Z", record));
    chain.change_key(key(9));
    lines.push(chain.seal("2026-01-01T00:02:00.000Z", fields("decision")));
    lines
}

#[test]
fn another_key_signs_after_the_old_one_said_so_and_the_new_one_proved_itself() {
    let report = verify(&joined(&rotated(9)), Vec::new()).expect("verifies");
    assert_eq!(report.keys, [public(7).to_string(), public(9).to_string()]);
    assert_eq!(verify(&joined(&rotated(8)), Vec::new()).unwrap_err().0, Kind::Malformed);
    let mut unsaid = log(3);
    unsaid.push(Chain::after(key(9), Some((3, &unsaid[2]))).seal("2026-01-01T00:01:00.000Z", fields("decision")));
    assert_eq!(verify(&joined(&unsaid), Vec::new()).unwrap_err().0, Kind::ForeignKey);
}

#[test]
fn a_pruned_log_verifies_when_a_line_of_it_tells_of_the_prune() {
    let lines = log(9);
    let mut chain = Chain::after(key(7), Some((9, &lines[8])));
    let head = bartizan_audit::hash(lines[4].as_bytes());
    let mut told = fields("prune");
    told.insert("through".into(), 5.into());
    told.insert("headHash".into(), head.clone().into());
    let mut stub = fields("pruned");
    stub.insert("nextPublicKey".into(), public(7).as_str().into());
    let stub = chain.stub(5, &head, "2026-01-01T00:01:00.000Z", stub);
    let mut pruned: Vec<String> = std::iter::once(stub).chain(lines[5..].to_vec()).collect();
    assert_eq!(verify(&joined(&pruned), Vec::new()).unwrap_err().0, Kind::Removed, "nothing tells of it");
    pruned.push(chain.seal("2026-01-01T00:01:00.000Z", told));
    let report = verify(&joined(&pruned), Vec::new()).expect("verifies");
    assert_eq!((report.pruned_through, report.first, report.last), (Some(5), 6, 10));
    pruned.remove(1);
    assert_eq!(verify(&joined(&pruned), Vec::new()).unwrap_err().0, Kind::Removed);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Any byte of any line, changed to any other.
    #[test]
    fn any_edit_is_seen(lines in 1..8_usize, at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let lines = log(lines);
        let mut bytes = joined(&lines);
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        prop_assert!(verify(&bytes, witness(&lines)).is_err());
    }

    #[test]
    fn any_swap_is_seen(count in 2..9_usize, one in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let lines = log(count);
        let (one, other) = (one.index(count), other.index(count));
        prop_assume!(one != other);
        let mut swapped = lines.clone();
        swapped.swap(one, other);
        prop_assert!(verify(&joined(&swapped), Vec::new()).is_err());
    }

    /// Any run of lines, taken out anywhere: at the end it takes a witness to see it.
    #[test]
    fn any_removal_is_seen(count in 1..9_usize, from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let lines = log(count);
        let (from, to) = (from.index(count), to.index(count));
        prop_assume!(from <= to);
        let mut kept = lines.clone();
        kept.drain(from..=to);
        prop_assert!(verify(&joined(&kept), witness(&lines)).is_err());
        prop_assert_eq!(verify(&joined(&kept), Vec::new()).is_ok(), to == count - 1);
    }

    #[test]
    fn any_cut_is_seen(count in 1..6_usize, at in any::<prop::sample::Index>()) {
        let lines = log(count);
        let bytes = joined(&lines);
        prop_assert!(verify(&bytes[..at.index(bytes.len())], witness(&lines)).is_err());
    }

    /// Reading is for anything.
    #[test]
    fn nothing_that_is_read_makes_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _verdict = verify(&bytes, Vec::new());
    }
}
