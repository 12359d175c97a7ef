//! The core: its database and audit file, the control socket it listens on, the channels it has. No network, no program,
//! no process of its own.

use super::parts;
use crate::filter::{Rule, always};

pub(super) fn list() -> Vec<Rule> {
    let mut rules = parts::runtime();
    rules.extend(parts::read_files());
    rules.push(parts::socket_pairs());
    rules.push(parts::send_without_address());
    // The control socket, bound and listening since before this list.
    rules.push(always(libc::SYS_accept4));
    rules.extend(
        [
            // SQLite and the audit file: pages, durability, the write-ahead log's shared memory.
            libc::SYS_pwrite64,
            libc::SYS_pwritev,
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_fallocate,
            libc::SYS_flock,
            libc::SYS_msync,
            // A script whose hash is pinned is copied into sealed memory, hashed there and run from there.
            libc::SYS_memfd_create,
            libc::SYS_copy_file_range,
            libc::SYS_sendfile,
            // Creating, rotating and removing files in its own directories; their modes, and SQLite's owner for its log.
            libc::SYS_mkdirat,
            libc::SYS_unlinkat,
            libc::SYS_renameat,
            libc::SYS_renameat2,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchown,
            libc::SYS_utimensat,
            libc::SYS_umask,
        ]
        .map(always),
    );
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_mkdir, libc::SYS_unlink, libc::SYS_rename, libc::SYS_rmdir, libc::SYS_chmod].map(always));
    rules
}
