//! The processes below one process, from `/proc` alone.
//!
//! `/proc/PID/stat` can be read of everybody's processes; `exe` cannot, where a process is not dumpable. The name in it
//! has at most 15 bytes.

use super::Role;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;

/// A process that ran when it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    name: String,
    /// Clock ticks since boot at its start: a number that is used again has another one.
    started: u64,
}

impl Process {
    /// Sends a signal; a process that is gone does not mind.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let _gone_meanwhile = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        read(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end and takes its exit status, where it has become our child by the death of its parents.
    pub fn reap(&self) {
        let _not_our_child = nix::sys::wait::waitpid(Pid::from_raw(self.pid), None);
    }

    fn is(&self, role: Role) -> bool {
        let program = role.program();
        self.name == program[..program.len().min(15)]
    }
}

/// All processes below `root`, itself included, parents before children.
pub fn below(root: i32) -> Vec<Process> {
    let all = all();
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in &all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found: Vec<Process> = all.iter().filter(|process| process.pid == root).cloned().collect();
    let mut at = 0;
    while at < found.len() {
        let more = children.get(&found[at].pid).into_iter().flatten();
        found.extend(more.map(|process| (*process).clone()).collect::<Vec<_>>());
        at += 1;
    }
    found
}

/// The processes of one role below `root`. Of a program that starts itself once more, only the upper process.
pub fn of_role(root: i32, role: Role) -> Vec<Process> {
    let all = below(root);
    let same: Vec<&Process> = all.iter().filter(|process| process.is(role)).collect();
    let uppermost = same.iter().filter(|process| !same.iter().any(|other| other.pid == process.parent));
    uppermost.map(|process| (**process).clone()).collect()
}

/// Bartizan's processes in these process groups, also those whose parents are gone.
pub fn of_groups(groups: &[i32]) -> Vec<Process> {
    let ours = |process: &Process| groups.contains(&process.group) && process.name.starts_with("bartizan-");
    all().into_iter().filter(ours).collect()
}

fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// `/proc/PID/stat`, unless it is a zombie (`proc_pid_stat(5)`).
fn read(pid: i32) -> Option<Process> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    let name = stat.get(stat.find('(')? + 1..stat.rfind(')')?)?;
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    let state = fields.first()?;
    (*state != "Z" && *state != "X").then_some(())?;
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        name: name.to_owned(),
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_read() {
        let fields = "S 7 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 4711 0";
        let process = parse(9, &format!("9 (a) b) {fields}")).expect("well formed");
        assert_eq!((process.name.as_str(), process.parent, process.started), ("a) b", 7, 4711));
        assert_eq!(parse(9, &format!("9 (a) {}", fields.replace('S', "Z"))), None, "a zombie does not run");
        assert_eq!(parse(9, "9 a S"), None);
    }

    #[test]
    fn a_child_is_found_below_this_process_and_gone_after_its_end() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let me = i32::try_from(std::process::id()).expect("a process id");
        let find = || below(me).into_iter().find(|process| process.pid.unsigned_abs() == child.id());
        let process = find().expect("it runs");
        process.signal(Signal::SIGKILL);
        child.wait().expect("it ends");
        assert!(!process.is_alive());
    }
}
