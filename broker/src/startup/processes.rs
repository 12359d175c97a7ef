//! One process becomes three: the core, the launcher of egress, and the launcher of everything else, which the entry
//! process itself turns into, so that it stays the service's main process.

use crate::launcher::{self, Post};
use crate::system::process::{Fork, fork};
use bartizan_proto::channel::Channel;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal, setsid};
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

/// Splits the process. In the core's, `core` gets the channels of the launcher and of the launcher of egress, and its exit
/// code is returned; elsewhere this returns only with an error.
///
/// # Errors
/// [`ProcessError`], in any of the three processes.
pub fn split(core: impl FnOnce(Channel, Channel) -> ExitCode) -> Result<ExitCode, ProcessError> {
    let programs = launcher::own_directory().map_err(ProcessError::Place)?;
    let (launcher, service_end) = Channel::pair().map_err(ProcessError::Channel)?;
    let (egress_launcher, egress_end) = Channel::pair().map_err(ProcessError::Channel)?;
    let entry = getpid();

    let core_pid = match fork().map_err(ProcessError::Fork)? {
        Fork::Parent { child } => child,
        Fork::Child => {
            drop((service_end, egress_end));
            settle_child(entry)?;
            return Ok(core(launcher, egress_launcher));
        }
    };
    // The core's alone from here on.
    drop((launcher, egress_launcher, core));

    let egress_pid = match fork().map_err(ProcessError::Fork)? {
        Fork::Parent { child } => child,
        Fork::Child => {
            drop(service_end);
            settle_child(entry)?;
            return Err(become_launcher(&programs, &Post::Egress, egress_end));
        }
    };
    drop(egress_end);
    Err(become_launcher(&programs, &Post::Service { core: core_pid, egress_launcher: egress_pid }, service_end))
}

/// A session of its own, so that Ctrl-C reaches the main process alone; no held signals; and its parent's death is its own.
fn settle_child(parent: Pid) -> Result<(), ProcessError> {
    let settle = |error: rustix::io::Errno| ProcessError::Settle(error.into());
    setsid().map_err(settle)?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(settle)?;
    if getppid() != Some(parent) {
        return Err(ProcessError::Settle(io::Error::other("the main process is gone")));
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .map_err(|error| ProcessError::Settle(error.into()))
}

/// Runs the launcher's program in place of this one. Comes back only when it could not.
fn become_launcher(programs: &Path, post: &Post, channel: Channel) -> ProcessError {
    let path = programs.join(launcher::PROGRAM);
    let error = Command::new(&path)
        .args(post.arguments())
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(channel)))
        .stdout(Stdio::null())
        .exec();
    ProcessError::Exec { path, error }
}
