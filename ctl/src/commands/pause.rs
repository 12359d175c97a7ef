//! `bartizan pause`, `drain` and `resume`: nothing new is started, and what runs is waited for.

use super::Out;
use crate::audit::arguments::Age;
use crate::exit::{CtlError, Exit};
use crate::show::{duration, jobs_and_pipelines, pause as shown};
use bartizan_proto::bounded::Text;
use bartizan_proto::control::{Answer, PauseState, Refusal, Request, Status};
use serde_json::json;
use std::time::{Duration, Instant};

/// Between two looks whether something still runs.
const LOOK: Duration = Duration::from_millis(200);

type Ask<'a> = &'a dyn Fn(Request) -> Result<Answer, CtlError>;

/// Begins a pause.
pub(super) fn pause(reason: &str, ask: Ask, out: &Out) -> Result<Exit, CtlError> {
    let (pause, running, queued) = begin(reason, ask)?;
    tell(pause.as_ref(), running, queued, out)
}

/// Ends it.
pub(super) fn resume(ask: Ask, out: &Out) -> Result<Exit, CtlError> {
    let (pause, running, queued) = answered(ask(Request::Resume)?)?;
    tell(pause.as_ref(), running, queued, out)
}

/// Begins one, and waits until nothing runs. Exit code 1 where that takes longer than it may.
pub(super) fn drain(reason: &str, timeout: Option<&Age>, ask: Ask, out: &Out) -> Result<Exit, CtlError> {
    let begun = Instant::now();
    let end = timeout.and_then(|timeout| begun.checked_add(Duration::from_secs(timeout.seconds)));
    begin(reason, ask)?;
    let mut said = String::new();
    let status = loop {
        let Answer::Status(status) = ask(Request::Status)? else { return Err(CtlError::WrongAnswer) };
        // Somebody else may have ended the pause: then this would wait for ever, or call drained what begins anew.
        if status.paused.is_none() {
            return Err(CtlError::Refused {
                refusal: Refusal::Unavailable,
                why: "the pause was ended by somebody else meanwhile".to_owned(),
            });
        }
        if is_drained(&status) || end.is_some_and(|end| Instant::now() >= end) {
            break status;
        }
        let now = jobs_and_pipelines(&status);
        if !out.json && now != said {
            eprintln!("Paused; {now} still going on. `bartizan ps` lists what runs.");
            said = now;
        }
        std::thread::sleep(LOOK);
    };
    let drained = is_drained(&status);
    let waited_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let answer = json!({
        "drained": drained, "running": status.running, "pipelines": status.pipelines, "due": status.due,
        "queued": status.queued,
        "undelivered": status.undelivered, "waited-ms": waited_ms, "pause": status.paused,
    });
    out.give(&answer, |_| match drained {
        true => format!(
            "Drained after {}: nothing runs, {} waiting. `bartizan resume` starts it, also after a restart.\n",
            duration(waited_ms),
            match status.queued {
                1 => "1 job is".to_owned(),
                more => format!("{more} jobs are"),
            }
        ),
        false => format!(
            "Not drained after {}: {} still going on. It stays paused; `bartizan kill JOB` stops a job, `bartizan resume` ends the pause.\n",
            duration(waited_ms),
            jobs_and_pipelines(&status)
        ),
    })?;
    Ok(if drained { Exit::Ok } else { Exit::Bad })
}

fn is_drained(status: &Status) -> bool {
    status.running == 0 && status.pipelines == 0 && status.due == 0
}

fn begin(reason: &str, ask: Ask) -> Result<(Option<PauseState>, u64, u64), CtlError> {
    let reason = Text::new(reason)
        .map_err(|_| CtlError::Refused { refusal: Refusal::Usage, why: "the reason is too long".to_owned() })?;
    answered(ask(Request::Pause { reason })?)
}

fn answered(answer: Answer) -> Result<(Option<PauseState>, u64, u64), CtlError> {
    match answer {
        Answer::Pause { pause, running, queued } => Ok((pause, running, queued)),
        _ => Err(CtlError::WrongAnswer),
    }
}

fn tell(pause: Option<&PauseState>, running: u64, queued: u64, out: &Out) -> Result<Exit, CtlError> {
    let answer = json!({ "pause": pause, "running": running, "queued": queued });
    out.give(&answer, |_| shown(pause, running, queued))
}
