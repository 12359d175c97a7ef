//! What `bartizan doctor` asks the core about its machine: the clock, the disk, who may command and who may read, whether
//! anything is started at all.

use super::Core;
use crate::config::Config;
use crate::peer::control::{COMMAND, READ};
use bartizan_proto::Text;
use bartizan_proto::control::{Check, CheckVerdict, Mode};
use std::time::Duration;

/// The server's clock may differ by this much: one-time codes and the age of commands go by it.
const CLOCK: Duration = Duration::from_secs(30);

/// Below this many free bytes, or one part in twenty, somebody should look.
const LITTLE: u64 = 512 * 1024 * 1024;

impl Core {
    /// A line for each.
    pub(super) fn machine_checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        if self.roster.ready().is_some() {
            checks.push(clock(self.server_ahead_ms));
        }
        let blocked = self.audit.cannot_record();
        checks.push(disk(self.audit.room(), blocked));
        checks.push(sockets(&self.config, self.mode));
        if self.lockdown.is_some() {
            let detail = "nothing is started: `bartizan status` says why, `bartizan end-lockdown` lifts it";
            checks.push(check("lockdown", CheckVerdict::Warn, detail.to_owned()));
        }
        if self.paused.is_some() {
            let detail = "what is asked for waits: `bartizan status` says since when, `bartizan resume` ends it";
            checks.push(check("pause", CheckVerdict::Warn, detail.to_owned()));
        }
        checks
    }
}

fn clock(ahead_ms: i64) -> Check {
    let apart = Duration::from_millis(ahead_ms.unsigned_abs());
    let shown = crate::words::rough(apart);
    let which = if ahead_ms < 0 { "behind" } else { "ahead of" };
    if apart <= CLOCK {
        return check("clock", CheckVerdict::Ok, "this machine and the server agree".to_owned());
    }
    let remedy = "set the wrong one: timedatectl set-ntp true";
    check("clock", CheckVerdict::Warn, format!("the server is {shown} {which} this machine; {remedy}"))
}

/// Both, with who may use them.
fn sockets(config: &Config, mode: Mode) -> Check {
    let at = |folder: &std::path::Path, name: &str| folder.join(name).display().to_string();
    let (commands, reading) = (at(&config.control, COMMAND), at(&config.read, READ));
    let group =
        |name: &Option<String>| name.as_ref().map_or("root alone".to_owned(), |name| format!("the group {name}"));
    match (mode, &config.readers) {
        (Mode::SingleUser, _) => {
            check("sockets", CheckVerdict::Ok, format!("commands: {commands}; reading: {reading}; of one user, both"))
        }
        (Mode::Setuid | Mode::Systemd, None) => {
            let who = group(&config.operators);
            let remedy = "who only reads can command, too: name a group of their own in `[control] readers`";
            check("sockets", CheckVerdict::Warn, format!("{commands} and {reading} are both for {who}; {remedy}"))
        }
        (Mode::Setuid | Mode::Systemd, readers) => {
            let (operators, readers) = (group(&config.operators), group(readers));
            let detail = format!("commands: {commands}, {operators}; reading: {reading}, {readers}");
            check("sockets", CheckVerdict::Ok, detail)
        }
    }
}

fn disk(room: Option<(u64, u64)>, blocked: Option<String>) -> Check {
    if let Some(why) = blocked {
        return check("disk", CheckVerdict::Fail, format!("{why}; nothing is run until there is room"));
    }
    let Some((free, all)) = room else {
        return check("disk", CheckVerdict::Warn, "the free space cannot be seen".to_owned());
    };
    let shown = format!("{} MiB of {} MiB are free where the state is kept", free >> 20, all >> 20);
    if free < LITTLE || free < all / 20 {
        let remedy = "make room, or `bartizan audit prune` what is old";
        return check("disk", CheckVerdict::Warn, format!("{shown}; {remedy}"));
    }
    check("disk", CheckVerdict::Ok, shown)
}

fn check(what: &str, verdict: CheckVerdict, detail: String) -> Check {
    Check { what: Text::cut(what), verdict, detail: Text::cut(detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_and_a_disk_that_fills_are_told_with_what_mends_them() {
        assert_eq!(clock(1_500).verdict, CheckVerdict::Ok);
        assert_eq!(clock(-30_000).verdict, CheckVerdict::Ok);
        let off = clock(-90_000);
        assert!(off.verdict == CheckVerdict::Warn && off.detail.contains("1 min 30 s behind"), "{off:?}");
        assert!(clock(i64::MIN).detail.contains("timedatectl"));
        assert_eq!(disk(Some((LITTLE, LITTLE * 2)), None).verdict, CheckVerdict::Ok);
        assert_eq!(disk(Some((LITTLE - 1, LITTLE)), None).verdict, CheckVerdict::Warn);
        assert!(disk(Some((LITTLE, LITTLE * 21)), None).detail.contains("prune"), "a large disk");
        assert_eq!(disk(Some((LITTLE, LITTLE)), Some("full".into())).verdict, CheckVerdict::Fail);
        assert_eq!(disk(None, None).verdict, CheckVerdict::Warn);
    }
}
