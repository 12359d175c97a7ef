//! Which commands are wanted, as an address says it: whose, which script, what became of it, from when to when.

use super::book::Book;
use super::html::encoded;
use super::row::{Row, Verdict};
use crate::audit::arguments::Age;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Longest value, in bytes.
const MOST_VALUE: usize = 200;

/// Commands on a page: unless something else is said, and at most.
const USUAL: usize = 50;
const MOST: usize = 500;

/// What is wanted. Empty texts are no wish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) person: String,
    pub(super) script: String,
    pub(super) verdict: Option<Verdict>,
    /// As they were given, and as the log writes times.
    pub(super) from: (String, String),
    pub(super) until: (String, String),
    /// Only commands that begin before this line: the next page.
    pub(super) before: Option<u64>,
    pub(super) limit: Option<usize>,
}

impl Filter {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, in a sentence that has nothing of the value in it.
    pub(super) fn read(query: &[(String, String)]) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in query {
            let value = value.trim();
            if seen.contains(&name.as_str()) {
                return Err("something is asked for twice".to_owned());
            }
            if value.len() > MOST_VALUE {
                return Err(format!("a value is longer than {MOST_VALUE} bytes"));
            }
            seen.push(name);
            if value.is_empty() {
                continue;
            }
            let number = |least: u64, most: u64| {
                value.parse().ok().filter(|n| (least..=most).contains(n)).ok_or(format!("{least} to {most} is meant"))
            };
            match name.as_str() {
                "person" => value.trim_start_matches('@').clone_into(&mut filter.person),
                "script" => value.clone_into(&mut filter.script),
                "verdict" => {
                    let found = Verdict::ALL.into_iter().find(|verdict| verdict.name() == value);
                    filter.verdict = Some(found.ok_or("there is no such verdict")?);
                }
                "from" => filter.from = (value.to_owned(), time(value)?),
                "until" => filter.until = (value.to_owned(), time(value)?),
                "before" => filter.before = Some(number(1, u64::MAX)?),
                "limit" => filter.limit = usize::try_from(number(1, MOST as u64)?).ok(),
                _ => return Err("person, script, verdict, from, until, before and limit can be asked for".to_owned()),
            }
        }
        Ok(filter)
    }

    /// Whether it is one of them, on whatever page.
    pub(super) fn wants(&self, row: &Row, book: &Book) -> bool {
        let Self { person, script, verdict, from, until, before: _, limit: _ } = self;
        (person.is_empty() || row.user == *person || book.person(row) == person)
            && (script.is_empty() || row.script == *script)
            && verdict.is_none_or(|verdict| row.verdict == verdict)
            && (from.1.is_empty() || row.at >= from.1)
            && (until.1.is_empty() || row.at < until.1)
    }

    /// How many are on a page.
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL)
    }

    /// Whether there is any wish.
    pub(super) fn is_any(&self) -> bool {
        Self { before: None, limit: None, ..self.clone() } != Self::default()
    }

    /// As an address has it, for another page of the same; with `?` where there is something.
    pub(super) fn address(&self, before: Option<u64>) -> String {
        let words = [
            ("person", self.person.clone()),
            ("script", self.script.clone()),
            ("verdict", self.verdict.map_or_else(String::new, |verdict| verdict.name().to_owned())),
            ("from", self.from.0.clone()),
            ("until", self.until.0.clone()),
            ("limit", self.limit.map_or_else(String::new, |limit| limit.to_string())),
            ("before", before.map_or_else(String::new, |before| before.to_string())),
        ];
        let pairs = words.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }
}

/// A time as the log writes it. In UTC: `2026-01-31`, `2026-01-31T14:05`, with or without seconds; or how long ago: `24h`, `7d`.
fn time(text: &str) -> Result<String, String> {
    let bad = || "a time is written like 2026-01-31, 2026-01-31T14:05 (UTC), or as an age like 24h or 7d".to_owned();
    let shown = |time: jiff::Timestamp| format!("{time:.3}");
    if let Ok(age) = text.parse::<Age>() {
        let ago = std::time::Duration::from_secs(age.seconds);
        return Ok(shown(jiff::Timestamp::now().checked_sub(ago).unwrap_or(jiff::Timestamp::UNIX_EPOCH)));
    }
    let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    let zoned = local.map_err(|_| bad())?.to_zoned(TimeZone::UTC).map_err(|_| bad())?;
    // Four digits: others would not compare as texts.
    if !(1970..=9999).contains(&zoned.year()) {
        return Err(bad());
    }
    Ok(shown(zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Filter, String> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Filter::read(&pairs)
    }

    #[test]
    fn a_filter_is_read_and_written_again() {
        let filter = read(&[
            ("person", "@bob"),
            ("verdict", "failed"),
            ("from", "2026-01-31T14:05"),
            ("until", ""),
            ("limit", "5"),
        ])
        .expect("a filter");
        assert_eq!((filter.person.as_str(), filter.verdict, filter.limit()), ("bob", Some(Verdict::Failed), 5));
        assert_eq!(filter.from.1, "2026-01-31T14:05:00.000Z");
        assert_eq!(filter.address(Some(7)), "?person=bob&verdict=failed&from=2026-01-31T14%3A05&limit=5&before=7");
        assert!(filter.is_any() && !Filter::default().is_any());
        assert_eq!(Filter::default().address(None), "");
    }

    #[test]
    fn what_makes_no_sense_is_said_without_repeating_it() {
        let long = "a".repeat(MOST_VALUE + 1);
        for pairs in [
            &[("person", "a"), ("person", "b")][..],
            &[("person", long.as_str())],
            &[("verdict", "<script>")],
            &[("from", "yesterday")],
            &[("from", "-1d")],
            &[("from", "-009999-01-01")],
            &[("limit", "501")],
            &[("limit", "0")],
            &[("before", "-1")],
            &[("order", "x")],
        ] {
            let error = read(pairs).expect_err("no sense");
            assert!(!error.contains('<') && !error.contains("yesterday"), "{error}");
        }
        for good in ["24h", "7d", "2026-01-31", "2026-01-31T14:05:59"] {
            assert!(read(&[("from", good)]).is_ok(), "{good}");
        }
    }
}
