//! A job that takes its time is shown while it runs: one post in its thread, edited with how long it has run and what it
//! printed last. Its result is a post of its own, since an edit tells nobody that something is new.
//!
//! An `async` script's first answer is that post; other jobs get one when they have run for [`AFTER`]. A job's post changes
//! once in [`EVERY`] when there is more output, else once in [`AT_LEAST`]; all jobs together change one in [`BETWEEN`], so
//! that many jobs do not use up what the server allows the bot, and none while much else is under way.

use super::Job;
use crate::core::{Core, CoreError, Timer};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::{Act, Body, Delivered, DeliveryId};
use bartizan_proto::control::JobState;
use bartizan_proto::ids::{JobId, PostId};
use bartizan_proto::worker::Usage;
use std::time::{Duration, Instant};

/// From then on a job that is not `async` is shown, too.
const AFTER: Duration = Duration::from_secs(5);
/// But not where its time is shorter than this: its end comes soon.
const WORTH_IT: Duration = Duration::from_secs(15);
/// Between two looks at one job.
const EVERY: Duration = Duration::from_secs(1);
/// Between two edits when nothing was printed.
const AT_LEAST: Duration = Duration::from_secs(15);
/// Between two edits of any jobs.
const BETWEEN: Duration = Duration::from_millis(200);
/// With so many deliveries under way none is added: a server that takes them slowly gets the results first.
const BUSY: u64 = 16;
/// So many lines of output are shown, and so many characters of them.
const LINES: usize = 12;
const CHARACTERS: usize = 1500;

/// A job's live post.
#[derive(Debug, Default)]
pub struct Live {
    post: Shown,
    /// It says that the job waits.
    waits: bool,
    /// Since when it runs.
    since: Option<Instant>,
    /// An edit that the server does not have yet.
    editing: Option<DeliveryId>,
    /// What was shown last: when, and after how many bytes of output.
    last: Option<(Instant, u64)>,
}

#[derive(Debug, Default)]
enum Shown {
    /// There is none.
    #[default]
    Not,
    /// It is being written.
    Ordered(DeliveryId),
    /// It is there.
    There(PostId),
    /// The server did not take it: not tried again.
    Never,
}

impl Live {
    /// One whose first answer, just written, is to be its post.
    pub(super) fn ordered(delivery: DeliveryId, waits: bool) -> Live {
        Live { post: Shown::Ordered(delivery), waits, ..Live::default() }
    }

    /// For how long it has run.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.since.map(|since| since.elapsed())
    }

    /// The post, where it is there.
    pub(crate) fn post(&self) -> Option<PostId> {
        match self.post {
            Shown::There(post) => Some(post),
            Shown::Not | Shown::Ordered(_) | Shown::Never => None,
        }
    }

    /// Whether it is time for another edit.
    fn is_due(&self, printed: u64, now: Instant) -> bool {
        self.editing.is_none()
            && self.last.is_none_or(|(at, then)| {
                let since = now.saturating_duration_since(at);
                since >= AT_LEAST || (printed != then && since >= EVERY)
            })
    }
}

impl Core {
    /// A job runs: it is looked at from time to time from now on.
    pub(super) fn live_begins(&mut self, job: JobId) {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return };
        let (now, begun) = (Instant::now(), entry.since_it_began(Usage::default()));
        entry.live.since = now.checked_sub(Duration::from_micros(begun.elapsed_us)).or(Some(now));
        let has_long = entry.launched.as_ref().is_some_and(|launched| launched.timeout >= WORTH_IT);
        let first = match entry.live.post {
            Shown::Not if !has_long => return,
            Shown::Not => AFTER,
            Shown::Ordered(_) | Shown::There(_) | Shown::Never => EVERY,
        };
        self.timers.after(first, Timer::Live(job));
    }

    /// It says how far it is: it is shown soon, however long it may take.
    pub(super) fn live_is_worth_it(&mut self, job: JobId) {
        if self.jobs.all.get(&job).is_some_and(|entry| matches!(entry.live.post, Shown::Not)) {
            self.timers.cancel(&Timer::Live(job));
            self.timers.after(EVERY, Timer::Live(job));
        }
    }

    /// Looks at a job that may still run.
    pub(crate) fn live_look(&mut self, job: JobId) -> Result<(), CoreError> {
        let now = Instant::now();
        let Some(entry) = self.jobs.all.get(&job) else { return Ok(()) };
        if !matches!(entry.state, JobState::Running | JobState::Stopping) {
            return Ok(());
        }
        self.timers.after(EVERY, Timer::Live(job));
        let printed = entry.output.total() + entry.api.progress.as_ref().map_or(0, |progress| progress.changes);
        let busy = self.outbox.undelivered() >= BUSY || self.jobs.no_edit_before.is_some_and(|then| now < then);
        if busy || !entry.live.is_due(printed, now) {
            return Ok(());
        }
        let body = shown(job, entry);
        let intent = &entry.intent;
        let delivery = match entry.live.post {
            Shown::Ordered(_) | Shown::Never => return Ok(()),
            Shown::Not => {
                let (channel, post, root) = (intent.channel, intent.post, intent.root);
                self.reply_with(channel, post, root, "live", body, None)?;
                let delivery = self.outbox.written;
                if let Some(entry) = self.jobs.all.get_mut(&job) {
                    entry.live.post = Shown::Ordered(delivery);
                }
                delivery
            }
            Shown::There(post) => {
                self.send(&Act::Edit { post, body }, false)?;
                let delivery = self.outbox.written;
                if let Some(entry) = self.jobs.all.get_mut(&job) {
                    entry.live.editing = Some(delivery);
                }
                delivery
            }
        };
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.live.last = Some((now, printed));
        }
        self.jobs.no_edit_before = Some(now + BETWEEN);
        self.jobs.live.insert(delivery, job);
        Ok(())
    }

    /// A delivery ended that may have been a live post, or a change of one.
    pub(crate) fn live_delivered(&mut self, delivery: DeliveryId, outcome: &Delivered) -> Result<(), CoreError> {
        let Some(job) = self.jobs.live.remove(&delivery) else { return Ok(()) };
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        if matches!(entry.live.post, Shown::Ordered(ordered) if ordered == delivery) {
            entry.live.post = match outcome {
                Delivered::Posted(post) => Shown::There(*post),
                Delivered::Done | Delivered::Rejected { .. } => Shown::Never,
            };
            // It may have ended before its post was there.
            if entry.state == JobState::Done {
                return self.live_ends(job);
            }
            if let Delivered::Posted(post) = outcome {
                return self.live_post_is_there(job, *post);
            }
            return Ok(());
        }
        if entry.live.editing == Some(delivery) {
            entry.live.editing = None;
        }
        Ok(())
    }

    /// A job is over: its live post says so, and that its result is another post.
    pub(super) fn live_ends(&mut self, job: JobId) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let Shown::There(post) = entry.live.post else { return Ok(()) };
        entry.live.post = Shown::Never;
        // What was said when it was accepted is still true where nothing was added.
        if entry.live.last.is_none() && !entry.live.waits {
            return Ok(());
        }
        let text = words::live_over(&entry.intent.title(), job);
        self.send(&Act::Edit { post, body: Body::Markup(Text::cut(text)) }, false)
    }
}

/// What the post says now.
fn shown(id: JobId, job: &Job) -> Body {
    let age = job.live.since.map_or(Duration::ZERO, |since| since.elapsed());
    let mut head = words::live(&job.intent.title(), id, age);
    if let Some(progress) = &job.api.progress {
        head.push_str(&format!("\n{}", words::progress(progress.percent, &progress.text)));
    }
    let head = Text::cut(head);
    let tail = job.shown_tail();
    let output = last_lines(&tail);
    if output.is_empty() { Body::Markup(head) } else { Body::Output { head, output: Text::cut(output) } }
}

/// The last lines, as many as may be shown.
fn last_lines(text: &str) -> String {
    let text = text.trim_end();
    let begin = text.rmatch_indices('\n').nth(LINES - 1).map_or(0, |(at, _)| at + 1);
    let lines = &text[begin..];
    let skip = lines.chars().count().saturating_sub(CHARACTERS);
    lines.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown_and_not_more_than_fit() {
        let text: String = (1..=40).map(|number| format!("line {number}\n")).collect();
        let shown = last_lines(&text);
        assert_eq!((shown.lines().next(), shown.lines().count()), (Some("line 29"), LINES));
        assert_eq!(last_lines("one\ntwo\n"), "one\ntwo");
        assert_eq!(last_lines(&"é".repeat(9000)).chars().count(), CHARACTERS);
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn an_edit_is_due_once_a_second_with_output_and_seldom_without() {
        let begin = Instant::now();
        let mut live = Live::default();
        assert!(live.is_due(0, begin), "nothing was shown yet");
        live.last = Some((begin, 10));
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(!live.is_due(20, at(900)) && live.is_due(20, at(1000)));
        assert!(!live.is_due(10, at(14_000)) && live.is_due(10, at(15_000)));
        live.editing = Some(DeliveryId(1));
        assert!(!live.is_due(20, at(60_000)), "one edit at a time");
    }
}
