//! The program `bartizan-broker` under hostile callers, up to the moment before it becomes a service.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// The user that the program runs as where the tests run as root, which it refuses.
const NOBODY: u32 = 65_534;

/// A process that is just being made holds its siblings' files open for writing, and the kernel refuses to run such a
/// file (ETXTBSY). So nothing is started while a test writes a program.
static STARTING_OR_WRITING: Mutex<()> = Mutex::new(());

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program with a configuration, in a place that its user can read.
struct Installed {
    place: TempDir,
}

impl Installed {
    fn new() -> Self {
        let _alone = STARTING_OR_WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tempfile::tempdir().expect("tempdir");
        let installed = Self { place };
        fs::copy(env!("CARGO_BIN_EXE_bartizan-broker"), installed.path("bartizan-broker")).expect("copied");
        installed.write(
            "bartizan.toml",
            "[server]\nurl = \"https://chat.example.com\"\nteam = \"crew\"\n\
             [bot]\ntoken-file = \"token\"\n[state]\ndirectory = \"state\"\n[control]\ndirectory = \"control\"\n\
             [scripts]\nallowlist = \"allowlist.toml\"\n[people]\nalice = \"admin\"\n",
        );
        installed.write("allowlist.toml", "");
        installed.write("token", "abcdefghijklmnopqrstuvwxyz\n");
        if is_root() {
            chown(installed.place.path(), Some(NOBODY), Some(NOBODY)).expect("chown");
        }
        installed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        self.give(name, 0o600);
    }

    /// A directory of the service's user.
    fn directory(&self, name: &str, mode: u32) {
        fs::create_dir(self.path(name)).expect("made");
        self.give(name, mode);
    }

    fn give(&self, name: &str, mode: u32) {
        // In this order: a change of owner takes the setuid bit away.
        if is_root() {
            chown(self.path(name), Some(NOBODY), Some(NOBODY)).expect("chown");
        }
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("chmod");
    }

    fn run(&self, words: &[&str]) -> Output {
        self.output(Command::new(self.path("bartizan-broker")).args(words))
    }

    /// From a shell that first does something to what the program will inherit; `$0` is the program.
    fn run_after(&self, deed: &str, words: &str) -> Output {
        let script = format!("{deed}\nexec \"$0\" {words}");
        self.output(Command::new("/bin/sh").args(["-c", &script]).arg(self.path("bartizan-broker")))
    }

    fn output(&self, command: &mut Command) -> Output {
        let _alone = STARTING_OR_WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(&self.place).output().expect("ran")
    }
}

const CHECK: &[&str] = &["--check-config", "--config", "bartizan.toml"];
const CHECK_WORDS: &str = "--check-config --config bartizan.toml";
const SERVE: &[&str] = &["--config", "bartizan.toml"];

/// The one line on standard error.
#[track_caller]
fn refusal(output: &Output, code: i32) -> String {
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(output.stdout.is_empty());
    line
}

#[track_caller]
fn assert_accepted(output: &Output) {
    let line = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{line}");
}

/// Says that a test could not run here, where `make test` counts it.
fn skipped(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    let file = std::env::var_os("BARTIZAN_SKIPS").map(|path| File::options().append(true).create(true).open(path));
    match file {
        Some(Ok(mut file)) => file.write_all(line.as_bytes()).expect("written"),
        Some(Err(_)) | None => eprint!("skipped {line}"),
    }
}

#[test]
fn a_right_configuration_is_0_from_the_callers_directory() {
    assert_accepted(&Installed::new().run(CHECK));
}

#[test]
fn help_and_version_are_answered() {
    let installed = Installed::new();
    assert!(String::from_utf8_lossy(&installed.run(&["--help"]).stdout).contains("--check-config"));
    assert!(String::from_utf8_lossy(&installed.run(&["--version"]).stdout).starts_with("bartizan-broker "));
}

#[test]
fn row_01_an_empty_argument_list_is_refused() {
    // CVE-2021-4034: pkexec read its environment as arguments.
    let installed = Installed::new();
    let line = refusal(&installed.output(Command::new(installed.path("bartizan-broker")).arg0("")), 2);
    assert!(line.contains("empty argument list"), "{line}");
}

#[test]
fn row_02_a_hostile_environment_changes_nothing() {
    let installed = Installed::new();
    let plain = installed.run(CHECK);
    let mut command = Command::new(installed.path("bartizan-broker"));
    command.args(CHECK).envs([
        ("GCONV_PATH", "."),
        ("GLIBC_TUNABLES", "glibc.malloc.mxfast=glibc.malloc.mxfast=A"),
        ("TZ", "../../../../etc/shadow"),
        ("LD_LIBRARY_PATH", "."),
        ("SSL_CERT_FILE", "allowlist.toml"),
        ("RUST_LOG", "trace"),
        ("BARTIZAN_CONFIG", "/nowhere"),
        ("HOME", "/nowhere"),
        ("TMPDIR", "/nowhere"),
    ]);
    let hostile = installed.output(&mut command);
    assert_accepted(&hostile);
    assert_eq!((hostile.stdout, hostile.stderr), (plain.stdout, plain.stderr));
}

#[test]
fn row_03_closed_standard_descriptors_are_opened_first() {
    let installed = Installed::new();
    assert_accepted(&installed.run_after("exec <&- >&- 2>&-", CHECK_WORDS));
    let wrong = installed.run_after("exec <&- >&- 2>&-", "--config nowhere.toml");
    assert_eq!(wrong.status.code(), Some(2), "an error that nobody can read is no panic");
    assert_eq!(fs::read_to_string(installed.path("allowlist.toml")).expect("there"), "");
}

#[test]
fn row_04_inherited_descriptors_do_not_matter() {
    let installed = Installed::new();
    assert_accepted(&installed.run_after("exec 3<bartizan.toml 4<allowlist.toml 9>&1", CHECK_WORDS));
}

#[test]
fn row_05_limits_too_small_for_a_service_are_refused() {
    let installed = Installed::new();
    for (deed, what) in [("ulimit -n 20", "open files"), ("ulimit -t 60", "CPU time"), ("ulimit -f 8", "file size")] {
        let line = refusal(&installed.run_after(deed, CHECK_WORDS), 1);
        assert!(line.contains(what), "{line}");
    }
    // A soft limit is ours to raise.
    assert_accepted(&installed.run_after("ulimit -S -n 20", CHECK_WORDS));
}

#[test]
fn row_06_umask_and_ignored_signals_are_reset() {
    let installed = Installed::new();
    installed.directory("control", 0o755);
    let output = installed.run_after("umask 0; trap '' TERM HUP CHLD PIPE", "--config bartizan.toml");
    let line = refusal(&output, 1);
    assert!(line.contains("control") && line.contains("chmod 700"), "{line}");
    let mode = |name: &str| fs::metadata(installed.path(name)).expect("made").permissions().mode() & 0o7777;
    assert_eq!((mode("state"), mode("state/lock")), (0o700, 0o600));
}

#[test]
fn row_09_what_is_not_an_option_is_one_line_and_2() {
    let installed = Installed::new();
    for words in [&["--frobnicate"][..], &["--config"], &[], &["--config", "a", "--config", "b"], &["-\u{1b}[2J"]] {
        let line = refusal(&installed.run(words), 2);
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn a_missing_or_wrong_configuration_is_one_line_and_2() {
    let installed = Installed::new();
    assert!(refusal(&installed.run(&["--config", "nowhere.toml"]), 2).contains("nowhere.toml"));
    installed.write("wrong.toml", "[server]\nurrl = \"x\"\n");
    for words in [&["--config", "wrong.toml"][..], &["--check-config", "--config", "wrong.toml"]] {
        assert!(refusal(&installed.run(words), 2).contains("wrong.toml:2"));
    }
}

#[test]
fn row_16_a_state_directory_of_others_or_open_to_them_is_refused() {
    let installed = Installed::new();
    installed.directory("state", 0o750);
    assert!(refusal(&installed.run(SERVE), 1).contains("chmod 700"));
    fs::remove_dir(installed.path("state")).expect("empty");
    std::os::unix::fs::symlink("/tmp", installed.path("state")).expect("symlink");
    assert!(refusal(&installed.run(SERVE), 1).contains("state"));
}

#[test]
fn a_second_service_with_the_same_state_is_refused() {
    let installed = Installed::new();
    installed.directory("state", 0o700);
    installed.write("state/lock", "");
    let held = File::open(installed.path("state/lock")).expect("opened");
    flock(&held, FlockOperation::LockExclusive).expect("locked");
    assert!(refusal(&installed.run(SERVE), 1).contains("another bartizan-broker"));
}

#[test]
fn a_production_configuration_is_refused_where_one_user_runs_everything() {
    let installed = Installed::new();
    let text = fs::read_to_string(installed.path("bartizan.toml")).expect("there");
    installed.write("production.toml", &format!("[service]\nproduction = true\n{text}"));
    let line = refusal(&installed.run(&["--config", "production.toml"]), 1);
    assert!(line.contains("production = true") && line.contains("make install"), "{line}");
    assert_accepted(&installed.run(&["--check-config", "--config", "production.toml"]));
    assert!(!installed.path("state").exists(), "nothing was made");
}

#[test]
fn root_is_refused() {
    if !is_root() {
        return skipped("root_is_refused", "only root can try");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_bartizan-broker")).arg("--help").output().expect("ran");
    assert!(refusal(&output, 1).contains("as root"));
}
