//! Forking, and what the kernel says of this process's rights.

use rustix::process::{Pid, Uid};
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

/// Becomes a user that this process may be, in all three ids and for good, and is not dumpable afterwards.
///
/// # Errors
/// When there is more than one thread, when the kernel refuses, or when it said yes and did not do it.
pub fn become_user(user: Uid) -> io::Result<()> {
    require_single_thread()?;
    let raw = nix::unistd::Uid::from_raw(user.as_raw());
    let is_already = || nix::unistd::getresuid().map(|now| [now.real, now.effective, now.saved] == [raw; 3]);
    // Who is that user alone need not be allowed the call: a unit of systemd's is not.
    if !is_already()? {
        nix::unistd::setresuid(raw, raw, raw)?;
    }
    if !is_already()? {
        return Err(io::Error::other(format!("the kernel said that this is user {user:?} now, and it is not")));
    }
    // A change of user decides anew whether the process can be looked into.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Does something with no more rights on files and sockets than another user has whom this process may be: the effective id
/// is theirs meanwhile.
///
/// # Errors
/// When there is more than one thread, or an id is not what it should be before or after. `what` was done only if it was
/// before.
pub fn with_rights_of<T>(user: Uid, what: impl FnOnce() -> T) -> io::Result<T> {
    require_single_thread()?;
    let own = nix::unistd::geteuid();
    if own.as_raw() == user.as_raw() {
        return Ok(what());
    }
    set_effective(nix::unistd::Uid::from_raw(user.as_raw()))?;
    let done = what();
    set_effective(own)?;
    Ok(done)
}

fn set_effective(user: nix::unistd::Uid) -> io::Result<()> {
    nix::unistd::seteuid(user)?;
    let now = nix::unistd::geteuid();
    if now == user { Ok(()) } else { Err(io::Error::other(format!("the effective user is {now} and not {user}"))) }
}

/// Whether this process can get another user's rights back; it tries.
///
/// # Errors
/// When it could.
pub fn cannot_become_user(other: Uid) -> io::Result<()> {
    let raw = nix::unistd::Uid::from_raw(other.as_raw());
    match nix::unistd::seteuid(raw) {
        Err(nix::Error::EPERM) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(io::Error::other(format!("user {other:?} was given up, and yet could be taken back"))),
    }
}
