//! The first frame in each direction on every socket is a bare [`Version`]: who speaks, and which version of the messages.
//! `Channel::greet` and `Receiver::greeting` exchange and check it; only then come the messages of that socket's module.
//!
//! All programs of one installation are built together, so there is nothing to negotiate: another version is an
//! incomplete upgrade, and the peer is refused with a line that says so.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of every message in this package. Raised with any change to any of them.
pub const PROTOCOL: u16 = 1;

/// Which process speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `bartizan-broker`: decides.
    Core,
    /// `bartizan-launcher`: starts, kills and reaps.
    Launcher,
    /// `bartizan-egress`: holds the token.
    Egress,
    /// `bartizan-connector`: reads chat.
    Connector,
    /// `bartizan-worker`: runs one script.
    Worker,
    /// `bartizan`: the operator's command.
    Control,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Core => "core",
            Role::Launcher => "launcher",
            Role::Egress => "egress",
            Role::Connector => "connector",
            Role::Worker => "worker",
            Role::Control => "control",
        })
    }
}

/// The first frame: sent at once by both sides, checked before anything else is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Who says it.
    pub role: Role,
    /// [`PROTOCOL`] of the program that says it.
    pub protocol: u16,
}

/// The peer is not the one that belongs on this socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongPeer {
    /// Another role.
    #[error("expected {expected}, but {actual} answered")]
    Role {
        /// Who belongs here.
        expected: Role,
        /// Who answered.
        actual: Role,
    },
    /// Another version.
    #[error("{role} speaks protocol {actual}, not {PROTOCOL}: the installed programs are not of one version")]
    Protocol {
        /// Who answered.
        role: Role,
        /// Its version.
        actual: u16,
    },
}

impl Version {
    /// What this program says of itself.
    pub fn of(role: Role) -> Self {
        Self { role, protocol: PROTOCOL }
    }

    /// Checks that the peer is `expected`, and of this version.
    ///
    /// # Errors
    /// [`WrongPeer`].
    pub fn check(self, expected: Role) -> Result<(), WrongPeer> {
        if self.role != expected {
            return Err(WrongPeer::Role { expected, actual: self.role });
        }
        if self.protocol != PROTOCOL {
            return Err(WrongPeer::Protocol { role: self.role, actual: self.protocol });
        }
        Ok(())
    }
}
