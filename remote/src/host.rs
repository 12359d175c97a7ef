//! One target, from the start of its client to its last word. Everything that it says is bounded, and nothing of it is believed but
//! that it says so.

use crate::ssh::{self, Place, Reached};
use bartizan_proto::Bytes;
use bartizan_proto::frame::{self, Decoder};
use bartizan_proto::ids::TargetName;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::remote::{FromRemote, PlannedTarget, RemoteOrder, SILENCE_S, ToRemote};
use bartizan_proto::worker::{Ending, Guarantee};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{self, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// From the client's start to the first word of the far side.
const FOR_AN_ANSWER: Duration = Duration::from_secs(60);

/// After the script's own limits, for its last output and its end to arrive.
const FOR_THE_END: Duration = Duration::from_secs(30);

/// From the last word to the end of the connection.
const FOR_GOODBYE: Duration = Duration::from_secs(5);

/// Most of what a client prints that is kept, in bytes.
const MAX_PRINTED: usize = 4096;

/// A line is handed on in pieces of this size, in bytes.
const MAX_LINE: usize = 8 * 1024;

/// Longest reason of one target, in characters.
const MAX_WHY: usize = 200;

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Exit 0.
    Done,
    /// The script ended otherwise.
    Failed(String),
    /// The far side ran nothing.
    Refused(String),
    /// There was no connection, or it ended before the job did.
    Unreachable(String),
    /// Whoever is there has not the pinned host key.
    Stranger(String),
    /// It was not begun.
    NotBegun,
}

impl Outcome {
    /// In a word, as the table has it.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Done => "ok",
            Outcome::Failed(_) => "failed",
            Outcome::Refused(_) => "refused",
            Outcome::Unreachable(_) => "unreachable",
            Outcome::Stranger(_) => "wrong host key",
            Outcome::NotBegun => "not begun",
        }
    }

    /// Why; empty where there is nothing to say.
    pub fn why(&self) -> &str {
        match self {
            Outcome::Done | Outcome::NotBegun => "",
            Outcome::Failed(why) | Outcome::Refused(why) | Outcome::Unreachable(why) | Outcome::Stranger(why) => why,
        }
    }
}

/// The end of one target.
#[derive(Debug, Clone)]
pub struct HostResult {
    /// Which.
    pub name: TargetName,
    /// What became of it.
    pub outcome: Outcome,
    /// The script's exit code, where it ended by itself.
    pub exit: Option<i32>,
    /// From the start of its client.
    pub elapsed: Duration,
    /// Bytes of output that were over the limit.
    pub dropped: u64,
    /// Guarantees that its sandbox gives; none where it never came so far.
    pub given: Option<usize>,
}

/// What happens at a target, as it does.
#[derive(Debug)]
pub enum Event {
    /// A line, or a piece of a long one, without its end.
    Line(TargetName, Vec<u8>),
    /// The last of it.
    Ended(HostResult),
}

/// Does everything with one target. Blocks until it is over.
pub fn visit(
    place: &Place,
    target: PlannedTarget,
    script: &[u8],
    max_output: u64,
    tell: &SyncSender<Event>,
) -> HostResult {
    let began = Instant::now();
    let name = target.name.clone();
    let mut visit = Visit::new(target.name.clone(), max_output);
    let outcome = match begin(place, &target, script) {
        Ok((child, outgoing, limit)) => visit.until_the_end(child, outgoing, limit, tell),
        Err(error) => Outcome::Unreachable(format!("its client cannot be started: {error}")),
    };
    place.forget(&target);
    HostResult { name, outcome, exit: visit.exit, elapsed: began.elapsed(), dropped: visit.dropped, given: visit.given }
}

/// The client, what is to be sent, and how long its script may take.
fn begin(place: &Place, target: &PlannedTarget, script: &[u8]) -> io::Result<(Child, Vec<u8>, Duration)> {
    let order: RemoteOrder = frame::decode(&target.order.order).map_err(io::Error::other)?;
    let script = Bytes::new(script.to_vec()).map_err(io::Error::other)?;
    let message = ToRemote::Order { order: target.order.clone(), script };
    let outgoing = frame::encode(&message).map_err(io::Error::other)?;
    let limit = Duration::from_millis(order.timeout_ms.saturating_add(order.grace_ms.into())) + FOR_THE_END;
    Ok((place.client(target)?.spawn()?, outgoing, limit))
}

/// What is known so far.
struct Visit {
    name: TargetName,
    line: Vec<u8>,
    room: u64,
    dropped: u64,
    printed: Vec<u8>,
    given: Option<usize>,
    outcome: Option<Outcome>,
    exit: Option<i32>,
}

impl Visit {
    fn new(name: TargetName, max_output: u64) -> Self {
        let (line, printed) = (Vec::new(), Vec::new());
        Self { name, line, room: max_output, dropped: 0, printed, given: None, outcome: None, exit: None }
    }

    fn until_the_end(
        &mut self,
        mut child: Child,
        outgoing: Vec<u8>,
        limit: Duration,
        tell: &SyncSender<Event>,
    ) -> Outcome {
        let ends = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talked = match ends {
            (Some(stdin), Some(stdout), Some(stderr)) => self.talk((stdin, stdout, stderr), &outgoing, limit, tell),
            _incomplete => Err("its client has no pipes".to_owned()),
        };
        // It has said everything, or will not: what is left of the client goes.
        let deadline = Instant::now() + FOR_GOODBYE;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if talked.is_ok() && Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) | Err(_) => {
                    let _gone = child.kill();
                    break child.wait().ok();
                }
            }
        };
        self.flush_line(tell);
        match (self.outcome.take(), talked) {
            (Some(outcome), _) => outcome,
            (None, Err(why)) => Outcome::Unreachable(short(&why)),
            (None, Ok(())) => {
                let printed = String::from_utf8_lossy(&self.printed).into_owned();
                let lost = self.given.is_some();
                match ssh::reason(&printed) {
                    (Reached::Stranger, why) => Outcome::Stranger(short(&why)),
                    (Reached::Unreachable, why) if lost => {
                        Outcome::Unreachable(short(&format!("the connection ended while its job ran: {why}")))
                    }
                    (Reached::Unreachable, why) if !printed.trim().is_empty() => Outcome::Unreachable(short(&why)),
                    (Reached::Unreachable, _) => {
                        let code = status.and_then(|status| status.code()).unwrap_or(-1);
                        Outcome::Unreachable(format!("its client ended with {code} and no word"))
                    }
                }
            }
        }
    }

    /// Until the far side has said its last, or the connection is over.
    fn talk(
        &mut self,
        (stdin, mut stdout, mut stderr): (ChildStdin, ChildStdout, ChildStderr),
        outgoing: &[u8],
        limit: Duration,
        tell: &SyncSender<Event>,
    ) -> Result<(), String> {
        let mut sender = Sender::new(stdin, outgoing).map_err(|error| error.to_string())?;
        let mut decoder = Decoder::default();
        let mut deadline = Instant::now() + FOR_AN_ANSWER;
        let (mut stdout_open, mut stderr_open) = (true, true);
        let mut piece = vec![0; 16 * 1024];
        while stdout_open || stderr_open {
            let now = Instant::now();
            if now >= deadline {
                return Err(match self.given {
                    None => format!("no answer within {} s", FOR_AN_ANSWER.as_secs()),
                    Some(_) => "its job did not end in its time".to_owned(),
                });
            }
            let until = sender.due().map_or(deadline, |due| due.min(deadline));
            let ready =
                wait(&sender, (&stdout, stdout_open), (&stderr, stderr_open), until).map_err(|e| e.to_string())?;
            sender.turn(ready.stdin);
            if ready.stdout {
                match stdout.read(&mut piece) {
                    Ok(0) => stdout_open = false,
                    Ok(read) => decoder.push(&piece[..read]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.to_string()),
                }
                while let Some(message) =
                    decoder.take::<FromRemote>().map_err(|error| format!("it does not speak as it should: {error}"))?
                {
                    let began = self.given.is_some();
                    self.hear(message, tell)?;
                    if !began && self.given.is_some() {
                        deadline = Instant::now() + limit;
                    }
                    if self.outcome.is_some() {
                        return Ok(());
                    }
                }
            }
            if ready.stderr {
                match stderr.read(&mut piece) {
                    Ok(0) => stderr_open = false,
                    Ok(read) => {
                        let room = MAX_PRINTED.saturating_sub(self.printed.len());
                        self.printed.extend_from_slice(&piece[..read.min(room)]);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: FromRemote, tell: &SyncSender<Event>) -> Result<(), String> {
        match message {
            FromRemote::Running { given, .. } if self.given.is_none() => {
                let real = given.iter().filter(|given| !given.by.is_empty()).count();
                self.given = Some(real.min(Guarantee::ALL.len()));
            }
            FromRemote::Output(bytes) if self.given.is_some() => self.output(&bytes, tell),
            FromRemote::Finished { ending, .. } if self.given.is_some() => {
                if let Ending::Ended(ExitStatus::Code(code)) = ending {
                    self.exit = Some(code);
                }
                self.outcome = Some(match ending {
                    Ending::Ended(ExitStatus::Code(0)) => Outcome::Done,
                    Ending::Ended(ExitStatus::Code(code)) => Outcome::Failed(format!("exit {code}")),
                    Ending::Ended(ExitStatus::Signal(signal)) => Outcome::Failed(format!("signal {signal}")),
                    Ending::TimedOut => Outcome::Failed("it ran out of time".to_owned()),
                    Ending::Stopped => Outcome::Failed("it was stopped there".to_owned()),
                });
            }
            FromRemote::Refused { step, why } => {
                self.outcome = Some(Outcome::Refused(short(&format!("{step}: {why}"))));
            }
            FromRemote::Running { .. } | FromRemote::Output(_) | FromRemote::Finished { .. } => {
                return Err("it said what it may not say then".to_owned());
            }
        }
        Ok(())
    }

    fn output(&mut self, bytes: &[u8], tell: &SyncSender<Event>) {
        let room = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        let (taken, over) = bytes.split_at(room);
        self.room -= taken.len() as u64;
        self.dropped += over.len() as u64;
        for byte in taken {
            if *byte == b'\n' || self.line.len() >= MAX_LINE {
                self.say_line(tell);
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            }
        }
    }

    fn flush_line(&mut self, tell: &SyncSender<Event>) {
        if !self.line.is_empty() {
            self.say_line(tell);
        }
    }

    fn say_line(&mut self, tell: &SyncSender<Event>) {
        // Nobody listens only when everything ends.
        let _gone = tell.send(Event::Line(self.name.clone(), std::mem::take(&mut self.line)));
    }
}

/// The way to the far side: the order, then a sign of life now and then.
struct Sender {
    stdin: Option<ChildStdin>,
    waiting: Vec<u8>,
    next: Instant,
}

impl Sender {
    const EVERY: Duration = Duration::from_secs(SILENCE_S / 4);

    fn new(stdin: ChildStdin, outgoing: &[u8]) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&stdin, true)?;
        Ok(Self { stdin: Some(stdin), waiting: outgoing.to_vec(), next: Instant::now() + Self::EVERY })
    }

    /// When something is to be sent although nothing happens.
    fn due(&self) -> Option<Instant> {
        self.stdin.as_ref().map(|_| self.next)
    }

    fn turn(&mut self, ready: bool) {
        if self.waiting.is_empty() && Instant::now() >= self.next {
            self.waiting = frame::encode(&ToRemote::Alive).unwrap_or_default();
        }
        if self.next <= Instant::now() {
            self.next = Instant::now() + Self::EVERY;
        }
        let Some(stdin) = self.stdin.as_mut().filter(|_| ready || !self.waiting.is_empty()) else { return };
        match stdin.write(&self.waiting) {
            Ok(written) => drop(self.waiting.drain(..written)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // The client is gone; what it printed says why.
            Err(_) => self.stdin = None,
        }
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
    }
}

/// What there is something new on.
struct Ready {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

fn wait(
    sender: &Sender,
    (stdout, stdout_open): (&ChildStdout, bool),
    (stderr, stderr_open): (&ChildStderr, bool),
    until: Instant,
) -> io::Result<Ready> {
    let mut fds = Vec::with_capacity(3);
    let stdin = sender.stdin.as_ref().filter(|_| !sender.waiting.is_empty());
    fds.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
    fds.extend(stdout_open.then(|| PollFd::new(stdout, PollFlags::IN)));
    fds.extend(stderr_open.then(|| PollFd::new(stderr, PollFlags::IN)));
    let left = until.saturating_duration_since(Instant::now());
    let left =
        Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
    match rustix::event::poll(&mut fds, Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut happened = fds.iter().map(|fd| !fd.revents().is_empty());
    let mut next = |asked: bool| asked && happened.next().unwrap_or(false);
    Ok(Ready { stdin: next(stdin.is_some()), stdout: next(stdout_open), stderr: next(stderr_open) })
}

/// A reason in one line of limited length.
fn short(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WHY).collect()
}
