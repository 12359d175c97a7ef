//! Descriptors by number: what this process holds, and what the next exec would hand on.

use std::io;

/// Closes the descriptors `first..=last` (`close_range(2)`, Linux 5.9).
///
/// Whoever owns one of them in Rust must never use or drop it afterwards: meant for a forked copy, which leaves with
/// [`super::leave`] or by exec and never unwinds into the frames that own them.
pub(crate) fn close_range(first: u32, last: u32) -> io::Result<()> {
    close_range_with(first, last, 0)
}

/// Marks every descriptor from `first` upwards close-on-exec (`close_range(2)`, Linux 5.11).
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range_with(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range_with(first: u32, last: u32, flags: u32) -> io::Result<()> {
    // SAFETY: changes or closes descriptors by number and touches no memory; see `close_range` for who owns them.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether descriptor `number` is open and would be inherited by an exec.
pub(crate) fn is_inherited(number: i32) -> bool {
    // SAFETY: F_GETFD reads a flag; on a number that is not open it fails with EBADF.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}
