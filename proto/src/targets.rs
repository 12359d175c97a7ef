//! The machines that scripts may run on, as the control socket tells of them, and what an enrolment needs of the core.

use crate::bounded::{List, Text};
use crate::ids::SecretName;
use crate::limits::{MAX_HOST_KEYS, MAX_NAME, MAX_REASON, MAX_ROWS};
use serde::{Deserialize, Serialize};

/// Longest public key in one line, in bytes.
pub const MAX_PUBLIC: usize = 1024;

/// What an operator asks about targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetsRequest {
    /// Those of the configuration.
    List,
    /// The key that signs orders, made where there is none yet; and the public half of the key that logs in.
    Keys {
        /// The secret with the key that logs in.
        login: Option<SecretName>,
    },
    /// Exchange the key that signs orders, a step at a time.
    Rotate(Rotate),
}

/// A step of the exchange. Between the first and the second both keys are on the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rotate {
    /// Make the next key, where there is none; nothing is signed with it yet.
    Announce,
    /// Sign with the next key from now on. The one before is gone.
    Switch,
    /// Give the next key up.
    Withdraw,
}

/// What the core answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetsAnswer {
    /// To [`TargetsRequest::List`], by name.
    Targets(List<TargetRow, MAX_ROWS>),
    /// To [`TargetsRequest::Keys`] and [`TargetsRequest::Rotate`].
    Keys(Keys),
}

/// Public halves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Keys {
    /// Who signs orders: 32 bytes in base64.
    pub broker: Text<64>,
    /// Who will, once it is switched: targets are to take both.
    pub next: Option<Text<64>>,
    /// How the service is called in the orders.
    pub name: Text<MAX_NAME>,
    /// Whether it was made now.
    pub fresh: bool,
    /// Who logs in: `ssh-ed25519 AAAA…`.
    pub login: Option<Text<MAX_PUBLIC>>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetRow {
    /// Its name.
    pub name: Text<64>,
    /// A name or an address.
    pub host: Text<MAX_NAME>,
    /// The port of its SSH daemon.
    pub port: u16,
    /// Who logs in.
    pub user: Text<64>,
    /// The secret with the key that logs in; empty where each entry names its own.
    pub key: Text<MAX_NAME>,
    /// The pinned host keys: kind and fingerprint.
    pub host_keys: List<Text<128>, MAX_HOST_KEYS>,
    /// The groups that it is in.
    pub groups: Text<MAX_REASON>,
    /// Why nothing can be run on it; empty where nothing is known to be wrong.
    pub problem: Text<MAX_REASON>,
}
