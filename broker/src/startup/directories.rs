//! The directories of the service: private from the moment they exist, and used by one core at a time.
//!
//! Nothing in them is ever made and then closed off: the directory is closed first. Where operators or readers are a group, root made
//! its directory (only root can give it that group), and it is closed to everybody else.

use super::names::Groups;
use crate::config::{Config, Trust, TrustError};
use bartizan_proto::control::Mode;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode as Bits, OFlags, flock, fstat, mkdirat, openat, statat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It is not there and cannot be made.
    #[error("{path}: cannot be made: {error}; make the folder above it, or name another in the configuration")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Errno,
    },
    /// It cannot be opened.
    #[error("{path}: not a directory that can be used: {error}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Errno,
    },
    /// Someone else's.
    #[error("{path}: belongs to uid {owner}, not to uid {own} that the service runs as")]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
        /// Ours.
        own: u32,
    },
    /// Open to others.
    #[error("{path}: has mode {mode:04o} and must be closed to group and others: chmod 700 {path}")]
    Public {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not for the operators or readers, or not for them alone.
    #[error(
        "{path}: has group {group} and mode {mode:04o}, and must be the group's alone: chgrp {wanted} {path} && chmod 2710 {path}"
    )]
    Group {
        /// Which.
        path: PathBuf,
        /// Its group.
        group: u32,
        /// Its permission bits.
        mode: u32,
        /// Whose it must be.
        wanted: u32,
    },
    /// Someone else could put another in its place.
    #[error(transparent)]
    Place(#[from] TrustError),
    /// The lock cannot be made.
    #[error("{path}: the lock file cannot be used: {error}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: Errno,
    },
    /// Another core is at work here.
    #[error("{path}: locked by another bartizan-broker with the same state directory; stop that one first")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
}

/// The right to use the state directory, until it is dropped or the last process that inherited it ends.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

/// Makes or checks the state directory and those of the control sockets, and takes the lock. `groups` are those who may use
/// the sockets.
///
/// # Errors
/// [`DirectoryError`].
pub fn prepare(config: &Config, mode: Mode, groups: Groups) -> Result<Lock, DirectoryError> {
    let state = private(&config.state)?;
    match mode {
        Mode::SingleUser => {}
        // Beside root and the service there are users now who could exchange it, if they could write above it.
        Mode::Setuid | Mode::Systemd => drop(services_own().look(&config.state)?),
    }
    let lock = lock(&state, config.state.join("lock"))?;
    for_group(&config.control, groups.operators)?;
    if config.read != config.control {
        for_group(&config.read, groups.readers.or(groups.operators))?;
    }
    Ok(lock)
}

/// Every folder above must be root's or the service's.
fn services_own() -> Trust {
    Trust { owner: rustix::process::geteuid(), allow_own: true }
}

/// A directory of our own that beside us only this group can enter, and that gives its group to what is made in it.
fn for_group(path: &Path, wanted: Option<u32>) -> Result<(), DirectoryError> {
    const MODE: u32 = 0o2710;
    let Some(wanted) = wanted else { return private(path).map(drop) };
    let own = rustix::process::geteuid();
    let stat = services_own().look(path)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(DirectoryError::Open { path: path.to_owned(), error: Errno::NOTDIR });
    }
    if stat.st_uid != own.as_raw() {
        return Err(DirectoryError::Foreign { path: path.to_owned(), owner: stat.st_uid, own: own.as_raw() });
    }
    let mode = stat.st_mode & 0o7777;
    if stat.st_gid != wanted || mode != MODE {
        return Err(DirectoryError::Group { path: path.to_owned(), group: stat.st_gid, mode, wanted });
    }
    Ok(())
}

/// A directory of our own that nobody else can look into, made if it is not there. A symlink is not followed.
fn private(path: &Path) -> Result<OwnedFd, DirectoryError> {
    match mkdirat(CWD, path, Bits::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(DirectoryError::Make { path: path.to_owned(), error }),
    }
    let open = |error| DirectoryError::Open { path: path.to_owned(), error };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = rustix::process::geteuid().as_raw();
    let foreign = |owner| DirectoryError::Foreign { path: path.to_owned(), owner, own };
    let directory = openat(CWD, path, flags, Bits::empty()).map_err(|error| {
        // Another user's private directory cannot even be opened: whose it is says what to do.
        let owner = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_uid);
        owner.filter(|owner| error == Errno::ACCESS && *owner != own).map_or_else(|| open(error), foreign)
    })?;
    let stat = fstat(&directory).map_err(open)?;
    if stat.st_uid != own {
        return Err(foreign(stat.st_uid));
    }
    if stat.st_mode & 0o077 != 0 {
        return Err(DirectoryError::Public { path: path.to_owned(), mode: stat.st_mode & 0o7777 });
    }
    Ok(directory)
}

fn lock(state: &OwnedFd, path: PathBuf) -> Result<Lock, DirectoryError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(state, "lock", flags, Bits::RUSR | Bits::WUSR) {
        Ok(file) => file,
        Err(error) => return Err(DirectoryError::Lock { path, error }),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(Errno::WOULDBLOCK) => Err(DirectoryError::InUse { path }),
        Err(error) => Err(DirectoryError::Lock { path, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_directory_is_private_from_its_first_moment() {
        let place = tempfile::tempdir().expect("tempdir");
        let path = place.path().join("state");
        private(&path).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o700);
        private(&path).expect("found again");
    }

    #[test]
    fn a_directory_that_others_can_open_is_refused_and_not_mended() {
        let place = tempfile::tempdir().expect("tempdir");
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o750)).expect("chmod");
        assert!(matches!(private(place.path()), Err(DirectoryError::Public { mode: 0o750, .. })));
    }

    #[test]
    fn a_symlink_in_its_place_is_not_followed() {
        let place = tempfile::tempdir().expect("tempdir");
        let link = place.path().join("state");
        symlink(place.path(), &link).expect("symlink");
        assert!(matches!(private(&link), Err(DirectoryError::Open { .. })));
    }

    #[test]
    fn the_state_is_locked_once() {
        let place = tempfile::tempdir().expect("tempdir");
        let state = private(&place.path().join("state")).expect("made");
        let held = lock(&state, "lock".into()).expect("first");
        assert!(matches!(lock(&state, "lock".into()), Err(DirectoryError::InUse { .. })));
        drop(held);
        lock(&state, "lock".into()).expect("free again");
    }
}
