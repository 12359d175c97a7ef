//! A machine with a real systemd: a container of systemd-nspawn's with a small root, in which Bartizan is installed.
//!
//! It has the host's network, where the test's chat server is, and everything else for itself. Dropping it ends it.

use super::{possible, skip};
use crate::house::seen;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that is waited for; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What is installed, and the playground's own needs beside it.
const PROGRAMS: [&str; 9] = [
    "bartizan",
    "bartizan-broker",
    "bartizan-launcher",
    "bartizan-egress",
    "bartizan-connector",
    "bartizan-worker",
    "bartizan-remote",
    "bartizan-driver",
    "bz",
];

/// nspawn's own list of system calls has none of these; on a real machine there is no such list.
const CALLS: &str = "@memlock @mount @keyring memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp \
                     pidfd_open pidfd_send_signal open_tree move_mount fsopen fsmount fsconfig mount_setattr";

/// Before nspawn, in a mount namespace of its own: unified control groups, whatever this machine has, and no trace in /run.
const BEFORE: &str = "set -e
[ \"$(stat -fc %T /sys/fs/cgroup)\" = cgroup2fs ] || { umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }
mount -t tmpfs tmpfs /run
exec \"$@\"";

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    folder: TempDir,
    container: Child,
    /// Its first process, as seen from here.
    init: u32,
}

impl Machine {
    /// Makes a root, installs, and boots; `None` where that is not possible here, which is said.
    pub fn boot() -> Option<Self> {
        if !possible() {
            return None;
        }
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let built = std::env::current_exe().expect("this program");
        let built = built.parent().and_then(Path::parent).expect("the programs");
        let kept =
            Command::new(repository.join("tests/nspawn")).arg(built.join("../nspawn")).output().expect("it runs");
        let said = String::from_utf8_lossy(&kept.stdout).trim().to_owned();
        if !kept.status.success() {
            skip(&said);
            return None;
        }
        let folder = tempfile::Builder::new().prefix("bartizan-machine-").tempdir().expect("a directory");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("made");
        let unpacked = Command::new("tar").arg("-xf").arg(&said).arg("-C").arg(&root).status().expect("tar runs");
        assert!(unpacked.success(), "{said} cannot be unpacked: remove it");
        for part in ["built", "deploy", "systemd", "config"] {
            let copied = match part {
                "built" => PROGRAMS.iter().map(|name| built.join(name)).collect(),
                part => vec![repository.join(part)],
            };
            let to = root.join("src");
            let to = if part == "built" { to.join("built") } else { to };
            fs::create_dir_all(&to).expect("made");
            assert!(Command::new("cp").arg("-r").args(copied).arg(&to).status().expect("cp runs").success(), "{part}");
        }
        let install = "PREFIX=/usr BUILT=/src/built exec /src/deploy/install";
        let done =
            nspawn(&root).args(["--pipe", "/bin/sh", "-c", install]).stdin(Stdio::null()).output().expect("runs");
        let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        if !done.status.success() {
            let last = text.lines().last().unwrap_or_default();
            skip(&format!("nothing can be installed in a container here: {last}"));
            return None;
        }
        Self::start(folder, &root)
    }

    fn start(folder: TempDir, root: &Path) -> Option<Self> {
        let log = folder.path().join("boot");
        let file = fs::File::create(&log).expect("a log");
        let container = nspawn(root)
            .arg("-b")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("dup"))
            .stderr(file)
            .spawn()
            .expect("it starts");
        let mut machine = Self { folder, container, init: 0 };
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && machine.container.try_wait().expect("waited").is_none() {
            let below = seen::below(machine.container.id());
            machine.init = below.into_iter().find(|pid| seen::name(*pid) == "systemd").unwrap_or(0);
            let (_, state) = machine.shell("systemctl is-system-running");
            if machine.init != 0 && ["running", "degraded"].contains(&state.trim()) {
                // nspawn covers parts of /proc, and then the kernel lets no user namespace mount its own. A real machine does not.
                let (done, said) = machine.shell("mkdir /run/whole-proc && mount -t proc proc /run/whole-proc");
                assert!(done, "{said}");
                return Some(machine);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let text = fs::read_to_string(&log).unwrap_or_default();
        skip(&format!("a container does not boot here: {}", text.lines().last().unwrap_or("nspawn says nothing")));
        None
    }

    /// A file of its root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    /// A program in it, as its root.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.to_string(), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]);
        command.args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]).args(words);
        command
    }

    /// A line for its shell; whether it succeeded, and all that it said.
    pub fn shell(&self, line: &str) -> (bool, String) {
        let output: Output =
            self.command(&["/bin/sh", "-c", line]).stdin(Stdio::null()).output().expect("nsenter runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// A line that must succeed; what it said.
    #[track_caller]
    pub fn does(&self, line: &str) -> String {
        let (done, said) = self.shell(line);
        assert!(done, "{line}: {said}\n{}", self.journal());
        said
    }

    /// What `bartizan status --json` tells root.
    pub fn status(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.shell("bartizan status --json").1).ok()
    }

    /// The end of the log of all units.
    pub fn journal(&self) -> String {
        self.shell("journalctl --no-pager --lines=60 -u 'bartizan*'").1
    }

    /// Waits for a condition; with the log when it does not come.
    pub fn wait<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(found) = condition() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("waited in vain for {what}; the log: {}", self.journal());
    }
}

/// systemd-nspawn with this root, told to nobody.
fn nspawn(root: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-c", BEFORE, "sh", "systemd-nspawn"]);
    command.args(["--quiet", "--keep-unit", "--register=no", "--system-call-filter", CALLS, "-D"]).arg(root);
    command
}

impl Drop for Machine {
    fn drop(&mut self) {
        let (_off, _said) = self.shell("systemctl --force --force poweroff");
        let end = Instant::now() + Duration::from_secs(10);
        while self.container.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ended_already = self.container.kill();
        let _reaped_already = self.container.wait();
    }
}
