//! Where the tests stand: in a process without rights, with the programs where it can reach them.
//!
//! Started by root, the whole test process becomes a user without a name before anything else is started, for good.

use nix::unistd::{Gid, Uid, chown, setgroups, setresgid, setresuid};
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The user and the group, below 65,536 so that they exist in a container's user namespace.
const NOBODY: u32 = 64_102;

/// What is taken along.
const PROGRAMS: [&str; 10] = [
    "bartizan",
    "bartizan-broker",
    "bartizan-launcher",
    "bartizan-egress",
    "bartizan-connector",
    "bartizan-worker",
    "bartizan-remote",
    "bartizan-driver",
    "bz",
    "bartizan-puppet",
];

struct Ground {
    programs: PathBuf,
    skips: Option<Mutex<File>>,
}

/// Gives up root's rights, if there are any. Every test begins with it.
pub fn stand() {
    ground();
}

/// The directory of the programs.
pub fn programs() -> PathBuf {
    ground().programs.clone()
}

/// Says that a test cannot run here; `make test` counts it as skipped.
pub fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    match &ground().skips {
        Some(list) => {
            let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
            list.write_all(line.as_bytes()).expect("the list of skips");
        }
        None => eprint!("skipped {line}"),
    }
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let skips = std::env::var_os("BARTIZAN_SKIPS").map(|path| {
            Mutex::new(OpenOptions::new().append(true).create(true).open(path).expect("the list of skips"))
        });
        let built =
            std::env::current_exe().expect("this program").parent().and_then(Path::parent).expect("deps").to_owned();
        for program in PROGRAMS.map(|name| built.join(name)) {
            assert!(program.exists(), "{} is not built", program.display());
        }
        // Copies also without root: hostile programs are put beside them.
        let folder =
            tempfile::Builder::new().prefix("bartizan-ground-").tempdir_in("/tmp").expect("a directory").keep();
        let root = Uid::effective().is_root();
        for name in PROGRAMS {
            let from = built.join(name);
            let to = folder.join(name);
            std::fs::copy(from, &to).expect("a copy");
            give_away(&to, root);
        }
        give_away(&folder, root);
        if root {
            become_nobody();
        }
        clean_up_after_us(&folder);
        Ground { programs: folder, skips }
    })
}

fn give_away(path: &Path, root: bool) {
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("chmod");
    if root {
        chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).expect("chown");
    }
}

/// The C library does this for every thread of the process.
fn become_nobody() {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setgroups(&[]).expect("no groups");
    setresgid(group, group, group).expect("another group");
    setresuid(user, user, user).expect("another user");
}

/// A process that removes the copies when this one has ended, however it ends.
#[allow(clippy::zombie_processes, reason = "it ends after this process")]
fn clean_up_after_us(folder: &Path) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read -r _; rm -rf -- \"$0\""]).arg(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a shell");
    // Its other end closes with this process.
    std::mem::forget(child.stdin.take());
}
