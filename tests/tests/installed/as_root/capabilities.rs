//! No process of the service holds a capability in the host's user namespace, and no script one anywhere.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{INVOKER, Place};
use std::fs;
use std::process::Command;

#[test]
fn no_process_holds_a_capability_and_none_can_gain_one() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    let host = fs::read_link("/proc/self/ns/user").expect("a namespace");
    let processes = running.processes();
    for pid in processes.all() {
        let name = seen::name(pid);
        assert_eq!(seen::status(pid, "NoNewPrivs:"), ["1"], "{name}");
        // A worker's init has what its own namespace gives it, which is nothing outside.
        if fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|own| own == host) {
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(seen::status(pid, set), ["0000000000000000"], "{name} {set}");
            }
        }
        if !processes.workers.contains(&pid) {
            assert_eq!(seen::status(pid, "Seccomp:"), ["2"], "{name}");
        }
    }
}

#[test]
fn a_script_holds_no_capability_in_any_set() {
    let Some(place) = Place::install() else { return };
    place.script("caps", "#!/bin/sh\ngrep -E '^(Cap|NoNewPrivs)' /proc/self/status\n");
    let reply = place.start().ask("carol", "!caps");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(
            reply.contains(&format!("{set}:\t0000000000000000")) || reply.contains(&format!("{set}: 0000000000000000")),
            "{reply}"
        );
    }
}

#[test]
fn a_capability_that_the_caller_gives_along_is_given_up() {
    let Some(place) = Place::install() else { return };
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=+net_admin", "--ambient-caps=+net_admin"]);
    command.args([format!("--reuid={}", INVOKER.uid), format!("--regid={}", INVOKER.gid), "--clear-groups".to_owned()]);
    command.arg("--").arg(place.broker());
    let mut running = place.start_with(command);
    for pid in running.processes().all() {
        assert_eq!(seen::status(pid, "CapInh:"), ["0000000000000000"], "{}", seen::name(pid));
    }
}
