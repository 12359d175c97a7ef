//! What the log tells of one person, the newest first: for `!audit`. Reads the files backward, a bounded part of them, and
//! verifies nothing; that is `bartizan audit verify`'s.

use bartizan_audit::{Fields, segments};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// So much of the log is looked at, in bytes: about 12,000 lines, and 10 ms of the core's time.
const MOST: u64 = 8 * 1024 * 1024;

/// Read at a time, in bytes.
const BLOCK: u64 = 64 * 1024;

/// The fields that say who did it, or to whom it was done.
const WHO: [&str; 2] = ["userId", "changedBy"];

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest lines, as many as were wanted, the newest first.
    pub lines: Vec<Fields>,
    /// How many there are, as far as was looked.
    pub count: usize,
    /// Whether all of the time was looked at.
    pub complete: bool,
}

/// Looks for the lines about a person (by id) that are not older than `since` (as the log writes it).
pub(super) fn about(log: &Path, user: &str, since: &str, wanted: usize) -> io::Result<Found> {
    let mut found = Found::default();
    let mut left = MOST;
    for segment in segments(log)?.into_iter().rev() {
        let file = match File::open(&segment.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let end = backward(&file, &mut left, |line| {
            if timestamp(line).is_some_and(|time| time < since) {
                return ControlFlow::Break(());
            }
            if let Some(fields) = fields_about(line, user) {
                found.count += 1;
                if found.lines.len() < wanted {
                    found.lines.push(fields);
                }
            }
            ControlFlow::Continue(())
        })?;
        if end.is_break() {
            found.complete = true;
            return Ok(found);
        }
    }
    found.complete = left > 0;
    Ok(found)
}

/// The line's fields, when it is about that person.
fn fields_about(line: &str, user: &str) -> Option<Fields> {
    // Most lines are not: they are not taken apart.
    if !line.contains(user) {
        return None;
    }
    let fields: Fields = serde_json::from_str(line).ok()?;
    let is = |name: &&str| fields.get(*name).and_then(serde_json::Value::as_str) == Some(user);
    WHO.iter().any(is).then_some(fields)
}

/// When a line was written: it stands before everything that a person could have written.
fn timestamp(line: &str) -> Option<&str> {
    line.split_once("\"timestamp\":\"")?.1.split('"').next()
}

/// Every whole line, the last one first, until `take` has enough or nothing of `left` is left.
pub(super) fn backward(
    file: &File,
    left: &mut u64,
    mut take: impl FnMut(&str) -> ControlFlow<()>,
) -> io::Result<ControlFlow<()>> {
    let mut end = file.metadata()?.len();
    // The end of a line whose beginning was not read yet.
    let mut rest = Vec::new();
    while end > 0 && *left > 0 {
        let size = BLOCK.min(end).min(*left);
        let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
        end -= size;
        *left -= size;
        file.read_exact_at(&mut block, end)?;
        block.append(&mut rest);
        let begin =
            if end == 0 { 0 } else { block.iter().position(|byte| *byte == b'\n').map_or(block.len(), |at| at + 1) };
        for line in block[begin..].rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Ok(line) = std::str::from_utf8(line)
                && take(line).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        block.truncate(begin);
        rest = block;
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, user: &str, filler: usize) -> String {
        format!(
            "{{\"sequence\":{number},\"timestamp\":\"2026-01-01T00:{:02}:{:02}.000Z\",\"userId\":\"{user}\",\"command\":\"{}\"}}",
            number / 60,
            number % 60,
            "x".repeat(filler)
        )
    }

    #[test]
    fn lines_are_found_the_newest_first_across_blocks_and_files() {
        let folder = tempfile::tempdir().expect("temp dir");
        let log = folder.path().join("audit.jsonl");
        let lines: Vec<String> = (1..=600)
            .map(|number| line(number, if number % 3 == 0 { "bob" } else { "eve" }, number * 7 % 2000))
            .collect();
        let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        std::fs::write(folder.path().join("audit-00000000000000000001.jsonl"), text(&lines[..301])).expect("write");
        std::fs::write(&log, text(&lines[301..])).expect("write");
        let found = about(&log, "bob", "", 4).expect("found");
        let numbers: Vec<_> = found.lines.iter().map(|fields| fields["sequence"].as_u64().expect("a number")).collect();
        assert_eq!((numbers, found.count, found.complete), (vec![600, 597, 594, 591], 200, true));
        let found = about(&log, "bob", "2026-01-01T00:09:00.000Z", 4).expect("found");
        assert_eq!((found.count, found.complete), (21, true), "540 and later");
        assert_eq!(about(&log, "x", "", 4).expect("found").count, 0, "what somebody wrote is not who it is about");
    }

    #[test]
    fn a_bounded_part_of_a_long_log_is_looked_at() {
        let folder = tempfile::tempdir().expect("temp dir");
        let log = folder.path().join("audit.jsonl");
        let lines: String = (1..=700).map(|number| format!("{}\n", line(number, "bob", 16_000))).collect();
        std::fs::write(&log, lines).expect("write");
        let found = about(&log, "bob", "", 4).expect("found");
        assert!(!found.complete && found.count > 500 && found.count < 530, "{}", found.count);
    }
}
