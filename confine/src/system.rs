//! The system calls that no safe crate wraps. The only place in this package with `unsafe`.
#![allow(unsafe_code, reason = "close_range(2), malloc_trim(3), F_SETOWN and F_SETSIG have no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Closes every descriptor from `first` upwards (`close_range(2)`, Linux 5.9).
///
/// Whoever owns one of them in Rust must not use it afterwards: meant for a process's first moments, before it opens
/// anything.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: closes descriptors by number and touches no memory. The caller has opened nothing yet, so no owned
    // descriptor of this process can be among them.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives pages that the allocator holds and nobody uses back to the kernel (`malloc_trim(3)`, of glibc alone).
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the allocator's own locks, and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the kernel send this process SIGKILL when anything happens at a socket: bytes, a hang-up (`F_SETOWN`, `F_SETSIG` and
/// `O_ASYNC` of fcntl(2)). Reads back that it will.
///
/// No code of ours runs for it, so that it also ends a process that is stopped, or hangs.
pub(crate) fn die_with(socket: BorrowedFd<'_>) -> io::Result<()> {
    let own = rustix::process::getpid().as_raw_pid();
    let fcntl = |command: libc::c_int, value: libc::c_int| {
        // SAFETY: with these commands fcntl takes and gives plain numbers and touches no memory of ours.
        match unsafe { libc::fcntl(socket.as_raw_fd(), command, value) } {
            -1 => Err(io::Error::last_os_error()),
            number => Ok(number),
        }
    };
    fcntl(libc::F_SETOWN, own)?;
    fcntl(F_SETSIG, libc::SIGKILL)?;
    fcntl(libc::F_SETFL, fcntl(libc::F_GETFL, 0)? | libc::O_ASYNC)?;
    let armed = fcntl(libc::F_GETOWN, 0)? == own
        && fcntl(F_GETSIG, 0)? == libc::SIGKILL
        && fcntl(libc::F_GETFL, 0)? & libc::O_ASYNC != 0;
    if armed { Ok(()) } else { Err(io::Error::other("the kernel does not keep who is to end with the socket")) }
}

/// `linux/fcntl.h`; the C library's crate does not name them everywhere.
const F_SETSIG: libc::c_int = 10;
const F_GETSIG: libc::c_int = 11;
