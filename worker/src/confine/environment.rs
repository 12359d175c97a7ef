//! The environment: written from nothing, for every job the same names.

use crate::confine::{ConfineError, Inside, secrets};
use crate::order::Job;
use bartizan_proto::worker::{Layer, PLAN_VARIABLE};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

/// Where programs are found; the folder of `bz` comes last.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where Python finds the library of the script API.
const PYTHON: &str = "PYTHONPATH";

/// The job's user, whatever it is called outside.
pub(crate) const USER: &str = "job";

/// All variables, in the form that exec takes. What the order adds comes last and wins.
pub(crate) fn variables(
    job: &Job,
    inside: &Inside,
    api: Option<&OwnedFd>,
    plan: Option<&OwnedFd>,
) -> Result<Vec<CString>, ConfineError> {
    let scratch = inside.scratch.display().to_string();
    let path = format!("{PATH}:{}", inside.tools.display());
    let mut variables: Vec<(String, String)> = [
        ("PATH", path.as_str()),
        ("HOME", &scratch),
        ("TMPDIR", &scratch),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
        ("USER", USER),
        ("LOGNAME", USER),
        ("BARTIZAN_JOB", &job.order.job.to_string()),
        ("BARTIZAN_SCRIPT", &job.order.path),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if job.without(Layer::Environment) {
        variables.extend(std::env::vars().filter(|(name, _)| name != "PATH"));
    }
    for (name, value) in &job.order.environment {
        variables.retain(|(other, _)| other != name.as_str());
        variables.push((name.to_string(), value.to_string()));
    }
    if !job.order.secrets.is_empty() {
        let folder = inside.scratch.join(secrets::FOLDER);
        variables.push((secrets::VARIABLE.to_owned(), folder.display().to_string()));
    }
    if let Some(api) = api {
        variables.push((bartizan_proto::script::VARIABLE.to_owned(), api.as_raw_fd().to_string()));
        if !variables.iter().any(|(name, _)| name == PYTHON) {
            variables.push((PYTHON.to_owned(), inside.tools.display().to_string()));
        }
    }
    if let Some(plan) = plan {
        variables.push((PLAN_VARIABLE.to_owned(), plan.as_raw_fd().to_string()));
    }
    let own = secrets::variables(job, inside)?;
    variables.retain(|(name, _)| !own.iter().any(|(other, _)| other == name));
    // The order's check refuses NUL, so nothing is lost here.
    let plain = variables.into_iter().filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok());
    Ok(plain.chain(own.into_iter().map(|(_, whole)| whole)).collect())
}
