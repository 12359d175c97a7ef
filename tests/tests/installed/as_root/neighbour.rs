//! What the account that starts the service can do to it from outside, beyond starting and ending it: slow down its own half,
//! and nothing to the other.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{INVOKER, OPERATOR, Place, STRANGER};
use std::os::unix::process::CommandExt;

#[test]
fn row_18_a_main_process_that_is_stopped_stops_its_own_half_only_and_goes_on_afterwards() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    let before = running.processes();
    let (ok, text) = INVOKER.shell(&format!("kill -STOP {} {}", before.main, before.connector));
    assert!(ok, "{text}");
    // The operators are heard, and what is asked meanwhile is not lost.
    let post = place.server.say("carol", "ops", "!hello Later").expect("said");
    for _ in 0..5 {
        assert_eq!(place.bartizan(OPERATOR, &["status", "--json"]).status.code(), Some(0));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let (ok, text) = INVOKER.shell(&format!("kill -CONT {} {}", before.main, before.connector));
    assert!(ok, "{text}");
    let replies =
        running.wait("the answer", |_| Some(place.server.replies(&post)).filter(|replies| !replies.is_empty()));
    assert_eq!(replies.len(), 1);
    running.works();
    assert_eq!((running.processes().core, running.processes().egress), (before.core, before.egress));
}

#[test]
fn row_05_and_07_nobody_changes_limits_priorities_or_memory_of_the_services_half() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    let processes = running.processes();
    for pid in processes.of_service() {
        for user in [INVOKER, STRANGER] {
            for deed in [
                format!("prlimit --pid {pid} --nofile=8:8"),
                format!("prlimit --pid {pid} --fsize=1:1"),
                format!("renice -n 19 -p {pid}"),
                format!("ionice -c 3 -p {pid}"),
                format!("chrt -i -p 0 {pid}"),
                format!("taskset -p 1 {pid}"),
                format!("echo 1000 >/proc/{pid}/oom_score_adj"),
                format!("echo 1 >/proc/{pid}/clear_refs"),
                format!("echo 0 >/proc/{pid}/coredump_filter"),
                format!("echo x >/proc/{pid}/comm"),
                format!("cat /proc/{pid}/stack"),
                format!("ls /proc/{pid}/root/"),
                format!("ls /proc/{pid}/map_files/"),
            ] {
                let (ok, text) = user.shell(&deed);
                assert!(!ok, "{} by {}: {deed}: {text}", seen::name(pid), user.uid);
            }
        }
    }
    running.works();
}

#[test]
fn row_09_argument_lists_of_any_size_and_shape_are_one_line_and_start_nothing() {
    let Some(place) = Place::install() else { return };
    let large = "x".repeat(100_000);
    let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for words in [
        vec![&*large],
        many,
        vec!["--", "--config", "/etc/passwd"],
        vec!["--config=/etc/passwd"],
        vec!["\u{1b}]0;x\u{7}"],
    ] {
        let line = place.refusal(&words);
        assert!(line.len() < 1000 && !line.contains('\u{1b}'), "{line}");
    }
    // Its name is the caller's to choose, and means nothing.
    for name in ["-x", "/etc/passwd", "bartizan-launcher", &large] {
        let mut command = INVOKER.command("/bin/bash");
        command.args(["-c", "exec -a \"$1\" \"$0\" --no-such-option"]).arg(place.broker()).arg(name);
        command.process_group(0);
        let line = place.refusal_of(&mut command);
        assert!(line.contains("no such option") && line.len() < 1000, "{line}");
    }
}
