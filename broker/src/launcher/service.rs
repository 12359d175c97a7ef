//! The launcher's loop: orders, signals, the end of children, and the end of the service.

use super::orphans::own_children;
use super::post::Post;
use super::starter::{Started, Starter};
use super::table::{Permit, permits};
use super::unit::News;
use super::watch::Watch;
use super::{LauncherError, notify, say};
use bartizan_proto::FrameError;
use bartizan_proto::bounded::Text;
use bartizan_proto::channel::Channel;
use bartizan_proto::launcher::{ChildId, ExitStatus, FromLauncher, Notice, RESTART, ToLauncher};
use bartizan_proto::version::Role;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, kill_process, wait};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the core has for its own end after it closed its channel.
const GRACE: Duration = Duration::from_secs(3);

/// How long the kernel has to end what was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to end that is repeated this often is an order to kill.
const INSISTENT: u32 = 3;

/// What the service manager hears whoever began the end; the core adds how long it may take, where there is something to
/// wait for.
const ENDING: Notice = Notice::Stopping { within_ms: 0 };

/// The launcher at work.
pub struct Launcher {
    post: Post,
    starter: Starter,
    /// The launcher of egress has one.
    watch: Option<Watch>,
    channel: Channel,
    signals: SignalFd,
    programs: PathBuf,
    children: BTreeMap<ChildId, Started>,
    /// Ended and reaped, but not reported while anything that was left behind is still there.
    ended: Vec<(ChildId, ExitStatus)>,
    core_ended: Option<ExitStatus>,
    asked_to_end: u32,
}

/// Why the loop is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The core closed its channel or ended.
    CoreGone,
    /// Someone insisted.
    Insisted,
    /// The main process is gone, which the launcher of egress sees.
    MainGone,
}

/// What there is to do.
#[derive(Debug, Clone, Copy)]
struct Ready {
    order: bool,
    signal: bool,
    main_gone: bool,
    unit: bool,
}

impl Launcher {
    /// A launcher whose core has answered.
    pub fn new(
        post: Post,
        starter: Starter,
        watch: Option<Watch>,
        channel: Channel,
        signals: SignalFd,
        programs: PathBuf,
    ) -> Self {
        Self {
            post,
            starter,
            watch,
            channel,
            signals,
            programs,
            children: BTreeMap::new(),
            ended: Vec::new(),
            core_ended: None,
            asked_to_end: 0,
        }
    }

    /// Works until the core is gone, then ends everything that is left. The exit code is the service's.
    ///
    /// # Errors
    /// [`LauncherError`]; also then everything was ended.
    pub fn serve(mut self) -> Result<ExitCode, LauncherError> {
        let served = self.answer();
        self.end_everything(matches!(served, Ok(End::CoreGone)))?;
        if let (Some(watch), Ok(End::MainGone)) = (&self.watch, &served) {
            watch.end_core(GRACE)?;
        }
        served?;
        Ok(match (self.post, self.core_ended) {
            (Post::Egress { .. }, _) => ExitCode::SUCCESS,
            (Post::Service { .. }, Some(ExitStatus::Code(0))) if self.asked_to_end > 0 => ExitCode::SUCCESS,
            // It cannot work here, also when it is started again.
            (Post::Service { .. }, Some(ExitStatus::Code(2))) => ExitCode::from(2),
            (Post::Service { .. }, Some(ExitStatus::Code(code))) if code == i32::from(RESTART) => {
                ExitCode::from(RESTART)
            }
            (Post::Service { .. }, _) => ExitCode::FAILURE,
        })
    }

    /// The loop itself.
    fn answer(&mut self) -> Result<End, LauncherError> {
        loop {
            let Ready { order, signal, main_gone, unit } = self.wait(None)?;
            if main_gone {
                return Ok(End::MainGone);
            }
            if signal && let ControlFlow::Break(end) = self.answer_signals()? {
                return Ok(end);
            }
            if unit {
                self.hear_units()?;
            }
            if order && let ControlFlow::Break(end) = self.answer_order()? {
                return Ok(end);
            }
        }
    }

    /// Waits for the core's channel, for the main process's end, for units and for signals; for the last two alone while there
    /// is a time limit.
    fn wait(&self, limit: Option<Duration>) -> Result<Ready, LauncherError> {
        let mut ready = vec![PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN)];
        ready.extend(self.children.values().filter_map(|started| match started {
            Started::Own(_) => None,
            Started::Unit(unit) => Some(PollFd::from_borrowed_fd(unit.waits_for(), PollFlags::IN)),
        }));
        let units = ready.len();
        if limit.is_none() {
            ready.push(PollFd::from_borrowed_fd(self.channel.as_fd(), PollFlags::IN));
            ready.extend(self.watch.as_ref().map(|watch| PollFd::from_borrowed_fd(watch.main(), PollFlags::IN)));
        }
        let timeout = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut ready, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(LauncherError::Kernel { what: "poll", error }),
        }
        let is = |place: usize| ready.get(place).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready { signal: is(0), unit: (1..units).any(is), order: is(units), main_gone: is(units + 1) })
    }

    fn answer_signals(&mut self) -> Result<ControlFlow<End>, LauncherError> {
        let kernel = |error: nix::Error| LauncherError::Kernel {
            what: "reading signals",
            error: Errno::from_raw_os_error(error as i32),
        };
        while let Some(signal) = self.signals.read_signal().map_err(kernel)? {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => {
                    self.asked_to_end += 1;
                    if self.asked_to_end >= INSISTENT {
                        say("asked to end again and again: killing everything");
                        return Ok(ControlFlow::Break(End::Insisted));
                    }
                    notify::tell(&ENDING);
                    self.report(&FromLauncher::Terminate)?;
                }
                Ok(Signal::SIGHUP) => self.report(&FromLauncher::Reload)?,
                // SIGCHLD; nothing else is held.
                Ok(_) | Err(_) => {}
            }
        }
        self.reap()?;
        self.sweep()?;
        Ok(if self.core_ended.is_some() { ControlFlow::Break(End::CoreGone) } else { ControlFlow::Continue(()) })
    }

    fn answer_order(&mut self) -> Result<ControlFlow<End>, LauncherError> {
        let (order, descriptors) = match self.channel.receive_with::<ToLauncher>() {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(ControlFlow::Break(End::CoreGone)),
            Err(error) if is_gone(&error) => return Ok(ControlFlow::Break(End::CoreGone)),
            Err(error) => return Err(error.into()),
        };
        match permits(&self.post, &order, descriptors.len()) {
            Permit::Deny => Err(LauncherError::Denied(format!("{order:?} with {} descriptors", descriptors.len()))),
            Permit::Allow => self.carry_out(order, descriptors).map(ControlFlow::Continue),
        }
    }

    fn carry_out(&mut self, order: ToLauncher, descriptors: Vec<OwnedFd>) -> Result<(), LauncherError> {
        match order {
            ToLauncher::Start { child, .. } if self.knows(child) => {
                Err(LauncherError::Denied(format!("a second {child:?}")))
            }
            ToLauncher::Start { child, role } => {
                match descriptors.into_iter().next().map(|channel| self.start(child, role, channel)) {
                    Some(Ok(Some(pid))) => self.report(&started(child, pid, rustix::process::getuid().as_raw())),
                    // It will answer.
                    Some(Ok(None)) => Ok(()),
                    Some(Err(error)) => {
                        self.report(&FromLauncher::StartFailed { child, why: Text::cut(error.to_string()) })
                    }
                    None => Err(LauncherError::Denied("a start without a descriptor".to_owned())),
                }
            }
            ToLauncher::Kill { child } => {
                // One that has ended in the meantime is reported as ended, and that is the answer.
                if let Some(child) = self.children.get(&child) {
                    child.kill();
                }
                Ok(())
            }
            ToLauncher::Notify(notice) => {
                notify::tell(&notice);
                Ok(())
            }
        }
    }

    fn knows(&self, child: ChildId) -> bool {
        self.children.contains_key(&child) || self.ended.iter().any(|(ended, _)| *ended == child)
    }

    /// The process id of a child of our own.
    fn start(&mut self, id: ChildId, role: Role, channel: OwnedFd) -> std::io::Result<Option<Pid>> {
        let started = self.starter.start(role, &self.programs, channel)?;
        let pid = match &started {
            Started::Own(child) => Some(child.pid),
            Started::Unit(_) => None,
        };
        self.children.insert(id, started);
        Ok(pid)
    }

    /// What units say, which is that they run, and that they do not any more.
    fn hear_units(&mut self) -> Result<(), LauncherError> {
        let mut news = Vec::new();
        for (id, started) in &mut self.children {
            if let Started::Unit(unit) = started {
                news.push((*id, unit.news()));
            }
        }
        for (child, news) in news {
            let report = match news {
                News::Nothing => continue,
                News::Runs(pid, uid) => started(child, pid, uid),
                News::Failed(why) => FromLauncher::StartFailed { child, why: Text::cut(why) },
                News::Ended => FromLauncher::Ended { child, status: None },
            };
            if !matches!(report, FromLauncher::Started { .. }) {
                self.children.remove(&child);
            }
            self.report(&report)?;
        }
        Ok(())
    }

    /// Reaps everything that has ended, in whatever order.
    fn reap(&mut self) -> Result<(), LauncherError> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.note(pid, status),
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(LauncherError::Kernel { what: "wait", error }),
            }
        }
    }

    fn note(&mut self, pid: Pid, status: WaitStatus) {
        let status = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            // Neither stops nor continuations are waited for.
            (None, None) => return,
        };
        let id = self.children.iter().find(|(_, child)| is_child(child, pid)).map(|(id, _)| *id);
        match (self.post, id) {
            (_, Some(id)) => {
                self.children.remove(&id);
                self.ended.push((id, status));
            }
            (Post::Service { core, .. }, None) if pid == core => self.core_ended = Some(status),
            // The launcher of egress (the core sees its channel close), or something that an ended child left behind.
            (Post::Service { .. } | Post::Egress { .. }, None) => {}
        }
    }

    /// Kills what ended children left behind; when nothing is left, their ends are reported.
    fn sweep(&mut self) -> Result<(), LauncherError> {
        if self.ended.is_empty() || self.kill_orphans()? > 0 {
            return Ok(());
        }
        for (child, status) in std::mem::take(&mut self.ended) {
            self.report(&FromLauncher::Ended { child, status: Some(status) })?;
        }
        Ok(())
    }

    /// Sends SIGKILL to every child that nobody ordered, and counts them. When it has ended, its own children are next.
    fn kill_orphans(&self) -> Result<usize, LauncherError> {
        let ordered = |pid| self.post.forked(pid) || self.children.values().any(|child| is_child(child, pid));
        let orphans: Vec<Pid> =
            own_children().map_err(LauncherError::Children)?.into_iter().filter(|pid| !ordered(*pid)).collect();
        for orphan in &orphans {
            // Sound by number: a child keeps it until it is reaped, and only this thread reaps.
            let _ended_already = kill_process(*orphan, rustix::process::Signal::KILL);
        }
        Ok(orphans.len())
    }

    /// Ends every process below this one. The core is given time for its own end where it began that itself.
    fn end_everything(&mut self, core_ends_itself: bool) -> Result<(), LauncherError> {
        // Under setuid our signals do not reach the core; that its channel closes does.
        notify::tell(&ENDING);
        let _closed_already = rustix::net::shutdown(&self.channel, rustix::net::Shutdown::Both);
        let begun = Instant::now();
        let grace = if core_ends_itself { GRACE } else { Duration::ZERO };
        loop {
            self.reap()?;
            self.children.values().for_each(Started::kill);
            self.kill_orphans()?;
            let left = own_children().map_err(LauncherError::Children)?;
            if left.is_empty() && self.children.is_empty() {
                return Ok(());
            }
            let elapsed = begun.elapsed();
            if elapsed >= grace {
                for pid in &left {
                    let _ended_already = kill_process(*pid, rustix::process::Signal::KILL);
                }
            }
            if elapsed >= PATIENCE {
                let left = left.len().max(self.children.len());
                say(&format!("{left} processes were killed and do not end; leaving them to the system"));
                return Ok(());
            }
            // Woken by SIGCHLD or a unit; the limit is for one that came in between.
            self.wait(Some(Duration::from_millis(100)))?;
            let _ends_are_seen_by_reaping = self.signals.read_signal();
            self.hear_units()?;
        }
    }

    /// Tells the core. A core that is gone is noticed by its channel, not here.
    fn report(&mut self, report: &FromLauncher) -> Result<(), LauncherError> {
        match self.channel.send(report) {
            Err(error) if is_gone(&error) => Ok(()),
            other => Ok(other?),
        }
    }
}

fn started(child: ChildId, pid: Pid, uid: u32) -> FromLauncher {
    FromLauncher::Started { child, pid: pid.as_raw_pid().unsigned_abs(), uid }
}

/// Whether it is this child of our own.
fn is_child(started: &Started, pid: Pid) -> bool {
    match started {
        Started::Own(child) => child.pid == pid,
        Started::Unit(_) => false,
    }
}

/// Whether the core's end of the channel is closed. The kernel says "reset" where the core ended before it had read all
/// that we said, which is as good an end as any: its exit code tells.
fn is_gone(error: &FrameError) -> bool {
    matches!(error, FrameError::Io(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset))
}
