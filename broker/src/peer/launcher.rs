//! The launchers: they start, kill and reap what the core orders, and pass on signals to the service.

use super::{Event, Permit};
use crate::core::{Core, CoreError};
use bartizan_proto::launcher::FromLauncher;

/// Which launcher: each may start its own roles only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// Of the connector and the workers; the service's main process.
    Service,
    /// Of egress.
    Egress,
}

/// What it can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A process runs.
    Started,
    /// A process could not be started.
    StartFailed,
    /// A process ended.
    Ended,
    /// The service is to end.
    Terminate,
    /// The configuration is to be read again.
    Reload,
}

/// The kind of a message.
pub fn kind(message: &FromLauncher) -> Kind {
    match message {
        FromLauncher::Started { .. } => Kind::Started,
        FromLauncher::StartFailed { .. } => Kind::StartFailed,
        FromLauncher::Ended { .. } => Kind::Ended,
        FromLauncher::Terminate => Kind::Terminate,
        FromLauncher::Reload => Kind::Reload,
    }
}

/// May this launcher say this? Only the main process is sent signals.
pub fn permits(which: Which, kind: Kind) -> Permit {
    match (which, kind) {
        (Which::Service | Which::Egress, Kind::Started | Kind::StartFailed | Kind::Ended) => Permit::Allow,
        (Which::Service, Kind::Terminate | Kind::Reload) => Permit::Allow,
        (Which::Egress, Kind::Terminate | Kind::Reload) => Permit::Deny,
    }
}

impl Core {
    /// A launcher speaks.
    pub(crate) fn on_launcher(&mut self, which: Which, event: Event<FromLauncher>) -> Result<(), CoreError> {
        let message = match event {
            Event::Greeted => return Ok(()),
            Event::Gone(why) | Event::Broke(why) => return Err(CoreError::Launcher(which, why)),
            Event::Said(message) => message,
        };
        if permits(which, kind(&message)) == Permit::Deny {
            return Err(CoreError::Launcher(which, "it said what it may not say".to_owned()));
        }
        match message {
            FromLauncher::Started { child, pid, uid } => {
                for slot in [&mut self.supervisor.egress, &mut self.supervisor.connector] {
                    if slot.child == child {
                        slot.pid = pid;
                    }
                }
                self.worker_started(child, pid, uid);
                Ok(())
            }
            FromLauncher::StartFailed { child, why } => {
                self.child_ended(child, &format!("could not be started: {why}"))
            }
            FromLauncher::Ended { child, status: Some(status) } => {
                self.child_ended(child, &format!("ended: {status:?}"))
            }
            FromLauncher::Ended { child, status: None } => self.child_ended(child, "its unit ended"),
            FromLauncher::Terminate => self.begin_shutdown(),
            FromLauncher::Reload => self.reload().map(drop),
        }
    }
}
