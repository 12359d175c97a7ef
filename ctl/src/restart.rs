//! `bartizan restart`: asks the service to end in order and be started again, and waits until it is back.
//!
//! Who starts it again is the service's manager; when nobody does, that is said.

use crate::ask::ask;
use crate::exit::{CtlError, Exit};
use crate::show::duration;
use bartizan_proto::control::{Answer, Health, Request, Status};
use bartizan_proto::version::Role;
use serde::Serialize;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks whether it is back.
const PAUSE: Duration = Duration::from_millis(100);

/// Beyond the drain: what the service may take to end. Its `shutdown-grace` is at most ten minutes.
const TO_END: Duration = Duration::from_secs(615);

/// How long a service manager may take to start it again.
const TO_BEGIN: Duration = Duration::from_secs(30);

/// How long it may take to reach the server before that is no part of the restart any more.
const TO_CONNECT: Duration = Duration::from_secs(10);

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Restarted {
    /// Jobs that ran when it was asked.
    running: u64,
    /// So long they may go on, in ms.
    drain_ms: u64,
    /// How long it took until the service answered again, in ms; none where that was not waited for, or never came.
    back_after_ms: Option<u64>,
    waited: bool,
}

impl Restarted {
    /// In words.
    pub fn shown(&self) -> String {
        let running = match self.running {
            0 => "no job runs".to_owned(),
            1 => format!("1 job has up to {} to end", duration(self.drain_ms)),
            more => format!("{more} jobs have up to {} to end", duration(self.drain_ms)),
        };
        match (self.waited, self.back_after_ms) {
            (false, _) => format!("Restarting: {running}.\n"),
            (true, Some(ms)) => format!("Restarted: {running}. Back after {}.\n", duration(ms)),
            (true, None) => {
                "The service has ended in order, with exit code 75, and nobody has started it again: that is its \
                             service manager's part. Start it.\n"
                    .to_owned()
            }
        }
    }

    /// As an exit code.
    pub fn exit(&self) -> Exit {
        if self.waited && self.back_after_ms.is_none() { Exit::Bad } else { Exit::Ok }
    }
}

/// Restarts the service.
///
/// # Errors
/// [`CtlError`]: it was not asked, or did not say yes.
pub fn restart(socket: &Path, now: bool, wait: bool) -> Result<Restarted, CtlError> {
    let Answer::Status(before) = ask(socket, &Request::Status)? else { return Err(CtlError::WrongAnswer) };
    let begun = Instant::now();
    let (running, drain_ms) = match ask(socket, &Request::Restart { now }) {
        Ok(Answer::Restarting { running, drain_ms }) => (running, drain_ms),
        Ok(_) => return Err(CtlError::WrongAnswer),
        // It was asked, and has ended before it could say so.
        Err(CtlError::Conversation { .. }) => (before.running, 0),
        Err(error) => return Err(error),
    };
    let back_after_ms = wait.then(|| back(socket, core(&before), Duration::from_millis(drain_ms) + TO_END)).flatten();
    let back_after_ms = back_after_ms.map(|at| u64::try_from((at - begun).as_millis()).unwrap_or(u64::MAX));
    Ok(Restarted { running, drain_ms, back_after_ms, waited: wait })
}

/// When another core than the one before answered.
fn back(socket: &Path, before: u32, to_end: Duration) -> Option<Instant> {
    let begun = Instant::now();
    let (mut gone, mut back): (Option<Instant>, Option<Instant>) = (None, None);
    while begun.elapsed() < to_end && gone.is_none_or(|gone| gone.elapsed() < TO_BEGIN) {
        match ask(socket, &Request::Status) {
            Ok(Answer::Status(status)) if core(&status) != before => {
                let since = *back.get_or_insert_with(Instant::now);
                if status.health == Health::Ok || since.elapsed() > TO_CONNECT {
                    return Some(Instant::now());
                }
            }
            Ok(_) => gone = None,
            Err(_) => gone = gone.or_else(|| Some(Instant::now())),
        }
        sleep(PAUSE);
    }
    None
}

fn core(status: &Status) -> u32 {
    status.processes.iter().find(|row| row.role == Role::Core).map_or(0, |row| row.pid)
}
