//! Rules that more than one daemon's list is made of.

use crate::filter::{Rule, always, any_of, is, is_wide, masked, one_of, when, without_bits};

/// What any Rust program with tokio's single-threaded runtime does while it runs.
pub(super) fn runtime() -> Vec<Rule> {
    let own = u64::from(std::process::id());
    vec![
        // Bytes through what is open already.
        always(libc::SYS_read),
        always(libc::SYS_write),
        always(libc::SYS_readv),
        always(libc::SYS_writev),
        always(libc::SYS_close),
        always(libc::SYS_fstat),
        always(libc::SYS_lseek),
        // Descriptor flags, duplicates and record locks. Not F_SETOWN, which sends signals.
        one_of(libc::SYS_fcntl, 1, &FCNTL),
        // Is it a terminal; non-blocking; how much is waiting (the resolver asks).
        // TCGETS, FIONBIO, FIOCLEX, FIONREAD (asm-generic/ioctls.h): the C libraries differ in their type.
        one_of(libc::SYS_ioctl, 1, &[0x5401, 0x5421, 0x5451, 0x541b]),
        // Memory, never executable: these programs make no code at run time and load none after their start.
        when(libc::SYS_mmap, &[masked(2, PROT_EXEC, 0)]),
        when(libc::SYS_mprotect, &[masked(2, PROT_EXEC, 0)]),
        always(libc::SYS_munmap),
        always(libc::SYS_mremap),
        always(libc::SYS_madvise),
        always(libc::SYS_brk),
        always(libc::SYS_mlock),
        always(libc::SYS_mlock2),
        always(libc::SYS_munlock),
        // Secret memory (memfd_secret), sized once.
        always(libc::SYS_memfd_secret),
        always(libc::SYS_ftruncate),
        // Threads of this process, never another process: CLONE_THREAD must be set. glibc tries clone3 first and takes
        // clone when that answers ENOSYS, which a filter of its own does.
        when(libc::SYS_clone, &[masked(0, CLONE_THREAD, CLONE_THREAD), without_bits(0, CLONE_NEW)]),
        always(libc::SYS_clone3),
        always(libc::SYS_set_robust_list),
        always(libc::SYS_rseq),
        always(libc::SYS_futex),
        always(libc::SYS_sched_yield),
        always(libc::SYS_sched_getaffinity),
        always(libc::SYS_membarrier),
        always(libc::SYS_exit),
        always(libc::SYS_exit_group),
        // Signals to itself (abort), and how it takes those it gets.
        when(libc::SYS_tgkill, &[is(0, own)]),
        always(libc::SYS_rt_sigaction),
        always(libc::SYS_rt_sigprocmask),
        always(libc::SYS_rt_sigreturn),
        always(libc::SYS_sigaltstack),
        always(libc::SYS_restart_syscall),
        // Waiting.
        always(libc::SYS_epoll_create1),
        always(libc::SYS_epoll_ctl),
        always(libc::SYS_epoll_wait),
        always(libc::SYS_epoll_pwait),
        always(libc::SYS_epoll_pwait2),
        always(libc::SYS_poll),
        always(libc::SYS_ppoll),
        always(libc::SYS_eventfd2),
        always(libc::SYS_pipe2),
        always(libc::SYS_timerfd_create),
        always(libc::SYS_timerfd_settime),
        // Time, where the vDSO cannot answer.
        always(libc::SYS_clock_gettime),
        always(libc::SYS_clock_getres),
        always(libc::SYS_clock_nanosleep),
        always(libc::SYS_nanosleep),
        always(libc::SYS_gettimeofday),
        // Who and where it is.
        always(libc::SYS_getpid),
        always(libc::SYS_getppid),
        always(libc::SYS_gettid),
        always(libc::SYS_getuid),
        always(libc::SYS_geteuid),
        always(libc::SYS_getgid),
        always(libc::SYS_getegid),
        always(libc::SYS_uname),
        always(libc::SYS_sysinfo),
        always(libc::SYS_getrusage),
        always(libc::SYS_getrandom),
        // Its own limits, read but not set.
        when(libc::SYS_prlimit64, &[is(0, 0), is_wide(2, 0)]),
        // A thread's name; dumpable only to be turned off; reading back.
        any_of(
            libc::SYS_prctl,
            &[
                &[is(0, PR_SET_NAME)],
                &[is(0, PR_SET_VMA)],
                &[is(0, PR_SET_DUMPABLE), is(1, 0)],
                &[is(0, PR_GET_DUMPABLE)],
                &[is(0, PR_GET_NO_NEW_PRIVS)],
                &[is(0, PR_GET_SECCOMP)],
            ],
        ),
        // Talking over sockets that it was given or accepted.
        always(libc::SYS_sendmsg),
        always(libc::SYS_recvmsg),
        always(libc::SYS_recvfrom),
        always(libc::SYS_shutdown),
        always(libc::SYS_getsockopt),
        always(libc::SYS_setsockopt),
        always(libc::SYS_getsockname),
        always(libc::SYS_getpeername),
    ]
}

/// Socket pairs between its own parts: streams only. A datagram pair could be pointed at any Unix socket afterwards.
pub(super) fn socket_pairs() -> Rule {
    let stream = u64::from(libc::SOCK_STREAM.cast_unsigned());
    when(libc::SYS_socketpair, &[is(0, AF_UNIX), masked(1, SOCKET_TYPE, stream)])
}

/// `send(2)` on a connected socket: no address.
pub(super) fn send_without_address() -> Rule {
    when(libc::SYS_sendto, &[is_wide(4, 0)])
}

/// Opening and examining files; which ones is Landlock's matter.
pub(super) fn read_files() -> Vec<Rule> {
    let mut rules: Vec<Rule> = [
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_preadv2,
        libc::SYS_statfs,
        libc::SYS_fstatfs,
        libc::SYS_getcwd,
        libc::SYS_fadvise64,
    ]
    .map(always)
    .into();
    #[cfg(target_arch = "x86_64")]
    rules.extend([libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink].map(always));
    rules
}

const PROT_EXEC: u64 = 4;
const AF_UNIX: u64 = 1;
/// `SOCK_TYPE_MASK` of linux/net.h: the type without SOCK_CLOEXEC and SOCK_NONBLOCK.
pub(super) const SOCKET_TYPE: u64 = 0xf;
const CLONE_THREAD: u64 = 0x0001_0000;
/// Every CLONE_NEW flag that `clone(2)` takes.
const CLONE_NEW: u64 = 0x7e02_0000;
const PR_SET_NAME: u64 = 15;
const PR_SET_VMA: u64 = 0x5356_4d41;
const PR_GET_DUMPABLE: u64 = 3;
const PR_SET_DUMPABLE: u64 = 4;
const PR_GET_SECCOMP: u64 = 21;
const PR_GET_NO_NEW_PRIVS: u64 = 39;

/// F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW,
/// F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS (linux/fcntl.h).
const FCNTL: [u64; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1033, 1034];
