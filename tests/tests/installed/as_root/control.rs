//! The control socket: closed from its first moment, for root and the operators, never for the user that scripts run as.

use bartizan_tests::installed::{INVOKER, OPERATOR, OPERATORS, Place, READER, READERS, SERVICE, STRANGER, User};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn row_36_only_root_and_operators_may_ask() {
    let Some(place) = Place::install() else { return };
    let _running = place.start();
    let code = |user: User| place.bartizan(user, &["ps"]).status.code();
    assert_eq!(code(OPERATOR), Some(0));
    assert_eq!(Command::new(place.path("bin/bartizan")).arg("ps").status().expect("runs").code(), Some(0), "root");
    assert_eq!(code(STRANGER), Some(4));
    assert_eq!(code(INVOKER), Some(4));
    assert_eq!(code(SERVICE), Some(4));
}

#[test]
fn readers_read_and_command_nothing_over_a_socket_of_their_own() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    assert!(running.ask("carol", "!hello Once").contains("exit 0"));
    let said = |user: User, words: &[&str]| {
        let output = place.bartizan(user, words);
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    // They are not told which socket: `bartizan` takes the one that is theirs.
    let (code, text) = said(READER, &["history", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let history: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let job = history[0]["job"].to_string();
    for words in [
        &["status"][..],
        &["ps"],
        &["history"],
        &["log", &job],
        &["receipt", &job],
        &["metrics"],
        &["schedule"],
        &["people", "list"],
        &["bans", "list"],
        &["brain", "list"],
        &["check-config"],
        &["audit", "verify"],
        &["audit", "show"],
        &["explain", "--as", "carol", "--channel", "ops", "!hello"],
    ] {
        let (code, text) = said(READER, words);
        assert_eq!(code, Some(0), "{words:?}: {text}");
    }
    for words in [
        &["kill", &job][..],
        &["restart"],
        &["lockdown", "mine"],
        &["end-lockdown"],
        &["people", "set", "carol", "admin"],
        &["bans", "add", "alice", "x", "1h"],
        &["audit", "prune", "--older-than", "0s"],
        &["audit", "rotate-key"],
        &["brain", "rekey"],
        &["brain", "export", "--in-clear"],
    ] {
        let (code, text) = said(READER, words);
        assert_eq!(code, Some(4), "{words:?}: {text}");
        assert!(text.contains("for reading"), "{words:?}: {text}");
    }
    assert_eq!(said(OPERATOR, &["lockdown", "ours"]).0, Some(0), "operators command");
    let own = place.path("var/lib/bartizan/read/read.sock");
    let socket = fs::symlink_metadata(&own).expect("there");
    assert_eq!((socket.mode() & 0o7777, socket.uid(), socket.gid()), (0o660, SERVICE.uid, READERS));
    // The directory keeps others out, and its own look at who connects those who get in.
    let let_in = |uid| User { uid, gid: uid, further: Some(READERS) };
    let at = ["status", "--socket", own.to_str().expect("text")];
    for user in [STRANGER, let_in(INVOKER.uid), let_in(SERVICE.uid)] {
        assert_eq!(said(user, &at).0, Some(4), "{user:?}");
    }
}

#[test]
fn row_36_the_user_that_scripts_run_as_is_refused_by_its_uid_alone() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    // As a worker would come whose profile grants Unix sockets, and whom even the directory let in.
    let let_in = |uid| User { uid, gid: uid, further: Some(OPERATORS) };
    for (user, word) in [(let_in(INVOKER.uid), "scripts run as"), (let_in(SERVICE.uid), "service's own user")] {
        let output = place.bartizan(user, &["ps"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(word), "{said}");
    }
    assert!(running.log().contains("control socket: refused"), "{}", running.log());
    running.works();
}

#[test]
fn row_36_a_script_does_not_even_find_it() {
    let Some(place) = Place::install() else { return };
    let socket = place.socket();
    place.script(
        "socket",
        &format!(
            "#!/bin/sh\nls -l {0} 2>&1; ls -d {1} 2>&1; echo end\n",
            socket.display(),
            place.root.path().display()
        ),
    );
    let reply = place.start().ask("carol", "!socket");
    assert!(reply.contains("end") && !reply.contains("srw"), "{reply}");
}

#[test]
fn row_19_the_socket_and_its_directory_are_never_open_to_others() {
    // CVE-2025-46802: screen opened a terminal to everybody for a moment.
    let Some(place) = Place::install() else { return };
    let socket = place.socket();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(metadata) = fs::symlink_metadata(&socket) {
                    let now = (metadata.permissions().mode() & 0o7777, metadata.uid(), metadata.gid());
                    if seen.last() != Some(&now) {
                        seen.push(now);
                    }
                }
            }
            seen
        });
        // Also when an assertion below fails: the watcher would run for ever.
        let _at_the_end = Stop(&stop);
        for _ in 0..3 {
            let mut running = place.start();
            let main = running.processes().main;
            running.kill(main, nix::sys::signal::Signal::SIGTERM);
            assert_eq!(running.ended(), Some(0));
        }
        std::thread::sleep(Duration::from_millis(50));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(watch.join().expect("no panic"), [(0o660, SERVICE.uid, OPERATORS)]);
    });
    let directory = fs::metadata(place.path("var/lib/bartizan/control")).expect("there");
    assert_eq!((directory.mode() & 0o7777, directory.uid(), directory.gid()), (0o2710, SERVICE.uid, OPERATORS));
}

/// Ends a watcher when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
