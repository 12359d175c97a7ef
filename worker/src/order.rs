//! Step 12: the order comes in, and is checked whole before anything is done with it.
//!
//! The core checked it too; the worker does not rely on that, and what it cannot mean is refused with a reason.

use crate::confine::{environment, root};
use crate::probe;
use bartizan_proto::FrameError;
use bartizan_proto::channel::Channel;
use bartizan_proto::limits::MAX_SECRETS_SIZE;
use bartizan_proto::worker::{Layer, Order, ToWorker};
use rustix::fs::{MemfdFlags, Mode, SealFlags};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

/// No order, or not one that can be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The socket.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Another message came first.
    #[error("{0} before any order")]
    WrongPhase(&'static str),
    /// Not exactly the descriptors that belong to it.
    #[error("this order brings {due} descriptors, not {came}")]
    Descriptors {
        /// The script, a plan where there is one, and a pipe where there are secrets.
        due: usize,
        /// What came.
        came: usize,
    },
    /// The descriptor is not a regular file, or cannot be examined.
    #[error("the script is not a regular file")]
    NotAFile,
    /// A path that is not absolute and plain.
    #[error("{what} is not a plain absolute path: {path}")]
    Path {
        /// Which of the order's paths.
        what: &'static str,
        /// The path.
        path: String,
    },
    /// A path that would take the sandbox's place.
    #[error("a profile cannot grant {0}")]
    Grant(String),
    /// A NUL byte, which argv and the environment cannot carry.
    #[error("{0} holds a NUL byte")]
    Nul(&'static str),
    /// More secrets than a pipe holds.
    #[error("{0} bytes of secrets are too many")]
    Secrets(usize),
    /// A variable name that is none.
    #[error("not a variable name: {0}")]
    Variable(String),
    /// There is nothing to try the sandbox with.
    #[error("/bin/true: {0}")]
    Nothing(#[source] io::Error),
    /// A limit under which not even the sandbox can be set up.
    #[error("the limit of {what} is too small: {value}")]
    Limit {
        /// Which.
        what: &'static str,
        /// The value given.
        value: u64,
    },
}

/// A checked order, with the script that was opened for it.
#[derive(Debug)]
pub struct Job {
    /// The order.
    pub order: Order,
    /// The script: what was opened is what runs.
    pub script: File,
    /// A pipe with the values of its secrets, where it has any. Only the sandbox's init reads it.
    pub secrets: Option<OwnedFd>,
    /// What the program is to do, where the order has such a plan.
    pub plan: Option<OwnedFd>,
    /// The script's end of the script API, inside its sandbox.
    pub api: Option<OwnedFd>,
}

impl Job {
    /// Waits for the order; `None` when the core closed the channel instead.
    ///
    /// # Errors
    /// [`OrderError`]. A malformed order can be answered with `Refused`; after [`OrderError::Frame`] and
    /// [`OrderError::WrongPhase`] the peer is not to be talked to.
    pub fn receive(channel: &mut Channel) -> Result<Option<Job>, OrderError> {
        let Some((message, mut fds)) = channel.receive_with::<ToWorker>()? else { return Ok(None) };
        match message {
            ToWorker::Order(order) => {
                let due = 1 + usize::from(order.plan) + usize::from(!order.secrets.is_empty());
                let came = fds.len();
                if due != came {
                    return Err(OrderError::Descriptors { due, came });
                }
                let secrets = if order.secrets.is_empty() { None } else { fds.pop() };
                let plan = if order.plan { fds.pop() } else { None };
                let script = fds.pop().ok_or(OrderError::Descriptors { due, came })?;
                Ok(Some(Job { plan, ..Self::check(*order, script.into(), secrets)? }))
            }
            ToWorker::Probe { .. } if !fds.is_empty() => Err(OrderError::Descriptors { due: 0, came: fds.len() }),
            ToWorker::Probe { network } => probe::job(network).map(Some),
            ToWorker::Stop { .. } => Err(OrderError::WrongPhase("Stop")),
            ToWorker::Inspect => Err(OrderError::WrongPhase("Inspect")),
            ToWorker::Answer { .. } => Err(OrderError::WrongPhase("Answer")),
        }
    }

    /// Checks an order that was received.
    pub(crate) fn check(order: Order, script: File, secrets: Option<OwnedFd>) -> Result<Job, OrderError> {
        if !script.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(OrderError::NotAFile);
        }
        plain("the script's path", &order.path)?;
        let profile = &order.profile;
        for path in profile.read.iter().chain(&*profile.write).chain(&*profile.exec) {
            plain("a profile's path", path)?;
            if root::OWN.contains(&path.as_str()) || path.starts_with("/proc/") {
                return Err(OrderError::Grant(path.to_string()));
            }
        }
        if let Some(daemon) = &order.daemon {
            plain("a daemon's folder", &daemon.folder)?;
            let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let is_name = !daemon.user.is_empty() && daemon.user.chars().all(named);
            let own = root::OWN.contains(&daemon.folder.as_str()) || daemon.folder.starts_with("/proc/");
            if own || !order.sockets || !is_name || daemon.user.as_str() == environment::USER {
                return Err(OrderError::Grant(format!("the daemon of {} in {}", daemon.user, daemon.folder)));
            }
        }
        if order.arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(OrderError::Nul("an argument"));
        }
        let size = order.secrets.iter().map(|secret| secret.size as usize).sum();
        if size > MAX_SECRETS_SIZE {
            return Err(OrderError::Secrets(size));
        }
        let names = order.environment.iter().map(|(name, _)| name);
        for name in names.chain(order.secrets.iter().filter_map(|secret| secret.variable.as_ref())) {
            let first = |c: char| c.is_ascii_alphabetic() || c == '_';
            if !name.starts_with(first) || !name.chars().all(|c| first(c) || c.is_ascii_digit()) {
                return Err(OrderError::Variable(name.to_string()));
            }
        }
        for (_, value) in &order.environment {
            if value.contains('\0') {
                return Err(OrderError::Nul("a variable"));
            }
        }
        let limits = &profile.limits;
        for (what, value, least) in [
            ("memory", limits.memory, 8 << 20),
            ("cpu", limits.cpu, 1),
            ("processes", limits.processes, 3),
            ("files", limits.files, 8),
            ("scratch", limits.scratch, 4096),
        ] {
            if value < least {
                return Err(OrderError::Limit { what, value });
            }
        }
        Ok(Job { order, script, secrets, plan: None, api: None })
    }

    /// Whether a layer is to be left off.
    pub(crate) fn without(&self, layer: Layer) -> bool {
        self.order.without.contains(&layer)
    }

    /// Whether the profile grants any network.
    pub(crate) fn network(&self) -> bool {
        !self.order.profile.network.is_empty()
    }

    /// Every address and port that the profile grants, each once. What no connection can be meant for is left out.
    pub(crate) fn destinations(&self) -> Vec<SocketAddr> {
        let endpoints = self.order.profile.network.iter();
        let all: BTreeSet<_> = endpoints
            .flat_map(|endpoint| endpoint.addresses.iter().map(|address| (address.to_canonical(), endpoint.port)))
            .filter(|(address, _)| has_one_owner(*address))
            .map(SocketAddr::from)
            .collect();
        all.into_iter().collect()
    }

    /// Whether the script is a file in memory (`memfd_create(2)`), as the core sends one whose hash is pinned.
    pub(crate) fn in_memory(&self) -> bool {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", self.script.as_raw_fd()));
        link.is_ok_and(|link| link.as_os_str().as_bytes().starts_with(b"/memfd:"))
    }

    /// The same job with a copy of the script that nothing can change, for a sealed one that gets no private root. Also of
    /// a copy that the core made: while anyone holds that open for writing, the kernel does not execute it.
    pub(crate) fn sealed_in_memory(self) -> io::Result<Self> {
        let mut copy = File::from(rustix::fs::memfd_create("script", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        copy_all(&self.script, &mut copy)?;
        rustix::fs::fchmod(&copy, Mode::RUSR | Mode::XUSR)?;
        rustix::fs::fcntl_add_seals(&copy, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        // Nothing can be executed while it is open for writing.
        let script = File::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))?;
        Ok(Self { script, ..self })
    }

    /// The directory that the script was opened in.
    pub(crate) fn directory(&self) -> &Path {
        Path::new(self.order.path.as_str()).parent().unwrap_or(Path::new("/"))
    }
}

/// Copies a whole file, by position: the place in an opened descriptor is shared with the core.
pub(crate) fn copy_all(from: &File, to: &mut File) -> io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    let mut offset = 0;
    loop {
        match from.read_at(&mut piece, offset)? {
            0 => return Ok(()),
            read => {
                to.write_all(&piece[..read])?;
                offset += read as u64;
            }
        }
    }
}

/// Not "any address", not many machines at once, and not a link's own, which means nothing without its device.
fn has_one_owner(address: IpAddr) -> bool {
    let many = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(many || address.is_unspecified() || address.is_multicast())
}

/// Absolute, no `.` or `..`, no NUL.
fn plain(what: &'static str, path: &str) -> Result<(), OrderError> {
    let parsed = Path::new(path);
    let components = parsed.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if parsed.is_absolute() && components && !parsed.as_os_str().as_bytes().contains(&0) {
        Ok(())
    } else {
        Err(OrderError::Path { what, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_way_up_a_relative_one_and_one_with_nul_are_refused() {
        for bad in ["", "x", "./x", "/a/../b", "/a/..", "/a\0b"] {
            assert!(plain("path", bad).is_err(), "{bad:?}");
        }
        assert!(plain("path", "/srv/scripts/hello.sh").is_ok());
    }

    #[test]
    fn an_address_that_belongs_to_nobody_or_to_many_is_no_destination() {
        for odd in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "fe80::1"] {
            assert!(!has_one_owner(odd.parse().expect("an address")), "{odd}");
        }
        for good in ["127.0.0.1", "192.0.2.1", "169.254.169.254", "::1", "2001:db8::1"] {
            assert!(has_one_owner(good.parse().expect("an address")), "{good}");
        }
    }
}
