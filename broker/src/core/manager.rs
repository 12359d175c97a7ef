//! What the service manager is told, where one listens (`sd_notify(3)`): by way of the main process, to which alone it listens.
//!
//! A beat for its watchdog is ordered by the loop, after a commit like everything else, and sent by the launcher: it stops
//! when either hangs. The start is over when commands are answered, or when only a person can help (no token, a locked
//! brain), or after [`TO_READY`]: a chat server that is down is no reason to end the service.

use super::{Core, CoreError, Timer};
use crate::peer::launcher::Which;
use crate::startup::Managed;
use bartizan_proto::Text;
use bartizan_proto::control::Health;
use bartizan_proto::launcher::{Notice, ToLauncher};
use std::time::{Duration, Instant};

/// After so long the start counts as over although the server does not answer.
const TO_READY: Duration = Duration::from_secs(20);

/// Between two looks at how it goes.
const BETWEEN: Duration = Duration::from_secs(1);

/// A service manager that listens.
#[derive(Debug)]
pub struct Manager {
    watchdog: Option<Duration>,
    ready: bool,
    said: String,
    /// No look before then.
    next: Option<Instant>,
    /// A timer is set for the next look.
    is_due: bool,
}

impl Manager {
    /// One that has heard nothing yet.
    pub fn new(managed: Managed) -> Self {
        Self { watchdog: managed.watchdog, ready: false, said: String::new(), next: None, is_due: false }
    }
}

impl Core {
    /// The first beat, and the look that comes by itself.
    pub(crate) fn manager_begins(&mut self) -> Result<(), CoreError> {
        if self.manager.is_some() {
            self.timers.after(TO_READY, Timer::Manager);
            self.beat()?;
        }
        Ok(())
    }

    /// The loop turns.
    pub(crate) fn beat(&mut self) -> Result<(), CoreError> {
        let Some(watchdog) = self.manager.as_ref().and_then(|manager| manager.watchdog) else { return Ok(()) };
        self.notify(Notice::Watchdog)?;
        self.timers.after(watchdog / 3, Timer::Watchdog);
        Ok(())
    }

    /// A look is due.
    pub(crate) fn look_for_manager(&mut self) {
        if let Some(manager) = &mut self.manager {
            (manager.next, manager.is_due) = (None, false);
        }
    }

    /// Says how it goes where that has changed; once a second at most.
    pub(crate) fn tell_manager(&mut self) -> Result<(), CoreError> {
        let now = Instant::now();
        let Some(manager) = self.manager.as_mut().filter(|_| self.stopping.is_none()) else { return Ok(()) };
        if let Some(next) = manager.next.filter(|next| now < *next) {
            if !std::mem::replace(&mut manager.is_due, true) {
                self.timers.after(next - now, Timer::Manager);
            }
            return Ok(());
        }
        manager.next = Some(now + BETWEEN);
        let (health, line) = self.in_a_line();
        let is_over = health != Health::Starting || self.started.elapsed() >= TO_READY;
        let Some(manager) = &mut self.manager else { return Ok(()) };
        manager.ready |= is_over;
        let ready = manager.ready;
        let said = format!("{ready} {line}");
        if manager.said == said {
            return Ok(());
        }
        manager.said = said;
        self.notify(Notice::Status { ready, line: Text::cut(line) })
    }

    /// The configuration is about to be read again; the next status says that this is over.
    pub(crate) fn manager_reloads(&mut self) -> Result<(), CoreError> {
        if let Some(manager) = &mut self.manager {
            manager.said.clear();
            manager.next = None;
        }
        self.notify(Notice::Reloading)
    }

    /// The end begins.
    pub(crate) fn manager_ends(&mut self, within: Duration) -> Result<(), CoreError> {
        self.notify(Notice::Stopping { within_ms: u32::try_from(within.as_millis()).unwrap_or(u32::MAX) })
    }

    fn notify(&mut self, notice: Notice) -> Result<(), CoreError> {
        match self.manager {
            Some(_) => self.order(Which::Service, &ToLauncher::Notify(notice), Vec::new()),
            None => Ok(()),
        }
    }
}
