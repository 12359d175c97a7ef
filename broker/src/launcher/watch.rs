//! What the launcher of egress watches beside its own work: the service's main process, and the core.
//!
//! Under setuid the main process has another user than the core, so that the kernel lets neither its signals nor its death
//! reach the core. The launcher of egress has the core's user. When the main process is gone it gives the core, which sees
//! its channel close, a moment to end by itself, and then kills it.

use super::LauncherError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The two processes. Each handle can name no other process, whatever becomes of the number.
#[derive(Debug)]
pub struct Watch {
    main: OwnedFd,
    core: OwnedFd,
}

impl Watch {
    /// Takes hold of both, while the first is still our parent.
    ///
    /// # Errors
    /// [`LauncherError::Arguments`] when it is not, or one of them is gone.
    pub fn open(main: Pid, core: Pid) -> Result<Self, LauncherError> {
        let handle = |pid| pidfd_open(pid, PidfdFlags::empty()).map_err(|_| LauncherError::Arguments);
        let watch = Self { main: handle(main)?, core: handle(core)? };
        if getppid() == Some(main) { Ok(watch) } else { Err(LauncherError::Arguments) }
    }

    /// Becomes readable when the main process has ended.
    pub fn main(&self) -> BorrowedFd<'_> {
        self.main.as_fd()
    }

    /// Waits for the core's own end, then kills it.
    ///
    /// # Errors
    /// [`LauncherError::Kernel`].
    pub fn end_core(&self, grace: Duration) -> Result<(), LauncherError> {
        let begun = Instant::now();
        loop {
            let left = grace.saturating_sub(begun.elapsed());
            let mut ended = [PollFd::new(&self.core, PollFlags::IN)];
            match poll(&mut ended, Timespec::try_from(left).ok().as_ref()) {
                Ok(0) => {
                    let _ended_just_now = pidfd_send_signal(&self.core, Signal::KILL);
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(LauncherError::Kernel { what: "poll", error }),
            }
        }
    }
}
