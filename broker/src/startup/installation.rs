//! The program's own file: what its bits promise, and, where it is setuid, whether only root can have put it there.
//!
//! A setuid program must not let its caller choose where it reads its configuration (CVE-2025-32463). So the broker takes
//! it from its own place, and believes that place only when nobody but root could have made it: every folder above it is
//! root's and closed to others, it has no second name (a hard link elsewhere would name another place), and it is the
//! very file that runs.

use crate::config::trust::{Trust, TrustError};
use bartizan_proto::installation::Installation;
use rustix::fs::{FileType, Stat, StatVfsMountFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// What `make install` gives the broker: setuid, for its group alone.
const MODE: u32 = 0o4750;

/// The programs that the broker has started, beside it.
const OTHERS: [&str; 4] = ["bartizan-launcher", "bartizan-egress", "bartizan-connector", "bartizan-worker"];

/// Why the installation is not believed: one line, with the remedy last.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The kernel does not say which file runs.
    #[error("cannot tell which file this program is: {0}; /proc must be mounted")]
    Own(Errno),
    /// Its place, or that of a program beside it.
    #[error(transparent)]
    Place(#[from] TrustError),
    /// More than one name, or none.
    #[error("{path}: has {links} names where a setuid program has one; remove the other links and install it again")]
    Links {
        /// The program.
        path: PathBuf,
        /// How many.
        links: String,
    },
    /// Another file is there now.
    #[error("{0}: is not the file that runs; install the programs again and start the service anew")]
    Exchanged(PathBuf),
    /// Its permission bits.
    #[error("{path}: has mode {mode:04o} and must have {right:04o}: chmod {right:04o} {path}", right = MODE)]
    Mode {
        /// The program.
        path: PathBuf,
        /// Its bits.
        mode: u32,
    },
    /// It does not lie where an installation has it.
    #[error("{0}: a setuid bartizan-broker belongs into PREFIX/libexec/bartizan; install it with `make install`")]
    Elsewhere(PathBuf),
    /// A program beside it that is not root's.
    #[error("{path}: belongs to user {uid} and must be root's: chown root {path}")]
    Owner {
        /// The program.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// A program beside it that others can change, or cannot run.
    #[error(
        "{path}: has mode {mode:04o}, and must be a plain file that only root can write and all can run: chmod 0711 {path}"
    )]
    Program {
        /// The program.
        path: PathBuf,
        /// Its bits.
        mode: u32,
    },
}

/// The file that this process runs.
#[derive(Debug, Clone)]
pub struct OwnFile {
    path: PathBuf,
    stat: Stat,
    /// The file system that it is on takes setuid bits for nothing.
    nosuid: bool,
}

impl OwnFile {
    /// Asks the kernel.
    ///
    /// # Errors
    /// [`InstallationError::Own`].
    pub fn find() -> Result<Self, InstallationError> {
        const LINK: &str = "/proc/self/exe";
        let path = std::fs::read_link(LINK)
            .map_err(|error| InstallationError::Own(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let stat = rustix::fs::stat(LINK).map_err(InstallationError::Own)?;
        let mount = rustix::fs::statvfs(LINK).map_err(InstallationError::Own)?;
        Ok(Self { path, stat, nosuid: mount.f_flag.contains(StatVfsMountFlags::NOSUID) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is, when it has the setuid bit.
    pub fn setuid(&self) -> Option<u32> {
        (self.stat.st_mode & 0o4000 != 0).then_some(self.stat.st_uid)
    }

    /// Whether the mount ignores setuid bits.
    pub fn is_nosuid(&self) -> bool {
        self.nosuid
    }

    /// The installation that a setuid broker belongs to, with everything about it checked.
    ///
    /// # Errors
    /// [`InstallationError`]: the first thing that is wrong.
    pub fn installation(&self) -> Result<Installation, InstallationError> {
        let path = || self.path.clone();
        let root = Trust::root_alone();

        // 1. One name, the one that root gave it.
        if self.stat.st_nlink != 1 {
            return Err(InstallationError::Links { path: path(), links: self.stat.st_nlink.to_string() });
        }
        // 2. Its bits.
        let mode = self.stat.st_mode & 0o7777;
        if mode != MODE {
            return Err(InstallationError::Mode { path: path(), mode });
        }
        // 3. Every folder above it is root's, and the file in the last one is the one that runs.
        let there = root.look(&self.path)?;
        if (there.st_dev, there.st_ino) != (self.stat.st_dev, self.stat.st_ino) {
            return Err(InstallationError::Exchanged(path()));
        }
        // 4. Where `make install` puts it.
        let found = Installation::of_program(&self.path).ok_or_else(|| InstallationError::Elsewhere(path()))?;
        // 5. What it will have started.
        for name in OTHERS {
            check_program(&found.programs.join(name), &root)?;
        }
        Ok(found)
    }
}

fn check_program(path: &Path, root: &Trust) -> Result<(), InstallationError> {
    let stat = root.look(path)?;
    if stat.st_uid != 0 {
        return Err(InstallationError::Owner { path: path.to_owned(), uid: stat.st_uid });
    }
    let mode = stat.st_mode & 0o7777;
    let plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !plain || mode & 0o7022 != 0 || mode & 0o001 == 0 {
        return Err(InstallationError::Program { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_in_a_build_folder_is_no_installation() {
        let own = OwnFile::find().expect("this program");
        assert_eq!(own.setuid(), None);
        assert!(own.installation().is_err());
    }
}
