//! One process that systemd starts for us: a connection to its socket is the order, and stands for the process from then on.
//!
//! systemd keeps a copy of the connection until nothing of the unit is left, so that its end is the end of everything that the
//! process had started. The other end is armed (`confine/src/unit.rs`): whatever happens here after the process has taken its
//! channel, be it a close, a shutdown or our own death, is SIGKILL for it.
//!
//! Believed is the kernel alone: that root listens there (`SO_PEERCRED`), and which process answered (`SCM_CREDENTIALS`).

use bartizan_proto::channel::Channel;
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::{Role, Version};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, sockopt::PassCred};
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, shutdown, sockopt};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// More than the frame of a [`Version`] takes.
const ANSWER: usize = 64;

/// A unit that was asked for.
#[derive(Debug)]
pub(super) struct Unit {
    connection: OwnedFd,
    role: Role,
    state: State,
}

/// How far it is.
#[derive(Debug)]
enum State {
    /// Nobody has answered.
    Asked,
    /// A process has, which this handle names.
    Runs(OwnedFd),
    /// The connection is closed, and the process has not ended.
    Lingers(OwnedFd),
}

/// What became of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing new.
    Nothing,
    /// It runs, as this user.
    Runs(Pid, u32),
    /// It ended before it had answered, or somebody answered who is not it.
    Failed(String),
    /// It ended, and nothing of it is left.
    Ended,
}

impl Unit {
    /// Connects, and hands the channel over. Nothing is waited for.
    ///
    /// # Errors
    /// When nobody listens, or somebody who is not root does.
    pub(super) fn ask(socket: &Path, role: Role, channel: OwnedFd) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connection = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        nix::sys::socket::setsockopt(&connection, PassCred, &true)?;
        rustix::net::connect(&connection, &SocketAddrUnix::new(socket)?)?;
        let listener = sockopt::socket_peercred(&connection)?.uid;
        if !listener.is_root() {
            return Err(io::Error::other(format!("uid {} listens there, and not systemd", listener.as_raw())));
        }
        let mut connection = Channel::from(connection);
        // Some bytes into an empty socket: that is never waited for.
        connection.send_with(&Version::of(Role::Launcher), &[channel.as_fd()]).map_err(io::Error::other)?;
        Ok(Self { connection: connection.into(), role, state: State::Asked })
    }

    /// Becomes readable when there may be news.
    pub(super) fn waits_for(&self) -> BorrowedFd<'_> {
        match &self.state {
            State::Asked | State::Runs(_) => self.connection.as_fd(),
            State::Lingers(process) => process.as_fd(),
        }
    }

    /// Looks for news.
    pub(super) fn news(&mut self) -> News {
        match std::mem::replace(&mut self.state, State::Asked) {
            State::Asked => match self.answer() {
                Ok(Some((pid, uid, process))) => {
                    self.state = State::Runs(process);
                    News::Runs(pid, uid)
                }
                Ok(None) => News::Nothing,
                Err(error) => {
                    self.kill();
                    News::Failed(error.to_string())
                }
            },
            State::Runs(process) => match self.is_closed() {
                // Only its end counts, and not what it does with its connection.
                true if has_ended(&process) => News::Ended,
                true => {
                    self.state = State::Lingers(process);
                    News::Nothing
                }
                false => {
                    self.state = State::Runs(process);
                    News::Nothing
                }
            },
            State::Lingers(process) if has_ended(&process) => News::Ended,
            State::Lingers(process) => {
                self.state = State::Lingers(process);
                News::Nothing
            }
        }
    }

    /// SIGKILL, sent by the kernel; to a process that has not answered yet as soon as it would.
    pub(super) fn kill(&self) {
        let _ended_already = shutdown(&self.connection, Shutdown::Write);
    }

    /// The process that answered, by number, user and handle.
    fn answer(&self) -> io::Result<Option<(Pid, u32, OwnedFd)>> {
        let mut bytes = [0; ANSWER];
        let mut space = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let received =
            match recvmsg::<()>(self.connection.as_raw_fd(), &mut buffers, Some(&mut space), MsgFlags::empty()) {
                Ok(received) => received,
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        let sender = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(sender) => Some((sender.pid(), sender.uid())),
            _ => None,
        });
        let length = received.bytes;
        if length == 0 {
            return Err(io::Error::other("systemd started nothing, or it ended at once; its journal says why"));
        }
        let version = said(bytes.get(..length).unwrap_or_default()).map_err(io::Error::other)?;
        version.check(self.role).map_err(io::Error::other)?;
        let (pid, uid) = sender.ok_or_else(|| io::Error::other("the kernel does not say who answered"))?;
        if uid == 0 || uid == rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!(
                "its unit runs as uid {uid}; give it a user of its own that is neither root nor the broker's"
            )));
        }
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("the unit is in another PID namespace"))?;
        Ok(Some((pid, uid, pidfd_open(pid, PidfdFlags::empty())?)))
    }

    /// Whether the other end is closed everywhere. Nothing is said on it any more: what comes is not read.
    fn is_closed(&self) -> bool {
        let mut byte = [0];
        match rustix::net::recv(&self.connection, &mut byte, rustix::net::RecvFlags::empty()) {
            Ok((_, 0)) => true,
            Ok(_) => {
                // Not a word belongs here.
                self.kill();
                false
            }
            Err(error) => !matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
        }
    }
}

/// The one frame of an answer, which came whole: it is far smaller than what a socket takes at once.
fn said(bytes: &[u8]) -> Result<Version, bartizan_proto::FrameError> {
    let (header, payload) = bytes.split_first_chunk::<HEADER>().ok_or(bartizan_proto::FrameError::Truncated)?;
    if frame::announced(*header)? != payload.len() {
        return Err(bartizan_proto::FrameError::Truncated);
    }
    frame::decode(payload)
}

/// Whether a process has ended, by its handle.
fn has_ended(process: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    poll(&mut ended, Some(&now)).is_ok_and(|count| count > 0)
}
