//! `bartizan tail`: the end of what a job prints, and with `-f` what comes, until it ends. The core keeps only the end; what was printed
//! faster than it is looked at is said to be missing.

use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::show::{inert, printable_lines};
use bartizan_proto::control::{Answer, JobState, Refusal, Request};
use bartizan_proto::ids::JobId;
use serde_json::json;
use std::io::{self, Write};
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What stands where something was not seen.
const MISSED: &str = "[…]\n";

/// Prints it. The exit code says nothing of how the job ended.
///
/// # Errors
/// [`CtlError`].
pub(crate) fn tail(
    job: JobId,
    follow: bool,
    ask: &dyn Fn(Request) -> Result<Answer, CtlError>,
    out: &Out,
) -> Result<Exit, CtlError> {
    let mut seen = String::new();
    let mut found = false;
    loop {
        let (text, over) = match ask(Request::Inspect { job }) {
            Ok(Answer::Inspect(job)) => (job.tail.to_string(), job.row.state == JobState::Done || job.ending.is_some()),
            // It ended, and is history: its beginning is kept there, which is all of it where it is short.
            Err(CtlError::Refused { refusal: Refusal::NotFound, why }) => match ask(Request::Log { job }) {
                Ok(Answer::Log(past)) if past.is_cut => (seen.clone(), true),
                Ok(Answer::Log(past)) => (past.output.to_string(), true),
                Err(_) if !found => return Err(CtlError::Refused { refusal: Refusal::NotFound, why }),
                Ok(_) | Err(_) => (seen.clone(), true),
            },
            Ok(_) => return Err(CtlError::WrongAnswer),
            Err(error) => return Err(error),
        };
        found = true;
        // Half a line waits for its end.
        let text = match text.rfind('\n') {
            _ if over || !follow => text,
            Some(at) => text[..=at].to_owned(),
            None => String::new(),
        };
        let new = added(&seen, &text);
        if !new.is_empty() && !give(job, &new, out)? {
            return Ok(Exit::Ok);
        }
        seen = text;
        if over || !follow {
            return Ok(Exit::Ok);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What a later look shows that an earlier one did not: both are ends of the same text.
fn added(seen: &str, now: &str) -> String {
    let starts = (0..seen.len()).filter(|at| seen.is_char_boundary(*at));
    match starts.map(|at| &seen[at..]).find(|rest| now.starts_with(rest)) {
        Some(rest) => now[rest.len()..].to_owned(),
        None if seen.is_empty() => now.to_owned(),
        None => format!("{MISSED}{now}"),
    }
}

/// `false` when nobody reads any more.
fn give(job: JobId, new: &str, out: &Out) -> Result<bool, CtlError> {
    let text = if out.json {
        format!("{}\n", inert(&json!({ "job": job, "text": new }).to_string()))
    } else {
        printable_lines(new)
    };
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::added;

    #[test]
    fn a_later_look_adds_what_is_new_and_says_what_was_missed() {
        assert_eq!(added("", "one\n"), "one\n");
        assert_eq!(added("one\n", "one\ntwo\n"), "two\n");
        assert_eq!(added("one\ntwo\n", "two\nthree\n"), "three\n");
        assert_eq!(added("one\n", "one\n"), "");
        assert_eq!(added("one\n", "nine\n"), "[…]\nnine\n");
        assert_eq!(added("é", "éa"), "a");
    }
}
