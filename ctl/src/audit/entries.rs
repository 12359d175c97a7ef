//! The log's lines, one by one, and which of them are wanted. Nothing is verified here.

use super::arguments::Filter;
use super::place::Place;
use crate::exit::CtlError;
use serde_json::{Map, Value};
use std::io::{BufRead as _, BufReader, Read as _};

/// Longest line in bytes.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// The fields that say who did it, or to whom it was done.
const WHO: [&str; 4] = ["userId", "userName", "changedBy", "changedByName"];

/// A line's fields.
pub(crate) type Fields = Map<String, Value>;

/// Which lines are wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    filter: Filter,
    /// Not before, as the log writes it.
    since: Option<String>,
}

impl From<&Filter> for Wanted {
    fn from(filter: &Filter) -> Self {
        let since = filter.since.as_ref().map(|age| {
            let ago = std::time::Duration::from_secs(age.seconds);
            let time = jiff::Timestamp::now().checked_sub(ago).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            format!("{time:.3}")
        });
        Self { filter: filter.clone(), since }
    }
}

impl Wanted {
    /// The line's fields, when it is one that is wanted.
    pub(super) fn fields(&self, line: &str) -> Option<Fields> {
        let fields: Fields = serde_json::from_str(line).ok()?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let Filter { user, event, job, since: _ } = &self.filter;
        let user = user.as_deref().map(|user| user.trim_start_matches('@'));
        let fits = user.is_none_or(|user| WHO.iter().any(|name| text(name) == Some(user)))
            && event.as_deref().is_none_or(|event| text("event") == Some(event))
            && job.is_none_or(|job| fields.get("executionId").and_then(Value::as_u64) == Some(job.0))
            && self.since.as_deref().is_none_or(|since| text("timestamp").is_some_and(|time| time >= since));
        fits.then_some(fields)
    }
}

/// Every line of the log in its order, without its line break.
pub(super) fn each(place: &Place, mut take: impl FnMut(&str) -> Result<(), CtlError>) -> Result<(), CtlError> {
    for (path, file) in place.files()? {
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(|error| CtlError::AuditFile { path: path.clone(), error })? == 0 {
                break;
            }
            take(String::from_utf8_lossy(&line).trim_end_matches('\n'))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_fits_all_of_it() {
        let line = r#"{"sequence":1,"timestamp":"2026-01-01T00:00:00.000Z","event":"job-end","executionId":7,"userName":"bob"}"#;
        let fits = |filter: Filter| Wanted::from(&filter).fields(line).is_some();
        let filter = Filter::default();
        assert!(fits(filter.clone()));
        assert!(fits(Filter { user: Some("@bob".into()), event: Some("job-end".into()), ..filter.clone() }));
        assert!(!fits(Filter { user: Some("@bob".into()), event: Some("decision".into()), ..filter.clone() }));
        assert!(!fits(Filter { user: Some("alice".into()), ..filter.clone() }));
        assert!(fits(Filter { job: "7".parse().ok(), ..filter.clone() }));
        assert!(!fits(Filter { since: "1h".parse().ok(), ..filter }), "it is older");
    }
}
