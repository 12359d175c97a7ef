//! Starting and killing one child.

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One process that was started on the core's order.
#[derive(Debug)]
pub struct Child {
    /// Its process id, ours until we reap it.
    pub pid: Pid,
    /// Can name no other process, whatever becomes of the number.
    handle: OwnedFd,
}

impl Child {
    /// Starts `program` with `channel` as its descriptor 0, `/dev/null` as 1, our own 2 and no other descriptor (all of
    /// ours are close-on-exec), no environment, no argument, every signal at its default, in a session of its own: no
    /// terminal of ours is a terminal of its.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(program: &Path, channel: OwnedFd) -> io::Result<Self> {
        let mut actions = PosixSpawnFileActions::init()?;
        actions.add_dup2(channel.as_raw_fd(), 0)?;
        actions.add_open(1, "/dev/null", OFlag::O_WRONLY, Mode::empty())?;

        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | new_session(),
        )?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_sigmask(&SigSet::empty())?;

        let name = CString::new(program.as_os_str().as_bytes())?;
        let nothing: [CString; 0] = [];
        let raw = posix_spawn(name.as_c_str(), &actions, &attributes, &[&name], &nothing)?;
        let pid = Pid::from_raw(raw.as_raw()).ok_or_else(|| io::Error::other("posix_spawn gave process 0"))?;
        // It cannot be reaped before this thread does it, so that the number is still its own.
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { pid, handle })
    }

    /// SIGKILL. Nothing happens where it has ended already.
    pub fn kill(&self) {
        let _ended_already = pidfd_send_signal(&self.handle, Signal::KILL);
    }
}

/// `POSIX_SPAWN_SETSID`, which glibc has since 2.26 and nix does not name.
fn new_session() -> PosixSpawnFlags {
    PosixSpawnFlags::from_bits_retain(nix::libc::POSIX_SPAWN_SETSID.into())
}
