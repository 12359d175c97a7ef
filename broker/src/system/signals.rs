//! Signal dispositions and timers that the caller left.

use nix::libc;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Gives every ignored signal its default again, except SIGPIPE, which stays ignored: a peer that is gone is an error
/// of the write. Handlers are not inherited through exec, and the runtime's own (stack overflow) are left alone.
///
/// # Errors
/// What `sigaction(2)` gives.
pub fn reset_ignored() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: asks only; `action` has room for the answer.
        if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
            // Numbers between the two ranges belong to the C library.
            continue;
        }
        // SAFETY: the call above succeeded, so the kernel has filled it in.
        let action = unsafe { action.assume_init() };
        if action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE {
            disposition(signal, libc::SIG_DFL)?;
        }
    }
    disposition(libc::SIGPIPE, libc::SIG_IGN)
}

/// A file that may not grow any more is an error of the write, not the end of the process. For one that starts no other
/// program: what it ignores, they would too.
///
/// # Errors
/// What `sigaction(2)` gives.
pub fn ignore_file_size() -> io::Result<()> {
    disposition(libc::SIGXFSZ, libc::SIG_IGN)
}

/// Stops the timers that survive exec.
///
/// # Errors
/// What `setitimer(2)` gives.
pub fn stop_timers() -> io::Result<()> {
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let off = libc::itimerval { it_interval: never, it_value: never };
    for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: `off` is a valid setting; the old one is not asked for.
        if unsafe { libc::setitimer(timer, &off, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn disposition(signal: libc::c_int, to: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: `to` is SIG_DFL or SIG_IGN, so that no code of ours becomes a handler.
    if unsafe { libc::signal(signal, to) } == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}
