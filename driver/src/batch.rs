//! A job of a cluster, from its submission to its end. It is found by its name, which the core made of the job's key, before it is
//! submitted: once at most. Whoever stops following it (because the service ends, or this process dies) leaves it alone; who is told to
//! stop cancels it.
//!
//! | step | file |
//! |---|---|
//! | the cluster's own commands, and what is on their command lines | `batch/cluster.rs` |
//! | what they say of a job, in JSON | `batch/seen.rs` |
//! | what it prints: a file that all nodes have | `batch/output.rs` |

mod cluster;
mod output;
mod seen;

use crate::{DriverError, NOT_BEGUN, failed, report};
use bartizan_proto::driver::Batch;
use cluster::{Cluster, Trouble};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use output::Output;
use rustix::event::{PollFd, PollFlags, Timespec};
use seen::{Seen, State};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What may have been submitted is there after so long, or was not.
const TO_APPEAR: Duration = Duration::from_secs(15);

/// A controller that does not answer for so long is not given anything new.
const TO_ANSWER: Duration = Duration::from_secs(30);

/// To cancel it; a little less than the core gives.
const TO_CANCEL: Duration = Duration::from_secs(17);

/// After it is told to stop: to find what is to be cancelled. Cancelling needs the rest.
const TO_BE_FOUND: Duration = Duration::from_secs(12);

/// For what it printed last to arrive from its node.
const TO_ARRIVE: Duration = Duration::from_secs(10);

/// A job whose node was lost may be about to wait again.
const TO_BE_SURE: Duration = Duration::from_secs(5);

/// Between two looks at its output.
const LOOK: Duration = Duration::from_millis(250);

/// Where it did not end by itself on the cluster: like a process that was told to end.
const CANCELLED: u8 = 143;

/// It may go on: it could not be cancelled, or is not known any more.
const UNKNOWN: u8 = 251;

/// Follows it to its end; gives the exit code.
pub(crate) fn follow(work: &Batch, home: &Path) -> Result<u8, DriverError> {
    let stop = Stop::new()?;
    let cluster = Cluster::new(work, home)?;
    let mut output = Output::new(work)?;

    // 1. Is it there already? Only if not, and only if the scheduler said so, is it submitted.
    let within = if work.submits { TO_ANSWER } else { Duration::MAX };
    // What goes on there is to be cancelled where it is told to stop: for that it has to be found.
    let after_stop = if work.submits { Duration::ZERO } else { TO_BE_FOUND };
    let found = match patiently(&stop, (within, after_stop), || cluster.find()) {
        Ok(Some(seen)) => {
            say(&format!("job {} is found again: {}", seen.id, seen.words()));
            seen
        }
        Ok(None) if work.submits => match submit(&cluster, &mut output) {
            Ok(seen) => seen,
            Err(why) => {
                say(&format!("it was not submitted: {why}"));
                return Ok(NOT_BEGUN);
            }
        },
        Ok(None) => match gone(&cluster, &mut output, &stop) {
            Ok(seen) => seen,
            Err(code) => return Ok(code),
        },
        Err(why) if work.submits => {
            say(&format!("nothing was submitted: {why}"));
            return Ok(NOT_BEGUN);
        }
        Err(why) => {
            say(&format!("nobody knows how it is: {why}; it may go on as {}", work.name));
            return Ok(UNKNOWN);
        }
    };

    // 2. Until it ends.
    let mut follower = Follower { work, cluster, output, stop, last: found, told: None, silent: 0, doubted: None };
    follower.tell(false);
    follower.run()
}

/// Submits it. Where that fails it may have been taken all the same: then it is there a little later.
fn submit(cluster: &Cluster<'_>, output: &mut Output<'_>) -> Result<Seen, String> {
    let folder = output.make().map_err(|error| error.to_string())?;
    match cluster.submit(&folder) {
        Ok(id) => {
            say(&format!("job {id} is submitted"));
            Ok(Seen::submitted(id))
        }
        Err(why) => {
            // Also when it is not wanted any more: what was taken has to be cancelled, and what is not found cannot be.
            let until = Instant::now() + TO_APPEAR;
            while Instant::now() < until {
                match cluster.find() {
                    Ok(Some(seen)) => return Ok(seen),
                    Ok(None) | Err(_) => std::thread::sleep(Duration::from_secs(1)),
                }
            }
            output.remove();
            Err(why.to_string())
        }
    }
}

/// It is not known to the scheduler: it ended long ago, or never was, and what it left says which; `Err` is the exit code then. What was
/// on its way when its submission broke off is there a little later.
fn gone(cluster: &Cluster<'_>, output: &mut Output<'_>, stop: &Stop) -> Result<Seen, u8> {
    let until = Instant::now() + TO_APPEAR;
    while Instant::now() < until && !stop.within(Duration::from_secs(1)) {
        if let Ok(Some(seen)) = cluster.find() {
            say(&format!("job {} is found again: {}", seen.id, seen.words()));
            return Ok(seen);
        }
    }
    output.pump();
    Err(match output.end() {
        Some(code) => {
            say(&format!("the scheduler has forgotten it; it ended with exit {code}"));
            output.remove();
            code
        }
        None => {
            say("the scheduler does not know it: it was never submitted, or ended without a trace");
            UNKNOWN
        }
    })
}

/// Asks until there is an answer, or for so long, or for so long after it is told to stop.
fn patiently<T>(
    stop: &Stop,
    (within, after_stop): (Duration, Duration),
    ask: impl Fn() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let since = Instant::now();
    let mut stopped = None::<Instant>;
    let mut told = false;
    loop {
        let trouble = match ask() {
            Ok(answer) => return Ok(answer),
            Err(trouble) => trouble,
        };
        let waits = if stopped.is_some() { Duration::ZERO } else { Duration::from_secs(2) };
        if stop.within(waits) && stopped.get_or_insert_with(Instant::now).elapsed() >= after_stop {
            return Err(trouble);
        }
        if since.elapsed() >= within {
            return Err(trouble);
        }
        if stopped.is_some() {
            std::thread::sleep(Duration::from_millis(500));
        }
        if !std::mem::replace(&mut told, true) {
            report::progress("the cluster's controller does not answer");
        }
    }
}

/// What is known of it, and who is told.
struct Follower<'a> {
    work: &'a Batch,
    cluster: Cluster<'a>,
    output: Output<'a>,
    stop: Stop,
    last: Seen,
    /// Since when nothing was said.
    told: Option<Instant>,
    /// Looks without an answer, one after the other.
    silent: u32,
    /// Since when it seems to have ended with its node.
    doubted: Option<Instant>,
}

impl Follower<'_> {
    fn run(&mut self) -> Result<u8, DriverError> {
        let since = Instant::now();
        let mut asked = Instant::now();
        loop {
            self.output.pump();
            if self.stop.within(LOOK) {
                return Ok(self.cancel());
            }
            if asked.elapsed() < pace(since.elapsed()) {
                continue;
            }
            asked = Instant::now();
            match self.cluster.find() {
                Ok(Some(seen)) if seen.id == self.last.id => self.heard(seen),
                // Only once it was seen there can it be gone.
                Ok(_) if self.last.state == State::Submitted && since.elapsed() < TO_APPEAR => {}
                Ok(_) => match gone(&self.cluster, &mut self.output, &self.stop) {
                    Ok(seen) => self.heard(seen),
                    Err(code) => return Ok(code),
                },
                Err(why) => self.unanswered(&why),
            }
            if self.is_over() {
                return Ok(ended(&self.last, &mut self.output));
            }
        }
    }

    fn heard(&mut self, seen: Seen) {
        if self.silent >= 3 {
            say("the controller answers again");
        }
        self.silent = 0;
        let before = std::mem::replace(&mut self.last, seen);
        if self.last.restarts > before.restarts || (before.state == State::Runs && self.last.state == State::Waits) {
            let nodes = self.cluster.nodes(&before.nodes);
            let text = format!(
                "Job {} was taken off {} and waits to be run again, from its beginning{nodes}.",
                self.last.id,
                before.place()
            );
            say(&text);
            report::say(&text);
        }
        self.tell(before != self.last);
    }

    /// Into the live post, and where something changed, into the output.
    fn tell(&mut self, changed: bool) {
        let words = format!("job {}: {}", self.last.id, self.last.words());
        if changed && self.last.state != State::Submitted && !self.last.is_over() {
            say(&words);
        }
        if changed || self.told.is_none_or(|told| told.elapsed() > Duration::from_secs(30)) {
            report::progress(&words);
            self.told = Some(Instant::now());
        }
    }

    fn unanswered(&mut self, why: &Trouble) {
        self.silent += 1;
        if self.silent == 3 {
            say(&format!("the controller does not answer ({why}); job {} goes on", self.last.id));
            report::progress(&format!("job {}: the controller does not answer", self.last.id));
        }
    }

    /// Whether it has ended. One that lost its node, and may be begun again, is looked at twice.
    fn is_over(&mut self) -> bool {
        let comes_back = self.work.resources.requeue && self.last.lost_its_node();
        match self.last.is_over() {
            false => self.doubted = None,
            true if !comes_back => return true,
            true => return self.doubted.get_or_insert_with(Instant::now).elapsed() >= TO_BE_SURE,
        }
        false
    }

    /// It is not wanted any more.
    fn cancel(&mut self) -> u8 {
        let id = self.last.id;
        say(&format!("job {id} is cancelled"));
        let until = Instant::now() + TO_CANCEL;
        let mut last = "it did not end".to_owned();
        while Instant::now() < until {
            // Whose it is and what it is called is asked at that moment: a number comes round again.
            let trouble = match self.cluster.find() {
                Ok(Some(seen)) if seen.is_over() => {
                    self.last = seen;
                    self.output.settle(Duration::from_secs(1));
                    say(&format!("job {id}: {}", self.last.words()));
                    self.output.remove();
                    return CANCELLED;
                }
                Ok(Some(seen)) => self.cluster.cancel(&seen).err(),
                Ok(None) => {
                    self.output.settle(Duration::from_secs(1));
                    say(&format!("job {id} is not there any more"));
                    return CANCELLED;
                }
                Err(trouble) => Some(trouble),
            };
            if let Some(why) = trouble {
                last = why.to_string();
                report::progress(&format!("job {id} cannot be cancelled yet: {last}"));
            }
            self.output.pump();
            std::thread::sleep(LOOK);
        }
        let text = format!(
            "Job {id} could not be cancelled ({last}): it may still run on the cluster, as {}.",
            self.work.name
        );
        say(&text);
        report::say(&text);
        UNKNOWN
    }
}

/// How it ended, told; the exit code.
fn ended(seen: &Seen, output: &mut Output<'_>) -> u8 {
    output.settle(TO_ARRIVE);
    if seen.lost_its_node() {
        report::say(&format!("Job {} lost {}, and is not run again.", seen.id, seen.place()));
    }
    say(&format!("job {}: {}", seen.id, seen.words()));
    output.remove();
    seen.exit_code()
}

/// How often the scheduler is asked: less often the longer it takes.
fn pace(since: Duration) -> Duration {
    match since.as_secs() {
        0..20 => Duration::from_secs(1),
        20..120 => Duration::from_secs(2),
        120..1200 => Duration::from_secs(5),
        _ => Duration::from_secs(15),
    }
}

/// A line of this program's own among what the job prints.
fn say(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout();
    // Nobody to print to is no reason to stop in the middle.
    let _unread = writeln!(out, "slurm: {text}").and_then(|()| out.flush());
}

/// The polite signal, which this program takes itself, between two things that it does.
struct Stop(SignalFd);

impl Stop {
    /// From here on it does not end by that signal; nor do the commands that it has done the work, which are short.
    fn new() -> Result<Self, DriverError> {
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTERM);
        let failed = |errno: nix::Error| failed("signals")(errno.into());
        stop.thread_block().map_err(failed)?;
        SignalFd::with_flags(&stop, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Self).map_err(failed)
    }

    /// Whether it has come, or comes within so long. It stays come.
    fn within(&self, time: Duration) -> bool {
        let fd = self.0.as_fd();
        let time =
            Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() };
        matches!(rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&time)), Ok(1..))
    }
}
