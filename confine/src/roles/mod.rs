//! The lists of system calls, one per daemon. A call that is on no list answers EPERM; a call in [`never()`] ends the process,
//! because no bug leads there, only an attack.

mod connector;
mod core;
mod egress;
mod exporter;
mod launcher;
mod parts;

use crate::filter::{Rule, always};
use bartizan_proto::Role;

/// What a role's filters are made of.
pub(crate) enum List {
    /// Only these calls; [`never()`] ends the process.
    Only(Vec<Rule>),
    /// Everything but these, which answer EPERM. For the launcher, whose filters its workers' scripts inherit.
    AllBut(Vec<Rule>),
    /// The role does not use this package's lists.
    None,
}

pub(crate) fn list(role: Role) -> List {
    match role {
        Role::Core => List::Only(core::list()),
        Role::Egress => List::Only(egress::list()),
        Role::Connector => List::Only(connector::list()),
        Role::Launcher => List::AllBut(launcher::list()),
        // What `bartizan` serves; its other commands run with their operator's rights.
        Role::Control => List::Only(exporter::list()),
        // The worker's own package confines it.
        Role::Worker => List::None,
    }
}

/// Calls that end a daemon which makes them.
pub(crate) fn never() -> Vec<Rule> {
    [
        // Another program instead of this one, or beside it.
        libc::SYS_execve,
        libc::SYS_execveat,
        // Other processes' memory and descriptors.
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        // Another view of the system.
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_chroot,
        libc::SYS_pivot_root,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        // Another identity.
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_personality,
        // A file by handle instead of by path.
        libc::SYS_open_by_handle_at,
        // Ways around this filter, or into the kernel.
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_syslog,
    ]
    .map(always)
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Program, duplicates};

    #[test]
    fn every_list_compiles_and_names_no_call_twice() {
        for role in [Role::Core, Role::Egress, Role::Connector, Role::Launcher, Role::Control] {
            let (rules, program) = match list(role) {
                List::Only(rules) => (rules.clone(), Program::allow(&rules)),
                List::AllBut(rules) => (rules.clone(), Program::answer(&rules, libc::EPERM)),
                List::None => unreachable!("{role} has a list"),
            };
            program.expect("compiles");
            assert_eq!(duplicates(&rules), [0i64; 0], "{role}");
        }
        assert_eq!(duplicates(&never()), [0i64; 0]);
    }
}
