//! How a launcher starts what its roles name: as children of its own, or by way of systemd. Which, stands on its command
//! line and is fixed for good.

use super::child::Child;
use super::table::program;
use super::unit::Unit;
use bartizan_proto::Role;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Where processes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starter {
    /// The programs beside the launcher's own, as its children.
    Own,
    /// systemd, which starts a unit for each connection to a socket in this folder. The processes are other users', and nobody's
    /// children that we know.
    Units(PathBuf),
}

/// What was started.
#[derive(Debug)]
pub(super) enum Started {
    /// A child.
    Own(Child),
    /// A unit.
    Unit(Unit),
}

impl Starter {
    /// What stands on the command line for it, last.
    pub fn arguments(&self) -> Vec<&OsStr> {
        match self {
            Self::Own => Vec::new(),
            Self::Units(folder) => vec![folder.as_os_str()],
        }
    }

    /// The program or the socket of a role.
    fn place(&self, role: Role, programs: &std::path::Path) -> PathBuf {
        match self {
            Self::Own => programs.join(program(role)),
            Self::Units(folder) => folder.join(socket(role)),
        }
    }

    /// Starts it, with `channel` as all that it gets.
    ///
    /// # Errors
    /// When it cannot be, with the program's or the socket's path.
    pub(super) fn start(&self, role: Role, programs: &std::path::Path, channel: OwnedFd) -> io::Result<Started> {
        let place = self.place(role, programs);
        let started = match self {
            Self::Own => Child::start(&place, channel).map(Started::Own),
            Self::Units(_) => Unit::ask(&place, role, channel).map(Started::Unit),
        };
        started.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", place.display())))
    }
}

impl Started {
    /// Ends it, at once. Nothing happens where it has ended already.
    pub(super) fn kill(&self) {
        match self {
            Self::Own(child) => child.kill(),
            Self::Unit(unit) => unit.kill(),
        }
    }
}

/// The name of the socket behind which systemd starts a role's unit.
pub fn socket(role: Role) -> String {
    format!("{role}.sock")
}
