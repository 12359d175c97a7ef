//! The inherited descriptor of the script API. The only file of this package with `unsafe`.
#![allow(unsafe_code, reason = "a descriptor that is known by its number alone")]

use bartizan_proto::script::VARIABLE;
use rustix::net::SocketType;
use std::os::fd::{BorrowedFd, OwnedFd};

/// A copy of it; `None` where the job may call nothing.
pub(crate) fn script_api() -> Option<OwnedFd> {
    let number: i32 = std::env::var(VARIABLE).ok()?.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: the borrow ends before this returns, and nothing in this program closes that number; one that is not open
    // makes the calls below fail.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    if rustix::net::sockopt::socket_type(fd).ok()? != SocketType::SEQPACKET {
        return None;
    }
    rustix::io::fcntl_dupfd_cloexec(fd, 3).ok()
}
