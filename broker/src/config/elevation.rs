//! A second factor before a script runs: `elevate` of a script, `[elevation]` of `bartizan.toml`.

use super::error::{Wrong, not_one_of};
use super::{raw, settings};
use std::fmt;
use std::time::Duration;

/// What a script asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elevate {
    /// A code in the time before, for any command.
    Window,
    /// A code for this command alone.
    Always,
}

impl fmt::Display for Elevate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Elevate::Window => "window",
            Elevate::Always => "always",
        })
    }
}

/// `[elevation]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elevation {
    /// `window`: how long a code counts.
    pub window: Duration,
    /// `window-kind`: whether from its last use, or from when it was given.
    pub idle: bool,
    /// `enrol-by-direct-message`: whether people may enrol in chat, or on the host only.
    pub by_direct_message: bool,
}

/// `elevate`.
pub(super) fn check(word: Option<&str>) -> Result<Option<Elevate>, Wrong> {
    match word {
        None | Some("never") => Ok(None),
        Some("window") => Ok(Some(Elevate::Window)),
        Some("always") => Ok(Some(Elevate::Always)),
        Some(other) => Err(not_one_of("elevate is not", other, &["never", "window", "always"]).within("elevate")),
    }
}

/// `[elevation]`.
pub(super) fn settings(raw: &raw::Elevation) -> Result<Elevation, Wrong> {
    let window = settings::time("window", raw.window.as_ref(), 2 * 3600, 30, 24 * 3600)?;
    let idle = match raw.window_kind.as_deref() {
        None | Some("idle") => true,
        Some("absolute") => false,
        Some(other) => {
            return Err(not_one_of("window-kind is not", other, &["idle", "absolute"]).within("window-kind"));
        }
    };
    Ok(Elevation { window, idle, by_direct_message: raw.enrol_by_direct_message.unwrap_or(true) })
}
