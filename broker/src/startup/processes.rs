//! One process becomes three: the core, the launcher of egress, and the launcher of everything else, which the entry
//! process itself turns into, so that it stays the service's main process.
//!
//! Each of them is one user from here on and for good: the first two the service's, the third the one who started it, with
//! everything that it starts. In single-user mode the two are the same; under systemd, too, but there each other process is a
//! unit of its own user.

use crate::launcher::{self, Post, Starter};
use crate::system::process::{Fork, become_user, cannot_become_user, fork};
use bartizan_confine::{ConfineError, daemon::filter_system_calls};
use bartizan_proto::Role;
use bartizan_proto::channel::Channel;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::process::{Pid, Signal, Uid, getpid, getppid, set_parent_process_death_signal, setsid};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No channel.
    #[error("cannot make a socket pair: {0}")]
    Channel(io::Error),
    /// No process.
    #[error("cannot fork: {0}")]
    Fork(io::Error),
    /// A child could not cut itself off from its caller's terminal, or tie itself to its parent.
    #[error("cannot set a new process up: {0}")]
    Settle(io::Error),
    /// Another user's rights stay.
    #[error("cannot become user {user} for good: {error}")]
    User {
        /// Who it was to be.
        user: u32,
        /// Why not.
        error: io::Error,
    },
    /// The kernel has it, and it did not come into force.
    #[error("cannot confine a new process: {0}")]
    Confine(#[from] ConfineError),
    /// Our own place is not known.
    #[error("cannot tell where this program is: {0}; /proc must be mounted")]
    Place(io::Error),
    /// The launcher does not run.
    #[error("{path}: cannot be run: {error}; all of Bartizan's programs belong into one directory")]
    Exec {
        /// The program.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Who the processes become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users {
    /// The core and egress.
    pub service: Uid,
    /// The launcher, the connector and the workers.
    pub invoker: Uid,
}

impl Users {
    /// Becomes one of the two, and has no way back to the other.
    fn become_for_good(&self, user: Uid) -> Result<(), ProcessError> {
        let other = if user == self.service { self.invoker } else { self.service };
        let settled = become_user(user).and_then(|()| if other == user { Ok(()) } else { cannot_become_user(other) });
        settled.map_err(|error| ProcessError::User { user: user.as_raw(), error })
    }
}

/// Splits the process. In the core's, `core` gets the channels of the launcher and of the launcher of egress, and its exit
/// code is returned; elsewhere this returns only with an error. The main process keeps the service manager's socket.
///
/// # Errors
/// [`ProcessError`], in any of the three processes.
pub fn split(
    users: Users,
    starter: &Starter,
    notify: Option<OwnedFd>,
    core: impl FnOnce(Channel, Channel) -> ExitCode,
) -> Result<ExitCode, ProcessError> {
    let programs = launcher::own_directory().map_err(ProcessError::Place)?;
    let (launcher, service_end) = Channel::pair().map_err(ProcessError::Channel)?;
    let (egress_launcher, egress_end) = Channel::pair().map_err(ProcessError::Channel)?;
    let entry = getpid();

    let core_pid = match fork().map_err(ProcessError::Fork)? {
        Fork::Parent { child } => child,
        Fork::Child => {
            drop((service_end, egress_end, notify));
            settle_child(users, entry)?;
            return Ok(core(launcher, egress_launcher));
        }
    };
    // The core's alone from here on.
    drop((launcher, egress_launcher, core));

    let egress_pid = match fork().map_err(ProcessError::Fork)? {
        Fork::Parent { child } => child,
        Fork::Child => {
            drop((service_end, notify));
            settle_child(users, entry)?;
            let post = Post::Egress { main: entry, core: core_pid };
            return Err(become_launcher(&programs, &post, starter, egress_end, None));
        }
    };
    drop(egress_end);
    users.become_for_good(users.invoker)?;
    filter_system_calls(Role::Launcher)?;
    let post = Post::Service { core: core_pid, egress_launcher: egress_pid };
    Err(become_launcher(&programs, &post, starter, service_end, notify))
}

/// A session of its own, so that Ctrl-C reaches the main process alone; the service's user; no held signals; and its
/// parent's death is its own. (The kernel lets a parent of another user not do that: under setuid the launcher of egress
/// watches the main process, see `launcher/watch.rs`.)
fn settle_child(users: Users, parent: Pid) -> Result<(), ProcessError> {
    let settle = |error: rustix::io::Errno| ProcessError::Settle(error.into());
    setsid().map_err(settle)?;
    users.become_for_good(users.service)?;
    filter_system_calls(Role::Launcher)?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(settle)?;
    if getppid() != Some(parent) {
        return Err(ProcessError::Settle(io::Error::other("the main process is gone")));
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .map_err(|error| ProcessError::Settle(error.into()))
}

/// Runs the launcher's program in place of this one, with the service manager's socket as its standard output. Comes back only when it could not.
fn become_launcher(
    programs: &Path,
    post: &Post,
    starter: &Starter,
    channel: Channel,
    notify: Option<OwnedFd>,
) -> ProcessError {
    let path = programs.join(launcher::PROGRAM);
    let error = Command::new(&path)
        .args(post.arguments())
        .args(starter.arguments())
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(channel)))
        .stdout(notify.map_or_else(Stdio::null, Stdio::from))
        .exec();
    ProcessError::Exec { path, error }
}
