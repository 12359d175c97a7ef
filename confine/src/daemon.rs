//! The last step of a daemon's start: it gives up everything that its role does not need, and reads back that it is so.
//!
//! Called once, while the process has a single thread, when every file and socket it will need by name has been opened or
//! is named in the [`Confinement`].

use crate::files::{self, FilesError, Kept, in_force};
use crate::filter::{FilterError, Program, always};
use crate::readback::StatusFile;
use crate::roles::{self, List};
use bartizan_proto::Role;
use bartizan_proto::worker::{InForce, Layer, LayerState};
use std::io;
use std::path::PathBuf;

/// What a daemon keeps. Everything else is given up.
#[derive(Debug, Clone, Copy)]
pub struct Confinement<'a> {
    /// Whose list of system calls.
    pub role: Role,
    /// Paths to read, with everything beneath; each must exist. Ignored for the launcher, see [`Kept::files`].
    pub read: &'a [PathBuf],
    /// Paths beneath which to write, create, rename and remove; each must exist. Reading is included.
    pub write: &'a [PathBuf],
    /// TCP ports to connect to.
    pub connect_ports: &'a [u16],
}

/// A step of [`confine`] failed; the process must end.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The role has no list here.
    #[error("{0} is not confined by this package")]
    Role(Role),
    /// There are threads already, which Landlock would not reach.
    #[error("{0} threads run already: confine before starting any")]
    Threads(u32),
    /// `/proc/self/status` cannot be read.
    #[error("cannot read back from the kernel: {0}")]
    ReadBack(#[source] io::Error),
    /// Landlock.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// seccomp.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// All calls succeeded, yet the kernel does not show it.
    #[error("not in force after all: {0}")]
    NotInForce(&'static str),
}

/// Gives up what `confinement` does not name. Which of the layers are [`LayerState::Unavailable`] on this kernel is the
/// caller's to judge.
///
/// # Errors
/// [`ConfineError`]: what the kernel has and yet did not come into force.
pub fn confine(confinement: &Confinement<'_>) -> Result<Vec<InForce>, ConfineError> {
    let starts_others = confinement.role == Role::Launcher;
    let kept = Kept {
        read: confinement.read,
        write: confinement.write,
        sockets: &[],
        connect_ports: confinement.connect_ports,
        files: !starts_others,
        tcp: !starts_others,
    };
    confine_to(confinement.role, kept)
}

/// The same for a program that shows something on this host: it asks the service at a socket beneath `sockets`, serves what
/// it listens on already, and has no file.
///
/// # Errors
/// As [`confine`].
pub fn confine_exporter(sockets: &[PathBuf]) -> Result<Vec<InForce>, ConfineError> {
    let kept = Kept { read: &[], write: &[], sockets, connect_ports: &[], files: true, tcp: true };
    confine_to(Role::Control, kept)
}

fn confine_to(role: Role, kept: Kept<'_>) -> Result<Vec<InForce>, ConfineError> {
    // 1. What can no longer be opened later, and the filters while memory is still unrestricted.
    let status = StatusFile::own().map_err(ConfineError::ReadBack)?;
    let filters = filters(role)?;

    // 2. to 4. One thread, no new privileges, Landlock: files, ports, signals, abstract sockets.
    let landlock = restrict(&status, kept)?;

    // 5. seccomp, the strictest last.
    for filter in &filters {
        filter.load_for_all_threads()?;
    }

    // 6. What the kernel says.
    let seccomp = in_force_now(&status)?;
    let mut layers = vec![in_force(Layer::NoNewPrivileges, LayerState::On, "NoNewPrivs: 1")];
    layers.extend(landlock);
    layers.push(in_force(Layer::Seccomp, LayerState::On, &seccomp));
    Ok(layers)
}

/// The first half of the launcher's confinement, for a process that has still to change its user and to fork: Landlock's
/// scopes, so that everything which comes of it is in one domain. [`filter_system_calls`] is the other half.
///
/// # Errors
/// [`ConfineError`].
pub fn enter_domain() -> Result<(), ConfineError> {
    let status = StatusFile::own().map_err(ConfineError::ReadBack)?;
    restrict(&status, Kept { read: &[], write: &[], sockets: &[], connect_ports: &[], files: false, tcp: false })?;
    Ok(())
}

/// The second half: the role's system calls, when the user is settled for good.
///
/// # Errors
/// [`ConfineError`].
pub fn filter_system_calls(role: Role) -> Result<(), ConfineError> {
    let status = StatusFile::own().map_err(ConfineError::ReadBack)?;
    for filter in &filters(role)? {
        filter.load_for_all_threads()?;
    }
    in_force_now(&status).map(drop)
}

/// Landlock restricts the caller and what it starts, not its siblings (until ABI 8): so there must be none. Without
/// `no_new_privs` the kernel grants neither it nor seccomp.
fn restrict(status: &StatusFile, kept: Kept<'_>) -> Result<[InForce; 3], ConfineError> {
    let threads = status.read().map_err(ConfineError::ReadBack)?.threads;
    if threads != 1 {
        return Err(ConfineError::Threads(threads));
    }
    rustix::thread::set_no_new_privs(true).map_err(|error| ConfineError::ReadBack(error.into()))?;
    Ok(files::restrict(kept)?)
}

/// How seccomp shows itself, when that and `no_new_privs` are in force.
fn in_force_now(status: &StatusFile) -> Result<String, ConfineError> {
    let now = status.read().map_err(ConfineError::ReadBack)?;
    if !now.no_new_privileges {
        return Err(ConfineError::NotInForce("no_new_privs"));
    }
    if now.seccomp != 2 {
        return Err(ConfineError::NotInForce("seccomp"));
    }
    Ok(now.seccomp_shown())
}

fn filters(role: Role) -> Result<Vec<Program>, ConfineError> {
    let clone3 = Program::answer(&[always(libc::SYS_clone3)], libc::ENOSYS);
    Ok(match roles::list(role) {
        List::Only(rules) => {
            vec![Program::foreign()?, Program::kill(&roles::never())?, clone3?, Program::allow(&rules)?]
        }
        List::AllBut(rules) => vec![Program::foreign()?, Program::answer(&rules, libc::EPERM)?],
        List::None => return Err(ConfineError::Role(role)),
    })
}

/// The files that the C library's resolver reads, as far as they are here: for egress's `read`.
///
/// A file that is later replaced, as DHCP clients do, is another file to Landlock: after a change of name servers egress
/// has to be started again, which a failing look-up leads to.
pub fn resolver_files() -> Vec<PathBuf> {
    ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"]
        .into_iter()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect()
}
