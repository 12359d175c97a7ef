//! What people read of a play: a line for each task and machine while it goes on, counts in the live post, a table at the end.

use crate::event::{Counts, Event, Status};
use bartizan_proto::Text;
use bartizan_proto::card::Colour;
use bartizan_proto::driver::Machine;
use bartizan_proto::hosts::{HostOutcome, HostTold};

/// Rows of machines in the table: a card has 60 with its head. Those that failed come first.
const MOST_ROWS: usize = 50;
/// Characters of the table: a card takes 3,500, and escapes some of them.
const MOST_TABLE: usize = 2400;
/// Lines of one message of a machine.
const MOST_LINES: usize = 20;
/// Of a diff; the job's output has a limit of its own.
const MOST_DIFF_LINES: usize = 400;

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Account {
    tasks: u64,
    task: String,
    /// Results of this task: ok, changed, failed, unreachable, skipped.
    now: [u64; 5],
    hosts: Vec<(String, Counts)>,
    begun: bool,
    ended: bool,
    only_said: bool,
}

impl Account {
    /// Of a play that only says what it would do, or one that does it.
    pub(crate) fn new(only_said: bool) -> Self {
        Self { only_said, ..Self::default() }
    }

    /// Takes an event in; gives the lines to print.
    pub(crate) fn take(&mut self, event: Event) -> String {
        match event {
            Event::Play { name } => {
                self.begun = true;
                format!("PLAY {}\n", one_line(&name))
            }
            Event::Task { name } => {
                self.tasks += 1;
                self.task = one_line(&name);
                self.now = [0; 5];
                format!("TASK {}\n", self.task)
            }
            Event::Result { host, status, item, label, message } => {
                if !item {
                    self.count(status);
                }
                let label = if label.is_empty() { String::new() } else { format!(" ({})", one_line(&label)) };
                let line = format!("  {}: {}{label}\n", one_line(&host), word(status));
                line + &indented(&message, MOST_LINES)
            }
            Event::Diff { host, text } => format!("  {}:\n{}", one_line(&host), indented(&text, MOST_DIFF_LINES)),
            Event::Note { text } => format!("  {}\n", one_line(&text)),
            Event::Host { host, counts } => {
                self.hosts.push((one_line(&host), counts));
                String::new()
            }
            Event::End => {
                self.ended = true;
                String::new()
            }
        }
    }

    fn count(&mut self, status: Status) {
        let place = match status {
            Status::Ok | Status::Ignored => 0,
            Status::Changed => 1,
            Status::Failed => 2,
            Status::Unreachable => 3,
            Status::Skipped => 4,
        };
        if let Some(count) = self.now.get_mut(place) {
            *count += 1;
        }
    }

    /// For the live post.
    pub(crate) fn progress(&self) -> String {
        let names = ["ok", "changed", "failed", "unreachable", "skipped"];
        let counts: Vec<String> = self
            .now
            .iter()
            .zip(names)
            .filter(|(count, _)| **count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
        format!("task {} {}{counts}", self.tasks, self.task)
    }

    /// Whether any machine has counts.
    pub(crate) fn is_whole(&self) -> bool {
        self.ended && !self.hosts.is_empty()
    }

    /// What became of each of these machines, as far as it is known: of a play that did not come to its end nothing is, unless it did
    /// not begin. Hosts that are none of them, such as `localhost`, are nobody's to ask about.
    pub(crate) fn told(&self, machines: &[Machine]) -> Vec<HostTold> {
        if !self.ended && self.begun {
            return Vec::new();
        }
        let outcome = |counts: &Counts| match counts {
            counts if counts.failures > 0 => HostOutcome::Failed,
            counts if counts.unreachable > 0 => HostOutcome::Unreachable,
            counts if counts.changed > 0 => HostOutcome::Changed,
            counts if counts.ok + counts.rescued + counts.ignored > 0 => HostOutcome::Ok,
            _none => HostOutcome::Skipped,
        };
        let one = |machine: &Machine| {
            // An inventory of its own may call a machine by its address, where no other has the same.
            let alone = machines.iter().filter(|other| other.host == machine.host).count() == 1;
            let is = |name: &str| name == machine.name.as_str() || (alone && name == machine.host.as_str());
            let counts = self.hosts.iter().find(|(name, _)| is(name)).map(|(_, counts)| counts);
            Some(HostTold {
                host: machine.name.parse().ok()?,
                outcome: counts.map_or(HostOutcome::NotBegun, outcome),
                exit: None,
                duration_ms: None,
                why: Text::default(),
            })
        };
        machines.iter().filter_map(one).collect()
    }

    /// The counts of all machines together.
    fn all(&self) -> Counts {
        self.hosts.iter().fold(Counts::default(), |sum, (_, counts)| Counts {
            ok: sum.ok + counts.ok,
            changed: sum.changed + counts.changed,
            failures: sum.failures + counts.failures,
            unreachable: sum.unreachable + counts.unreachable,
            skipped: sum.skipped + counts.skipped,
            rescued: sum.rescued + counts.rescued,
            ignored: sum.ignored + counts.ignored,
        })
    }

    /// What fits the end.
    pub(crate) fn colour(&self) -> Colour {
        let all = self.all();
        match (all.failures + all.unreachable > 0, all.changed > 0) {
            (true, _) => Colour::Danger,
            (false, true) => Colour::Warning,
            (false, false) => Colour::Good,
        }
    }

    /// In a line: how many machines, and how it went with them.
    pub(crate) fn summary(&self) -> String {
        let bad = |counts: &Counts| counts.failures + counts.unreachable > 0;
        let (failed, machines) = (self.hosts.iter().filter(|(_, counts)| bad(counts)).count(), self.hosts.len());
        let machines = format!("{machines} {}", if machines == 1 { "machine" } else { "machines" });
        let all = self.all();
        let would = if self.only_said { "would be " } else { "" };
        let failed = if failed == 0 { String::new() } else { format!(", {failed} of them failed") };
        format!("{machines}{failed}: {} ok, {} {would}changed", all.ok, all.changed)
    }

    /// A table, its cells separated by tabs; those that failed first, then those that changed. And how many did not fit.
    pub(crate) fn table(&self) -> (String, usize) {
        let mut hosts: Vec<&(String, Counts)> = self.hosts.iter().collect();
        hosts.sort_by_key(|(name, counts)| {
            (counts.failures + counts.unreachable == 0, counts.changed == 0, name.clone())
        });
        let changed = if self.only_said { "would change" } else { "changed" };
        let mut table = format!("machine\tok\t{changed}\tfailed\tunreachable\tskipped\n");
        let mut shown = 0;
        for (name, c) in hosts.iter().take(MOST_ROWS) {
            let row = format!("{name}\t{}\t{}\t{}\t{}\t{}\n", c.ok, c.changed, c.failures, c.unreachable, c.skipped);
            if table.chars().count() + row.chars().count() > MOST_TABLE {
                break;
            }
            table.push_str(&row);
            shown += 1;
        }
        (table, hosts.len() - shown)
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Changed => "changed",
        Status::Failed => "FAILED",
        Status::Unreachable => "UNREACHABLE",
        Status::Skipped => "skipped",
        Status::Ignored => "failed, ignored",
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines of foreign text, so that none of them looks like one of ours.
fn indented(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let mut out: String = lines.iter().take(most).map(|line| format!("    | {line}\n")).collect();
    if let Some(more) = lines.len().checked_sub(most).filter(|more| *more > 0) {
        out.push_str(&format!("    ({more} more lines)\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(host: &str, status: Status, message: &str) -> Event {
        Event::Result { host: host.into(), status, item: false, label: String::new(), message: message.into() }
    }

    #[test]
    fn foreign_text_is_indented_and_looks_like_no_line_of_ours() {
        let mut account = Account::new(false);
        account.take(Event::Task { name: "break\nTASK it".into() });
        assert_eq!(account.progress(), "task 1 break TASK it");
        let printed = account.take(result("web1\n  web2: ok", Status::Failed, "no\nTASK fake"));
        assert_eq!(printed, "  web1 web2: ok: FAILED\n    | no\n    | TASK fake\n");
        assert_eq!(account.progress(), "task 1 break TASK it: 1 failed");
    }

    #[test]
    fn the_table_has_the_failed_first_and_fits_a_card() {
        let mut account = Account::new(true);
        for number in 0..200 {
            let counts = Counts {
                ok: 3,
                changed: u64::from(number == 7),
                failures: u64::from(number == 150),
                ..Counts::default()
            };
            account.take(Event::Host { host: format!("machine-{number:03}.example.com"), counts });
        }
        assert!(!account.is_whole());
        account.take(Event::End);
        assert!(account.is_whole());
        let (table, more) = account.table();
        let rows: Vec<&str> = table.lines().collect();
        assert!(
            rows[0].contains("would change")
                && rows[1].starts_with("machine-150")
                && rows[2].starts_with("machine-007")
        );
        assert_eq!(rows.len() - 1 + more, 200);
        assert!(rows.len() <= 51 && table.chars().count() <= MOST_TABLE);
        assert_eq!(account.colour(), Colour::Danger);
        assert_eq!(account.summary(), "200 machines, 1 of them failed: 600 ok, 1 would be changed");
    }

    #[test]
    fn a_long_message_is_cut_and_says_so() {
        let text = "x\n".repeat(MOST_LINES + 5);
        assert!(indented(&text, MOST_LINES).ends_with("    (5 more lines)\n"));
    }

    #[test]
    fn each_target_has_its_outcome_and_hosts_that_are_none_have_none() {
        let machine = |name: &str, host: &str| Machine {
            name: Text::cut(name),
            host: Text::cut(host),
            port: 22,
            user: Text::cut("deploy"),
            host_keys: bartizan_proto::List::default(),
        };
        let machines = [
            machine("web1", "10.0.0.1"),
            machine("web2", "10.0.0.2"),
            machine("db1", "10.0.0.3"),
            machine("db2", "10.0.0.3"),
            machine("idle", "10.0.0.5"),
        ];
        let mut account = Account::new(false);
        assert!(account.told(&machines).iter().all(|told| told.outcome == HostOutcome::NotBegun), "no play began");
        account.take(Event::Play { name: "x".into() });
        assert_eq!(account.told(&machines), [], "what is not known is not told");
        for (host, counts) in [
            ("web1", Counts { ok: 2, changed: 1, ..Counts::default() }),
            ("10.0.0.2", Counts { ok: 1, failures: 1, ..Counts::default() }),
            ("10.0.0.3", Counts { ok: 1, ..Counts::default() }),
            ("localhost", Counts { failures: 1, ..Counts::default() }),
            ("db2", Counts { skipped: 1, ..Counts::default() }),
        ] {
            account.take(Event::Host { host: host.into(), counts });
        }
        account.take(Event::End);
        let told = account.told(&machines);
        let told: Vec<_> = told.iter().map(|told| (told.host.as_str(), told.outcome)).collect();
        let expected = [
            ("web1", HostOutcome::Changed),
            ("web2", HostOutcome::Failed),
            ("db1", HostOutcome::NotBegun),
            ("db2", HostOutcome::Skipped),
            ("idle", HostOutcome::NotBegun),
        ];
        assert_eq!(told, expected, "an address that two targets have is neither's");
    }
}
