//! The inherited descriptor. The only file of this package with `unsafe`.
#![allow(unsafe_code, reason = "a descriptor that is known by its number alone")]

use rustix::net::SocketType;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A copy of the descriptor of that number, where it is a socket of the right kind.
pub(crate) fn inherited(number: &str) -> Option<OwnedFd> {
    let number: i32 = number.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: the borrow ends before this returns, and nothing in this program closes that number; one that is not open
    // makes the calls below fail.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = rustix::net::sockopt::socket_type(fd).ok()?;
    if kind != SocketType::SEQPACKET {
        return None;
    }
    rustix::io::fcntl_dupfd_cloexec(fd, 3).ok()
}
