//! Step 14, once there is a job: the supervisor only waits, for the core, for the script's output and connections, for its
//! end, for the clock (`supervise/wait.rs`). It believes the kernel about the end, and the script about nothing.

mod wait;

use crate::api::{self, Api, Heard};
use crate::cell::Cell;
use crate::confine::namespaces::Namespaces;
use crate::inspect;
use crate::link::{Command, Link, LinkError};
use crate::order::Job;
use crate::output::{Output, Piece};
use crate::relay::{LAST_DELIVERY, Relay};
use crate::report::{FromInit, FromScript};
use crate::run::RunError;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::{Ending, FromWorker, Given, InForce, Usage};
use bartizan_proto::{List, Text};
use rustix::event::PollFlags;
use rustix::process::{Pid, Signal};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How far the job is. It only ever goes down this list.
#[derive(Debug)]
enum Phase {
    /// The sandbox closes around the script's process.
    Confining {
        /// What it proved, once it has, and when: the next thing it does is exec.
        ready: Option<(Vec<InForce>, Vec<Given>, Instant)>,
        /// The step that failed.
        refused: Option<(String, String)>,
    },
    /// The script runs.
    Running {
        /// Since when.
        since: Instant,
        /// In what.
        layers: Vec<InForce>,
    },
}

/// One job, from its order to its last word.
pub(crate) struct Supervisor {
    link: Link,
    cell: Cell,
    outside: Namespaces,
    phase: Phase,
    output: Output,
    /// Its network grant.
    relay: Relay,
    /// Its calls.
    api: Api,
    /// The script's process, once init has started it.
    script: Option<Pid>,
    script_handle: Option<OwnedFd>,
    /// How it ended, and when.
    ended: Option<(ExitStatus, Instant)>,
    /// Why it is being stopped.
    stopping: Option<Ending>,
    /// When the next thing has to be done if nothing happens: the polite signal, then the kill.
    deadline: Option<Instant>,
    timeout: Duration,
    grace: Duration,
    /// CPU time as last seen before a kill: the kernel does not hand on that of processes it ends with their namespace.
    seen: Usage,
    control_open: bool,
    report_open: bool,
    output_open: bool,
    /// Nothing of the job is left.
    gone: bool,
}

impl Supervisor {
    pub(crate) fn new(link: Link, mut cell: Cell, job: &Job, outside: Namespaces) -> Self {
        let timeout = Duration::from_millis(job.order.timeout_ms);
        Self {
            link,
            api: Api::new(cell.api.take()),
            cell,
            outside,
            phase: Phase::Confining { ready: None, refused: None },
            output: Output::new(job.order.max_output),
            relay: Relay::new(job.destinations()),
            script: None,
            script_handle: None,
            ended: None,
            stopping: None,
            deadline: Instant::now().checked_add(timeout),
            timeout,
            grace: Duration::from_millis(job.order.grace_ms.into()),
            seen: Usage::default(),
            control_open: true,
            report_open: true,
            output_open: true,
            gone: false,
        }
    }

    /// Until everything is said. On an error the cell's end (its `Drop`) ends everything of the job.
    pub(crate) fn run(mut self) -> Result<(), RunError> {
        rustix::io::ioctl_fionbio(&self.cell.output, true)
            .map_err(|error| RunError::Io { what: "the output pipe", source: error.into() })?;
        loop {
            let ready = self.wait().map_err(|source| RunError::Io { what: "poll", source })?;
            if ready.core {
                self.link.flush()?;
                for command in self.link.receive()? {
                    self.obey(command)?;
                }
            }
            // The script's word first: its begin comes before its end.
            if ready.report && !self.gone {
                self.hear_script();
            }
            if ready.control && !self.gone {
                self.hear_init();
            }
            if ready.init && !self.gone {
                self.bury();
            }
            self.announce()?;
            self.relay.turn(&ready.relay);
            self.hear_calls(&ready.calls)?;
            if ready.output {
                self.pass_output()?;
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.time_is_up();
            }
            if let Some(last) = self.last_word() {
                self.link.send(&last)?;
                return self.say_goodbye();
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), LinkError> {
        match command {
            Command::Stop { grace_ms } => {
                if self.ended.is_none() {
                    self.grace = Duration::from_millis(grace_ms.into());
                    self.stop(Ending::Stopped);
                } else if self.gone {
                    self.relay.close();
                }
                Ok(())
            }
            Command::Answer(call, answer) => {
                self.api.answer(call, &answer);
                Ok(())
            }
            Command::Inspect => {
                let (layers, since) = match &self.phase {
                    Phase::Running { layers, since } => {
                        (inspect::layers(layers, self.script, &self.outside), Some(*since))
                    }
                    Phase::Confining { .. } => (Vec::new(), None),
                };
                let mut usage = inspect::usage(self.cell.init(), since);
                usage.output = self.output.seen();
                let pids = inspect::processes(self.cell.init());
                self.link.send(&FromWorker::Inspected { layers: List::cut(layers), usage, pids: List::cut(pids) })
            }
        }
    }

    /// What the script calls is handed on; what it sends that is no call is answered here.
    fn hear_calls(&mut self, places: &[(api::Place, PollFlags)]) -> Result<(), LinkError> {
        if self.gone {
            self.api.close();
            return Ok(());
        }
        for heard in self.api.turn(places) {
            self.link.send(&match heard {
                Heard::Call(call, what) => FromWorker::Call { call, what },
                Heard::Hangup(call) => FromWorker::Hangup(call),
                Heard::Misused(why) => FromWorker::Misused(Text::cut(why)),
            })?;
        }
        Ok(())
    }

    /// First politely, to the script's whole group; then, or with no grace at once, everything.
    fn stop(&mut self, why: Ending) {
        self.stopping.get_or_insert(why);
        match self.script {
            Some(script) if !self.grace.is_zero() && matches!(self.phase, Phase::Running { .. }) => {
                // Until init is gone the script's number is its own, also when it has ended.
                let _ended = rustix::process::kill_process_group(script, Signal::TERM);
                self.deadline = Instant::now().checked_add(self.grace);
            }
            Some(_) | None => self.kill(),
        }
    }

    fn kill(&mut self) {
        if let Phase::Running { since, .. } = self.phase {
            self.seen = inspect::usage(self.cell.init(), Some(since));
        }
        self.deadline = None;
        self.cell.kill();
    }

    fn time_is_up(&mut self) {
        match self.stopping {
            None | Some(_) if self.gone => {
                self.deadline = None;
                self.relay.close();
            }
            None if self.ended.is_none() => self.stop(Ending::TimedOut),
            None | Some(_) => self.kill(),
        }
    }

    fn hear_init(&mut self) {
        match self.cell.control.receive_with::<FromInit>() {
            Ok(Some((FromInit::Listening, listeners))) => {
                if let Err(error) = self.relay.adopt(listeners) {
                    self.refused("network".to_owned(), error.to_string());
                }
            }
            Ok(Some((FromInit::Started, mut fds))) => {
                self.script_handle = fds.pop();
                self.script = self.script_handle.as_ref().and_then(inspect::number_of);
            }
            Ok(Some((FromInit::Ended(status), _))) => self.ended = Some((status, Instant::now())),
            Ok(Some((FromInit::Refused { step, why }, _))) => self.refused(step, why),
            Ok(Some((FromInit::Prepared { .. }, _)) | None) => self.control_open = false,
            Err(error) => {
                self.control_open = false;
                // Without init's word there is no beginning, either.
                if matches!(self.phase, Phase::Confining { .. }) {
                    self.refused("control".to_owned(), error.to_string());
                }
            }
        }
    }

    fn hear_script(&mut self) {
        match self.cell.report.receive::<FromScript>() {
            Ok(Some(FromScript::Ready { layers, given })) => {
                if let Phase::Confining { ready, .. } = &mut self.phase {
                    *ready = Some((layers.into_vec(), given.into_vec(), Instant::now()));
                }
            }
            Ok(Some(FromScript::Refused { step, why })) => self.refused(step, why),
            // The socket closed at exec, or the process ended.
            Ok(None) | Err(_) => self.report_open = false,
        }
    }

    fn refused(&mut self, step: String, why: String) {
        if let Phase::Confining { refused, .. } = &mut self.phase {
            refused.get_or_insert((step, why));
        }
        self.cell.kill();
    }

    /// Init has ended, hence everything in its namespace; what it said last is still in the sockets.
    fn bury(&mut self) {
        self.cell.finish();
        while self.report_open {
            self.hear_script();
        }
        while self.control_open {
            self.hear_init();
        }
        self.gone = true;
        // An ordinary end hands on what the script has sent, as the kernel would; any other ends its connections, too.
        match self.stopping {
            None => self.relay.settle(),
            Some(_) => self.relay.close(),
        }
        self.deadline = Instant::now().checked_add(LAST_DELIVERY).filter(|_| self.relay.busy());
    }

    /// The script runs as soon as its process has reported, closed its socket by exec, and was said to be started. One that
    /// has ended since has no number any more: 0.
    fn announce(&mut self) -> Result<(), LinkError> {
        let Phase::Confining { ready, refused: None } = &mut self.phase else { return Ok(()) };
        if self.script_handle.is_none() || self.report_open {
            return Ok(());
        }
        let Some((layers, given, since)) = ready.take() else { return Ok(()) };
        if !self.gone {
            self.deadline = since.checked_add(self.timeout).filter(|_| self.stopping.is_none());
        }
        self.phase = Phase::Running { since, layers: layers.clone() };
        let pid = self.script.map_or(0, |script| script.as_raw_nonzero().get().unsigned_abs());
        self.link.send(&FromWorker::Running { pid, layers: List::cut(layers), given: List::cut(given) })
    }

    fn pass_output(&mut self) -> Result<(), LinkError> {
        // As long as the core takes it; a few pieces at a time, so that it is heard in between.
        for _ in 0..16 {
            match self.output.read(&self.cell.output) {
                Piece::Bytes(bytes) => self.link.send(&FromWorker::Output(bytes))?,
                Piece::Dropped => {}
                // With everything gone, an empty pipe is a finished one.
                Piece::Nothing if self.gone => self.output_open = false,
                Piece::Nothing => return Ok(()),
                Piece::End => self.output_open = false,
            }
            if !self.output_open || !self.link.idle() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The last message, when all else has been said and nothing of the job is left.
    fn last_word(&mut self) -> Option<FromWorker> {
        if !self.gone || self.relay.busy() || !self.link.idle() {
            return None;
        }
        match &mut self.phase {
            Phase::Confining { refused, .. } => {
                let (step, why) = refused.take().unwrap_or_else(|| match self.stopping {
                    Some(_) => ("stop".to_owned(), "it was stopped before it ran".to_owned()),
                    None => ("confine".to_owned(), format!("the sandbox ended: {:?}", self.ended.map(|e| e.0))),
                });
                Some(FromWorker::Refused { step: Text::cut(step), why: Text::cut(why) })
            }
            Phase::Running { .. } if self.output_open => None,
            Phase::Running { since, .. } => {
                // Without init's word the whole sandbox was killed from outside.
                let (status, at) = self.ended.unwrap_or((ExitStatus::Signal(libc::SIGKILL), Instant::now()));
                let ending = self.stopping.unwrap_or(Ending::Ended(status));
                let elapsed = at.saturating_duration_since(*since);
                let usage = inspect::final_usage(self.seen, elapsed, self.output.seen());
                Some(FromWorker::Finished { ending, usage })
            }
        }
    }

    /// Waits until the core has read everything, or has gone.
    fn say_goodbye(mut self) -> Result<(), RunError> {
        while !self.link.idle() {
            let ready = self.wait().map_err(|source| RunError::Io { what: "poll", source })?;
            if ready.core {
                self.link.flush()?;
                // Whatever it says now is too late; that it is gone is not.
                self.link.receive()?;
            }
        }
        Ok(())
    }
}
