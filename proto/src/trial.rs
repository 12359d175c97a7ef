//! `bartizan-broker --trial` → `bartizan script try`: what a script would be ordered with, as JSON. Nobody runs anything for it: who
//! asks starts a worker of their own, with their own rights.

use crate::bounded::{List, Text};
use crate::ids::SecretName;
use crate::limits::{MAX_ARGUMENT, MAX_ARGUMENTS, MAX_NAME, MAX_SECRETS};
use crate::script::Verb;
use crate::worker::Order;
use serde::{Deserialize, Serialize};

/// A script's entry with its arguments, as it would be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What a worker is ordered; without secrets.
    pub order: Order,
    /// Its arguments by name.
    pub parameters: List<(Text<MAX_NAME>, Text<MAX_ARGUMENT>), MAX_ARGUMENTS>,
    /// The secrets that its entry attaches.
    pub secrets: List<SecretName, MAX_SECRETS>,
    /// What it may use of the script API.
    pub granted: List<Verb, 32>,
    /// The profile that its entry names.
    pub profile: Option<Text<MAX_NAME>>,
}
