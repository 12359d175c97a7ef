//! What `ansible-playbook` does, as `driver/ansible/bartizan_events.py` tells it: one JSON object a line. The lines come from inside the
//! sandbox, where a playbook's own programs run, too: they are bounded, and believed no more than what a script prints.

use serde::Deserialize;
use std::io::{self, BufRead};

/// Longest line, in bytes: a diff and what JSON makes of it.
const LONGEST: u64 = 512 * 1024;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// A play begins.
    Play { name: String },
    /// A task begins.
    Task { name: String },
    /// A machine has done a task, or one item of it.
    Result {
        host: String,
        status: Status,
        #[serde(default)]
        item: bool,
        #[serde(default)]
        label: String,
        #[serde(default)]
        message: String,
    },
    /// What a file was and is.
    Diff { host: String, text: String },
    /// Something to know.
    Note { text: String },
    /// The counts of one machine, at the end.
    Host {
        host: String,
        #[serde(flatten)]
        counts: Counts,
    },
    /// There were counts of all.
    End,
}

/// How a task went on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Changed,
    Failed,
    Unreachable,
    Skipped,
    Ignored,
}

/// How many tasks went how on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct Counts {
    #[serde(default)]
    pub(crate) ok: u64,
    #[serde(default)]
    pub(crate) changed: u64,
    #[serde(default)]
    pub(crate) failures: u64,
    #[serde(default)]
    pub(crate) unreachable: u64,
    #[serde(default)]
    pub(crate) skipped: u64,
    #[serde(default)]
    pub(crate) rescued: u64,
    #[serde(default)]
    pub(crate) ignored: u64,
}

/// The next event; `None` at the end. Lines that are no events are passed over.
pub(crate) fn next(from: &mut impl BufRead) -> io::Result<Option<Event>> {
    loop {
        let mut line = Vec::new();
        if io::Read::take(&mut *from, LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if let Ok(event) = serde_json::from_slice(&line) {
            return Ok(Some(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_what_is_none_is_passed_over() {
        let text = concat!(
            "{\"event\": \"play\", \"name\": \"x\"}\n",
            "garbage\n{\"event\": \"unknown\"}\n",
            "{\"event\": \"result\", \"host\": \"web1\", \"status\": \"changed\", \"item\": false}\n",
            "{\"event\": \"host\", \"host\": \"web1\", \"ok\": 2, \"failures\": 1, \"unreachable\": 0, \"changed\": 1}\n",
            "{\"event\": \"end\"}"
        );
        let mut from = text.as_bytes();
        let mut all = Vec::new();
        while let Some(event) = next(&mut from).expect("memory") {
            all.push(event);
        }
        let result = Event::Result {
            host: "web1".into(),
            status: Status::Changed,
            item: false,
            label: String::new(),
            message: String::new(),
        };
        let counts = Counts { ok: 2, failures: 1, changed: 1, ..Counts::default() };
        let host = Event::Host { host: "web1".into(), counts };
        assert_eq!(all, [Event::Play { name: "x".into() }, result, host, Event::End]);
    }

    #[test]
    fn a_line_without_end_is_read_in_bounds() {
        let mut from = io::BufReader::new(io::Read::take(io::repeat(b'x'), 3 * LONGEST));
        assert_eq!(next(&mut from).expect("memory"), None);
    }
}
