//! Many targets: so many at once, the canaries first and alone, no further one after too many failures.
//!
//! It holds what is being worked on and one short line of what was; the targets themselves come one at a time. How a target is
//! visited is given to it: OpenSSH in a job, something else where a thousand are simulated.

use crate::host::{Event, HostResult, Outcome};
use bartizan_proto::remote::{Plan, PlannedTarget};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, Scope};
use std::time::Duration;

/// Lines that wait to be printed, of all targets together. While they wait the targets do, too.
const LINES: usize = 256;

/// A visit needs little stack.
const STACK: usize = 256 * 1024;

/// How a roll-out goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// At once, at least one.
    pub fanout: usize,
    /// First and alone.
    pub canary: usize,
    /// No further one after so many failures; 0 for never.
    pub stop_after: usize,
}

impl From<&Plan> for Rules {
    fn from(plan: &Plan) -> Self {
        Self { fanout: usize::from(plan.fanout).max(1), canary: plan.canary.into(), stop_after: plan.stop_after.into() }
    }
}

/// What hears of it.
pub trait Report {
    /// A target printed a line.
    fn line(&mut self, name: &str, line: &[u8]);
    /// A target is over, `done` of `all` are.
    fn ended(&mut self, result: &HostResult, done: usize, all: usize);
    /// After how much quiet it wants [`Report::pause`].
    fn due(&self) -> Option<Duration> {
        None
    }
    /// Nothing has happened for so long.
    fn pause(&mut self) {}
}

/// Visits all targets by the rules, and gives what became of each, in the order in which they ended; last those that were not
/// begun, in the plan's order.
///
/// # Errors
/// The first that `targets` gives: then nothing more is begun, and what runs is waited for.
pub fn roll_out<E>(
    rules: Rules,
    all: usize,
    targets: impl Iterator<Item = Result<PlannedTarget, E>>,
    visit: &(dyn Fn(PlannedTarget, &SyncSender<Event>) -> HostResult + Sync),
    report: &mut impl Report,
) -> Result<Vec<HostResult>, E> {
    let (tell, told) = sync_channel(LINES);
    thread::scope(|scope| {
        let mut fleet = Fleet { rules, all, begun: 0, running: 0, ended: 0, failed: 0, results: Vec::new() };
        let mut broken = None;
        for target in targets {
            let target = match target {
                Ok(target) => target,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            };
            while fleet.must_wait() {
                fleet.hear(&told, report);
            }
            if fleet.stopped() {
                let outcome = Outcome::NotBegun;
                let elapsed = Duration::ZERO;
                fleet.results.push(HostResult {
                    name: target.name,
                    outcome,
                    exit: None,
                    elapsed,
                    dropped: 0,
                    given: None,
                });
            } else {
                fleet.begin(scope, target, visit, &tell);
            }
        }
        while fleet.running > 0 {
            fleet.hear(&told, report);
        }
        // What was not begun stands last.
        fleet.results.sort_by_key(|result| result.outcome == Outcome::NotBegun);
        broken.map_or(Ok(fleet.results), Err)
    })
}

struct Fleet {
    rules: Rules,
    all: usize,
    begun: usize,
    running: usize,
    ended: usize,
    failed: usize,
    results: Vec<HostResult>,
}

impl Fleet {
    /// Whether nothing further is begun.
    fn stopped(&self) -> bool {
        let canary = self.begun <= self.rules.canary && self.failed > 0;
        canary || (self.rules.stop_after > 0 && self.failed >= self.rules.stop_after)
    }

    /// Whether the next one has to wait for another's end: for room, or for all canaries.
    fn must_wait(&self) -> bool {
        let canaries_are_out = self.rules.canary > 0 && self.begun == self.rules.canary && self.running > 0;
        !self.stopped() && (self.running >= self.rules.fanout || canaries_are_out)
    }

    fn begin<'scope, 'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        target: PlannedTarget,
        visit: &'env (dyn Fn(PlannedTarget, &SyncSender<Event>) -> HostResult + Sync),
        tell: &SyncSender<Event>,
    ) {
        self.begun += 1;
        let (tell, name) = (tell.clone(), target.name.clone());
        let visitor = move || {
            let result = visit(target, &tell);
            let _gone = tell.send(Event::Ended(result));
        };
        match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, visitor) {
            Ok(_thread) => self.running += 1,
            Err(error) => {
                let outcome = Outcome::Unreachable(format!("no thread for it: {error}"));
                self.failed += 1;
                self.results.push(HostResult {
                    name,
                    outcome,
                    exit: None,
                    elapsed: Duration::ZERO,
                    dropped: 0,
                    given: None,
                });
            }
        }
    }

    fn hear(&mut self, told: &Receiver<Event>, report: &mut impl Report) {
        let heard = match report.due() {
            Some(quiet) => match told.recv_timeout(quiet) {
                Err(RecvTimeoutError::Timeout) => return report.pause(),
                heard => heard.map_err(|_| RecvError),
            },
            None => told.recv(),
        };
        match heard {
            Ok(Event::Line(name, line)) => report.line(name.as_str(), &line),
            Ok(Event::Ended(result)) => {
                self.running -= 1;
                self.failed += usize::from(result.outcome != Outcome::Done);
                self.ended += 1;
                report.ended(&result, self.ended, self.all);
                self.results.push(result);
            }
            // This side holds a sender, too.
            Err(_) => self.running = 0,
        }
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
