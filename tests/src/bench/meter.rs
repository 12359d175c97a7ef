//! CPU time and memory of a tree of processes, as the kernel counts them.
//!
//! Memory is PSS: what a process has alone, and its part of what it shares (`proc_pid_smaps_rollup(5)`). Only root may
//! read that of a process that is not dumpable; so a bench that is started as root leaves a helper behind that is asked
//! for it and does nothing else. Without one, RSS is the best there is: never less than PSS.

use super::{BenchError, io};
use bartizan_playground::service::is_root;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// Reads memory figures.
#[derive(Debug)]
pub(super) struct Meter {
    helper: Option<Mutex<(ChildStdin, BufReader<ChildStdout>)>>,
}

/// Memory of some processes together.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    /// In KiB, by program.
    pub(super) kib: BTreeMap<String, u64>,
    /// PSS of each; else at least one is counted by its RSS.
    pub(super) exact: bool,
}

impl Memory {
    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{}{:.1} MiB", if self.exact { "" } else { "under " }, self.mib())
    }

    /// In MiB.
    pub(super) fn mib(&self) -> f64 {
        self.kib.values().sum::<u64>() as f64 / 1024.0
    }
}

impl Meter {
    /// Call it while still root, if root at all.
    pub(super) fn start() -> Result<Self, BenchError> {
        if !is_root() {
            return Ok(Self { helper: None });
        }
        let mut command = Command::new("/proc/self/exe");
        command.arg("meter").env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(io("the helper that reads memory figures"))?;
        let missing = || BenchError::Missing("the helper has no pipes".to_owned());
        let (stdin, stdout) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
        Ok(Self { helper: Some(Mutex::new((stdin, BufReader::new(stdout)))) })
    }

    /// The memory of a process and all below it.
    pub(super) fn memory(&self, root: i32) -> Result<Memory, BenchError> {
        let mut memory = Memory { kib: BTreeMap::new(), exact: true };
        for pid in tree(root) {
            let own = memory.kib.entry(program(pid)).or_default();
            match self.pss(pid).map_err(io("memory figures"))? {
                Some(kib) => *own += kib,
                None => {
                    *own += field(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0);
                    memory.exact = false;
                }
            }
        }
        Ok(memory)
    }

    fn pss(&self, pid: i32) -> std::io::Result<Option<u64>> {
        let Some(helper) = &self.helper else { return Ok(pss(pid)) };
        let Ok(mut helper) = helper.lock() else { return Ok(None) };
        writeln!(helper.0, "{pid}")?;
        let mut line = String::new();
        helper.1.read_line(&mut line)?;
        Ok(line.trim().parse().ok())
    }
}

/// The helper: a process number on a line in, its PSS in KiB or nothing on a line out.
pub(super) fn serve_root() -> Result<(), BenchError> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(io("standard input"))?;
        let kib = line.parse().ok().and_then(pss).map(|kib| kib.to_string()).unwrap_or_default();
        println!("{kib}");
    }
    Ok(())
}

/// RSS of one process in KiB: now, and the most that it ever had.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peak {
    pub(super) now: u64,
    pub(super) most: u64,
}

/// Everybody may read this of every process.
pub(super) fn peak(pid: i32) -> Option<Peak> {
    let status = format!("/proc/{pid}/status");
    Some(Peak { now: field(&status, "VmRSS:")?, most: field(&status, "VmHWM:")? })
}

fn pss(pid: i32) -> Option<u64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// CPU time so far of a process, all below it, and all of those that ended and were waited for; by program.
pub(super) fn cpu(root: i32) -> BTreeMap<String, Duration> {
    let mut by_program = BTreeMap::new();
    for pid in tree(root) {
        *by_program.entry(program(pid)).or_default() += own_cpu(pid) + reaped_cpu(pid);
    }
    by_program
}

/// A process's name, of which the kernel keeps 15 bytes.
fn program(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// By the scheduler's count in nanoseconds: `utime` and `stime` are the same in steps of 10 ms.
fn own_cpu(pid: i32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(|thread| of_thread(thread.path())).sum())
}

/// `cutime` and `cstime` (`proc_pid_stat(5)`).
fn reaped_cpu(pid: i32) -> Duration {
    let ticks: u64 =
        stat(pid).map_or(0, |fields| fields.iter().skip(13).take(2).filter_map(|t| t.parse::<u64>().ok()).sum());
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64)
}

/// The fields of `/proc/PID/stat` after the name: state, parent, …
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.get(text.rfind(')')? + 1..)?.split_whitespace().map(str::to_owned).collect())
}

/// The process of this name below another one.
pub(super) fn process(root: i32, name: &str) -> Option<i32> {
    tree(root).into_iter().find(|pid| program(*pid) == name)
}

/// A process and all below it.
pub(super) fn tree(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        found.extend(children(found[at]));
        at += 1;
    }
    found
}

/// The processes that this one is the parent of.
pub(super) fn children(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &i32| stat(*pid).is_some_and(|f| f.get(1).is_some_and(|ppid| *ppid == parent.to_string()));
    pids.filter(is_child).collect()
}

/// This process.
pub(super) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn own_cpu_time_grows_with_work_and_own_memory_is_there() {
        let total = || cpu(own_pid()).values().sum::<Duration>();
        let before = total();
        let begun = Instant::now();
        // The kernel counts in ticks, and a busy machine gives few of them: until one is seen.
        while total() < before + Duration::from_millis(5) && begun.elapsed() < Duration::from_secs(10) {
            std::hint::spin_loop();
        }
        assert!(total() >= before + Duration::from_millis(5));
        assert!(Meter { helper: None }.memory(own_pid()).expect("readable").mib() > 0.1);
    }

    #[test]
    fn a_child_belongs_to_the_tree() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = i32::try_from(child.id()).expect("a pid");
        assert!(tree(own_pid()).contains(&pid));
        child.kill().expect("killed");
        child.wait().expect("waited");
    }
}
