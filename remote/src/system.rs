//! Inherited descriptors. The only file of this package with `unsafe`.
#![allow(unsafe_code, reason = "descriptors that are known by their numbers alone")]

use bartizan_proto::script::VARIABLE;
use rustix::net::SocketType;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The script API; `None` where the job may call nothing.
pub(crate) fn script_api() -> Option<OwnedFd> {
    let fd = inherited(VARIABLE)?;
    let kind = rustix::net::sockopt::socket_type(&fd).ok()?;
    (kind == SocketType::SEQPACKET).then_some(fd)
}

/// A copy of the descriptor whose number this variable has.
pub(crate) fn inherited(variable: &str) -> Option<OwnedFd> {
    let number: i32 = std::env::var(variable).ok()?.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: the borrow ends before this returns, and nothing in this program closes that number; one that is not open
    // makes the call below fail.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_dupfd_cloexec(fd, 3).ok()
}
