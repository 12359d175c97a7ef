//! Limits: `setrlimit(2)` for the script and all it starts.
//!
//! `RLIMIT_NPROC` counts the processes of the user inside the job's own user namespace (Linux 5.14); without one it
//! counts all of the user's on the machine. Root is not counted at all.

use bartizan_proto::worker::Limits;
use rustix::process::{Resource, Rlimit};
use std::io;

/// Each limit: the resource, its name in reports, the value that the profile gives it.
fn wanted(limits: &Limits) -> [(Resource, &'static str, u64); 6] {
    [
        (Resource::Core, "CORE", 0),
        (Resource::Fsize, "FSIZE", limits.file_size),
        (Resource::Nofile, "NOFILE", limits.files),
        (Resource::Nproc, "NPROC", limits.processes),
        (Resource::Cpu, "CPU", limits.cpu),
        // The last, because setting up the rest takes memory.
        (Resource::As, "AS", limits.memory),
    ]
}

/// Sets each, soft and hard. A lower hard limit that came from outside stays.
pub(crate) fn set(limits: &Limits) -> Result<(), (&'static str, io::Error)> {
    for (resource, name, value) in wanted(limits) {
        let outer = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let value = Some(value.min(outer));
        rustix::process::setrlimit(resource, Rlimit { current: value, maximum: value })
            .map_err(|error| (name, error.into()))?;
    }
    Ok(())
}

/// What the kernel says: every limit and its value, or the first that is looser than it should be.
pub(crate) fn read_back(limits: &Limits) -> Result<String, String> {
    let mut shown = Vec::new();
    for (resource, name, value) in wanted(limits) {
        match rustix::process::getrlimit(resource).maximum {
            Some(now) if now <= value => shown.push(format!("{name} {now}")),
            now => return Err(format!("{name} is {now:?}, not {value}")),
        }
    }
    Ok(shown.join(", "))
}
