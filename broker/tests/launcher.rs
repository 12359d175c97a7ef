//! The program `bartizan-launcher` over a socket pair: the test plays the core, shell scripts play the children.

use bartizan_proto::channel::Channel;
use bartizan_proto::launcher::{ChildId, ExitStatus, FromLauncher, ToLauncher};
use bartizan_proto::version::Role;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A process that is just being made holds its siblings' files open for writing, and the kernel refuses to run such a
/// file (ETXTBSY). So nothing is started while a test writes a program.
static STARTING_OR_WRITING: Mutex<()> = Mutex::new(());

/// Prints its process id and waits for its end.
const WAITS: &str = "echo $$ >&0; exec sleep 300";

/// A launcher with a program for each role beside it, and the core's end of its channel.
struct Launched {
    place: TempDir,
    process: Child,
    channel: Channel,
}

impl Launched {
    /// The launcher of the service. What it takes for the core runs `core`; it can do so beside a file named `end`.
    fn service(worker: &str, core: &str) -> Self {
        let script = format!("({core}) & core=$!; sleep 300 & exec \"$0\" service $core $!");
        Self::start(worker, &["-c", &script])
    }

    fn egress(egress: &str) -> Self {
        Self::start(egress, &["-c", "sleep 300 & exec \"$0\" egress $PPID $!"])
    }

    fn start(child: &str, shell: &[&str]) -> Self {
        let _alone = STARTING_OR_WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tempfile::tempdir().expect("tempdir");
        let program = place.path().join("bartizan-launcher");
        std::fs::copy(env!("CARGO_BIN_EXE_bartizan-launcher"), &program).expect("copied");
        for name in ["bartizan-worker", "bartizan-egress"] {
            write_program(&place.path().join(name), child);
        }
        let (core, launchers) = UnixStream::pair().expect("socketpair");
        core.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let process = Command::new("/bin/sh")
            .args(shell)
            .arg(&program)
            .current_dir(&place)
            .env("LD_BIND_NOW", "inherited")
            .stdin(Stdio::from(OwnedFd::from(launchers)))
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let mut channel = Channel::from(core);
        channel.greet(Role::Core, Role::Launcher).expect("greeted");
        Self { place, process, channel }
    }

    /// Orders a start, and hands back the core's end of the child's channel.
    fn order(&mut self, child: u64, role: Role) -> BufReader<UnixStream> {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        ours.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let start = ToLauncher::Start { child: ChildId(child), role };
        self.channel.send_with(&start, &[theirs.as_fd()]).expect("sent");
        BufReader::new(ours)
    }

    /// The same for a worker that runs then, with its process id.
    fn worker(&mut self, child: u64) -> (BufReader<UnixStream>, u32) {
        let end = self.order(child, Role::Worker);
        match self.report() {
            FromLauncher::Started { child: started, pid, uid: _ } if started == ChildId(child) => (end, pid),
            other => panic!("{other:?}"),
        }
    }

    fn report(&mut self) -> FromLauncher {
        self.channel.receive().expect("a frame").expect("the launcher lives")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a pid")).expect("not 0");
        kill_process(pid, signal).expect("signalled");
    }

    /// The exit code that it ends with by itself.
    fn exit_code(mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.process.try_wait().expect("waited") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the launcher does not end");
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped_already = self.process.wait();
    }
}

fn write_program(path: &Path, script: &str) {
    std::fs::write(path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}

fn line(end: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    end.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

/// Whether such a process is there at all, be it a zombie.
fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn a_child_gets_three_descriptors_no_environment_no_argument_and_no_blocked_signal() {
    // `ls` opens the directory as its own lowest free descriptor: 3, unless something else is open.
    let tells = "out=$(readlink /proc/$$/fd/1)\n{ echo fds $(ls /proc/self/fd); echo env $(tr '\\0' ' ' </proc/$$/environ); echo args $#; \
                 echo out $out; grep -E '^Sig(Blk|Ign)' /proc/self/status; } >&0";
    let mut launched = Launched::service(tells, "sleep 300");
    let (mut end, _pid) = launched.worker(1);
    let told: Vec<String> = (0..6).map(|_| line(&mut end)).collect();
    assert_eq!(told[..5], ["fds 0 1 2 3", "env", "args 0", "out /dev/null", "SigBlk:\t0000000000000000"]);
    // 32 and 33 are the C library's own, which it never hands on as anything but ignored.
    let ignored = u64::from_str_radix(told[5].trim_start_matches("SigIgn:\t"), 16).expect("hexadecimal");
    assert_eq!(ignored & !(0b11 << 31), 0, "{}", told[5]);
    assert_eq!(launched.report(), FromLauncher::Ended { child: ChildId(1), status: Some(ExitStatus::Code(0)) });
}

#[test]
fn a_killed_child_is_reported_with_the_kernels_word() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    let (mut end, pid) = launched.worker(5);
    assert_eq!(line(&mut end), pid.to_string());
    launched.channel.send(&ToLauncher::Kill { child: ChildId(5) }).expect("sent");
    assert_eq!(launched.report(), FromLauncher::Ended { child: ChildId(5), status: Some(ExitStatus::Signal(9)) });
    // Once more, as it happens when the order and the end cross: no answer, and no harm.
    launched.channel.send(&ToLauncher::Kill { child: ChildId(5) }).expect("sent");
    let (_end, pid) = launched.worker(6);
    assert!(exists(&pid.to_string()));
}

#[test]
fn what_a_child_left_behind_is_gone_before_its_end_is_reported() {
    // A daemon: forked twice, in a session of its own, with a child of its own.
    let leaves = "exec 3>&0\n(setsid sh -c 'sleep 300 & echo $$ $! >&3; wait' &)\nsleep 0.3; exit 3";
    let mut launched = Launched::service(leaves, "sleep 300");
    let (mut end, _pid) = launched.worker(1);
    let left = line(&mut end);
    assert_eq!(launched.report(), FromLauncher::Ended { child: ChildId(1), status: Some(ExitStatus::Code(3)) });
    let pids: Vec<&str> = left.split(' ').collect();
    assert_eq!(pids.len(), 2, "{left:?}");
    assert!(pids.iter().all(|pid| !exists(pid)), "{left} still there");
}

#[test]
fn a_program_that_is_not_there_is_a_report_and_not_an_end() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    let _end = launched.order(1, Role::Connector);
    match launched.report() {
        FromLauncher::StartFailed { child: ChildId(1), why } => assert!(why.contains("bartizan-connector"), "{why}"),
        other => panic!("{other:?}"),
    }
    let (_end, _pid) = launched.worker(2);
}

#[test]
fn the_service_launcher_ends_when_it_is_told_to_start_egress() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    let (mut end, _pid) = launched.worker(1);
    let worker = line(&mut end);
    let _end = launched.order(2, Role::Egress);
    assert_eq!(launched.exit_code(), Some(1));
    assert!(!exists(&worker));
}

#[test]
fn the_egress_launcher_starts_egress_and_ends_when_it_is_told_to_start_a_worker() {
    let mut launched = Launched::egress(WAITS);
    let mut end = launched.order(1, Role::Egress);
    assert!(matches!(launched.report(), FromLauncher::Started { .. }));
    let egress = line(&mut end);
    let _end = launched.order(2, Role::Worker);
    assert_eq!(launched.exit_code(), Some(1));
    assert!(!exists(&egress));
}

#[test]
fn a_number_that_is_in_use_ends_the_launcher() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    let (_end, _pid) = launched.worker(1);
    let _end = launched.order(1, Role::Worker);
    assert_eq!(launched.exit_code(), Some(1));
}

#[test]
fn an_order_without_its_descriptor_ends_the_launcher() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    launched.channel.send(&ToLauncher::Start { child: ChildId(1), role: Role::Worker }).expect("sent");
    assert_eq!(launched.exit_code(), Some(1));
}

#[test]
fn garbage_ends_the_launcher_and_not_with_a_panic() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    launched.channel.send(&(u64::MAX, "not an order")).expect("sent");
    assert_eq!(launched.exit_code(), Some(1));
}

#[test]
fn when_the_core_closes_its_channel_nothing_is_left() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    let (mut end, _pid) = launched.worker(1);
    let worker = line(&mut end);
    let (ours, _theirs) = Channel::pair().expect("socketpair");
    launched.channel = ours;
    assert_eq!(launched.exit_code(), Some(1), "nobody had asked for an end");
    assert!(!exists(&worker));
}

#[test]
fn when_the_core_dies_nothing_is_left() {
    let mut launched = Launched::service(WAITS, "until [ -e end ]; do sleep 0.02; done; exit 0");
    let (mut end, _pid) = launched.worker(1);
    let worker = line(&mut end);
    std::fs::write(launched.place.path().join("end"), "").expect("written");
    assert_eq!(launched.exit_code(), Some(1), "nobody had asked for an end");
    assert!(!exists(&worker));
}

#[test]
fn a_termination_is_handed_on_and_an_orderly_end_is_0() {
    let mut launched = Launched::service(WAITS, "until [ -e end ]; do sleep 0.02; done; exit 0");
    launched.signal(Signal::TERM);
    assert_eq!(launched.report(), FromLauncher::Terminate);
    std::fs::write(launched.place.path().join("end"), "").expect("written");
    assert_eq!(launched.exit_code(), Some(0));
}

#[test]
fn a_core_that_fails_on_its_way_out_is_1() {
    let mut launched = Launched::service(WAITS, "until [ -e end ]; do sleep 0.02; done; exit 5");
    launched.signal(Signal::INT);
    assert_eq!(launched.report(), FromLauncher::Terminate);
    std::fs::write(launched.place.path().join("end"), "").expect("written");
    assert_eq!(launched.exit_code(), Some(1));
}

#[test]
fn a_hangup_asks_for_the_configuration_to_be_read_again() {
    let mut launched = Launched::service(WAITS, "sleep 300");
    launched.signal(Signal::HUP);
    assert_eq!(launched.report(), FromLauncher::Reload);
    let (_end, _pid) = launched.worker(1);
}

#[test]
fn the_third_request_to_end_kills_everything() {
    let mut launched = Launched::service(WAITS, "trap '' TERM; while :; do sleep 300; done");
    let (mut end, _pid) = launched.worker(1);
    let worker = line(&mut end);
    for _ in 0..2 {
        launched.signal(Signal::TERM);
        assert_eq!(launched.report(), FromLauncher::Terminate);
    }
    launched.signal(Signal::TERM);
    assert_eq!(launched.exit_code(), Some(1));
    assert!(!exists(&worker));
}

#[test]
fn by_hand_it_says_who_should_start_it() {
    for words in [&[][..], &["worker"], &["service", "1", "1"]] {
        let _alone = STARTING_OR_WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let (_core, end) = UnixStream::pair().expect("socketpair");
        let output = Command::new(env!("CARGO_BIN_EXE_bartizan-launcher"))
            .args(words)
            .stdin(Stdio::from(OwnedFd::from(end)))
            .output()
            .expect("ran");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("bartizan-broker"), "{words:?}");
    }
}
