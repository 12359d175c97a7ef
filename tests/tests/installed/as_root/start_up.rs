//! What a hostile caller of the setuid program can leave behind or ask for.

use bartizan_tests::house::seen;
use bartizan_tests::installed::{INVOKER, Place, SERVICE, User, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The broker, after the shell did something to what it will inherit.
fn after(place: &Place, deed: &str) -> Command {
    let mut command = INVOKER.command("/bin/sh");
    command.args(["-c", &format!("{deed}\nexec \"$0\"")]).arg(place.broker()).current_dir("/");
    command
}

#[test]
fn row_01_an_empty_argument_list_is_refused() {
    // CVE-2021-4034: pkexec read its environment as arguments.
    let Some(place) = Place::install() else { return };
    let mut command = Command::new(place.broker());
    command.arg0("").uid(INVOKER.uid).gid(INVOKER.gid).env("SHELL", "--config");
    assert!(place.refusal_of(&mut command).contains("empty argument list"));
}

#[test]
fn row_02_a_hostile_environment_reaches_no_process() {
    // CVE-2023-4911: the loader read GLIBC_TUNABLES in a setuid program.
    let Some(place) = Place::install() else { return };
    let mut command = INVOKER.command(place.broker());
    for name in
        ["GLIBC_TUNABLES", "LD_PRELOAD", "LD_LIBRARY_PATH", "GCONV_PATH", "TZ", "SSL_CERT_FILE", "RUST_BACKTRACE"]
    {
        command.env(name, "/nowhere/hostile");
    }
    command.env("BARTIZAN_CONFIG", "/nowhere/hostile").env("HOME", "/nowhere/hostile");
    let mut running = place.start_with(command);
    running.works();
    let processes = running.processes();
    for pid in processes.all().into_iter().filter(|pid| *pid != processes.core) {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains("hostile"), "{}", seen::name(pid));
    }
    // The core was never executed anew, so that the kernel still shows what its first page held; what it knows is in its maps.
    let maps = fs::read_to_string(format!("/proc/{}/maps", processes.core)).expect("root may");
    assert!(!maps.contains("hostile"));
}

#[test]
fn row_03_closed_standard_descriptors_are_opened_first() {
    let Some(place) = Place::install() else { return };
    let mut running = place.start_with(after(&place, "exec <&- >&- 2>&-"));
    let core = running.processes().core;
    for number in 0..3 {
        let file = fs::read_link(format!("/proc/{core}/fd/{number}")).expect("open");
        // Under AT_SECURE the C library is there even before us, and gives a closed standard input what cannot be read.
        assert!(["/dev/null", "/dev/full"].contains(&file.to_str().unwrap_or_default()), "{number}: {file:?}");
    }
    running.works();
}

#[test]
fn row_05_tiny_limits_are_refused_and_the_audit_log_stays_whole() {
    let Some(place) = Place::install() else { return };
    let log = || fs::read_to_string(place.path("var/lib/bartizan/state/audit.jsonl")).expect("a log");
    let mut running = place.start();
    running.works();
    let main = running.processes().main;
    running.kill(main, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.ended(), Some(0));
    let before = log();
    for (deed, what) in [("ulimit -n 20", "open files"), ("ulimit -f 8", "file size"), ("ulimit -t 60", "CPU time")] {
        let line = place.refusal_of(&mut after(&place, deed));
        assert!(line.contains(what), "{line}");
    }
    assert_eq!(log(), before);
    // What is only soft is ours to raise.
    place.start_with(after(&place, "ulimit -S -n 20; ulimit -c unlimited || true")).works();
}

#[test]
fn row_06_umask_directory_signals_and_timers_are_reset() {
    let Some(place) = Place::install() else { return };
    let Some(python) = python() else { return skip("there is no python3 to set a timer with") };
    let hostile = "import os, signal, sys\n\
                   os.umask(0); os.chdir('/tmp')\n\
                   signal.setitimer(signal.ITIMER_REAL, 2, 2)\n\
                   [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)]\n\
                   signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])\n\
                   os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = INVOKER.command(python);
    command.args(["-c", hostile]).arg(place.broker());
    let mut running = place.start_with(command);
    running.works();
    let processes = running.processes();
    for pid in processes.of_service() {
        let directory = fs::read_link(format!("/proc/{pid}/cwd")).expect("root may");
        assert_eq!(directory.to_str(), Some("/"), "{}", seen::name(pid));
    }
    for file in ["state.db", "audit.jsonl", "audit.key", "lock"] {
        let metadata = fs::metadata(place.path("var/lib/bartizan/state").join(file)).expect("made");
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "{file}");
    }
    // Longer than the timer, which would have ended it.
    std::thread::sleep(std::time::Duration::from_secs(3));
    running.works();
    running.kill(processes.main, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.ended(), Some(0), "an ignored and blocked SIGTERM ends it all the same");
}

#[test]
fn row_09_what_is_not_an_option_is_one_line() {
    let Some(place) = Place::install() else { return };
    for words in [&["--frobnicate"][..], &["-\u{1b}[2J"], &["--check-config", "--check-config"], &["\\"], &["-s", "\\"]]
    {
        let line = place.refusal(words);
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn row_10_the_caller_cannot_choose_the_configuration() {
    // CVE-2025-32463: a setuid program let its caller choose the root it read its configuration from.
    let Some(place) = Place::install() else { return };
    assert!(place.refusal(&["--config", "/etc/passwd"]).contains("no such option"));

    // A place of the caller's own that looks like an installation, with a way to the program.
    let own = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::chown(own.path(), Some(INVOKER.uid), None).expect("chown");
    let programs = own.path().join("libexec/bartizan");
    let (ok, text) = INVOKER.shell(&format!(
        "mkdir -p {programs} {root}/etc/bartizan && echo 'hostile = 1' >{root}/etc/bartizan/bartizan.toml && \
         ln -s {broker} {programs}/bartizan-broker",
        programs = programs.display(),
        root = own.path().display(),
        broker = place.path("libexec/bartizan/bartizan-broker").display(),
    ));
    assert!(ok, "{text}");
    // By a symbolic link: the program's own place counts, and its configuration is read.
    let output = INVOKER.command(programs.join("bartizan-broker")).arg("--check-config").output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // By a hard link, which root makes here: the kernel may forbid it to the caller, and we do not rely on that.
    fs::remove_file(programs.join("bartizan-broker")).expect("removed");
    let linked = fs::hard_link(place.path("libexec/bartizan/bartizan-broker"), programs.join("bartizan-broker"));
    if linked.is_err() {
        return skip("the scratch root is on another file system than the caller's place");
    }
    let line = place.refusal_of(INVOKER.command(programs.join("bartizan-broker")).arg("--check-config"));
    assert!(line.contains("2 names"), "{line}");

    // With that the only name: the place is not root's.
    fs::remove_file(place.path("libexec/bartizan/bartizan-broker")).expect("removed");
    let line = place.refusal_of(INVOKER.command(programs.join("bartizan-broker")).arg("--check-config"));
    assert!(line.contains("belongs to user"), "{line}");
}

#[test]
fn a_setuid_bit_that_was_ignored_is_refused() {
    let Some(place) = Place::install() else { return };
    let mut frozen = Command::new("setpriv");
    frozen.args(["--no-new-privs", "--reuid=64111", "--regid=64111", "--clear-groups", "--"]).arg(place.broker());
    let line = place.refusal_of(&mut frozen);
    assert!(line.contains("ignored") && line.contains("no_new_privs"), "{line}");

    let (possible, _) = INVOKER.shell("unshare --user true");
    if possible {
        let line = place.refusal_of(INVOKER.command("unshare").arg("--user").arg(place.broker()));
        assert!(line.contains("ignored") && line.contains("user namespace"), "{line}");
        // As root of a namespace of one's own.
        let line = place.refusal_of(INVOKER.command("unshare").args(["--user", "--map-root-user"]).arg(place.broker()));
        assert!(line.contains("root"), "{line}");
    }

    let mount = format!(
        "mount --bind -o nosuid {root} {root} && mount -o remount,bind,nosuid {root} && \
         exec setpriv --reuid=64111 --regid=64111 --clear-groups -- {broker}",
        root = place.root.path().display(),
        broker = place.broker().display()
    );
    let can_mount = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !can_mount {
        return skip("this root may not mount, so that a nosuid mount was not tried");
    }
    let line = place.refusal_of(Command::new("unshare").args(["--mount", "/bin/sh", "-c", &mount]));
    assert!(line.contains("ignored") && line.contains("nosuid"), "{line}");
}

#[test]
fn nobody_but_the_service_users_group_can_start_it_and_its_owner_and_root_may_not() {
    let Some(place) = Place::install() else { return };
    let stranger = User { uid: 64_114, gid: 64_114, further: None };
    let (ok, text) = stranger.shell(&format!("{} --version", place.broker().display()));
    assert!(!ok && text.contains("ermission denied"), "{text}");
    let owner = User { uid: 64_110, gid: 64_111, further: None };
    assert!(place.refusal_of(&mut owner.command(place.broker())).contains("the user that it belongs to"));
    assert!(place.refusal_of(&mut Command::new(place.broker())).contains("as root"));
}

fn python() -> Option<&'static str> {
    Some("/usr/bin/python3").filter(|path| fs::exists(path).unwrap_or(false))
}

#[test]
fn row_10_a_service_managers_socket_is_reached_with_the_callers_rights_only() {
    let Some(place) = Place::install() else { return };
    let folder = |name: &str, owner: u32| {
        let path = place.path(name);
        fs::create_dir(&path).expect("a directory");
        let socket = UnixDatagram::bind(path.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a time limit");
        for path in [&path, &path.join("notify")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("chmod");
            std::os::unix::fs::chown(path, Some(owner), Some(owner)).expect("chown");
        }
        (path.join("notify").display().to_string(), socket)
    };
    let start = |path: &str| {
        let mut command = Command::new("env");
        command.arg(format!("NOTIFY_SOCKET={path}")).arg("setpriv");
        command.args([format!("--reuid={}", INVOKER.uid), format!("--regid={}", INVOKER.gid)]);
        command.arg("--clear-groups").arg("--").arg(place.broker());
        place.start_with(command)
    };
    let mut bytes = [0; 500];
    let (callers, socket) = folder("callers", INVOKER.uid);
    let mut running = start(&callers);
    running.works();
    let mut heard = String::new();
    while !heard.contains("READY=1") {
        let length = socket.recv(&mut bytes).expect("it is told");
        heard.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    drop(running);

    // The owner of the program could reach it, and the caller cannot.
    let (owners, socket) = folder("owners", SERVICE.uid);
    let mut running = start(&owners);
    running.works();
    assert!(running.log().contains("the service manager is told nothing: NOTIFY_SOCKET"), "{}", running.log());
    socket.set_nonblocking(true).expect("nonblocking");
    assert!(socket.recv(&mut bytes).is_err(), "nothing came");
}
