//! `say`, `reply`, `file`, `table` and `attach`: posts in the job's thread, at a pace that one job and all of them share. A post that comes
//! too early is kept, and its call is answered when it was made: so a script that says much is slowed down and loses nothing.

use super::{card, refused};
use crate::core::{Core, CoreError, Timer};
use crate::job::Job;
use crate::store::jobs::Actor;
use crate::words;
use bartizan_proto::connector::{Attachment, Body};
use bartizan_proto::ids::JobId;
use bartizan_proto::script::{Answer, Call, Verb};
use bartizan_proto::text::escape;
use bartizan_proto::worker::CallId;
use bartizan_proto::{Bytes, Text};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Posts of one job.
const MOST: u32 = 100;
/// Of one job so many at once, and then one in this time.
const OF_ONE: (u32, Duration) = (5, Duration::from_secs(1));
/// Of all jobs together.
const OF_ALL: (u32, Duration) = (10, Duration::from_millis(200));
/// Longer text, in characters with what is escaped, goes into a fence, which can be cut.
pub(super) const MOST_MARKUP: usize = 3500;
/// Rows and columns of a table.
const MOST_ROWS: usize = 60;
const MOST_COLUMNS: usize = 12;

/// How much may be done now: so many at once, one more in each time.
#[derive(Debug)]
pub struct Pace {
    left: u32,
    since: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: u32::MAX, since: None }
    }
}

impl Pace {
    /// When it may be done: now is `None`.
    fn wait(&mut self, (most, every): (u32, Duration), now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let passed = u32::try_from(now.saturating_duration_since(since).as_millis() / every.as_millis().max(1));
        let passed = passed.unwrap_or(u32::MAX);
        if passed > 0 {
            self.since = Some(now);
        }
        self.left = self.left.saturating_add(passed).min(most);
        (self.left == 0).then(|| (since + every).saturating_duration_since(now).max(Duration::from_millis(1)))
    }

    fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

/// The posts of one job.
#[derive(Debug, Default)]
pub struct Posts {
    made: u32,
    pace: Pace,
    early: VecDeque<(CallId, Call)>,
}

impl Posts {
    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.early.len()
    }

    /// Nobody waits for this one any more: it is not made.
    pub fn forget(&mut self, call: CallId) {
        self.early.retain(|(waiting, _)| *waiting != call);
    }
}

impl Core {
    /// Makes a post now, or when its time has come.
    pub(super) fn post_or_wait(&mut self, job: JobId, call: CallId, what: Call) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        entry.api.posts.early.push_back((call, what));
        if entry.api.posts.early.len() > 1 {
            return Ok(());
        }
        self.make_posts(job)
    }

    /// Makes what may be made now, in order.
    pub(crate) fn make_posts(&mut self, job: JobId) -> Result<(), CoreError> {
        let now = Instant::now();
        loop {
            let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
            if entry.api.posts.early.is_empty() {
                return Ok(());
            }
            let wait = entry.api.posts.pace.wait(OF_ONE, now).max(self.jobs.posts.wait(OF_ALL, now));
            if let Some(wait) = wait {
                self.timers.after(wait, Timer::Posts(job));
                return Ok(());
            }
            let Some((call, what)) = entry.api.posts.early.pop_front() else { return Ok(()) };
            if entry.api.posts.made >= MOST {
                self.answer_call(job, call, refused(format!("this job has made its {MOST} posts; print the rest")))?;
                continue;
            }
            let made = match what {
                others @ Call::Ask { .. } if others.verb() == Verb::AskOthers => {
                    let begun = self.ask_others(job, call, others)?;
                    let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
                    match begun {
                        Ok(()) => {
                            entry.api.posts.made += 1;
                            entry.api.posts.pace.take();
                            self.jobs.posts.take();
                        }
                        Err(why) => self.answer_call(job, call, refused(why))?,
                    }
                    continue;
                }
                Call::Subscribe { anybody, seconds } => {
                    self.subscribe(job, anybody, seconds)?.map(|body| (body, None, false))
                }
                // Answered when somebody has answered.
                question @ Call::Ask { .. } => self.open_question(job, call, question)?.map(|body| (body, None, true)),
                other => post(entry, other).map(|(body, attachment)| (body, attachment, false)),
            };
            let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
            match made {
                Ok((body, attachment, asks)) => {
                    entry.api.posts.made += 1;
                    entry.api.posts.pace.take();
                    self.jobs.posts.take();
                    let (channel, post, root) = (entry.intent.channel, entry.intent.post, entry.intent.root);
                    // No delivery's number is ever used again: neither is the post's id.
                    let kind = format!("say-{}", self.outbox.written.0 + 1);
                    self.reply_with(channel, post, root, &kind, body, attachment)?;
                    if !asks {
                        self.answer_call(job, call, Answer::Done)?;
                    }
                }
                Err(why) => self.answer_call(job, call, refused(why))?,
            }
        }
    }
}

/// What a call looks like in chat.
fn post(job: &Job, what: Call) -> Result<(Body, Option<Attachment>), String> {
    match what {
        Call::Say { text, code } => Ok((said(job, "", &text, code)?, None)),
        Call::Reply { text, code } => {
            let to = if job.intent.direct || job.intent.actor != Actor::Person {
                String::new()
            } else {
                words::addressed(&job.intent.user_name)
            };
            Ok((said(job, &to, &text, code)?, None))
        }
        Call::Table { title, rows } => {
            Ok((Body::Markup(Text::cut(table(&|text| job.cleaned(text), &title, &rows)?)), None))
        }
        attach @ Call::Attach { .. } => Ok((Body::Card(Box::new(card::card(job, attach)?)), None)),
        Call::File { name, text, content } => {
            if job.cleaned(name.as_str()) != name.as_str() {
                return Err("the file's name has a secret of this job in it".to_owned());
            }
            let content = masked(job, content.into_vec())?;
            let body = match text.trim().is_empty() {
                true => Body::Markup(Text::cut(words::attached(name.as_str()))),
                false => said(job, "", &text, false)?,
            };
            Ok((body, Some(Attachment { name: Text::cut(name.as_str()), content })))
        }
        Call::Progress { .. }
        | Call::Param { .. }
        | Call::Log { .. }
        | Call::Remember { .. }
        | Call::Recall { .. }
        | Call::Checkout { .. }
        | Call::Ask { .. }
        | Call::Subscribe { .. }
        | Call::Unsubscribe
        | Call::Add { .. }
        | Call::Exclusive { .. }
        | Call::Hosts(_) => Err("not a post".to_owned()),
    }
}

fn said(job: &Job, to: &str, text: &str, code: bool) -> Result<Body, String> {
    let clean = job.cleaned(text);
    let clean = clean.trim_matches('\n');
    if clean.trim().is_empty() {
        return Err("there is nothing to say".to_owned());
    }
    let lines: Vec<String> = clean.lines().map(escape).collect();
    let markup = format!("{to}{}", lines.join("\n"));
    Ok(match code || markup.chars().count() > MOST_MARKUP {
        true => Body::Output { head: Text::cut(to), output: Text::cut(clean) },
        false => Body::Markup(Text::cut(markup)),
    })
}

/// A table in markdown, its text cleaned and inert.
pub(super) fn table(cleaned: &dyn Fn(&str) -> String, title: &str, rows: &str) -> Result<String, String> {
    let clean = cleaned(rows);
    let rows: Vec<Vec<String>> = clean
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split('\t').map(|cell| escape(cell.trim())).collect())
        .collect();
    let Some(columns) = rows.iter().map(Vec::len).max() else { return Err("the table is empty".to_owned()) };
    if rows.len() > MOST_ROWS || columns > MOST_COLUMNS {
        return Err(format!("a table has at most {MOST_ROWS} rows and {MOST_COLUMNS} columns; attach a file"));
    }
    let title = cleaned(title);
    let mut out = String::new();
    if !title.trim().is_empty() {
        out = format!("**{}**\n\n", escape(title.trim()));
    }
    for (number, row) in rows.iter().enumerate() {
        let cells = (0..columns).map(|column| row.get(column).map_or("", String::as_str));
        out.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
        if number == 0 {
            out.push_str(&format!("|{}\n", " --- |".repeat(columns)));
        }
    }
    match out.chars().count() > MOST_MARKUP {
        true => Err("the table is too large for a post; attach a file".to_owned()),
        false => Ok(out),
    }
}

/// A file's content with the job's secrets masked; what is no text and has one in it is not attached at all.
fn masked<const MAX: usize>(job: &Job, content: Vec<u8>) -> Result<Bytes<MAX>, String> {
    use crate::output::redact::{Cut, redact};
    if job.secrets.is_none() {
        return Bytes::new(content).map_err(|error| error.to_string());
    }
    let bytes = match String::from_utf8(content) {
        Ok(text) => redact(text, job.secrets.as_ref(), Cut::None).into_bytes(),
        Err(error) => {
            let bytes = error.into_bytes();
            let seen = String::from_utf8_lossy(&bytes).into_owned();
            if redact(seen.clone(), job.secrets.as_ref(), Cut::None) != seen {
                return Err("the file has a secret of this job in it".to_owned());
            }
            bytes
        }
    };
    // A mask may be longer than what it stands for.
    Bytes::new(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_posts_are_made_at_once_and_then_one_in_its_time() {
        let mut pace = Pace::default();
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        for _ in 0..OF_ONE.0 {
            assert_eq!(pace.wait(OF_ONE, now), None);
            pace.take();
        }
        assert_eq!(pace.wait(OF_ONE, at(400)), Some(Duration::from_millis(600)));
        assert_eq!(pace.wait(OF_ONE, at(1000)), None);
        pace.take();
        assert!(pace.wait(OF_ONE, at(1500)).is_some());
        assert_eq!(pace.wait(OF_ONE, at(60_000)), None);
        assert_eq!(pace.left, OF_ONE.0, "what was not used for long does not add up");
    }
}
