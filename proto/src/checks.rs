//! What the core says about its configuration and itself: part of [`crate::control`].

use crate::bounded::{List, Text};
use crate::control::Mode;
use crate::limits::{MAX_NAME, MAX_PATH, MAX_REASON, MAX_ROWS};
use crate::worker::{Given, Guarantee, InForce};
use serde::{Deserialize, Serialize};

/// What a reload would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigReport {
    /// The configuration file.
    pub path: Text<MAX_PATH>,
    /// What is wrong with it: file, line and remedy; `None` when it is right.
    pub error: Option<Text<MAX_REASON>>,
    /// What would be different, one line each.
    pub differences: List<Text<MAX_REASON>, MAX_ROWS>,
    /// What is allowed but worth a look, one line each.
    pub warnings: List<Text<MAX_REASON>, 64>,
}

/// What is in force in the running service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Doctor {
    /// How it runs.
    pub mode: Mode,
    /// What this mode cannot give, one line each.
    pub limits: List<Text<MAX_REASON>, 32>,
    /// Guarantees without which nothing runs.
    pub require: List<Guarantee, 32>,
    /// The worker's guarantees as the last worker read them back; empty before the first.
    pub given: List<Given, 32>,
    /// The worker's layers as the last worker read them back.
    pub layers: List<InForce, 32>,
    /// Checks of the service itself.
    pub checks: List<Check, 64>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// What was looked at.
    pub what: Text<MAX_NAME>,
    /// How it is.
    pub verdict: CheckVerdict,
    /// What was seen, and the one line that mends it.
    pub detail: Text<MAX_REASON>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// Right.
    Ok,
    /// Works, but less safely than it could.
    Warn,
    /// Wrong.
    Fail,
}
