//! The service's life: who can end it, and that nothing is left when any part of it is gone.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{INVOKER, OPERATOR, Place, Processes, STRANGER, skip};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

#[test]
fn row_37_neither_the_caller_nor_a_stranger_can_signal_core_or_egress() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    let processes = running.processes();
    for user in [INVOKER, STRANGER] {
        for pid in processes.of_service() {
            for signal in ["0", "KILL", "STOP", "TERM"] {
                let (ok, text) = user.shell(&format!("kill -{signal} {pid}"));
                assert!(!ok && text.contains("not permitted"), "{} by {}: {text}", seen::name(pid), user.uid);
            }
        }
    }
    running.works();
    // Workers come and go.
    let after = Processes { workers: processes.workers.clone(), ..running.processes() };
    assert_eq!(after, processes, "nothing was started again");
}

#[test]
fn row_37_a_script_can_signal_nobody() {
    let Some(place) = Place::install() else { return };
    // Whoever ran this was in no position to hurt anybody but itself.
    place.script("storm", "#!/bin/bash\nfor p in $(seq 2 70000); do kill -0 $p 2>/dev/null && echo \"[$p]\"; done; kill -KILL -1; echo end\n");
    let mut running = place.start();
    let before = running.processes();
    let reply = running.ask("carol", "!storm");
    assert!(reply.contains("end") || reply.contains("exit") || reply.contains("signal"), "{reply}");
    let after = running.processes();
    assert_eq!(
        (after.main, after.core, after.connector, after.egress),
        (before.main, before.core, before.connector, before.egress)
    );
    running.works();
}

#[test]
fn row_07_nobody_can_look_into_a_process_or_make_it_dump() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    let processes = running.processes();
    for pid in processes.all() {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        assert_eq!(
            core.split_whitespace().rev().take(3).collect::<Vec<_>>(),
            ["bytes", "0", "0"],
            "{}",
            seen::name(pid)
        );
        for user in [INVOKER, STRANGER] {
            // Only opened: what is behind the first address is nothing to anybody.
            for file in ["mem", "environ", "maps", "syscall", "auxv"] {
                let (ok, text) = user.shell(&format!(": </proc/{pid}/{file}"));
                assert!(!ok && text.contains("ermission denied"), "{} {file} by {}: {text}", seen::name(pid), user.uid);
            }
            let (ok, text) = user.shell(&format!("ls /proc/{pid}/fd"));
            assert!(!ok, "{} by {}: {text}", seen::name(pid), user.uid);
        }
    }
    if !fs::exists("/usr/bin/python3").unwrap_or(false) {
        return skip("there is no python3 to trace with");
    }
    for pid in processes.of_service().into_iter().chain([processes.main, processes.connector]) {
        let attach = format!(
            "import ctypes, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n\
             sys.exit(0 if libc.ptrace(16, {pid}, 0, 0) == 0 or libc.ptrace(0x4206, {pid}, 0, 0) == 0 else 1)"
        );
        let status = INVOKER.command("/usr/bin/python3").args(["-c", &attach]).status().expect("runs");
        assert_eq!(status.code(), Some(1), "{}", seen::name(pid));
    }
}

#[test]
fn row_18_a_storm_of_signals_is_survived() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    let main = running.processes().main;
    let (ok, text) = INVOKER.shell(&format!(
        "for i in $(seq 1 300); do kill -HUP {main}; kill -CHLD {main}; kill -CONT {main}; kill -URG {main}; kill -WINCH {main}; done"
    ));
    assert!(ok, "{text}");
    running.works();
    assert_eq!(running.processes().main, main);
}

#[test]
fn a_termination_of_the_main_process_ends_everything_in_order() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    let main = running.processes().main;
    let (ok, text) = INVOKER.shell(&format!("kill -TERM {main}"));
    assert!(ok, "{text}");
    assert_eq!(running.ended(), Some(0), "{}", running.log());
    let log = place.read("var/lib/bartizan/state/audit.jsonl");
    let last: Vec<&str> = log.lines().rev().take(2).collect();
    let is = |line: &str, event: &str| line.contains(&format!("\"event\":\"{event}\""));
    assert!(last.len() == 2 && is(last[0], "checkpoint") && is(last[1], "stop"), "{log}");
}

#[test]
fn a_restart_waits_for_the_running_job_and_ends_with_75_for_the_service_manager() {
    let Some(place) = Place::install() else { return };
    place.script("long", "#!/bin/bash\nsleep 1; echo finished\n");
    let mut running = place.start();
    let post = place.server.say("carol", "ops", "!long").expect("said");
    running.wait("the job", |running| (running.status()?["running"] == 1).then_some(()));
    let output = place.bartizan(OPERATOR, &["restart", "--no-wait"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("Restarting: 1 job"), "{output:?}");
    assert_eq!(running.ended(), Some(75), "{}", running.log());
    let replies = place.server.replies(&post);
    assert!(replies.iter().any(|reply| reply["message"].as_str().is_some_and(|text| text.contains("finished"))));
    assert_eq!(replies.len(), 1, "told once");
    place.start().works();
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    place.script("later", "#!/bin/sh\necho it came later\n");
    let main = running.processes().main;
    let (ok, text) = INVOKER.shell(&format!("kill -HUP {main}"));
    assert!(ok, "{text}");
    running.wait("the new script", |_| {
        let output = place.bartizan(OPERATOR, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        (status["scripts"] == 2).then_some(())
    });
    let reply = running.ask("carol", "!later");
    assert!(reply.contains("it came later"), "{reply}");
}

#[test]
fn the_death_of_the_main_process_leaves_nothing() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    let main = running.processes().main;
    // The one process that its caller can kill.
    let (ok, text) = INVOKER.shell(&format!("kill -KILL {main}"));
    assert!(ok, "{text}");
    running.ended();
    place.start().works();
}

#[test]
fn a_core_that_hears_nothing_any_more_does_not_outlive_the_main_process() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    let processes = running.processes();
    running.kill(processes.core, Signal::SIGSTOP);
    running.kill(processes.main, Signal::SIGKILL);
    running.ended();
    place.start().works();
}

#[test]
fn the_death_of_the_core_or_of_egress_launcher_leaves_nothing() {
    let Some(place) = Place::install() else { return };
    for which in 0..2 {
        let mut running = place.start();
        running.works();
        let processes = running.processes();
        running.kill(if which == 0 { processes.core } else { processes.egress_launcher }, Signal::SIGKILL);
        assert_eq!(running.ended(), Some(1), "{}", running.log());
    }
    place.start().works();
}

#[test]
fn egress_and_the_connector_are_started_again_as_who_they_were() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    let before = running.processes();
    running.kill(before.egress, Signal::SIGKILL);
    running.kill(before.connector, Signal::SIGKILL);
    running.wait("new ones", |running| {
        let now = running.processes();
        (now.egress != before.egress && now.connector != before.connector).then_some(())
    });
    let after = running.processes();
    assert_eq!(seen::status(after.egress, "Uid:")[0], "64110");
    assert_eq!(seen::status(after.connector, "Uid:")[0], "64111");
    running.works();
}

#[test]
fn a_second_service_with_the_same_state_is_refused_and_the_first_goes_on() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    assert!(place.refusal(&[]).contains("another bartizan-broker"));
    running.works();
}

#[test]
fn row_42_a_daemonised_child_does_not_outlive_its_job() {
    let Some(place) = Place::install() else { return };
    place.script("daemon", "#!/bin/bash\n( setsid bash -c 'exec sleep 4242' & ) \nsleep 0.3; echo started\n");
    let mut running = place.start();
    let reply = running.ask("carol", "!daemon");
    assert!(reply.contains("started"), "{reply}");
    running.wait("its end", |_| words_of("4242").is_empty().then_some(()));
    // And with everything killed in the middle of it.
    place.script("long", "#!/bin/bash\n( setsid sleep 4243 & )\nsleep 4244\n");
    drop(running);
    let mut running = place.start();
    place.server.say("carol", "ops", "!long").expect("said");
    running.wait("the job", |_| (!words_of("4243").is_empty()).then_some(()));
    let main = running.processes().main;
    running.kill(main, Signal::SIGKILL);
    running.wait("its end", |_| words_of("4243").is_empty().then_some(()));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(words_of("4244"), [0; 0]);
}

/// Command lines keep their words apart by NUL.
fn words_of(word: &str) -> Vec<u32> {
    seen::with_word(&format!("sleep\0{word}"))
}
