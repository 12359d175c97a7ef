//! From a cleared right to a worker's order. [`order`] takes nothing but a [`Cleared`], which only the gates can make.

use super::Launched;
use crate::brain::job::JobSecrets;
use crate::config::{Attached, Script};
use crate::gate::Cleared;
use crate::policy::Policy;
use bartizan_proto::bounded::TooLong;
use bartizan_proto::ids::JobId;
use bartizan_proto::worker::{Endpoint, Order, Profile, SecretSlot};
use bartizan_proto::{List, Text};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Between the polite signal at a time-out and the kill.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// An order, and what goes with it.
#[derive(Debug)]
pub struct Launch {
    /// For the worker.
    pub order: Order,
    /// The script, open; where there are secrets, a pipe with their values.
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
}

/// The profile, with the addresses of the hosts that it grants.
fn granted(mut profile: Profile, policy: &Policy) -> Profile {
    let network = profile.network.into_iter().map(|endpoint| {
        let known = policy.config.addresses.get(endpoint.host.as_str()).cloned().unwrap_or_default();
        Endpoint { addresses: List::cut(known), ..endpoint }
    });
    profile.network = List::cut(network);
    profile
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
) -> Result<Launch, LaunchError> {
    if cleared.generation() != policy.generation {
        return Err(LaunchError::Outdated { cleared: cleared.generation(), now: policy.generation });
    }
    let script = cleared.script();
    let too_long = |what| move |source| LaunchError::TooLong { what, source };
    let arguments: Result<Vec<_>, TooLong> =
        cleared.values().iter().map(|value| Text::new(value.text.clone())).collect();
    let environment: Result<Vec<_>, TooLong> = cleared
        .environment()
        .iter()
        .map(|(name, value)| Ok((Text::new(name.clone())?, Text::new(value.clone())?)))
        .collect();
    let order = Order {
        job,
        name: script.name.clone(),
        path: Text::new(script.path.display().to_string()).map_err(too_long("path"))?,
        arguments: List::new(arguments.map_err(too_long("an argument"))?).map_err(too_long("arguments"))?,
        environment: List::new(environment.map_err(too_long("a variable"))?).map_err(too_long("variables"))?,
        secrets: List::new(slots(script, secrets)).map_err(too_long("secrets"))?,
        alone: policy
            .config
            .secrets()
            .any(|secret| script.path.parent().is_some_and(|folder| secret.starts_with(folder))),
        api: !script.api.is_empty(),
        sealed: cleared.file().sealed,
        sockets: false,
        plan: false,
        profile: granted(script.profile.clone(), policy),
        require: List::new(policy.config.require.clone()).map_err(too_long("sandbox.require"))?,
        timeout_ms: u64::try_from(script.timeout.as_millis()).unwrap_or(u64::MAX),
        grace_ms: u32::try_from(GRACE.as_millis()).unwrap_or(u32::MAX),
        max_output: u64::try_from(policy.config.limits.attachment).unwrap_or(u64::MAX),
        without: List::default(),
    };
    let launched = Launched {
        path: script.path.clone(),
        sha256: cleared.file().sha256.clone(),
        limits: script.profile.limits,
        timeout: script.timeout,
    };
    let mut descriptors = vec![cleared.file().fd.try_clone()?];
    descriptors.extend(secrets.map(JobSecrets::pipe).transpose()?);
    Ok(Launch { order, descriptors, launched })
}

/// What the worker is told of the secrets: names, sizes, and the variables that were asked for.
fn slots(script: &Script, secrets: Option<&JobSecrets>) -> Vec<SecretSlot> {
    let sizes = secrets.map(JobSecrets::sizes).unwrap_or_default();
    let slot = |(attached, size): (&Attached, &usize)| SecretSlot {
        name: attached.name.clone(),
        size: u32::try_from(*size).unwrap_or(u32::MAX),
        variable: attached.variable.as_deref().map(Text::cut),
    };
    script.secrets.iter().zip(sizes).map(slot).collect()
}
