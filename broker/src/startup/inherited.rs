//! Everything that a process inherits from its caller, put back to what a fresh process has.
//!
//! Descriptors, environment, umask, directory, signals, timers. Each of them has been a way into a setuid program.

use crate::{launcher, system};
use bartizan_confine::process::{HardenError, close_from};
use nix::sys::signal::SigmaskHow;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::path::PathBuf;

/// Something inherited could not be put right.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// A standard descriptor is closed and there is no `/dev/null` to put there.
    #[error("cannot open /dev/null for a closed standard descriptor: {0}")]
    Null(io::Error),
    /// The other descriptors stay open.
    #[error("{0}; Linux 5.9 or newer is needed")]
    Close(HardenError),
    /// The environment stays.
    #[error("cannot clear the environment: {0}")]
    Environment(io::Error),
    /// The root directory is closed to us.
    #[error("cannot change to the directory /: {0}")]
    Directory(io::Error),
    /// Signals or timers stay.
    #[error("cannot reset signals and timers: {0}")]
    Signals(io::Error),
}

/// Descriptors 0 to 2 are open, and no other one is.
///
/// A program that opens a file while descriptor 2 is closed prints its errors into that file.
///
/// # Errors
/// [`InheritedError`].
pub fn descriptors() -> Result<(), InheritedError> {
    let standard: [BorrowedFd<'static>; 3] = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    for descriptor in standard {
        if rustix::io::fcntl_getfd(descriptor).is_err() {
            // The lowest free number is the closed one: those below it were opened in earlier rounds. It is kept open.
            let null = OpenOptions::new().read(true).write(true).open("/dev/null").map_err(InheritedError::Null)?;
            let _number = null.into_raw_fd();
        }
    }
    close_from(3).map_err(InheritedError::Close)
}

/// Where systemd put the unit's credentials: the one word of the environment that is read before it is cleared.
pub fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Environment, umask, directory, signals and timers. Returns the directory that the caller was in, where it has one:
/// a relative path on the command line is meant from there.
///
/// # Errors
/// [`InheritedError`].
pub fn surroundings() -> Result<Option<PathBuf>, InheritedError> {
    system::environment::clear().map_err(InheritedError::Environment)?;
    if std::env::vars_os().next().is_some() {
        return Err(InheritedError::Environment(io::Error::other("something of it is left")));
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let callers_directory = std::env::current_dir().ok();
    std::env::set_current_dir("/").map_err(InheritedError::Directory)?;
    system::signals::reset_ignored().map_err(InheritedError::Signals)?;
    system::signals::stop_timers().map_err(InheritedError::Signals)?;
    hold_signals().map_err(InheritedError::Signals)?;
    Ok(callers_directory)
}

/// The signals of the service are held back until the launcher is there to read them.
fn hold_signals() -> io::Result<()> {
    Ok(nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&launcher::service_signals()), None)?)
}
