//! Which groups the process at the other end of a Unix socket is in.

use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// More than any operator is in.
const MOST: usize = 1024;

/// The supplementary groups of the peer as it connected (`SO_PEERGROUPS`, Linux 4.13).
///
/// # Errors
/// What `getsockopt(2)` gives; also for a peer with more than [`MOST`] groups.
pub fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; MOST];
    let mut length = libc::socklen_t::try_from(MOST * size_of::<u32>()).unwrap_or(0);
    // SAFETY: `groups` has `length` bytes of room, and both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    groups.truncate(length as usize / size_of::<u32>());
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_groups_of_a_peer_are_this_processs_own() {
        let (one, _other) = UnixStream::pair().expect("socketpair");
        let mut seen = super::groups(one.as_fd()).expect("groups");
        let own = nix::unistd::getgroups().expect("own");
        let mut own: Vec<u32> = own.into_iter().map(nix::unistd::Gid::as_raw).collect();
        seen.sort_unstable();
        own.sort_unstable();
        assert_eq!(seen, own);
    }
}
