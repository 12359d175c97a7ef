//! Jobs that have ended, as the control socket tells of them.

use crate::bounded::Text;
use crate::ids::{JobId, ScriptName, UserId};
use crate::limits::{MAX_MESSAGE, MAX_NAME, MAX_REASON};
use serde::{Deserialize, Serialize};

/// One job that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PastRow {
    /// Its number.
    pub job: JobId,
    /// The script.
    pub script: ScriptName,
    /// Who asked.
    pub user: UserId,
    /// Their name when they asked.
    pub user_name: Text<MAX_NAME>,
    /// The channel's name, empty for a direct message.
    pub channel: Text<MAX_NAME>,
    /// When it ended, in ms since 1970.
    pub ended_ms: u64,
    /// How it ended, in words.
    pub ending: Text<MAX_REASON>,
    /// Its command line, escaped for a terminal.
    pub command: Text<MAX_REASON>,
}

/// The same with what it printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PastJob {
    /// Its row.
    pub row: PastRow,
    /// The beginning of what it printed, secrets masked.
    pub output: Text<MAX_MESSAGE>,
    /// Whether more was printed and is not kept.
    pub is_cut: bool,
}
