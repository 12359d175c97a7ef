//! Reads back from the kernel what is in force, by looking and by trying, in the very process that is about to become the
//! script.
//!
//! A layer whose proof fails although it was set up is an error, not a remark: nothing runs.

use crate::confine::{Inside, fds, limits};
use crate::order::Job;
use bartizan_confine::files::in_force;
use bartizan_confine::readback::StatusFile;
use bartizan_proto::worker::{InForce, Layer, LayerState};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A layer was set up, and the kernel shows that it is not in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// `/proc/self` cannot be read.
    #[error("cannot read back: {0}")]
    Status(#[source] std::io::Error),
    /// A proof failed.
    #[error("{layer} is not in force: {why}")]
    NotInForce {
        /// Which.
        layer: Layer,
        /// What was seen.
        why: String,
    },
}

/// What a job with a network grant has where there is no namespace for it.
const HOSTS_NETWORK: &str = "the host's network, addresses not limited";

/// All layers, in the order of [`Layer`]. `landlock` is what Landlock said when it was set up.
pub(crate) fn layers(
    job: &Job,
    inside: &Inside,
    kept: &[BorrowedFd<'_>],
    landlock: [InForce; 3],
    status: &StatusFile,
) -> Result<Vec<InForce>, VerifyError> {
    let status = status.read().map_err(VerifyError::Status)?;
    let mut layers = Vec::with_capacity(16);

    // Descriptors: 0 to 2, the script's own where it runs through it, and its end of the script API.
    let open = fds::inherited().map_err(VerifyError::Status)?;
    let expected = 3 + kept.len();
    let known = kept.iter().all(|fd| open.contains(&fd.as_raw_fd()));
    let shown = format!("open: {open:?}");
    layers.push(judged(
        job,
        Layer::Descriptors,
        open.len() == expected && open.starts_with(&[0, 1, 2]) && known,
        &shown,
    )?);

    // Environment: written by us, and the kernel's to show only after exec: Inspect reads it then.
    let shown = format!("HOME={}", inside.scratch.display());
    layers.push(judged(job, Layer::Environment, true, &shown)?);

    // Limits.
    let (held, shown) = match limits::read_back(&job.order.profile.limits) {
        Ok(shown) => (true, shown),
        Err(shown) => (false, shown),
    };
    layers.push(judged(job, Layer::Limits, held, &shown)?);

    // Capabilities: none held, and none to be had: an empty bounding set, or no_new_privs in front of it.
    let none = status.capabilities == 0 && (status.bounding == 0 || status.no_new_privileges);
    let shown = format!("held: {:x}, CapBnd: {:x}", status.capabilities, status.bounding);
    layers.push(judged(job, Layer::Capabilities, none, &shown)?);

    let shown = format!("NoNewPrivs: {}", u8::from(status.no_new_privileges));
    layers.push(judged(job, Layer::NoNewPrivileges, status.no_new_privileges, &shown)?);

    // Namespaces: other numbers than the supervisor's.
    for (layer, number) in &inside.namespaces {
        layers.push(match (number, inside.why_not(*layer)) {
            (_, Some(why)) if *layer == Layer::NetworkNamespace && job.network() => {
                in_force(*layer, LayerState::Unavailable, &format!("{HOSTS_NETWORK}: {why}"))
            }
            (_, Some(why)) => in_force(*layer, LayerState::Unavailable, why),
            (Some(_), None) if *layer == Layer::MountNamespace && !inside.private => {
                return Err(VerifyError::NotInForce { layer: *layer, why: "the root is not private".to_owned() });
            }
            (Some(number), None) => match inside.relayed.filter(|_| *layer == Layer::NetworkNamespace) {
                Some((relayed, granted)) => {
                    let shown = format!("{number}, a relay to {relayed} of {granted} granted destinations");
                    in_force(*layer, LayerState::On, &shown)
                }
                None => in_force(*layer, LayerState::On, &number.to_string()),
            },
            (None, None) if *layer == Layer::NetworkNamespace && job.network() => {
                judged(job, *layer, false, HOSTS_NETWORK)?
            }
            (None, None) => judged(job, *layer, false, "the same as outside")?,
        });
    }

    // Landlock: said at its setting up; the proof is something that must fail.
    let [files, network, scope] = landlock;
    if files.state == LayerState::On {
        denied(Layer::LandlockFiles, File::open("/").err().and_then(|e| e.raw_os_error()), Errno::ACCESS)?;
    }
    if scope.state == LayerState::On {
        // The job's init has the same user and is outside of the domain.
        let init = rustix::process::getppid().map(rustix::process::test_kill_process);
        let seen = init.and_then(Result::err).map(Errno::raw_os_error);
        denied(Layer::LandlockScope, seen, Errno::PERM)?;
    }
    layers.extend([files, network, scope]);

    layers.push(judged(job, Layer::Seccomp, status.seccomp == 2, &status.seccomp_shown())?);

    let user = rustix::process::getuid().as_raw();
    layers.push(match inside.own_user {
        true => in_force(Layer::OwnUser, LayerState::On, &format!("uid {user}, given by systemd to this worker alone")),
        false => in_force(Layer::OwnUser, LayerState::Unavailable, &format!("uid {user} is not this job's alone")),
    });
    Ok(layers)
}

/// On when it holds; off when the order said so; otherwise nothing runs.
fn judged(job: &Job, layer: Layer, holds: bool, shown: &str) -> Result<InForce, VerifyError> {
    match (holds, job.without(layer)) {
        (true, false) => Ok(in_force(layer, LayerState::On, shown)),
        (_, true) => Ok(in_force(layer, LayerState::Off, shown)),
        (false, false) => Err(VerifyError::NotInForce { layer, why: shown.to_owned() }),
    }
}

fn denied(layer: Layer, seen: Option<i32>, expected: Errno) -> Result<(), VerifyError> {
    if seen == Some(expected.raw_os_error()) {
        return Ok(());
    }
    let why = seen.map_or("a forbidden thing succeeded".to_owned(), |number| {
        format!("expected {expected}, saw {}", std::io::Error::from_raw_os_error(number))
    });
    Err(VerifyError::NotInForce { layer, why })
}
