//! core ↔ launcher: start, kill and reap. The launcher never chooses a program: a role names it.
//!
//! A [`ToLauncher::Start`] carries one descriptor: the first channel of the new process, which it finds as descriptor 0, or is
//! handed over a connection that systemd started it for (`confine/src/unit.rs`).

use crate::bounded::Text;
use crate::limits::MAX_REASON;
use crate::version::Role;
use serde::{Deserialize, Serialize};

/// The exit code of a core, and then of the service, that wants to be started again: `EX_TEMPFAIL` of `sysexits.h`.
pub const RESTART: u8 = 75;

/// One start of one process, numbered by the core; never used twice while the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChildId(pub u64);

/// What the core orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLauncher {
    /// Start the program of `role`. A role that this launcher was not started for is refused.
    Start {
        /// The number to report it under.
        child: ChildId,
        /// Which program.
        role: Role,
    },
    /// End it with SIGKILL, if it still runs.
    Kill {
        /// Which.
        child: ChildId,
    },
    /// Tell the service manager. Only the service's main process may, and only where one listens.
    Notify(Notice),
}

/// What a service manager is told, in the words of `sd_notify(3)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// `STATUS=`: one line of how it goes; with `READY=1` once the start, or the reading of the configuration, is over.
    Status {
        /// Whether it is over.
        ready: bool,
        /// The line.
        line: Text<MAX_REASON>,
    },
    /// `WATCHDOG=1`: the loop turns.
    Watchdog,
    /// `RELOADING=1`: the configuration is read again.
    Reloading,
    /// `STOPPING=1`: it ends.
    Stopping {
        /// How long that may take: `EXTEND_TIMEOUT_USEC=`. 0 where nothing is known of that.
        within_ms: u32,
    },
}

/// How a process ended, as `waitid(2)` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What the launcher reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLauncher {
    /// It runs.
    Started {
        /// Which.
        child: ChildId,
        /// Its process id.
        pid: u32,
        /// Its user.
        uid: u32,
    },
    /// It could not be started.
    StartFailed {
        /// Which.
        child: ChildId,
        /// Why.
        why: Text<MAX_REASON>,
    },
    /// It ended, and nothing that it started is left.
    Ended {
        /// Which.
        child: ChildId,
        /// How; of a unit of systemd's only systemd knows.
        status: Option<ExitStatus>,
    },
    /// The service was asked to end (SIGTERM or SIGINT to its main process).
    Terminate,
    /// The service was asked to read its configuration again (SIGHUP).
    Reload,
}
