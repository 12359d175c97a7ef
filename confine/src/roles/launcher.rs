//! The launcher: starts, kills and reaps. Its filters pass on to everything it starts, workers and their scripts included,
//! so this is a list of what none of them may ever do, and it answers EPERM; each has its own, stricter one. The worker's own steps (`unshare`,
//! `mount`, `pivot_root`, `execve`) are therefore not on it.

use crate::filter::{Rule, always};

pub(super) fn list() -> Vec<Rule> {
    [
        // Other processes' memory and descriptors.
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        // Another identity: no set*id program may start here, and this process has done with its own.
        libc::SYS_setresuid,
        libc::SYS_setreuid,
        // Ways around a filter, or into the kernel.
        libc::SYS_userfaultfd,
        libc::SYS_add_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_open_by_handle_at,
    ]
    .map(always)
    .into()
}
