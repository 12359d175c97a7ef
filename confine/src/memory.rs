//! After a busy time an allocator holds pages that nobody uses: a daemon that waits gives them back to the kernel.

use crate::system;
use std::time::Duration;

/// So long after something happened a daemon gives back what it does not use; once, however much happened meanwhile. Longer
/// than what is kept for the next command (connections to the server) lives.
pub const QUIET: Duration = Duration::from_secs(10);

/// Gives them back. Takes some 100 µs of a heap of some MiB; with another C library than glibc it does nothing.
pub fn give_back() {
    system::give_memory_back();
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_time_leaves_between_what_is_kept_goes_back_to_the_kernel() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/statm").expect("readable");
            let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
            pages * rustix::param::page_size()
        };
        // The last piece lies above all others: without it the allocator would give them back by itself.
        let mut pieces: Vec<Box<[u8]>> = (0..8192).map(|_| vec![1; 4096].into_boxed_slice()).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = resident();
        give_back();
        let after = resident();
        assert!(before.saturating_sub(after) > 16 << 20, "{before} to {after}");
        drop(last);
    }
}
