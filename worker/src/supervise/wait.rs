//! What the supervisor sleeps on: every descriptor that something may come from, and the next moment at which something is due.

use super::{Phase, Supervisor};
use crate::api;
use crate::relay::Place;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

impl Supervisor {
    /// Sleeps until something happens.
    pub(super) fn wait(&self) -> io::Result<Ready> {
        let core = if self.link.idle() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let on = |wanted: bool| if wanted { PollFlags::IN } else { PollFlags::empty() };
        let running = matches!(self.phase, Phase::Running { .. });
        // Output waits in the pipe, and with it the script, while the core does not read.
        let output = running && self.output_open && self.link.idle();
        let link = self.link.socket();
        let mut fds = vec![PollFd::from_borrowed_fd(link, core)];
        let sources = [
            (self.cell.output.as_fd(), output),
            (self.cell.control.as_fd(), self.control_open && !self.gone),
            (self.cell.report.as_fd(), self.report_open && !self.gone),
            (self.cell.handle().as_fd(), !self.gone),
        ];
        let mut places = [None; 4];
        for (place, (fd, wanted)) in places.iter_mut().zip(sources) {
            // A descriptor that is not asked about is left out: its hang-up would be reported for ever.
            if wanted {
                *place = Some(fds.len());
                fds.push(PollFd::from_borrowed_fd(fd, on(wanted)));
            }
        }
        let relayed = self.relay.watched();
        let others = fds.len();
        fds.extend(relayed.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)));
        let calls = fds.len();
        // Calls wait, too, while the core does not read.
        let called = if running && !self.gone && self.link.idle() { self.api.watched() } else { Vec::new() };
        fds.extend(called.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)));
        let wake = if running { self.api.wake() } else { None };
        let timeout = self.deadline.into_iter().chain(wake).min().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = |place: Option<usize>| place.is_some_and(|place| !fds[place].revents().is_empty());
        let happening = called.iter().zip(&fds[calls..]).filter(|(_, fd)| !fd.revents().is_empty());
        let relay = relayed.iter().zip(&fds[others..calls]).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(Ready {
            relay: relay.map(|((place, _, _), _)| *place).collect(),
            calls: happening.map(|((place, _, _), fd)| (*place, fd.revents())).collect(),
            core: happened(Some(0)),
            output: happened(places[0]) || (self.gone && output),
            control: happened(places[1]),
            report: happened(places[2]),
            init: happened(places[3]),
        })
    }
}

/// What there is something new from.
pub(super) struct Ready {
    pub(super) relay: Vec<Place>,
    pub(super) calls: Vec<(api::Place, PollFlags)>,
    pub(super) core: bool,
    pub(super) output: bool,
    pub(super) control: bool,
    pub(super) report: bool,
    pub(super) init: bool,
}
