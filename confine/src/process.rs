//! What every process of Bartizan does first, before it reads anything. Cheap, and never optional.

use crate::system;
use caps::CapSet;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use std::io;

/// A first step failed; the process ends.
#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    /// `PR_SET_DUMPABLE`.
    #[error("cannot become undumpable: {0}")]
    Dumpable(#[source] io::Error),
    /// `RLIMIT_CORE`.
    #[error("cannot forbid core dumps: {0}")]
    CoreLimit(#[source] io::Error),
    /// `PR_SET_NO_NEW_PRIVS`.
    #[error("cannot set no_new_privs: {0}")]
    NoNewPrivileges(#[source] io::Error),
    /// A capability of the host's, which nothing in Bartizan holds.
    #[error("holds capabilities ({0}); start the service as an ordinary user without any")]
    Capabilities(String),
    /// The kernel does not say which capabilities there are.
    #[error("cannot read its capabilities: {0}")]
    Unknown(String),
    /// `PR_SET_PDEATHSIG`.
    #[error("cannot ask to die with the parent: {0}")]
    ParentDeath(#[source] io::Error),
    /// `close_range(2)`.
    #[error("cannot close inherited descriptors: {0}")]
    Descriptors(#[source] io::Error),
}

/// For a process that the launcher started: no capability, not dumpable (hence not traceable by its own uid), no core file, no new
/// privileges, files private by default, SIGKILL when its parent ends.
///
/// # Errors
/// The step that failed.
pub fn harden() -> Result<(), HardenError> {
    harden_entry()?;
    die_with_parent()
}

/// The same for the process that people or an init system start, which must survive the shell it came from.
///
/// # Errors
/// The step that failed.
pub fn harden_entry() -> Result<(), HardenError> {
    no_capabilities()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| HardenError::Dumpable(error.into()))?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| HardenError::CoreLimit(error.into()))?;
    rustix::thread::set_no_new_privs(true).map_err(|error| HardenError::NoNewPrivileges(error.into()))?;
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    Ok(())
}

/// No capability in any set that counts now or at an exec. Before a process makes a user namespace of its own, those are
/// the host's.
///
/// # Errors
/// [`HardenError::Capabilities`].
pub fn no_capabilities() -> Result<(), HardenError> {
    for set in [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable, CapSet::Ambient] {
        let held = caps::read(None, set).map_err(|error| HardenError::Unknown(error.to_string()))?;
        if !held.is_empty() {
            let names: Vec<String> = held.iter().map(ToString::to_string).collect();
            return Err(HardenError::Capabilities(names.join(", ")));
        }
    }
    Ok(())
}

/// SIGKILL when the parent ends. The kernel means the **thread** that forked, and forgets it at a change of uid: call it
/// after that, and keep the end of the channel as the first net, this as the second.
///
/// # Errors
/// [`HardenError::ParentDeath`].
pub fn die_with_parent() -> Result<(), HardenError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| HardenError::ParentDeath(error.into()))
}

/// Closes every descriptor from `first` upwards. Only before the process has opened any of its own.
///
/// # Errors
/// [`HardenError::Descriptors`].
pub fn close_from(first: u32) -> Result<(), HardenError> {
    system::close_from(first).map_err(HardenError::Descriptors)
}
