//! What people read: each line with its target's name before it, how far it is, and a table in the end.

use crate::fleet::Report;
use crate::host::{HostResult, Outcome};
use bartizan_proto::hosts::{self, HostOutcome, HostTold, HostsTold};
use bartizan_proto::ids::TargetName;
use bartizan_proto::limits::MAX_HOSTS_TOLD;
use bartizan_proto::script::{ask, frame};
use bartizan_proto::{List, Text};
use std::collections::HashSet;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Rows of the table: what a post holds with its reasons. Those that failed come first.
const MOST_ROWS: usize = 30;

/// Between two words of progress.
const PACE: Duration = Duration::from_millis(500);

/// Output to the job's own, progress and table by the script API where the job has it.
#[derive(Debug)]
pub struct Printer {
    api: Option<OwnedFd>,
    told: Option<Instant>,
    failed: usize,
    width: usize,
    ledger: Ledger,
}

impl Printer {
    /// With the end of the script API.
    pub fn new(api: Option<OwnedFd>) -> Self {
        Self { api, told: None, failed: 0, width: 0, ledger: Ledger::default() }
    }

    /// Everything about the end: the table, and one line to the output. Whether all of them did it.
    pub fn conclude(&mut self, results: &[HostResult]) -> bool {
        for result in results {
            self.ledger.put(result);
        }
        while !self.ledger.waiting.is_empty() {
            self.hand_in();
        }
        let (rows, left_out) = table(results);
        let summary = summary(results);
        let title = match left_out {
            0 => summary.clone(),
            more => format!("{summary} ({more} more that are ok are left out)"),
        };
        if !self.call(&[b"table", b"title", title.as_bytes(), b"rows", rows.as_bytes()]) {
            for row in rows.lines() {
                println!("{}", row.replace('\t', "  "));
            }
        }
        println!("{summary}");
        results.iter().all(|result| result.outcome == Outcome::Done)
    }

    /// One call; whether it was done. What cannot be shown does not stop a roll-out.
    fn call(&self, words: &[&[u8]]) -> bool {
        let Some(api) = &self.api else { return false };
        matches!(ask(api.as_fd(), &frame(words)), Ok(bartizan_proto::script::Answer::Done))
    }
}

impl Printer {
    /// Tells the core what became of those that have ended. What it does not take is its own to know.
    fn hand_in(&mut self) {
        let told = self.ledger.take();
        if let Ok(value) = hosts::encode(&told) {
            self.call(&[b"hosts", b"told", &value]);
        }
    }
}

impl Report for Printer {
    fn due(&self) -> Option<Duration> {
        self.ledger.due()
    }

    fn pause(&mut self) {
        self.hand_in();
    }

    fn line(&mut self, name: &str, line: &[u8]) {
        self.width = self.width.max(name.len());
        let mut out = io::stdout().lock();
        // The worker takes everything until the end; an error is that end.
        let _gone = write!(out, "{name:width$} | ", width = self.width)
            .and_then(|()| out.write_all(line))
            .and_then(|()| out.write_all(b"\n"));
    }

    fn ended(&mut self, result: &HostResult, done: usize, all: usize) {
        if result.outcome != Outcome::Done {
            self.failed += 1;
            let why = match result.outcome.why() {
                "" => String::new(),
                why => format!(": {why}"),
            };
            self.line(result.name.as_str(), format!("{}{why}", result.outcome.word()).as_bytes());
        }
        if result.dropped > 0 {
            self.line(
                result.name.as_str(),
                format!("({} more bytes of output are left out)", result.dropped).as_bytes(),
            );
        }
        self.ledger.put(result);
        if self.ledger.due() == Some(Duration::ZERO) {
            self.hand_in();
        }
        if done == all || self.told.is_none_or(|told| told.elapsed() >= PACE) {
            self.told = Some(Instant::now());
            let percent = (done * 100 / all.max(1)).to_string();
            let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
            let text = format!("{done} of {all} targets{failed}");
            self.call(&[b"progress", b"percent", percent.as_bytes(), b"text", text.as_bytes()]);
        }
    }
}

/// What the core is to be told, and when: soon, and a few at a time, because a job may call so often and no more.
#[derive(Debug, Default)]
struct Ledger {
    waiting: Vec<HostTold>,
    all: HashSet<TargetName>,
    handed: Option<Instant>,
}

impl Ledger {
    /// Between two calls.
    const PACE: Duration = Duration::from_millis(100);

    /// Each machine once.
    fn put(&mut self, result: &HostResult) {
        if self.all.insert(result.name.clone()) {
            self.waiting.push(told(result));
        }
    }

    fn due(&self) -> Option<Duration> {
        let since = self.handed.map_or(Self::PACE, |handed| handed.elapsed());
        (!self.waiting.is_empty()).then(|| Self::PACE.saturating_sub(since))
    }

    fn take(&mut self) -> HostsTold {
        self.handed = Some(Instant::now());
        let rest = self.waiting.split_off(self.waiting.len().min(MAX_HOSTS_TOLD));
        List::cut(std::mem::replace(&mut self.waiting, rest))
    }
}

fn told(result: &HostResult) -> HostTold {
    let outcome = match &result.outcome {
        Outcome::Done => HostOutcome::Ok,
        Outcome::Failed(_) => HostOutcome::Failed,
        Outcome::Refused(_) => HostOutcome::Refused,
        Outcome::Unreachable(_) => HostOutcome::Unreachable,
        Outcome::Stranger(_) => HostOutcome::WrongHostKey,
        Outcome::NotBegun => HostOutcome::NotBegun,
    };
    let elapsed = (result.outcome != Outcome::NotBegun).then_some(result.elapsed);
    HostTold {
        host: result.name.clone(),
        outcome,
        exit: result.exit,
        duration_ms: elapsed.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        why: Text::cut(result.outcome.why()),
    }
}

/// How many of each kind, in one line.
pub fn summary(results: &[HostResult]) -> String {
    let kinds = ["ok", "failed", "refused", "unreachable", "wrong host key", "not begun"];
    let counted = kinds.iter().filter_map(|kind| {
        let count = results.iter().filter(|result| result.outcome.word() == *kind).count();
        (count > 0).then(|| format!("{count} {kind}"))
    });
    let targets = if results.len() == 1 { "target" } else { "targets" };
    format!("{} {targets}: {}", results.len(), counted.collect::<Vec<_>>().join(", "))
}

/// Rows with tabs between their cells, the first the head; and how many are left out.
fn table(results: &[HostResult]) -> (String, usize) {
    let mut sorted: Vec<&HostResult> = results.iter().collect();
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Stranger(_) => 0,
        Outcome::Refused(_) => 1,
        Outcome::Failed(_) => 2,
        Outcome::Unreachable(_) => 3,
        Outcome::NotBegun => 4,
        Outcome::Done => 5,
    };
    sorted
        .sort_by(|a, b| rank(&a.outcome).cmp(&rank(&b.outcome)).then_with(|| natural(&a.name).cmp(&natural(&b.name))));
    let mut rows = String::from("target\tresult\tseconds\tdetail\n");
    for result in sorted.iter().take(MOST_ROWS) {
        let seconds = match &result.outcome {
            Outcome::NotBegun => String::new(),
            _begun => format!("{:.1}", result.elapsed.as_secs_f64()),
        };
        let detail: String = result.outcome.why().chars().filter(|c| !c.is_control()).take(90).collect();
        rows.push_str(&format!("{}\t{}\t{seconds}\t{detail}\n", result.name, result.outcome.word()));
    }
    (rows, sorted.len().saturating_sub(MOST_ROWS))
}

/// So that web-2 stands before web-10.
fn natural(name: &bartizan_proto::ids::TargetName) -> (String, u64, String) {
    let text = name.as_str();
    let begin = text.trim_end_matches(|c: char| c.is_ascii_digit());
    (begin.to_owned(), text[begin.len()..].parse().unwrap_or(0), text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(name: &str, outcome: Outcome) -> HostResult {
        let elapsed = Duration::from_millis(1234);
        HostResult { name: name.parse().expect("a name"), outcome, exit: None, elapsed, dropped: 0, given: Some(11) }
    }

    #[test]
    fn the_table_begins_with_what_went_wrong_and_counts_like_people() {
        let results = [
            result("web-10", Outcome::Done),
            result("web-2", Outcome::Done),
            result("web-3", Outcome::Failed("exit 3".to_owned())),
            result("web-1", Outcome::Stranger("its host key\tis another".to_owned())),
            result("web-4", Outcome::NotBegun),
        ];
        let (rows, left_out) = table(&results);
        let expected = "target\tresult\tseconds\tdetail\nweb-1\twrong host key\t1.2\tits host keyis another\n\
            web-3\tfailed\t1.2\texit 3\nweb-4\tnot begun\t\t\nweb-2\tok\t1.2\t\nweb-10\tok\t1.2\t\n";
        assert_eq!((rows.as_str(), left_out), (expected, 0));
        assert_eq!(summary(&results), "5 targets: 2 ok, 1 failed, 1 wrong host key, 1 not begun");
    }

    #[test]
    fn each_target_is_told_about_once_and_no_more_at_once_than_a_call_takes() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.due(), None);
        let results: Vec<_> = (0..150).map(|n| result(&format!("web-{n}"), Outcome::Done)).collect();
        for result in results.iter().chain(&results) {
            ledger.put(result);
        }
        assert_eq!(ledger.due(), Some(Duration::ZERO), "the first at once");
        assert_eq!((ledger.take().len(), ledger.take().len()), (64, 64));
        assert!(ledger.due() > Some(Duration::ZERO), "the others a little later");
        assert_eq!((ledger.take().len(), ledger.due()), (22, None));
    }

    #[test]
    fn a_thousand_targets_make_a_table_that_fits_a_post() {
        let results: Vec<_> = (0..1000).map(|n| result(&format!("web-{n}"), Outcome::Done)).collect();
        let (rows, left_out) = table(&results);
        assert_eq!((rows.lines().count(), left_out), (MOST_ROWS + 1, 1000 - MOST_ROWS));
        assert_eq!(summary(&results), "1000 targets: 1000 ok");
    }
}
