//! Hosts without systemd: the examples in `packaging/` start the installed service as it must be started.

use bartizan_tests::installed::{INVOKER, Place};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join("packaging").join(name)
}

#[test]
fn runits_script_starts_the_service_as_its_user_and_ends_it_in_order() {
    let Some(place) = Place::install() else { return };
    let mut command = Command::new(example("runit/bartizan/run"));
    command.env("BARTIZAN_BROKER", place.broker());
    command.env("BARTIZAN_USER", INVOKER.uid.to_string()).env("BARTIZAN_GROUP", INVOKER.gid.to_string());
    let mut running = place.start_with(command);
    running.works();
    // What runsv signals is the service's main process itself.
    let main = running.processes().main;
    running.kill(main, Signal::SIGTERM);
    assert_eq!(running.ended(), Some(0));
}

#[test]
fn every_script_for_other_hosts_is_one_that_its_shell_can_read() {
    for name in ["openrc/bartizan", "runit/bartizan/run", "runit/bartizan/finish", "runit/bartizan/log/run"] {
        let read = Command::new("sh").arg("-n").arg(example(name)).output().expect("a shell");
        assert!(read.status.success(), "{name}: {}", String::from_utf8_lossy(&read.stderr));
    }
    let unit = std::fs::read_to_string(example("openrc/bartizan")).expect("there");
    assert!(!unit.contains("\nno_new_privs="), "the broker is setuid to its owner");
}
