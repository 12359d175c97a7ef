//! What is known of the log: the newest commands in their order, and whether all lines are as they were written.

use super::row::{Row, Spot};
use crate::audit::Fields;
use bartizan_audit::Report;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// Most commands that are kept; what is older is in the log.
const MOST_ROWS: usize = 20_000;

/// Most names that are kept, of people and of channels.
const MOST_NAMES: usize = 20_000;

/// What can be said of the log as a whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Chain {
    /// It has not been read yet; so many lines were.
    Reading { lines: u64 },
    /// Every line is as it was written.
    Whole {
        report: Box<Report>,
        /// The running service has written so many more, which are not in the file yet.
        behind: u64,
        /// When it was read, RFC 3339.
        at: String,
    },
    /// A line is not.
    Broken { what: String, at: String },
}

/// Commands, by where they are.
#[derive(Debug)]
pub(super) struct Book {
    rows: VecDeque<Row>,
    /// How many were dropped before the first that is kept.
    dropped: u64,
    by_post: HashMap<String, u64>,
    by_job: HashMap<u64, u64>,
    people: HashMap<String, String>,
    channels: HashMap<String, String>,
    pub(super) chain: Chain,
    /// Why the service could not be asked last, if so.
    pub(super) unreachable: Option<String>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            rows: VecDeque::new(),
            dropped: 0,
            by_post: HashMap::new(),
            by_job: HashMap::new(),
            people: HashMap::new(),
            channels: HashMap::new(),
            chain: Chain::Reading { lines: 0 },
            unreachable: None,
        }
    }
}

impl Book {
    /// The newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().rev()
    }

    /// How many older ones are only in the log.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The run with this number.
    pub(super) fn job(&self, job: u64) -> Option<&Row> {
        self.at(*self.by_job.get(&job)?)
    }

    /// The command that begins with this line.
    pub(super) fn line(&self, line: u64) -> Option<&Row> {
        self.rows.binary_search_by_key(&line, |row| row.line).ok().and_then(|at| self.rows.get(at))
    }

    /// Who: a name where one is known, else the id.
    pub(super) fn person<'b>(&'b self, row: &'b Row) -> &'b str {
        if row.person.is_empty() { self.people.get(&row.user).unwrap_or(&row.user) } else { &row.person }
    }

    /// Where: a channel's name where it is known, else its id.
    pub(super) fn channel<'b>(&'b self, row: &'b Row) -> &'b str {
        self.channels.get(&row.channel).unwrap_or(&row.channel)
    }

    /// A channel is called so; nothing is a direct message.
    pub(super) fn name_channel(&mut self, job: u64, name: &str) {
        let Some(id) = self.job(job).map(|row| row.channel.clone()) else { return };
        let name = if name.is_empty() { "direct message".to_owned() } else { format!("#{name}") };
        remember(&mut self.channels, id, name);
    }

    /// What was learned from elsewhere than the log stays when it is read anew.
    pub(super) fn keep_names_of(&mut self, before: Self) {
        self.channels = before.channels;
    }

    /// Takes in one line of the log.
    pub(super) fn take(&mut self, fields: &Fields, spot: Spot) {
        let word = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let (line, at) = (fields.get("sequence").and_then(Value::as_u64).unwrap_or(0), word("timestamp"));
        if !word("userId").is_empty() && !word("userName").is_empty() {
            remember(&mut self.people, word("userId").to_owned(), word("userName").to_owned());
        }
        let job = fields.get("executionId").and_then(Value::as_u64);
        let known = job.and_then(|job| self.by_job.get(&job)).or_else(|| self.by_post.get(word("postId"))).copied();
        let known = known.and_then(|index| Some((index, self.at_mut(index)?)));
        match known {
            // A second run of one post is one of its own: a task of a pipeline, a schedule's.
            Some((index, row)) if row.job.is_none() || job.is_none() || row.job == job => {
                row.take(fields, at);
                row.keep(spot);
                let is_over = row.is_over() && row.job.is_none();
                if is_over {
                    self.by_post.remove(word("postId"));
                }
                if let Some(job) = job {
                    self.by_job.insert(job, index);
                }
            }
            Some(_) | None => {
                let Some(mut row) = Row::begun(fields, line, at) else { return };
                row.keep(spot);
                self.add(row);
            }
        }
    }

    fn add(&mut self, row: Row) {
        let index = self.dropped + self.rows.len() as u64;
        if !row.post.is_empty() {
            self.by_post.insert(row.post.clone(), index);
        }
        if let Some(job) = row.job {
            self.by_job.insert(job, index);
        }
        self.rows.push_back(row);
        if self.rows.len() > MOST_ROWS
            && let Some(oldest) = self.rows.pop_front()
        {
            let gone = self.dropped;
            self.dropped += 1;
            if self.by_post.get(&oldest.post) == Some(&gone) {
                self.by_post.remove(&oldest.post);
            }
            if let Some(job) = oldest.job {
                self.by_job.remove(&job);
            }
        }
    }

    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.dropped)?).ok()
    }

    fn at(&self, index: u64) -> Option<&Row> {
        self.rows.get(self.position(index)?)
    }

    fn at_mut(&mut self, index: u64) -> Option<&mut Row> {
        let position = self.position(index)?;
        self.rows.get_mut(position)
    }
}

fn remember(names: &mut HashMap<String, String>, id: String, name: String) {
    if names.len() < MOST_NAMES || names.contains_key(&id) {
        names.insert(id, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Verdict;
    use super::*;

    fn book(lines: &[&str]) -> Book {
        let mut book = Book::default();
        for (number, line) in lines.iter().enumerate() {
            let mut fields: Fields = serde_json::from_str(line).expect("json");
            fields.insert("sequence".into(), (number + 1).into());
            fields.insert("timestamp".into(), "2026-01-01T00:00:00.000Z".into());
            book.take(&fields, Spot { file: 0, offset: number as u64, length: 1, line: 0 });
        }
        book
    }

    const DECIDED: &str =
        r#"{"event":"decision","postId":"p","userId":"u","channelId":"c","command":"!a","success":true}"#;
    const STARTED: &str = r#"{"event":"job-start","executionId":7,"postId":"p","scriptName":"a","userId":"u","userName":"bob","channelId":"c"}"#;
    const ENDED: &str = r#"{"event":"job-end","executionId":7,"postId":"p","success":true,"exitCode":0}"#;

    #[test]
    fn lines_about_one_command_are_one_row() {
        let mut book = book(&[DECIDED, STARTED, r#"{"event":"job-running","executionId":7}"#, ENDED]);
        assert_eq!(book.newest().count(), 1);
        let row = book.job(7).expect("the run");
        assert_eq!((row.verdict, row.line, row.lines.len()), (Verdict::Succeeded, 1, 4));
        assert_eq!(book.line(1).map(|row| row.line), Some(1));
        assert_eq!((book.person(row), book.channel(row)), ("bob", "c"));
        book.name_channel(7, "ops");
        assert_eq!(book.channel(book.job(7).expect("the run")), "#ops");
    }

    #[test]
    fn a_name_that_was_learned_stands_at_what_was_refused_before_and_after() {
        let refused = r#"{"event":"decision","postId":"q","userId":"u","command":"!b","success":false,"error":"no"}"#;
        let book = book(&[refused, DECIDED, STARTED, ENDED]);
        let row = book.line(1).expect("the refusal");
        assert_eq!((row.verdict, book.person(row)), (Verdict::Refused, "bob"));
    }

    #[test]
    fn two_runs_of_one_post_are_two_rows() {
        let second = STARTED.replace(":7", ":8");
        let book = book(&[DECIDED, STARTED, &second, ENDED]);
        assert_eq!(book.newest().count(), 2);
        assert_eq!(book.job(8).map(|row| row.verdict), Some(Verdict::Running));
        assert_eq!(book.job(7).map(|row| row.verdict), Some(Verdict::Succeeded));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut book = Book::default();
        for number in 0..MOST_ROWS as u64 + 10 {
            let line = format!(
                r#"{{"sequence":{number},"timestamp":"t","event":"job-start","executionId":{number},"postId":"p{number}","scriptName":"a"}}"#
            );
            let fields: Fields = serde_json::from_str(&line).expect("json");
            book.take(&fields, Spot { file: 0, offset: 0, length: 1, line: 0 });
        }
        assert_eq!((book.newest().count(), book.dropped()), (MOST_ROWS, 10));
        assert!(book.job(9).is_none() && book.job(10).is_some());
        assert!(book.by_post.len() == MOST_ROWS && book.by_job.len() == MOST_ROWS);
    }
}
