//! The scratch root: installing into it, and starting what is in it.

use super::running::Running;
use super::{INVOKER, OPERATORS, READERS, SERVICE, User, possible};
use bartizan_playground::server::{Options, Server};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Who may do what in chat.
const PEOPLE: &str = "alice = \"admin\"\nbob = \"operator\"\ncarol = \"user\"\nmallory = \"banned\"\n";

/// An installation, and the chat server that its configuration names. Dropping it removes everything.
#[derive(Debug)]
pub struct Place {
    /// The scratch root.
    pub root: TempDir,
    /// The chat server.
    pub server: Server,
}

impl Place {
    /// Installs; `None` where that is not possible here, which is said.
    pub fn install() -> Option<Self> {
        let place = Self::empty()?;
        let done = place.make("install", &[]);
        assert!(done.status.success(), "{}", said(&done));
        let people = format!("{}{PEOPLE}", place.read("etc/bartizan/bartizan.toml"));
        place.write("etc/bartizan/bartizan.toml", &people, 0o644);
        Some(place)
    }

    /// A scratch root with nothing in it.
    pub fn empty() -> Option<Self> {
        if !possible() {
            return None;
        }
        let root = tempfile::Builder::new()
            .prefix("bartizan-root-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .expect("a directory");
        Some(Self { root, server: Server::start(Options::default()).expect("the server starts") })
    }

    /// `make TARGET` into this root, with the programs that were built for the tests.
    pub fn make(&self, target: &str, more: &[(&str, &str)]) -> Output {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let built = std::env::current_exe().expect("this program");
        let built = built.parent().and_then(Path::parent).expect("the programs");
        let server = self.server.file();
        let token = self.root.path().join("token");
        fs::write(&token, &server.bot.token).expect("written");
        let mut command = Command::new("make");
        command.args(["--no-print-directory", "-C"]).arg(repository).arg(target).env_remove("MAKEFLAGS");
        let mut set = |name: &str, value: &dyn std::fmt::Display| {
            command.arg(format!("{name}={value}"));
        };
        set("PREFIX", &self.root.path().display());
        set("BUILT", &built.display());
        set("OWNER", &SERVICE.uid);
        set("SERVICE_USER", &INVOKER.uid);
        set("OPERATORS", &OPERATORS);
        set("READERS", &READERS);
        set("URL", &server.url);
        set("TEAM", &server.team.name);
        set("TOKEN_FILE", &token.display());
        for (name, value) in more {
            set(name, value);
        }
        let done = command.output().expect("make runs");
        fs::remove_file(token).expect("removed");
        done
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// What is in a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a file of the installation")
    }

    /// Writes a file as root.
    pub fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).expect("written");
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("chmod");
    }

    /// One more script that everybody in chat may run, as `!NAME`.
    pub fn script(&self, name: &str, text: &str) {
        self.write(&format!("etc/bartizan/scripts/{name}"), text, 0o755);
        let allowlist = self.read("etc/bartizan/allowlist.toml");
        let entry = format!(
            "{allowlist}\n[[scripts]]\nname = \"{name}\"\npath = \"{name}\"\ndescription = \"A test\"\n\
             required-permission = \"user\"\ntimeout = \"30s\"\n"
        );
        self.write("etc/bartizan/allowlist.toml", &entry, 0o644);
    }

    /// The broker as people start it.
    pub fn broker(&self) -> PathBuf {
        self.path("sbin/bartizan-broker")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.path("var/lib/bartizan/control/control.sock")
    }

    /// `bartizan` as a user.
    pub fn bartizan(&self, user: User, words: &[&str]) -> Output {
        user.command(self.path("bin/bartizan")).args(words).output().expect("`bartizan` runs")
    }

    /// Starts the service as its unprivileged user, and waits until it is connected.
    pub fn start(&self) -> Running<'_> {
        self.start_with(INVOKER.command(self.broker()))
    }

    /// The same by a command of the test's own.
    pub fn start_with(&self, command: Command) -> Running<'_> {
        Running::begin(self, command)
    }

    /// The one line with which the broker refuses to start, as its unprivileged user.
    #[track_caller]
    pub fn refusal(&self, words: &[&str]) -> String {
        self.refusal_of(INVOKER.command(self.broker()).args(words))
    }

    /// The same by a command of the test's own.
    #[track_caller]
    pub fn refusal_of(&self, command: &mut Command) -> String {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        let begun = Instant::now();
        while child.try_wait().expect("waited").is_none() {
            if begun.elapsed() > Duration::from_secs(20) {
                child.kill().expect("killed");
                let output = child.wait_with_output().expect("waited");
                panic!("it runs instead of refusing: {}", said(&output));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().expect("waited");
        let line = said(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{:?}: {line}", output.status);
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    }
}

/// All that a command said.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
