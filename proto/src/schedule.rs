//! Schedules, as the control socket tells of them.

use crate::bounded::Text;
use crate::ids::ScriptName;
use crate::limits::{MAX_NAME, MAX_REASON};
use serde::{Deserialize, Serialize};

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ScheduleRow {
    /// Its name.
    pub name: ScriptName,
    /// Its script.
    pub script: ScriptName,
    /// Its command line, escaped for a terminal.
    pub command: Text<MAX_REASON>,
    /// Where it is announced.
    pub channel: Text<MAX_NAME>,
    /// When it is due, as the configuration has it.
    pub when: Text<MAX_REASON>,
    /// By whose clock.
    pub time_zone: Text<MAX_NAME>,
    /// What becomes of times that are missed: `skip`, `once` or `all`.
    pub missed: Text<MAX_NAME>,
    /// When it is due next, in ms since 1970; nothing for `@start`, and while names are looked up.
    pub next_ms: Option<u64>,
    /// The same in words, by its own clock.
    pub next: Text<MAX_NAME>,
    /// Who paused it, where somebody did.
    pub paused_by: Option<Text<MAX_NAME>>,
    /// Until when, in ms since 1970; for good where there is nothing.
    pub paused_until_ms: Option<u64>,
}
