//! Signals as a fresh program expects them. Rust ignores SIGPIPE from its start, and what is ignored stays so across exec.

/// Every signal's default action, and none blocked.
pub(crate) fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no code of ours. The two signals that cannot be changed, and the two that the C library
        // keeps for itself, answer EINVAL, which is as good.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _cannot_fail = nix::sys::signal::SigSet::empty().thread_set_mask();
}

/// SIGTERM waits until the next program asks for it (`signalfd(2)`): a blocked signal stays so across exec.
pub(crate) fn hold_termination() {
    let mut held = nix::sys::signal::SigSet::empty();
    held.add(nix::sys::signal::Signal::SIGTERM);
    let _cannot_fail = held.thread_block();
}
