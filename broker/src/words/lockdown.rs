//! The words about an emergency stop.

use crate::gate::lockdown::Lockdown;
use bartizan_proto::text::{code, escape};

/// To everybody who asks for a script meanwhile.
pub fn refused(by: &str, reason: &str) -> String {
    format!(":lock: **Locked down** by {}: {}. Nothing is started until the host lifts it.", code(by), escape(reason))
}

/// It begins: to who began it, and to the admins.
pub fn begun(lockdown: &Lockdown, running: usize, kill: bool) -> String {
    let Lockdown { reason, by_name, .. } = lockdown;
    format!(
        ":lock: **Locked down** by {}: {}. Nothing new is started, also after a restart. {} Only the host lifts it: `bartizan end-lockdown`.",
        code(by_name),
        escape(reason),
        what_runs(running, kill)
    )
}

/// To who wants it once more.
pub fn already(lockdown: &Lockdown, running: usize, kill: bool) -> String {
    let Lockdown { reason, by_name, .. } = lockdown;
    let runs = what_runs(running, kill);
    format!(":lock: It is locked down already, by {}: {}. {runs}", code(by_name), escape(reason))
}

/// To the admins, when it is over.
pub fn lifted(by: &str) -> String {
    format!(":unlock: The lockdown is **lifted** by {}. What was refused meanwhile is to be asked for again.", code(by))
}

fn what_runs(running: usize, kill: bool) -> String {
    match (running, kill) {
        (0, _) => "No job runs.".to_owned(),
        (1, true) => "The job that runs is stopped.".to_owned(),
        (more, true) => format!("The {more} jobs that run are stopped."),
        (1, false) => "The job that runs goes on: `jobs` shows it, `kill` stops it.".to_owned(),
        (more, false) => format!("The {more} jobs that run go on: `jobs` lists them, `kill` stops one."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_mentions_nobody_and_is_no_markup() {
        let said = refused("alice", "@all **now** `x`");
        assert!(!said.contains("@all") && !said.contains("**now**"), "{said}");
    }
}
