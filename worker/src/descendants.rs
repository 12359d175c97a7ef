//! The processes of a job, from outside: for reports, and to end them where no PID namespace does that.

use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::BTreeMap;
use std::time::Duration;

/// What `/proc/PID/stat` says of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    user_ticks: u64,
    system_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name stands in parentheses and may hold anything, parentheses too: fields count from the last one.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        // proc_pid_stat(5): after the name come state, ppid (4); utime, stime, cutime, cstime are 14 to 17.
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            user_ticks: number(11)? + number(13)?,
            system_ticks: number(12)? + number(14)?,
        })
    }
}

/// All processes beneath `root`, without it.
pub(crate) fn of(root: Pid) -> Vec<Pid> {
    collect(root).into_iter().map(|(pid, _)| pid).collect()
}

/// CPU time that `root`, those beneath it and those that they have reaped have used so far: user and system, in microseconds.
pub(crate) fn processor_time(root: Pid) -> (u64, u64) {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let microseconds = |ticks: u64| ticks * 1_000_000 / per_second;
    let all = collect(root);
    let sum = |part: fn(&Stat) -> u64| microseconds(all.iter().map(|(_, stat)| part(stat)).sum());
    (sum(|stat| stat.user_ticks), sum(|stat| stat.system_ticks))
}

fn collect(root: Pid) -> Vec<(Pid, Stat)> {
    let mut children: BTreeMap<i32, Vec<(Pid, Stat)>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?)) else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat"));
        if let Some(stat) = stat.ok().and_then(|text| Stat::parse(&text)) {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root.as_raw_nonzero().get()];
    while let Some(parent) = next.pop() {
        for (pid, stat) in children.remove(&parent).unwrap_or_default() {
            next.push(pid.as_raw_nonzero().get());
            found.push((pid, stat));
        }
    }
    found
}

/// Ends every process beneath this one, however often they fork meanwhile, and reaps them. This process adopts orphans
/// ([`crate::init::adopt_orphans`]), so none can slip away.
pub(crate) fn end_all() {
    loop {
        for pid in of(rustix::process::getpid()) {
            let _ended = rustix::process::kill_process(pid, Signal::KILL);
        }
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // No child left: none beneath either.
                Err(_) => return,
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 0 0 10 20 30 40 20 0 1 0";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 3, user_ticks: 40, system_ticks: 60 }));
        assert_eq!(Stat::parse("nonsense"), None);
    }
}
