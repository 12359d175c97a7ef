//! Answers of real schedulers, shortened.

use super::*;

/// `squeue --json` of Slurm 22.05.
const OLD: &str = r#"{"meta": {"plugin": {"type": "openapi/v0.0.38"}}, "errors": [], "jobs": [
 {"job_id": 4, "name": "other", "user_id": 64101, "job_state": "RUNNING", "nodes": "node1", "exit_code": 0},
 {"job_id": 3, "name": "mine", "user_id": 7, "job_state": "RUNNING", "nodes": "node2", "exit_code": 0},
 {"job_id": 9, "name": "mine", "user_id": 64101, "job_state": "PENDING", "nodes": "", "restart_cnt": 0, "exit_code": 0},
 {"job_id": 5, "name": "mine", "user_id": 64101, "job_state": "FAILED", "state_reason": "NonZeroExitCode", "nodes": "node[1-2]",
  "restart_cnt": 1, "exit_code": 1792, "derived_exit_code": 0}]}"#;

/// The same of Slurm 24.05.
const NEW: &str = r#"{"jobs": [{"job_id": 5, "name": "mine", "user_id": 64101, "job_state": ["CANCELLED"], "state_reason": "None",
 "nodes": "node1", "restart_cnt": 0, "exit_code": {"status": ["SIGNALED"], "return_code": {"set": true, "infinite": false, "number": 0},
 "signal": {"id": {"set": true, "infinite": false, "number": 15}, "name": "TERM"}}}], "last_backfill": {}, "errors": []}"#;

/// `sacct --json` of Slurm 22.05.
const ACCOUNTING: &str = r#"{"meta": {}, "errors": [], "jobs": [{"account": "root", "job_id": 5, "name": "mine", "user": "deploy",
 "nodes": "node1", "state": {"current": "COMPLETED", "reason": "None"}, "restart_cnt": 0,
 "exit_code": {"status": "SUCCESS", "return_code": 0}}]}"#;

fn mine(answer: &str, user: u32) -> Option<Seen> {
    first(answer.as_bytes(), &|seen| seen.name == "mine" && seen.user.is_none_or(|other| other == user))
        .expect("understood")
}

#[test]
fn of_all_jobs_the_first_of_that_name_and_user_is_seen() {
    let seen = mine(OLD, 64101).expect("there");
    assert_eq!((seen.id, seen.exit_code(), seen.restarts), (5, 7, 1));
    assert_eq!(seen.words(), "FAILED on node[1-2], exit 7, begun anew once");
    assert_eq!(mine(OLD, 7).expect("another's").words(), "runs on node2");
    assert_eq!(mine(OLD, 8), None);
}

#[test]
fn newer_forms_are_read_and_so_is_the_accounting() {
    let seen = mine(NEW, 64101).expect("there");
    assert_eq!((seen.words().as_str(), seen.exit_code()), ("CANCELLED on node1, signal 15", 143));
    let seen = mine(ACCOUNTING, 1).expect("there");
    assert_eq!((seen.words().as_str(), seen.exit_code()), ("COMPLETED on node1, exit 0", 0));
}

#[test]
fn a_job_that_is_still_being_put_away_is_not_over() {
    for (written, expected) in [
        (r#""COMPLETING""#, State::Other("COMPLETING".to_owned())),
        (r#"["FAILED", "COMPLETING"]"#, State::Other("COMPLETING".to_owned())),
        (r#"["NODE_FAIL", "REQUEUED"]"#, State::Other("REQUEUED".to_owned())),
        (r#"["PENDING"]"#, State::Waits),
        (r#""SUSPENDED""#, State::Other("SUSPENDED".to_owned())),
        (r#""TIMEOUT""#, State::Over("TIMEOUT".to_owned())),
        ("7", State::Other(String::new())),
    ] {
        let value: Value = serde_json::from_str(written).expect("JSON");
        assert_eq!(state(&value), expected, "{written}");
    }
}

#[test]
fn how_it_ended_is_never_taken_for_success() {
    let with = |state: &str, code: &str| {
        let job =
            format!(r#"{{"jobs": [{{"job_id": 1, "name": "mine", "job_state": "{state}", "exit_code": {code}}}]}}"#);
        mine(&job, 1).expect("there").exit_code()
    };
    assert_eq!(with("COMPLETED", "0"), 0);
    assert_eq!(with("FAILED", "0"), 1, "a node that could not run it");
    assert_eq!(with("NODE_FAIL", "0"), 1);
    assert_eq!(with("TIMEOUT", "0"), 124);
    assert_eq!(with("OUT_OF_MEMORY", "9"), 137);
    assert_eq!(with("FAILED", "65280"), 255);
}

#[test]
fn what_is_no_answer_is_an_error_and_a_number_is_a_number() {
    for odd in ["", "{", "[]", r#"{"jobs": 1}"#, r#"{"jobs": [1]}"#] {
        assert!(first(odd.as_bytes(), &|_| true).is_err(), "{odd}");
    }
    assert_eq!(first(&br#"{"errors": []}"#[..], &|_| true), Ok(None));
    assert_eq!(
        (number("12\n"), number("12;main\n"), number("sbatch: 12"), number("0")),
        (Some(12), Some(12), None, None)
    );
}

/// Before Slurm 23.02 everybody's jobs are in an answer, and a name that is no text made it unreadable for all.
#[test]
fn a_name_that_is_no_text_hides_no_other_job() {
    let answer = [
        &br#"{"jobs": [{"job_id": 1, "name": "m\u0069ne"#[..],
        b"\xff\xfe",
        br#"", "user_id": 7},"#,
        br#"
        {"job_id": 2, "name": "mine", "user_id": 7, "job_state": "RUNNING"}]}"#,
    ]
    .concat();
    let seen = first(&answer[..], &|seen| seen.name == "mine").expect("understood").expect("there");
    assert_eq!((seen.id, seen.state), (2, State::Runs));
}

#[test]
fn an_answer_without_a_bottom_is_an_error_and_many_of_one_name_are_not_all_kept() {
    for open in ["[", "{\"a\":"] {
        let deep = format!("{{\"jobs\": [{{\"name\": {}", open.repeat(1_000_000));
        assert!(first(deep.as_bytes(), &|_| true).is_err());
    }
    let one = |id: u64| format!(r#"{{"job_id": {id}, "name": "mine", "state_reason": "{}"}}"#, "long ".repeat(100));
    let jobs: Vec<String> = (0..1000).rev().map(one).collect();
    let found = all(format!("{{\"jobs\": [{}]}}", jobs.join(",")).as_bytes(), &|_| true).expect("understood");
    assert_eq!(
        found.iter().map(|seen| seen.id).collect::<Vec<_>>(),
        (1..=16).collect::<Vec<_>>(),
        "none without a number"
    );
    assert!(found.iter().all(|seen| seen.reason.len() <= MAX_REASON));
}

/// `squeue --json` of Slurm 22.05 whose controller is down: exit code 0, and no job in it.
const DOWN: &str = r#"{"meta": {}, "errors": [{"description": "Failed while looking for jobs", "error_number": -1,
 "error": "Unspecified error", "source": "slurm_load_jobs"}], "jobs": []}"#;

#[test]
fn an_answer_with_an_error_is_not_that_there_is_no_such_job() {
    for answer in [DOWN.to_owned(), DOWN.replace(", \"jobs\": []", "").replace("{\"meta\": {}", "{\"jobs\": []")] {
        let why = first(answer.as_bytes(), &|_| true).expect_err("nobody knows");
        assert!(why.starts_with("slurm_load_jobs: Unspecified error: Failed while looking for jobs"), "{why}");
    }
    assert_eq!(first(&br#"{"errors": null, "jobs": []}"#[..], &|_| true), Ok(None));
}
