//! The system calls that no safe crate wraps. The only place in this package with `unsafe`.
#![allow(unsafe_code, reason = "close_range(2) and malloc_trim(3) have no safe wrapper")]

use std::io;

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
