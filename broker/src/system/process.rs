//! Forking, and what the kernel says of this process's rights.

use rustix::process::Pid;
use std::io;

/// In which of the two processes we are.
#[derive(Debug)]
pub enum Fork {
    /// The one that forked.
    Parent {
        /// The new process.
        child: Pid,
    },
    /// The new one.
    Child,
}

/// Makes a second process of this one.
///
/// # Errors
/// When this process has more than one thread, or what `fork(2)` gives.
pub fn fork() -> io::Result<Fork> {
    require_single_thread()?;
    // SAFETY: there is one thread only, so that no lock can be held by a thread that the child does not have.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
        nix::unistd::ForkResult::Parent { child } => {
            let child = Pid::from_raw(child.as_raw()).ok_or_else(|| io::Error::other("fork gave process 0"))?;
            Ok(Fork::Parent { child })
        }
    }
}

/// Whether this process may have more rights than its caller (`AT_SECURE` of getauxval(3)): setuid, setgid, file
/// capabilities, or a security module's decision.
pub fn is_secure_execution() -> bool {
    // SAFETY: reads one number that the kernel put there at exec.
    unsafe { nix::libc::getauxval(nix::libc::AT_SECURE) != 0 }
}

/// Refuses to go on where a second thread runs.
pub(super) fn require_single_thread() -> io::Result<()> {
    match std::fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        threads => Err(io::Error::other(format!("{threads} threads run where one is allowed"))),
    }
}
