//! Descriptors that are known by their numbers alone. The only file of this package with `unsafe`.
#![allow(unsafe_code, reason = "descriptors that are known by their numbers alone")]

use rustix::io::FdFlags;
use std::os::fd::{BorrowedFd, OwnedFd};

/// No descriptor of a sandbox has a higher number before this program opens any.
const HIGHEST: i32 = 256;

/// A copy of the one whose number that variable says.
pub(crate) fn given(variable: &str) -> Option<OwnedFd> {
    let number: i32 = std::env::var(variable).ok()?.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: the borrow ends before this returns, and nothing in this program closes that number; one that is not open
    // makes the call fail.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_dupfd_cloexec(fd, 3).ok()
}

/// What was inherited is for this program and for none that it starts.
pub(crate) fn keep_from_programs() {
    for number in 3..HIGHEST {
        // SAFETY: as above; this changes a flag of whatever is open, which nobody else in this program holds yet.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        // Most of these numbers are not open.
        let _not_open = rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC);
    }
}

/// Lets the next program have this one, and says its number.
pub(crate) fn hand_on(fd: &OwnedFd) -> std::io::Result<i32> {
    use std::os::fd::AsRawFd as _;
    rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    Ok(fd.as_raw_fd())
}
