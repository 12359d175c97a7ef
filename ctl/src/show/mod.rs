//! Answers for people: pure functions from an answer to text. Every foreign text passes `printable` on its way.

mod config;
mod doctor;
mod history;
mod inspect;
mod look;
mod people;
mod ps;
mod records;
mod schedule;
mod status;

pub use config::config;
pub use doctor::{Report, doctor};
pub use history::{history, log};
pub use inspect::inspect;
pub use look::Look;
pub use people::{bans, enrolment, explained, factor, keys, people, person};
pub use ps::ps;
pub use records::{printable_lines, records};
pub use schedule::schedule;
pub use status::{health, jobs_and_pipelines, lockdown, pause, status};

use bartizan_proto::text::is_hidden;
use serde::Serialize;
use std::fmt::Write;

/// An answer as JSON. Characters that a terminal would obey are escaped, so that it is safe to look at, too.
///
/// # Errors
/// What serialising gives.
pub fn json<T: Serialize>(answer: &T) -> serde_json::Result<String> {
    let mut out = inert(&serde_json::to_string_pretty(answer)?);
    out.push('\n');
    Ok(out)
}

/// JSON that stays the same to who parses it, and has nothing that a terminal obeys.
pub fn inert(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// The name of one of our own enum's variants, as it stands in JSON.
pub(crate) fn word<T: Serialize>(variant: T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// A duration in whole seconds, or in milliseconds where it is short.
pub(crate) fn duration(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    let shown = if ms < 10_000 { ms } else { ms - ms % 1000 };
    format!("{:#}", jiff::SignedDuration::from_millis(shown))
}

/// A number of bytes in binary units.
fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_nothing_that_a_terminal_obeys() {
        let hostile = "\u{1b}[2J\u{9b}1m\u{202e}\u{e0041}";
        let shown = json(&hostile).expect("a string");
        assert!(shown.trim_end().chars().all(|c| !is_hidden(c)), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("still JSON"), hostile);
    }

    #[test]
    fn guarantees_are_called_in_reports_as_they_are_in_the_configuration() {
        for guarantee in bartizan_proto::worker::Guarantee::ALL {
            assert_eq!(word(guarantee), guarantee.as_str());
        }
        assert_eq!(word(bartizan_proto::worker::Layer::LandlockScope), "landlock-scope");
    }

    #[test]
    fn durations_and_sizes_are_short() {
        assert_eq!(duration(1250), "1s 250ms");
        assert_eq!(duration(3_723_456), "1h 2m 3s");
        assert_eq!(bytes(1 << 30), "1.0 GiB");
    }
}
