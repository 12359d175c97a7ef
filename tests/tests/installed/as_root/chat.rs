//! Chat through an installed service, from end to end.

use bartizan_tests::installed::{INVOKER, OPERATOR, Place};

#[test]
fn commands_are_run_and_refused_as_in_any_other_mode() {
    let Some(place) = Place::install() else { return };
    place.script("whoami", "#!/bin/sh\nid -u; id -G; ls -d /var/lib/bartizan /etc/bartizan 2>&1\n");
    let mut running = place.start();
    assert_eq!(running.ask("alice", "!ping"), "Pong!");
    running.works();
    let reply = running.ask("carol", "!run whoami");
    assert!(reply.contains(&INVOKER.uid.to_string()), "{reply}");
    assert!(running.ask("mallory", "!hello").contains("banned"));
    assert!(running.ask("carol", "!hello ;id").to_lowercase().contains("who"));
    let ps = place.bartizan(OPERATOR, &["status"]);
    assert!(String::from_utf8_lossy(&ps.stdout).contains("setuid"));
}

#[test]
fn a_script_cannot_read_the_token_the_state_or_the_memory_of_the_service() {
    let Some(place) = Place::install() else { return };
    let root = place.root.path().display().to_string();
    let mut running = place.start();
    let core = running.processes().core;
    drop(running);
    place.script(
        "look",
        &format!(
            "#!/bin/bash\nfor f in {root}/etc/bartizan/keys/token {root}/var/lib/bartizan/state/state.db {root}/etc/bartizan/bartizan.toml \
             /proc/{core}/mem /proc/{core}/environ; do head -c 20 \"$f\" >/dev/null 2>&1 && echo \"READ $f\"; done; echo end\n"
        ),
    );
    let reply = place.start().ask("carol", "!look");
    assert!(reply.contains("end") && !reply.contains("READ"), "{reply}");
    for file in ["etc/bartizan/keys/token", "var/lib/bartizan/state/state.db", "var/lib/bartizan/state/audit.key"] {
        let (ok, text) = INVOKER.shell(&format!("head -c 1 {root}/{file}"));
        assert!(!ok && text.contains("ermission denied"), "{file}: {text}");
    }
}
