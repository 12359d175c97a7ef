//! From a cleared right to a worker's order. [`order`] takes nothing but a [`Cleared`], which only the gates can make; the
//! script's backend makes of it what runs.

use super::Launched;
use super::backend::{self, Right};
use crate::brain::job::JobSecrets;
use crate::gate::file::Opener;
use crate::gate::{Cleared, Followed};
use crate::policy::Policy;
use bartizan_audit::SealingKey;
use bartizan_proto::bounded::TooLong;
use bartizan_proto::ids::{JobId, PostId};
use bartizan_proto::worker::Order;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Between the polite signal at a time-out and the kill.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What is followed again has so much time at least: to find it, and to have it end where its time is over.
const LEAST_LEFT: Duration = Duration::from_secs(10);

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

/// Makes the order for one job, which is known by its number and the post that asked for it.
///
/// # Errors
/// [`LaunchError`]; then nothing runs.
pub fn order<K>(
    job: (JobId, PostId),
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

/// Makes the order that follows one which was begun `age` ago, and begins it where that is allowed and it is not there; `None` where nothing of it can be left. It has what is left of its time.
///
/// # Errors
/// [`LaunchError`].
pub fn follow(
    job: (JobId, PostId),
    (age, begins): (Duration, bool),
    cleared: &Cleared<Followed>,
    policy: &Policy,
    opener: &Opener,
) -> Result<Option<Launch>, LaunchError> {
    // What was printed before is not there any more: it is told from its beginning.
    let launch =
        backend::of(cleared.script()).reattach(&Right::of(job, cleared, policy, None, opener, None), 0, begins)?;
    Ok(launch.map(|mut launch| {
        let left = launch.launched.timeout.saturating_sub(age).max(LEAST_LEFT);
        launch.order.timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        launch
    }))
}
