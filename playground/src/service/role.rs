//! The processes of a service by the names that transcripts use.

use std::fmt;

/// A process of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Decides.
    Core,
    /// Starts the others; the service's main process.
    Launcher,
    /// Reads chat.
    Connector,
    /// Holds the token.
    Egress,
    /// Runs a script.
    Worker,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Core, Role::Launcher, Role::Connector, Role::Egress, Role::Worker];

    /// The role of this name; `broker` is another word for the core.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name || (name == "broker" && *role == Role::Core))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Core => "core",
            Role::Launcher => "launcher",
            Role::Connector => "connector",
            Role::Egress => "egress",
            Role::Worker => "worker",
        }
    }

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Role::Core => "bartizan-broker",
            Role::Launcher => "bartizan-launcher",
            Role::Connector => "bartizan-connector",
            Role::Egress => "bartizan-egress",
            Role::Worker => "bartizan-worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
