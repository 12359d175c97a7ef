//! The system calls that a script may make; every other one answers EPERM.
//!
//! Read from top to bottom it is what bash, coreutils, Python (threads, asyncio, sqlite), Perl, ssh, curl, node and ansible
//! need; `tests/sandbox.rs` runs many of them. What is **not** here matters as much: no `ptrace`, `process_vm_*`, `pidfd_getfd`, `kcmp`; no
//! `mount` in either API, `pivot_root`, `chroot`, `unshare`, `setns`; no `bpf`, `perf_event_open`, `userfaultfd`, `io_uring_*`,
//! `keyctl`; no `memfd_create` and no `execveat`, by which a program could be run that no mount can forbid; no set*id, no
//! `personality`, no System V IPC, no message queues, no handles instead of paths, nothing of modules, clocks or swap.

use super::Granted;
use bartizan_confine::filter::{Rule, always, any_of, is, is_wide, masked, one_of, when, without_bits};

/// All rules, for a job that is granted so much.
pub(super) fn list(granted: Granted) -> Vec<Rule> {
    let mut rules: Vec<Rule> = ALWAYS.iter().copied().map(always).collect();
    rules.extend(conditional());
    rules.extend(old_spellings());
    // Without a grant no socket can be made, bound or connected.
    rules.extend(sockets(granted));
    rules
}

/// Calls that are harmless whatever their arguments: they act on this process, on what it has opened, or on paths, which
/// are the mounts' and Landlock's matter.
const ALWAYS: &[i64] = &[
    // Bytes through descriptors.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    // Copies inside the kernel: cp, cat, shutil.
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_vmsplice,
    // Opening, closing, positions, advice.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_lseek,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    // Sizes and durability.
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_flock,
    // What a file is.
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    // Making, renaming and removing files; modes, times, owners (its own: it has no capability to give one away).
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_umask,
    // Where it stands.
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    // Changes of files, for tail -f.
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Memory. Executable too: Python's ctypes and node's compiler make code at run time.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_brk,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    libc::SYS_get_mempolicy,
    // Threads.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getcpu,
    // Processes: the script's own, in its own PID namespace. (clone itself is below; vfork takes no flags.) clone3
    // answers ENOSYS by a filter of its own, so that the C library takes clone.
    libc::SYS_clone3,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    // Signals: how they are taken.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_restart_syscall,
    // Waiting for descriptors.
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_select,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    // Time and timers. No call here sets a clock.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_times,
    libc::SYS_getrusage,
    // Who it is. Nothing here changes it.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_capget,
    libc::SYS_getpriority,
    // Sessions and groups, for the shell's jobs.
    libc::SYS_setsid,
    libc::SYS_getsid,
    libc::SYS_setpgid,
    libc::SYS_getpgid,
    // What the machine is.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_getrlimit,
    // Lowering its own limits; the hard ones bound it.
    libc::SYS_setrlimit,
    // Over sockets that it has: the two ends of a pair, or granted TCP.
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
];

/// Calls that are harmless with some arguments only.
fn conditional() -> Vec<Rule> {
    vec![
        // New processes and threads, but no new namespace (CLONE_NEWNS to CLONE_NEWNET; CLONE_NEWTIME only goes by clone3).
        when(libc::SYS_clone, &[without_bits(0, CLONE_NEW)]),
        // Terminals as far as programs ask whether there is one, how much is waiting, flags, file clones. Above all not
        // TIOCSTI and TIOCLINUX, which type into a terminal: also not with bits above 32, because both sides of the
        // comparison are taken as the kernel takes them, in 32.
        one_of(libc::SYS_ioctl, 1, &IOCTLS),
        // Duplicates, flags, locks, pipe sizes. Not F_SETOWN and F_SETSIG, which send signals, nor leases and notices.
        one_of(libc::SYS_fcntl, 1, &FCNTLS),
        // Names, death signal, dumpable, reading back. Not what takes over memory maps, securebits or speculation.
        one_of(libc::SYS_prctl, 0, &PRCTLS),
        // The thread's own base register, set by the C library.
        #[cfg(target_arch = "x86_64")]
        one_of(libc::SYS_arch_prctl, 0, &[ARCH_SET_FS, ARCH_GET_FS, ARCH_CET_STATUS]),
        // Limits, priority and processors of itself alone: by pid they would reach others of the same user.
        when(libc::SYS_prlimit64, &[is(0, 0)]),
        when(libc::SYS_setpriority, &[is(0, PRIO_PROCESS), is(1, 0)]),
        when(libc::SYS_sched_setaffinity, &[is(0, 0)]),
        // Named pipes. Not devices.
        when(libc::SYS_mknodat, &[masked(2, S_IFMT, S_IFIFO)]),
        // Pairs of streams. Not of datagrams: such an end can be pointed at any Unix socket afterwards.
        any_of(
            libc::SYS_socketpair,
            &[
                &[is(0, AF_UNIX), masked(1, SOCK_TYPE_MASK, SOCK_STREAM)],
                &[is(0, AF_UNIX), masked(1, SOCK_TYPE_MASK, SOCK_SEQPACKET)],
            ],
        ),
        // send(2): no address. And never MSG_FASTOPEN, which connects without asking Landlock.
        when(libc::SYS_sendto, &[is_wide(4, 0), masked(3, MSG_FASTOPEN, 0)]),
        when(libc::SYS_sendmsg, &[masked(2, MSG_FASTOPEN, 0)]),
        when(libc::SYS_sendmmsg, &[masked(3, MSG_FASTOPEN, 0)]),
    ]
}

/// The calls of before 2006 that x86-64 still has, and old programs use.
#[cfg(target_arch = "x86_64")]
fn old_spellings() -> Vec<Rule> {
    let mut rules: Vec<Rule> = [
        libc::SYS_open,
        libc::SYS_creat,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_getdents,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_utime,
        libc::SYS_utimes,
        libc::SYS_futimesat,
        libc::SYS_dup2,
        libc::SYS_pipe,
        libc::SYS_epoll_create,
        libc::SYS_eventfd,
        libc::SYS_signalfd,
        libc::SYS_inotify_init,
        libc::SYS_alarm,
        libc::SYS_pause,
        libc::SYS_time,
        libc::SYS_getpgrp,
        // Without flags, so without namespaces.
        libc::SYS_fork,
        libc::SYS_vfork,
    ]
    .map(always)
    .into();
    rules.push(when(libc::SYS_mknod, &[masked(1, S_IFMT, S_IFIFO)]));
    rules
}

#[cfg(not(target_arch = "x86_64"))]
fn old_spellings() -> Vec<Rule> {
    Vec::new()
}

/// A network grant: TCP clients over IPv4 and IPv6. The protocol is the type's own, because MPTCP would pass by Landlock's
/// ports; nothing is bound or listened on, so nobody can be let in.
///
/// Unix sockets (for `bartizan-remote`'s agent, which ssh asks for signatures): streams alone. A datagram end could be pointed at
/// any socket afterwards. They are bound and listened on, too; TCP's cannot be bound to a port (Landlock), and nothing but the job
/// is in its network.
fn sockets(granted: Granted) -> Vec<Rule> {
    let kind =
        |family: u64, protocol: u64| vec![is(0, family), masked(1, SOCK_TYPE_MASK, SOCK_STREAM), is(2, protocol)];
    let mut kinds = Vec::new();
    if granted.network {
        kinds.extend([kind(AF_INET, 0), kind(AF_INET, IPPROTO_TCP), kind(AF_INET6, 0), kind(AF_INET6, IPPROTO_TCP)]);
    }
    if granted.sockets {
        kinds.push(kind(AF_UNIX, 0));
    }
    if kinds.is_empty() {
        return Vec::new();
    }
    let kinds: Vec<_> = kinds.iter().map(Vec::as_slice).collect();
    let mut rules = vec![any_of(libc::SYS_socket, &kinds), always(libc::SYS_connect)];
    if granted.sockets {
        rules.extend([libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4].map(always));
    }
    rules
}

/// CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET.
const CLONE_NEW: u64 = 0x7e02_0000;
/// TCGETS to TCSETSF, TIOCGPGRP, TIOCSPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, TIOCGSID, FIONCLEX, FIOCLEX, FICLONE,
/// FICLONERANGE, FS_IOC_FIEMAP, FS_IOC_GETFLAGS (asm-generic/ioctls.h, linux/fs.h).
const IOCTLS: [u64; 15] = [
    0x5401,
    0x5402,
    0x5403,
    0x5404,
    0x540f,
    0x5410,
    0x5413,
    0x541b,
    0x5421,
    0x5429,
    0x5450,
    0x5451,
    0x4004_9409,
    0x4020_940d,
    0x8008_6601,
];
/// F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW,
/// F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_GET_SEALS (linux/fcntl.h).
const FCNTLS: [u64; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1031, 1032, 1034];
/// PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP,
/// PR_CAPBSET_READ, PR_GET_SECUREBITS, PR_SET_TIMERSLACK, PR_GET_TIMERSLACK, PR_SET_CHILD_SUBREAPER,
/// PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_VMA (linux/prctl.h).
const PRCTLS: [u64; 16] = [1, 2, 3, 4, 15, 16, 21, 23, 27, 29, 30, 36, 37, 38, 39, 0x5356_4d41];
/// arch_prctl: ARCH_SET_FS, ARCH_GET_FS, and the C library's question about shadow stacks.
#[cfg(target_arch = "x86_64")]
const ARCH_SET_FS: u64 = 0x1002;
#[cfg(target_arch = "x86_64")]
const ARCH_GET_FS: u64 = 0x1003;
#[cfg(target_arch = "x86_64")]
const ARCH_CET_STATUS: u64 = 0x3001;
const PRIO_PROCESS: u64 = 0;
const S_IFMT: u64 = 0o170_000;
const S_IFIFO: u64 = 0o010_000;
const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const IPPROTO_TCP: u64 = 6;
const SOCK_STREAM: u64 = 1;
const SOCK_SEQPACKET: u64 = 5;
/// The type without SOCK_CLOEXEC and SOCK_NONBLOCK (linux/net.h).
const SOCK_TYPE_MASK: u64 = 0xf;
const MSG_FASTOPEN: u64 = 0x2000_0000;
