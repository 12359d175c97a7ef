//! Schedules as they are written.

use serde::Deserialize;

/// What is begun at certain times.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Schedule {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) when: String,
    #[serde(alias = "timeZone")]
    pub(super) time_zone: Option<String>,
    pub(super) channel: String,
    pub(super) missed: Option<String>,
}
