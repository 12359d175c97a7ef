//! The mode in which systemd starts each process, with a manager of the test's own in systemd's place: who they are, that each dies
//! with its connection, and who is not believed.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{
    Manager, OPERATOR, Place, Running, SERVICE, STRANGER, of_user, uid_of, without_new_privileges,
};
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

/// A job whose child is in a session of its own, and does not end with it.
const LEAVES: &str = "#!/bin/bash\nsetsid bash -c 'trap \"\" TERM HUP; sleep 1000' &\nsleep 1000\n";

/// The process of a role, once it runs.
fn pid_of(running: &mut Running<'_>, role: &str) -> u32 {
    running.wait(role, |running| {
        let status = running.status()?;
        let rows = status["processes"].as_array()?;
        let row = rows.iter().find(|row| row["role"] == role)?;
        u32::try_from(row["pid"].as_u64()?).ok().filter(|pid| *pid != 0 && seen::alive(*pid))
    })
}

/// A script's job, its supervisor's process and the user that it runs as, once it runs.
fn job(place: &Place, running: &mut Running<'_>, name: &str) -> (String, u32, u32) {
    let server = &place.server;
    server.say("alice", "ops", &format!("!{name}")).expect("such a person and channel");
    running.wait("the job", |_| {
        let said = |words: &[&str]| -> Option<serde_json::Value> {
            serde_json::from_slice(&place.bartizan(OPERATOR, words).stdout).ok()
        };
        let rows = said(&["ps", "--json"])?;
        let row = rows.as_array()?.iter().find(|row| row["script"] == name && row["state"] == "running")?;
        let (id, pid) = (row["job"].to_string(), u32::try_from(row["pid"].as_u64()?).ok().filter(|pid| *pid != 0)?);
        let user = uid_of(pid)?;
        assert_eq!(said(&["inspect", &id, "--json"])?["uid"], user, "it says as whom it runs");
        Some((id, pid, user))
    })
}

#[test]
fn each_process_is_a_unit_of_a_user_of_its_own_and_commands_run() {
    let Some(place) = Place::install() else { return };
    let manager = Manager::listen(&place);
    let mut running = manager.start(&place);
    running.works();
    assert!(running.ask("carol", "!ping").contains("Pong!"));
    let status = running.status().expect("it answers");
    assert_eq!(status["mode"], "systemd", "{status}");
    assert!(running.ask("alice", "!about").contains("each process is a unit of systemd's"));

    // Nothing but the core and its two launchers is the broker's user's, nor their child.
    let main = pid_of(&mut running, "launcher");
    for pid in seen::below(main) {
        assert_eq!(uid_of(pid), Some(SERVICE.uid), "{}", seen::name(pid));
        assert!(["bartizan-broker", "bartizan-launch"].contains(&seen::name(pid).as_str()), "{}", seen::name(pid));
    }
    let users: Vec<u32> =
        ["egress", "connector"].iter().filter_map(|role| uid_of(pid_of(&mut running, role))).collect();
    let [egress, connector] = users.as_slice() else { panic!("{users:?}") };
    assert!(egress != connector && !users.contains(&SERVICE.uid), "{users:?}");

    // What the worker proved of itself, and that doctor has nothing to add.
    let doctor = place.bartizan(OPERATOR, &["doctor", "--json"]);
    let doctor: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let own = doctor["service"]["layers"].as_array().expect("layers").iter().find(|l| l["layer"] == "own-user");
    assert_eq!(own.map(|own| own["state"].as_str()), Some(Some("on")), "{doctor}");
    for given in doctor["service"]["given"].as_array().expect("guarantees") {
        assert!(given["by"].as_array().is_some_and(|by| !by.is_empty()), "{given}");
    }
    assert_eq!(running.status().expect("it answers")["health"], "ok");
}

#[test]
fn a_killed_job_leaves_nothing_behind_and_neither_does_one_whose_supervisor_stands_still() {
    let Some(place) = Place::install() else { return };
    place.script("leaves", LEAVES);
    let manager = Manager::listen(&place);
    let mut running = manager.start(&place);
    let (id, _, user) = job(&place, &mut running, "leaves");
    running.wait("the script's own child", |_| (of_user(user).len() >= 4).then_some(()));
    assert!(place.bartizan(OPERATOR, &["kill", &id]).status.success());
    running.wait("the end of its user's processes", |_| of_user(user).is_empty().then_some(()));

    let (id, supervisor, user) = job(&place, &mut running, "leaves");
    running.kill(supervisor, Signal::SIGSTOP);
    assert!(place.bartizan(OPERATOR, &["kill", &id]).status.success());
    running.wait("the end of its user's processes", |_| of_user(user).is_empty().then_some(()));
    running.works();
}

#[test]
fn a_unit_that_dies_is_started_again_and_a_job_dies_with_its_worker() {
    let Some(place) = Place::install() else { return };
    place.script("leaves", LEAVES);
    let manager = Manager::listen(&place);
    let mut running = manager.start(&place);
    for role in ["egress", "connector"] {
        let before = pid_of(&mut running, role);
        running.kill(before, Signal::SIGKILL);
        running.wait("the next one", |running| (pid_of(running, role) != before).then_some(()));
        running.wait("the connection", |running| running.status()?["connected"].as_bool().filter(|is| *is));
        running.works();
    }
    let (_, supervisor, user) = job(&place, &mut running, "leaves");
    running.kill(supervisor, Signal::SIGKILL);
    running.wait("the end of its user's processes", |_| of_user(user).is_empty().then_some(()));
    running.works();
}

#[test]
fn nothing_outlives_the_broker_however_it_ends() {
    let Some(place) = Place::install() else { return };
    place.script("leaves", LEAVES);
    let manager = Manager::listen(&place);
    for (role, signal) in [("launcher", Signal::SIGTERM), ("launcher", Signal::SIGKILL), ("core", Signal::SIGKILL)] {
        let mut running = manager.start(&place);
        let (_, _, user) = job(&place, &mut running, "leaves");
        let others: Vec<u32> = ["egress", "connector"].iter().map(|role| pid_of(&mut running, role)).collect();
        let pid = pid_of(&mut running, role);
        running.kill(pid, signal);
        let _code = running.ended();
        running.wait("the end of every unit", |_| {
            (of_user(user).is_empty() && !others.iter().any(|pid| seen::alive(*pid))).then_some(())
        });
    }
}

#[test]
fn a_unit_believes_nobody_but_the_one_user_that_its_socket_is_open_to() {
    let Some(place) = Place::install() else { return };
    let folder = place.path("units");
    fs::create_dir(&folder).expect("made");
    let path = folder.join("worker.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let worker = place.path("libexec/bartizan/bartizan-worker");
    // Open to all; another's than the one who connects; the worker's own user's; root.
    for (owner, mode, peer) in [
        (SERVICE.uid, 0o666, STRANGER.uid),
        (SERVICE.uid, 0o666, SERVICE.uid),
        (SERVICE.uid, 0o600, 0),
        (64_599, 0o600, 64_599),
    ] {
        nix::unistd::chown(&path, Some(owner.into()), None).expect("chown");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
        let connect = format!(
            "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect({:?})\nsys.stdin.read()",
            path.display().to_string()
        );
        if !fs::exists("/usr/bin/python3").unwrap_or(false) {
            return bartizan_tests::installed::skip("there is no python3 to connect with");
        }
        let mut other = without_new_privileges(peer, "/usr/bin/python3".as_ref());
        if peer == 0 {
            other = std::process::Command::new("/usr/bin/python3");
        }
        let mut other = other.args(["-c", &connect]).stdin(Stdio::piped()).spawn().expect("runs");
        let (connection, _) = listener.accept().expect("accepted");
        let output = refused(&worker, connection);
        assert!(output.contains("must be the broker's alone"), "{owner} {mode:o} {peer}: {output}");
        drop(other.stdin.take());
        other.wait().expect("waited");
    }
    let (ours, _theirs) = UnixStream::pair().expect("socketpair");
    let output = refused(&worker, ours);
    assert!(output.contains("the unit's connection: its name"), "{output}");
}

/// What a worker that ends at once says.
fn refused(worker: &std::path::Path, connection: UnixStream) -> String {
    let output = without_new_privileges(64_599, worker)
        .arg("--unit")
        .stdin(Stdio::from(OwnedFd::from(connection)))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What comes over the one connection that is believed, in every wrong form: half of it, none of it, more than belongs there.
#[test]
fn a_unit_takes_one_channel_from_a_launcher_of_its_version_and_nothing_besides() {
    let Some(place) = Place::install() else { return };
    if !fs::exists("/usr/bin/python3").unwrap_or(false) {
        return bartizan_tests::installed::skip("there is no python3 to connect with");
    }
    let folder = place.path("units");
    fs::create_dir(&folder).expect("made");
    let path = folder.join("worker.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    nix::unistd::chown(&path, Some(SERVICE.uid.into()), None).expect("chown");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
    let worker = place.path("libexec/bartizan/bartizan-worker");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let frame = |role| hex(&bartizan_proto::frame::encode(&bartizan_proto::Version::of(role)).expect("a frame"));
    let launcher = frame(bartizan_proto::Role::Launcher);
    let end = launcher.len() - 2;
    // What is said, with how many descriptors, whether the line stays open; what the worker says of it.
    let attacks: [(&str, u32, bool, &str); 9] = [
        ("", 0, false, "the launcher's connection"),
        ("", 0, true, "the launcher's connection"),
        (&launcher[..end], 1, true, "the launcher's connection"),
        (&launcher[..end], 1, false, "the launcher's connection"),
        (&launcher, 0, true, "the launcher's connection"),
        (&launcher, 2, true, "the launcher's connection"),
        (&frame(bartizan_proto::Role::Worker), 1, true, "the launcher's connection"),
        ("ffffffff00", 1, true, "the launcher's connection"),
        // Replayed: a second one on the same connection is a word where none belongs.
        (&format!("{launcher}{launcher}"), 1, true, "the launcher's connection"),
    ];
    for (said, descriptors, stays, expected) in attacks {
        let connect = format!(
            "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect({:?})\nb = bytes.fromhex('{said}')\n\
             pairs = [socket.socketpair() for _ in range({descriptors})]\n\
             if b: socket.send_fds(s, [b], [p[0].fileno() for p in pairs])\n\
             if not {}: s.close()\nsys.stdin.read()",
            path.display().to_string(),
            if stays { "True" } else { "False" },
        );
        let mut other = without_new_privileges(SERVICE.uid, "/usr/bin/python3".as_ref());
        let mut other = other.args(["-c", &connect]).stdin(Stdio::piped()).spawn().expect("runs");
        let (connection, _) = listener.accept().expect("accepted");
        let output = refused(&worker, connection);
        assert!(output.contains(expected), "{said} {descriptors} {stays}: {output}");
        drop(other.stdin.take());
        other.wait().expect("waited");
    }
}

#[test]
fn the_broker_takes_no_socket_that_others_can_open_and_no_unit_of_its_own_user() {
    let Some(place) = Place::install() else { return };
    let manager = Manager::listen(&place);
    let worker = manager.folder.join("worker.sock");
    fs::set_permissions(&worker, Permissions::from_mode(0o660)).expect("chmod");
    let line = place.refusal_of(&mut manager.broker(&place));
    assert!(line.contains("worker.sock: has mode 0660") && line.contains("SocketMode=0600"), "{line}");
    fs::set_permissions(&worker, Permissions::from_mode(0o600)).expect("chmod");

    nix::unistd::chown(&manager.folder, Some(STRANGER.uid.into()), None).expect("chown");
    let line = place.refusal_of(&mut manager.broker(&place));
    assert!(line.contains("units belongs to user 64114"), "{line}");
    nix::unistd::chown(&manager.folder, Some(0.into()), None).expect("chown");

    // As a setuid program, it takes no such word from its caller.
    let line = place.refusal(&["--units", &manager.folder.display().to_string()]);
    assert!(line.contains("--units is for a unit of systemd's"), "{line}");

    fs::remove_file(&worker).expect("removed");
    let line = place.refusal_of(&mut manager.broker(&place));
    assert!(line.contains("worker.sock") && line.contains("bartizan-worker.socket"), "{line}");
}
