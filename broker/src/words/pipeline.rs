//! What chat is told of pipelines.

use crate::job::pipeline::{Kind, Seen, State};
use bartizan_proto::ids::JobId;
use bartizan_proto::text::code;

/// So much of a task's command is shown, in characters: 50 of them fit a post.
const LONGEST: usize = 200;

/// All tasks and how far they are. `shown` leaves out of a command what is secret.
pub fn overview(name: &str, job: JobId, tasks: &[Seen], shown: impl Fn(&str) -> String) -> String {
    let mut text = format!("After {} (job {job}):", code(name));
    for task in tasks {
        let when = match task.kind {
            Kind::Step => "",
            Kind::Fail => " (on failure)",
            Kind::Final => " (finally)",
        };
        let state = match task.state {
            State::Waits => "waits",
            State::Runs => "**runs**",
            State::Done => "done",
            State::Failed => "**failed**",
            State::Left => "not run",
        };
        text.push_str(&format!("\n- {}{when}: {state}", task_line(&shown(&task.line))));
    }
    text
}

/// How it ended.
pub fn over(name: &str, job: JobId, well: bool, tasks: &[Seen], shown: impl Fn(&str) -> String) -> String {
    let count = |state: State| tasks.iter().filter(|task| task.state == state).count();
    let of = |number: usize| if number == 1 { "1 task".to_owned() } else { format!("{number} tasks") };
    let head = format!("Everything after {} (job {job})", code(name));
    if well {
        return format!("{head} is done: {}.", of(count(State::Done)));
    }
    let failed: Vec<String> =
        tasks.iter().filter(|task| task.state == State::Failed).map(|task| task_line(&shown(&task.line))).collect();
    let failed = if failed.is_empty() {
        "it did not end well itself".to_owned()
    } else {
        format!("{} failed", failed.join(", "))
    };
    let steps = tasks.iter().filter(|task| task.kind == Kind::Step && task.state == State::Left).count();
    let left = if steps == 0 { String::new() } else { format!("; {} did not run", of(steps)) };
    format!("{head} is over: {failed}{left}.")
}

/// A task's command: its beginning, so that the post has room for all of them.
fn task_line(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", code(&line[..at])),
        None => code(line),
    }
}

/// Somebody stops it between two of its tasks.
pub fn cleaning_up(name: &str, job: JobId) -> String {
    format!("What was to follow {} (job {job}) does not run any more; what cleans up does.", code(name))
}
