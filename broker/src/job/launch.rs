//! From a cleared right to a worker's order. [`order`] takes nothing but a [`Cleared`], which only the gates can make; the
//! script's backend makes of it what runs.

use super::Launched;
use super::backend::{self, Right};
use crate::brain::job::JobSecrets;
use crate::gate::Cleared;
use crate::gate::file::Opener;
use crate::policy::Policy;
use bartizan_audit::SealingKey;
use bartizan_proto::bounded::TooLong;
use bartizan_proto::ids::JobId;
use bartizan_proto::worker::Order;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Between the polite signal at a time-out and the kill.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// An order, and what goes with it.
#[derive(Debug)]
pub struct Launch {
    /// For the worker.
    pub order: Order,
    /// The program, open; where there are secrets, a pipe with their values.
    pub descriptors: Vec<OwnedFd>,
    /// For those who look on.
    pub launched: Launched,
}

/// Why no order can be made.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Cleared under another policy than the one in force.
    #[error("cleared under policy {cleared}, and {now} is in force")]
    Outdated {
        /// When it was cleared.
        cleared: u64,
        /// Now.
        now: u64,
    },
    /// Something is longer than an order may be.
    #[error("{what}: {source}")]
    TooLong {
        /// What.
        what: &'static str,
        /// How much.
        source: TooLong,
    },
    /// The script's descriptor cannot be duplicated, or there is no pipe for its secrets.
    #[error("its descriptors: {0}")]
    Descriptor(#[from] std::io::Error),
    /// The backend's program, or what it is told.
    #[error("its backend: {0}")]
    Program(String),
}

/// Makes the order for one job.
///
/// # Errors
/// [`LaunchError`]; then nothing runs.
pub fn order<K>(
    job: JobId,
    cleared: &Cleared<K>,
    policy: &Policy,
    secrets: Option<&JobSecrets>,
    opener: &Opener,
    signing: Option<&SealingKey>,
) -> Result<Launch, LaunchError> {
    if cleared.generation() != policy.generation {
        return Err(LaunchError::Outdated { cleared: cleared.generation(), now: policy.generation });
    }
    backend::of(cleared.script()).submit(&Right::of(job, cleared, policy, secrets, opener, signing))
}
