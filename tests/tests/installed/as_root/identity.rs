//! Who each process is: the service's user or the caller, in every id, for good; and no group that nobody gave.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{INVOKER, Place, SERVICE, STRANGER, User, skip};
use std::fs;
use std::process::Command;

#[test]
fn row_14_every_process_is_one_user_in_all_four_ids() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    running.works();
    let processes = running.processes();
    for pid in processes.of_service() {
        assert_eq!(seen::status(pid, "Uid:"), vec![SERVICE.uid.to_string(); 4], "{}", seen::name(pid));
    }
    for pid in processes.of_invoker() {
        assert_eq!(seen::status(pid, "Uid:"), vec![INVOKER.uid.to_string(); 4], "{}", seen::name(pid));
    }
    for pid in processes.all() {
        assert_eq!(seen::status(pid, "Gid:"), vec![INVOKER.gid.to_string(); 4], "{}", seen::name(pid));
    }
}

#[test]
fn row_14_a_script_cannot_become_the_service() {
    let Some(place) = Place::install() else { return };
    if !fs::exists("/usr/bin/python3").unwrap_or(false) {
        return skip("there is no python3 to try it with");
    }
    place.script(
        "become",
        "#!/usr/bin/python3\nimport os\n\
         for call in (lambda: os.setresuid(-1, 64110, -1), lambda: os.seteuid(64110), lambda: os.setuid(0), lambda: os.setgroups([])):\n\
         \x20   try:\n\x20       call(); print('WON')\n\x20   except OSError as error:\n\x20       print('denied', error.errno)\n",
    );
    let reply = place.start().ask("carol", "!become");
    assert_eq!(reply.matches("denied").count(), 4, "{reply}");
    assert!(!reply.contains("WON"), "{reply}");
}

/// A trial runs as who starts the service, as a job would, and never as the user who has the brain and the token, nor as root.
#[test]
fn a_script_is_tried_as_who_starts_the_service_and_as_nobody_else() {
    let Some(place) = Place::install() else { return };
    place.script("who", "#!/bin/sh\necho \"I am $(id -u):$(id -g)\"\n");
    let tried = |mut command: Command| {
        let output = command.args(["script", "try", "who"]).current_dir("/").output().expect("`bartizan` runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let program = place.path("bin/bartizan");
    let own = tried(INVOKER.command(&program));
    assert!(own.contains(&format!("I am {}:{}", INVOKER.uid, INVOKER.gid)), "{own}");
    let root = tried(Command::new(&program));
    assert!(root.contains("nothing in Bartizan runs as root") && !root.contains("I am"), "{root}");
    let strange = tried(STRANGER.command(&program));
    assert!(!strange.contains("I am"), "only who may start the service may ask what it would run: {strange}");
}

#[test]
fn row_13_groups_are_empty_where_they_can_be_and_told_about_where_they_cannot() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start();
    for pid in running.processes().all() {
        assert_eq!(seen::status(pid, "Groups:"), [""; 0], "{}", seen::name(pid));
    }
    assert!(!running.log().contains("supplementary groups"));
    drop(running);

    let further = User { further: Some(64_120), ..INVOKER };
    let mut running = place.start_with(further.command(place.broker()));
    for pid in running.processes().all() {
        assert_eq!(
            seen::status(pid, "Groups:"),
            ["64120"],
            "{}: what an unprivileged process cannot drop",
            seen::name(pid)
        );
    }
    assert!(running.log().contains("supplementary groups 64120"), "{}", running.log());
}

#[test]
fn row_08_the_id_minus_one_is_no_user() {
    // CVE-2019-14287: sudo ran commands as root for the user id -1.
    let Some(place) = Place::install() else { return };
    for id in ["4294967295", "-1"] {
        let output = Command::new("setpriv").args([format!("--reuid={id}")]).arg(place.broker()).output().expect("ran");
        assert!(!output.status.success(), "{id}");
    }
    let config = place.read("etc/bartizan/bartizan.toml");
    place.write("etc/bartizan/bartizan.toml", &config.replace("\"64112\"", "\"4294967295\""), 0o644);
    assert!(place.refusal(&[]).contains("operators"));
}

#[test]
fn row_12_a_change_of_user_that_fails_or_only_seems_to_happen_ends_the_start() {
    let Some(place) = Place::install() else { return };
    let Some((program, number, architecture)) = injector() else { return skip("no python3, or not x86_64 or aarch64") };
    // A seccomp filter that root can set without no_new_privs, so that the setuid bit still counts: it answers setresuid(2)
    // with an error, or, worse, with success, and does nothing.
    for (errno, what) in [(1, "fails"), (0, "only seems to happen")] {
        let script = format!(
            "import ctypes, os, struct, sys\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             op = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)\n\
             code = op(0x20, 0, 0, 4) + op(0x15, 0, 3, {architecture:#x}) + op(0x20, 0, 0, 0) + op(0x15, 0, 1, {number}) + \
             op(0x06, 0, 0, 0x00050000 | {errno}) + op(0x06, 0, 0, 0x7fff0000)\n\
             buffer = ctypes.create_string_buffer(code)\n\
             fprog = struct.pack('HxxxxxxP', 6, ctypes.addressof(buffer))\n\
             if libc.prctl(22, 2, ctypes.c_char_p(fprog), 0, 0): sys.exit(77)\n\
             os.setgroups([]); os.setgid(64111); os.setuid(64111)\n\
             os.execv(sys.argv[1], sys.argv[1:])\n"
        );
        let output = Command::new(program).args(["-c", &script]).arg(place.broker()).output().expect("ran");
        if output.status.code() == Some(77) {
            return skip("this root may not set a seccomp filter without no_new_privs");
        }
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{what}: {line}");
        assert!(line.contains("cannot become user"), "{what}: {line}");
        let log = fs::read_to_string(place.path("var/lib/bartizan/state/audit.jsonl")).unwrap_or_default();
        assert_eq!(log, "", "{what}: no core began");
    }
}

/// A Python, and the number and architecture of setresuid(2).
fn injector() -> Option<(&'static str, u32, u32)> {
    let program = "/usr/bin/python3";
    let (number, architecture) = match std::env::consts::ARCH {
        "x86_64" => (117, 0xc000_003e),
        "aarch64" => (147, 0xc000_00b7),
        _ => return None,
    };
    fs::exists(program).unwrap_or(false).then_some((program, number, architecture))
}
