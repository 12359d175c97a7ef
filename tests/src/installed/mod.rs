//! A service as `make install` makes it, setuid and all, in a scratch root: for tests that attack it as root's neighbours.
//!
//! Only what has to be root's is done as root: installing, changing owners, looking on. The service is started by the
//! unprivileged user, and everything that attacks it runs as that user, as an operator or as a stranger. All of them are
//! numbers that no account has, so nothing is left behind.

mod activation;
pub mod daemon;
mod machine;
mod place;
mod running;

pub use activation::{Manager, of_user, uid_of, without_new_privileges};
pub use daemon::Daemon;
pub use machine::Machine;
pub use place::Place;
pub use running::{Processes, Running};

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its group's.
    pub gid: u32,
    /// One further group, if any.
    pub further: Option<u32>,
}

/// The group of those who may use the control socket.
pub const OPERATORS: u32 = 64_112;
/// The group of those who may only read.
pub const READERS: u32 = 64_115;
/// Owner of the setuid program: core and egress.
pub const SERVICE: User = User { uid: 64_110, gid: 64_110, further: None };
/// Starts the service: launcher, connector and workers.
pub const INVOKER: User = User { uid: 64_111, gid: 64_111, further: None };
/// A person in the operators' group.
pub const OPERATOR: User = User { uid: 64_113, gid: 64_113, further: Some(OPERATORS) };
/// A person in the readers' group.
pub const READER: User = User { uid: 64_116, gid: 64_116, further: Some(READERS) };
/// Anybody else.
pub const STRANGER: User = User { uid: 64_114, gid: 64_114, further: None };

impl User {
    /// A command that this user runs. The tests are root's.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)]);
        match self.further {
            None => command.arg("--clear-groups"),
            Some(group) => command.arg(format!("--groups={group}")),
        };
        command.arg("--").arg(program.as_ref());
        command
    }

    /// A line for the shell, run by this user; whether it succeeded, and all that it said.
    pub fn shell(&self, line: &str) -> (bool, String) {
        let output = self.command("/bin/sh").args(["-c", line]).current_dir("/").output().expect("a shell");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

/// Whether this test can run; where it cannot, that is said once, and counted as skipped.
pub fn possible() -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "only root can install; run `make test` as root"
    } else if is_nosuid() {
        "the temporary directory's file system ignores setuid bits"
    } else {
        return true;
    };
    skip(reason);
    false
}

fn is_nosuid() -> bool {
    let mount = rustix::fs::statvfs(std::env::temp_dir()).expect("statvfs");
    mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID)
}

/// Says that this test, or a part of it, cannot run here.
pub fn skip(reason: &str) {
    let line = format!("{}: {reason}\n", std::thread::current().name().unwrap_or("a test"));
    match std::env::var_os("BARTIZAN_SKIPS") {
        Some(path) => {
            let mut list = OpenOptions::new().append(true).create(true).open(path).expect("the list of skips");
            list.write_all(line.as_bytes()).expect("written");
        }
        None => eprint!("skipped {line}"),
    }
}
