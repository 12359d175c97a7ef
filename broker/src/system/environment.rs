//! Clearing the environment.

use super::process::require_single_thread;
use std::io;

/// Removes every variable.
///
/// # Errors
/// When this process has more than one thread, or `clearenv(3)` fails.
pub fn clear() -> io::Result<()> {
    require_single_thread()?;
    // SAFETY: no other thread can be reading the environment, as there is none.
    if unsafe { nix::libc::clearenv() } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
