//! System calls by number: which name a file and where their path stands, and the names of those that the sandbox refuses.

use nix::libc;

/// What a script wanted of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// To read it, or to look whether it is there.
    Read,
    /// To make, change or remove it.
    Write,
    /// To run it.
    Run,
}

impl Access {
    /// The key of a profile that grants it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Run => "exec",
        }
    }
}

/// Where a call has its path, the directory that this is relative to, and what says how it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// Which argument is the path.
    pub(super) path: usize,
    /// Which argument is the directory's descriptor; none for the current one.
    pub(super) folder: Option<usize>,
    /// What is wanted.
    pub(super) wanted: Wanted,
}

/// What a call wants of the file that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Always this.
    This(Access),
    /// What the flags in this argument say.
    Flags(usize),
    /// What the flags at the start of what this argument points at say (`openat2`).
    How(usize),
}

/// How a call names a file, if it does.
pub(super) fn named(number: i64) -> Option<Named> {
    let at = |wanted| Some(Named { path: 1, folder: Some(0), wanted });
    match number {
        libc::SYS_openat => at(Wanted::Flags(2)),
        libc::SYS_openat2 => at(Wanted::How(2)),
        libc::SYS_execveat => at(Wanted::This(Access::Run)),
        libc::SYS_execve => Some(Named { path: 0, folder: None, wanted: Wanted::This(Access::Run) }),
        libc::SYS_newfstatat | libc::SYS_statx | libc::SYS_faccessat | libc::SYS_faccessat2 | libc::SYS_readlinkat => {
            at(Wanted::This(Access::Read))
        }
        libc::SYS_mkdirat
        | libc::SYS_unlinkat
        | libc::SYS_renameat
        | libc::SYS_renameat2
        | libc::SYS_fchmodat
        | libc::SYS_fchownat
        | libc::SYS_utimensat => at(Wanted::This(Access::Write)),
        libc::SYS_chdir => Some(Named { path: 0, folder: None, wanted: Wanted::This(Access::Read) }),
        libc::SYS_truncate => Some(Named { path: 0, folder: None, wanted: Wanted::This(Access::Write) }),
        other => older(other),
    }
}

/// Calls that only older machines' ABIs have.
#[cfg(target_arch = "x86_64")]
fn older(number: i64) -> Option<Named> {
    let here = |wanted| Some(Named { path: 0, folder: None, wanted });
    match number {
        libc::SYS_open => here(Wanted::Flags(1)),
        libc::SYS_stat | libc::SYS_lstat | libc::SYS_access | libc::SYS_readlink => here(Wanted::This(Access::Read)),
        libc::SYS_creat
        | libc::SYS_mkdir
        | libc::SYS_rmdir
        | libc::SYS_unlink
        | libc::SYS_rename
        | libc::SYS_chmod
        | libc::SYS_chown => here(Wanted::This(Access::Write)),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn older(_number: i64) -> Option<Named> {
    None
}

/// A call's name; of one that is not here, its number.
pub(super) fn name(number: i64) -> String {
    let known = NAMES.iter().find(|(other, _)| *other == number);
    known.map_or_else(|| format!("number {number}"), |(_, name)| (*name).to_owned())
}

macro_rules! names {
    ($($constant:ident $name:literal)*) => { &[$((libc::$constant, $name)),*] };
}

/// Those that the sandbox has no use for, and that scripts are likely to try.
const NAMES: &[(i64, &str)] = names! {
    SYS_socket "socket" SYS_socketpair "socketpair" SYS_bind "bind" SYS_listen "listen" SYS_accept4 "accept4"
    SYS_accept "accept" SYS_sendto "sendto" SYS_sendmsg "sendmsg" SYS_setsockopt "setsockopt"
    SYS_mount "mount" SYS_umount2 "umount2" SYS_pivot_root "pivot_root" SYS_chroot "chroot"
    SYS_unshare "unshare" SYS_setns "setns" SYS_clone "clone" SYS_clone3 "clone3" SYS_ptrace "ptrace"
    SYS_process_vm_readv "process_vm_readv" SYS_process_vm_writev "process_vm_writev" SYS_bpf "bpf"
    SYS_perf_event_open "perf_event_open" SYS_keyctl "keyctl" SYS_add_key "add_key" SYS_request_key "request_key"
    SYS_userfaultfd "userfaultfd" SYS_seccomp "seccomp" SYS_io_uring_setup "io_uring_setup" SYS_kexec_load "kexec_load"
    SYS_init_module "init_module" SYS_finit_module "finit_module" SYS_delete_module "delete_module" SYS_reboot "reboot"
    SYS_swapon "swapon" SYS_swapoff "swapoff" SYS_sethostname "sethostname" SYS_setdomainname "setdomainname"
    SYS_settimeofday "settimeofday" SYS_clock_settime "clock_settime" SYS_clock_adjtime "clock_adjtime" SYS_adjtimex "adjtimex"
    SYS_setuid "setuid" SYS_setgid "setgid" SYS_setreuid "setreuid" SYS_setregid "setregid" SYS_setresuid "setresuid"
    SYS_setresgid "setresgid" SYS_setgroups "setgroups" SYS_setfsuid "setfsuid" SYS_setfsgid "setfsgid" SYS_capset "capset"
    SYS_syslog "syslog" SYS_acct "acct" SYS_quotactl "quotactl" SYS_personality "personality" SYS_ioctl "ioctl"
    SYS_prctl "prctl" SYS_kill "kill" SYS_tgkill "tgkill" SYS_setpriority "setpriority" SYS_sched_setscheduler "sched_setscheduler"
    SYS_setrlimit "setrlimit" SYS_prlimit64 "prlimit64" SYS_fanotify_init "fanotify_init" SYS_inotify_init1 "inotify_init1"
    SYS_open_by_handle_at "open_by_handle_at" SYS_name_to_handle_at "name_to_handle_at" SYS_mknodat "mknodat"
    SYS_memfd_create "memfd_create" SYS_pidfd_open "pidfd_open" SYS_pidfd_getfd "pidfd_getfd" SYS_fsopen "fsopen"
    SYS_move_mount "move_mount" SYS_open_tree "open_tree" SYS_fchown "fchown" SYS_fchmod "fchmod" SYS_setxattr "setxattr"
    SYS_shmget "shmget" SYS_msgget "msgget" SYS_semget "semget" SYS_mq_open "mq_open" SYS_vhangup "vhangup"
    SYS_linkat "linkat" SYS_symlinkat "symlinkat" SYS_mlockall "mlockall" SYS_mlock "mlock" SYS_timer_create "timer_create"
    SYS_landlock_create_ruleset "landlock_create_ruleset" SYS_mbind "mbind" SYS_move_pages "move_pages"
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_name_or_its_number() {
        assert_eq!(name(libc::SYS_mount), "mount");
        assert_eq!(name(99_999), "number 99999");
        assert_eq!(named(libc::SYS_openat).map(|call| call.path), Some(1));
        assert_eq!(named(libc::SYS_getpid), None);
    }
}
