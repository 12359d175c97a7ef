//! What a process is seen to be from outside, in `/proc`.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// Whether a process is there and not a zombie.
pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// The processes whose command line has a word in it.
pub fn with_word(word: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
    };
    pids.filter(has).filter(|pid| alive(*pid)).collect()
}

/// A process that stands still until this is dropped, in a system call: it is calculating nothing.
#[derive(Debug)]
pub struct Still(Pid);

impl Still {
    /// Stops it. `None` when it has ended.
    pub fn of(pid: u32) -> Option<Self> {
        let own = Self(Pid::from_raw(i32::try_from(pid).ok()?));
        loop {
            kill(own.0, Signal::SIGSTOP).ok()?;
            while status(pid, "State:").first()? != "T" {
                alive(pid).then_some(())?;
                std::thread::sleep(Duration::from_millis(1));
            }
            // proc_pid_syscall(5): the number of the call that it is in, -1 outside of one.
            if !fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?.starts_with("-1 ") {
                return Some(own);
            }
            kill(own.0, Signal::SIGCONT).ok()?;
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let _ended = kill(self.0, Signal::SIGCONT);
    }
}

/// Resident memory in KiB.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A process, and everything below it.
pub fn below(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let parents: Vec<(u32, u32)> = pids.into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().filter(|pid| alive(*pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// The words of one line of `/proc/PID/status`, like `Uid:`; none when the process is gone.
pub fn status(pid: u32, line: &str) -> Vec<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status.lines().find_map(|known| known.strip_prefix(line)).unwrap_or_default();
    found.split_whitespace().map(str::to_owned).collect()
}

/// A process's program, by the name that the kernel keeps (15 bytes).
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
