//! What `bartizan` serves on this host, metrics and audit page: it takes connections on a socket that it has, asks the service
//! at its Unix socket, and reads files that the service hands out open. It opens none, and makes no connection to a network.

use super::parts;
use crate::filter::{Rule, always, is, masked, when};

pub(super) fn list() -> Vec<Rule> {
    let mut rules = parts::runtime();
    rules.push(parts::send_without_address());
    rules.push(always(libc::SYS_accept4));
    // The service's socket, anew for each question; Unix streams and nothing else.
    rules.push(when(libc::SYS_socket, &[is(0, AF_UNIX), masked(1, parts::SOCKET_TYPE, SOCK_STREAM)]));
    rules.push(always(libc::SYS_connect));
    // Whose it is, and how long a file is that came open.
    rules.extend([libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_pread64].map(always));
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_stat, libc::SYS_lstat].map(always));
    rules
}

const AF_UNIX: u64 = 1;
const SOCK_STREAM: u64 = 1;
