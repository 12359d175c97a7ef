//! `bartizan brain list` and `secret list`: names, never values.

use super::{Look, word};
use bartizan_proto::brain::RecordRow;
use bartizan_proto::text::printable;

/// One line a record.
pub fn records(rows: &[RecordRow]) -> String {
    if rows.is_empty() {
        return "There is none.\n".to_owned();
    }
    let mut table = vec![["KIND", "NAME", "VERSION", "WRITTEN", "PROBLEM"].map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(|row| {
        let written = i64::try_from(row.written_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        vec![
            word(row.kind),
            format!("{}/{}", row.namespace, row.key),
            row.version.to_string(),
            written.map_or_else(|| "?".to_owned(), |at| format!("{at:.0}")),
            printable(&row.problem),
        ]
    }));
    Look::of_stdout().table(&table)
}

/// A text of several lines, each safe for a terminal.
pub fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}
