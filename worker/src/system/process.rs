//! A second process from this one. The worker is single-threaded, so its copy may go on as if nothing had happened.

use bartizan_proto::launcher::ExitStatus;
use rustix::process::Pid;
use std::io;

/// Which of the two processes this is.
pub(crate) enum Forked {
    /// The one that called.
    Parent(Pid),
    /// The new one.
    Child,
}

/// `fork(2)`.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: this process has a single thread (nothing in this package starts one), so the child's memory is consistent:
    // no lock can be held by a thread that does not exist in it.
    which(unsafe { libc::fork() }.into())
}

/// `clone(2)` as a fork into new namespaces.
///
/// glibc does not see it, so the child must not use what glibc caches per thread: it is the worker's init, which forks, reads
/// and waits, and uses none of that.
pub(crate) fn clone(namespaces: i32) -> io::Result<Forked> {
    // SAFETY: as for `fork`; without CLONE_VM and with a null stack the child runs on a copy of this stack, and no thread-local
    // storage or child-id pointers are passed. Argument order beyond the second only matters where pointers are given.
    which(unsafe { libc::syscall(libc::SYS_clone, i64::from(namespaces | libc::SIGCHLD), 0, 0, 0, 0) })
}

fn which(result: i64) -> io::Result<Forked> {
    match i32::try_from(result) {
        Ok(0) => Ok(Forked::Child),
        Ok(pid) if pid > 0 => {
            Pid::from_raw(pid).map(Forked::Parent).ok_or_else(|| io::Error::other("a process id of zero"))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process at once: no destructor, no exit handler, nothing of the parent's is flushed twice.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: _exit(2) never returns and touches no memory of this process.
    unsafe { libc::_exit(code) }
}

/// Waits until a child has ended, and says which and how without reaping it (`waitid(2)` with WNOWAIT).
///
/// Not nix's wrapper, which takes a death by a real-time signal for an error.
pub(crate) fn first_ended() -> io::Result<(Pid, ExitStatus)> {
    loop {
        // SAFETY: all-zero bytes are a valid siginfo_t; the kernel fills it before this reads it.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a siginfo_t that lives through the call.
        let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
        if result != 0 {
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => return Err(error),
            }
        }
        // SAFETY: after a waitid(2) that succeeded these fields of the union are the ones that are set.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("a child without a process id"))?;
        return Ok((
            pid,
            if info.si_code == libc::CLD_EXITED { ExitStatus::Code(status) } else { ExitStatus::Signal(status) },
        ));
    }
}
