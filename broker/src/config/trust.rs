//! Whose files are believed: opens a file only when nobody but root and one named user could have put it there.
//!
//! Used for the configuration, the allowlist, the token, and for a script each time it is run: what is returned is the
//! open file that was checked, and that is what has to be used. Every directory above it is walked by descriptor and
//! checked too, so that between the check and the use nobody else can exchange any part of the path.
//!
//! | what | must belong to | must not be |
//! |---|---|---|
//! | each directory above | root, or the trusted user where the file may be theirs | writable for group or others, unless sticky |
//! | a symbolic link on the way | the same | the last part of the path |
//! | a secret | root or the trusted user | open to group or others in any way |
//! | any other file | root; in single-user mode the trusted user, too | writable for group or others; anything but a regular file |
//! | a script | the same | empty, without `#!` or ELF, not executable |
//!
//! So where users are separated the service cannot write its own configuration, nor its scripts: egress, which speaks to
//! the network, may have the same user.
//!
//! Access control lists are seen by this: with one, the group's bits of a file are the most that any entry gives.

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, StatVfsMountFlags, fstat, fstatvfs, openat, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::Uid;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows in one path (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Whom to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// The user whose files are believed beside root's: the one that the core runs as.
    pub owner: Uid,
    /// Single-user mode: `owner` also runs the scripts, and its own files are accepted although a script could
    /// change them. Otherwise everything but secrets, and every directory above it, must be root's.
    pub allow_own: bool,
}

/// Why a file is not believed: one line, with the remedy after a semicolon.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Nothing is there.
    #[error("{0} does not exist; create it or correct the path")]
    Missing(PathBuf),
    /// A system call failed.
    #[error("{path} cannot be opened ({source}); check that it can be read")]
    Open {
        /// What was opened.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The last part of the path is a symbolic link.
    #[error("{0} is a symbolic link; name the file itself")]
    Link(PathBuf),
    /// Links that lead to links.
    #[error("{0} goes through more than {MAX_LINKS} symbolic links; name the file itself")]
    TooManyLinks(PathBuf),
    /// A directory was needed.
    #[error("{0} is not a directory; correct the path")]
    NotDirectory(PathBuf),
    /// A directory, a device, a pipe, a socket.
    #[error("{0} is not a regular file; correct the path")]
    NotRegular(PathBuf),
    /// Somebody else's.
    #[error("{path} belongs to user {uid}; it must belong to {accepted} (chown)")]
    Owner {
        /// What belongs to them.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Whose it may be.
        accepted: String,
    },
    /// Others than its owner can change it.
    #[error("{path} can be written by {by} (mode {mode:04o}); chmod go-w {path}")]
    Writable {
        /// What can be written.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Who can.
        by: &'static str,
    },
    /// Others than its owner can reach a secret.
    #[error("{path} is a secret and open to others than its owner (mode {mode:04o}); chmod 600 {path}")]
    Exposed {
        /// The secret.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The user who runs scripts may not execute it.
    #[error("{path} is not executable for the user who runs it (mode {mode:04o}); chmod a+rx {path}")]
    NotExecutable {
        /// The script.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The user who runs jobs may not read it.
    #[error("{path} cannot be read by the user who runs it (mode {mode:04o}); chmod a+r {path}")]
    NotReadable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Nothing on this file system can be executed.
    #[error("{0} is on a file system that is mounted noexec; move it to another one")]
    NoExec(PathBuf),
    /// No bytes.
    #[error("{0} is empty; write the script")]
    Empty(PathBuf),
    /// Neither `#!` nor ELF.
    #[error("{0} is neither a script nor a program; begin it with a line like #!/bin/bash")]
    NotAProgram(PathBuf),
    /// More than a file of its kind has.
    #[error("{path} has more than {limit} bytes; make it smaller")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is read at most.
        limit: usize,
    },
    /// Not text.
    #[error("{0} is not UTF-8 text; save it as UTF-8")]
    NotText(PathBuf),
}

impl Trust {
    /// For one user who is everything: owns the files, runs the core and the scripts.
    pub fn single_user() -> Self {
        Self { owner: rustix::process::geteuid(), allow_own: true }
    }

    /// For what nobody but root may have put there.
    pub fn root_alone() -> Self {
        Self { owner: Uid::ROOT, allow_own: false }
    }

    /// Looks at something without opening it. Every directory above it is checked, it itself is not.
    ///
    /// # Errors
    /// [`TrustError`]: what is wrong with which directory, or that nothing is there.
    pub fn look(&self, path: &Path) -> Result<Stat, TrustError> {
        let (directory, name) = self.walk(path, Use::Read)?;
        statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| failed(path, e))
    }

    /// Opens a file for reading, if it can be believed.
    ///
    /// # Errors
    /// [`TrustError`]: what is wrong with the file, or with which directory above it.
    pub fn open(&self, path: &Path) -> Result<(File, Metadata), TrustError> {
        self.open_for(path, Use::Read)
    }

    /// Opens a file that only its owner may reach: mode 0600 or 0400.
    ///
    /// # Errors
    /// As [`Trust::open`], and [`TrustError::Exposed`].
    pub fn open_secret(&self, path: &Path) -> Result<(File, Metadata), TrustError> {
        let (file, metadata) = self.open_for(path, Use::Keep)?;
        match metadata.mode() & 0o7777 {
            mode if mode & 0o177 != 0 => Err(TrustError::Exposed { path: path.to_owned(), mode }),
            _ => Ok((file, metadata)),
        }
    }

    /// Opens a file that jobs read: a playbook, an inventory.
    ///
    /// # Errors
    /// As [`Trust::open`], and [`TrustError::NotReadable`].
    pub fn open_shared(&self, path: &Path) -> Result<(File, Metadata), TrustError> {
        let (file, metadata) = self.open_for(path, Use::Read)?;
        let own = self.allow_own && metadata.uid() == self.owner.as_raw();
        let mode = metadata.mode() & 0o7777;
        if mode & if own { 0o400 } else { 0o004 } == 0 {
            return Err(TrustError::NotReadable { path: path.to_owned(), mode });
        }
        Ok((file, metadata))
    }

    /// Opens a script. What is returned is what has to be run; opening the path again would be a different question.
    ///
    /// # Errors
    /// As [`Trust::open`], and what makes it something that cannot be run.
    pub fn open_script(&self, path: &Path) -> Result<(File, Metadata), TrustError> {
        let (file, metadata) = self.open_for(path, Use::Read)?;
        // The one who runs it is its owner only in single-user mode; everybody else is one of the others.
        let own = self.allow_own && metadata.uid() == self.owner.as_raw();
        let mode = metadata.mode() & 0o7777;
        if mode & if own { 0o100 } else { 0o001 } == 0 {
            return Err(TrustError::NotExecutable { path: path.to_owned(), mode });
        }
        let mount = fstatvfs(&file).map_err(|e| failed(path, e))?;
        if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
            return Err(TrustError::NoExec(path.to_owned()));
        }
        if metadata.size() == 0 {
            return Err(TrustError::Empty(path.to_owned()));
        }
        let mut start = [0; 4];
        let read = file.read_at(&mut start, 0).map_err(|source| TrustError::Open { path: path.to_owned(), source })?;
        if !start[..read].starts_with(b"#!") && start != *b"\x7fELF" {
            return Err(TrustError::NotAProgram(path.to_owned()));
        }
        Ok((file, metadata))
    }

    /// Reads a whole text of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Trust::open`], and when it is too large or no UTF-8.
    pub fn read(&self, path: &Path, limit: usize) -> Result<String, TrustError> {
        use std::io::Read;
        let (file, _) = self.open(path)?;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| TrustError::Open { path: path.to_owned(), source })?;
        if bytes.len() > limit {
            return Err(TrustError::TooLarge { path: path.to_owned(), limit });
        }
        String::from_utf8(bytes).map_err(|_| TrustError::NotText(path.to_owned()))
    }

    fn open_for(&self, path: &Path, purpose: Use) -> Result<(File, Metadata), TrustError> {
        let absolute =
            std::path::absolute(path).map_err(|source| TrustError::Open { path: path.to_owned(), source })?;
        let (directory, name) = self.walk(&absolute, purpose)?;
        // Looked at before it is opened, because opening a device or a pipe can already do something.
        let before = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| failed(path, e))?;
        match FileType::from_raw_mode(before.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(TrustError::Link(path.to_owned())),
            _ => return Err(TrustError::NotRegular(path.to_owned())),
        }
        // So that one who may not open it learns why.
        self.check_owner(path, before.st_uid, purpose)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(openat(&directory, &name, flags, Mode::empty()).map_err(|e| failed(path, e))?);
        let metadata = file.metadata().map_err(|source| TrustError::Open { path: path.to_owned(), source })?;
        if !metadata.is_file() {
            return Err(TrustError::NotRegular(path.to_owned()));
        }
        self.check_owner(path, metadata.uid(), purpose)?;
        check_mode(path, metadata.mode(), 0)?;
        Ok((file, metadata))
    }

    /// Opens the directory that holds the last part of the path, and checks every one on the way.
    fn walk(&self, path: &Path, purpose: Use) -> Result<(OwnedFd, OsString), TrustError> {
        let mut todo = parts(path);
        let Some(last) = todo.pop_back().filter(|name| name != "..") else {
            return Err(TrustError::NotRegular(path.to_owned()));
        };
        let mut way =
            vec![(self.enter(rustix::fs::CWD, OsStr::new("/"), Path::new("/"), purpose)?, PathBuf::from("/"))];
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                way.truncate(way.len().saturating_sub(1).max(1));
                continue;
            }
            let Some((directory, above)) = way.last() else { return Err(TrustError::NotDirectory(path.to_owned())) };
            let here = above.join(&name);
            let stat = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| failed(&here, e))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let entered = self.enter(directory.as_fd(), &name, &here, purpose)?;
                way.push((entered, here));
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(TrustError::TooManyLinks(path.to_owned()));
            }
            self.check_owner(&here, stat.st_uid, purpose)?;
            let target = readlinkat(directory, &name, Vec::new()).map_err(|e| failed(&here, e))?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                way.truncate(1);
            }
            for part in parts(&target).into_iter().rev() {
                todo.push_front(part);
            }
        }
        match way.pop() {
            Some((directory, _)) => Ok((directory, last)),
            None => Err(TrustError::NotDirectory(path.to_owned())),
        }
    }

    fn enter(&self, above: impl AsFd, name: &OsStr, here: &Path, purpose: Use) -> Result<OwnedFd, TrustError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = openat(above, name, flags, Mode::empty()).map_err(|e| failed(here, e))?;
        let stat = fstat(&directory).map_err(|e| failed(here, e))?;
        self.check_owner(here, stat.st_uid, purpose)?;
        // In a sticky directory only an entry's owner, or the directory's, can rename or remove it.
        check_mode(here, stat.st_mode, 0o1000)?;
        Ok(directory)
    }

    fn check_owner(&self, path: &Path, uid: u32, purpose: Use) -> Result<(), TrustError> {
        let own = purpose == Use::Keep || self.allow_own;
        if uid == 0 || (own && uid == self.owner.as_raw()) {
            return Ok(());
        }
        let owner = self.owner.as_raw();
        let accepted = if own && owner != 0 { format!("root or user {owner}") } else { "root".to_owned() };
        Err(TrustError::Owner { path: path.to_owned(), uid, accepted })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// What it says is obeyed: configuration, allowlist, certificates, scripts.
    Read,
    /// What it says is kept to oneself: tokens, keys.
    Keep,
}

/// Refuses what group or others can write, unless one of the bits `unless` is set.
fn check_mode(path: &Path, mode: u32, unless: u32) -> Result<(), TrustError> {
    let mode = mode & 0o7777;
    let by = match mode & 0o022 {
        0 => return Ok(()),
        _ if mode & unless != 0 => return Ok(()),
        0o020 => "its group",
        _ => "everybody",
    };
    Err(TrustError::Writable { path: path.to_owned(), mode, by })
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn failed(path: &Path, error: Errno) -> TrustError {
    match error {
        Errno::NOENT => TrustError::Missing(path.to_owned()),
        Errno::NOTDIR => TrustError::NotDirectory(path.to_owned()),
        Errno::LOOP => TrustError::Link(path.to_owned()),
        other => TrustError::Open { path: path.to_owned(), source: other.into() },
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
