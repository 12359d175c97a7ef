//! What systemd does for the units, without systemd: it listens on the broker's three sockets, starts a process of another user for
//! each connection, takes away what the process leaves behind, and closes its copy of the connection when nothing is left.

use super::{Place, Running, SERVICE, User};
use crate::house::seen;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, chown};
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The first number that a unit is given; what `DynamicUser=` gives is below 65520.
const FIRST: u32 = 64_600;
const ROLES: [&str; 3] = ["egress", "connector", "worker"];

static NEXT: AtomicU32 = AtomicU32::new(FIRST);

/// Listens while the test runs.
#[derive(Debug)]
pub struct Manager {
    /// The folder of the sockets.
    pub folder: PathBuf,
}

impl Manager {
    /// Listens on all three sockets of a place.
    pub fn listen(place: &Place) -> Self {
        let folder = place.path("units");
        fs::create_dir(&folder).expect("made");
        let log = place.path("units.log");
        fs::write(&log, "").expect("written");
        for role in ROLES {
            let path = folder.join(format!("{role}.sock"));
            let listener = UnixListener::bind(&path).expect("bound");
            chown(&path, Some(SERVICE.uid.into()), None).expect("chown");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
            let program = place.path("libexec/bartizan").join(format!("bartizan-{role}"));
            let log = log.clone();
            std::thread::spawn(move || {
                while let Ok((connection, _)) = listener.accept() {
                    let (program, log) = (program.clone(), log.clone());
                    std::thread::spawn(move || run(&program, connection, &log));
                }
            });
        }
        Self { folder }
    }

    /// The broker as its unit starts it: by the service's own user, without new privileges.
    pub fn broker(&self, place: &Place) -> Command {
        let config = place.path("etc/bartizan/bartizan.toml");
        let mut command = without_new_privileges(SERVICE.uid, &place.path("libexec/bartizan/bartizan-broker"));
        command.arg("--units").arg(&self.folder).arg("--config").arg(config);
        command
    }

    /// Starts the service, and waits until it is connected.
    pub fn start<'place>(&self, place: &'place Place) -> Running<'place> {
        place.start_with(self.broker(place))
    }
}

/// A program as another user who can become nobody else.
pub fn without_new_privileges(uid: u32, program: &Path) -> Command {
    let user = User { uid, gid: uid, further: None };
    let mut command = user.command("setpriv");
    command.args(["--no-new-privs", "--bounding-set=-all", "--"]).arg(program);
    command
}

/// One unit, to the end of everything in it.
fn run(program: &Path, connection: UnixStream, log: &Path) {
    let uid = NEXT.fetch_add(1, Ordering::Relaxed);
    let log = fs::File::options().append(true).open(log).expect("the log");
    let theirs = OwnedFd::from(connection.try_clone().expect("dup"));
    let mut main = without_new_privileges(uid, program)
        .arg("--unit")
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("starts");
    main.wait().expect("waited");
    // KillMode=control-group; here the user is what everything of the unit has in common.
    while end_all_of(uid) > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(connection);
}

/// Processes of a user that are still alive; each is killed.
fn end_all_of(uid: u32) -> usize {
    let left = of_user(uid);
    for pid in &left {
        let _ended_already = kill(Pid::from_raw(i32::try_from(*pid).expect("a pid")), Signal::SIGKILL);
    }
    left.len()
}

/// The living processes of a user.
pub fn of_user(uid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| uid_of(*pid) == Some(uid) && seen::alive(*pid)).collect()
}

/// A process's user.
pub fn uid_of(pid: u32) -> Option<u32> {
    seen::status(pid, "Uid:").first()?.parse().ok()
}
