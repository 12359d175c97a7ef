//! Triggers as they are written.

use serde::Deserialize;

/// What posts of one account in one channel begin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) webhook_of: Option<String>,
    pub(super) channel: String,
    pub(super) pattern: String,
    pub(super) script: String,
}
