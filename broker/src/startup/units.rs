//! The sockets behind which systemd starts egress, the connector and workers: believed where only root can have made them, and
//! where nobody but this user (and root) can connect. Whoever could would have a worker of theirs started, with a core of theirs.

use crate::config::trust::{Trust, TrustError};
use crate::launcher::{Starter, socket};
use bartizan_proto::Role;
use rustix::fs::FileType;
use std::path::PathBuf;

/// What systemd starts.
const ROLES: [Role; 3] = [Role::Egress, Role::Connector, Role::Worker];

/// systemd does not listen as it should.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// Not there, or somebody else could put another in its place.
    #[error("{0}; systemd makes it: `systemctl enable --now bartizan-{1}.socket`")]
    Place(TrustError, Role),
    /// Not a socket of ours alone.
    #[error(
        "{path}: has mode {mode:04o} and belongs to uid {owner}; it must be a socket of the broker's user alone, uid {own}: \
         SocketUser= and SocketMode=0600 in its unit"
    )]
    Open {
        /// The socket.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Whose it is.
        owner: u32,
        /// Ours.
        own: u32,
    },
}

/// Checks them all.
///
/// # Errors
/// [`UnitsError`]: the first that is wrong.
pub fn find(folder: PathBuf) -> Result<Starter, UnitsError> {
    let own = rustix::process::geteuid();
    for role in ROLES {
        let path = folder.join(socket(role));
        let stat = Trust::root_alone().look(&path).map_err(|error| UnitsError::Place(error, role))?;
        let mode = stat.st_mode & 0o7777;
        let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
        if !is_socket || stat.st_uid != own.as_raw() || mode & 0o077 != 0 {
            return Err(UnitsError::Open { path, mode, owner: stat.st_uid, own: own.as_raw() });
        }
    }
    Ok(Starter::Units(folder))
}
