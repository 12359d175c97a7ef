//! Namespaces: which ones a job gets, and whether it is in them.
//!
//! All are entered at once by the `clone(2)` that makes the job's init. Where the kernel or its administrator forbids some,
//! the others still go on, and the report says which are missing.

use crate::order::Job;
use crate::system::{self, Forked};
use bartizan_proto::worker::Layer;
use std::io;

/// One kind of namespace: its layer, its clone flag, its name in `/proc/PID/ns`.
type Kind = (Layer, i32, &'static str);

const KINDS: [Kind; 6] = [
    (Layer::UserNamespace, libc::CLONE_NEWUSER, "user"),
    (Layer::PidNamespace, libc::CLONE_NEWPID, "pid"),
    (Layer::MountNamespace, libc::CLONE_NEWNS, "mnt"),
    (Layer::NetworkNamespace, libc::CLONE_NEWNET, "net"),
    (Layer::IpcNamespace, libc::CLONE_NEWIPC, "ipc"),
    (Layer::UtsNamespace, libc::CLONE_NEWUTS, "uts"),
];

/// The namespaces that one sandbox is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan(Vec<Layer>);

impl Plan {
    /// All of them: what a worker prepares before it knows its order.
    pub(crate) fn usual() -> Self {
        Self(KINDS.iter().map(|kind| kind.0).collect())
    }

    /// None.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// What this job asks for: all of them; a test may leave some off.
    pub(crate) fn for_job(job: &Job) -> Self {
        Self(KINDS.iter().map(|kind| kind.0).filter(|layer| !job.without(*layer)).collect())
    }

    pub(crate) fn has(&self, layer: Layer) -> bool {
        self.0.contains(&layer)
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.0
    }

    /// The flags for `clone(2)`.
    pub(crate) fn flags(&self) -> i32 {
        KINDS.iter().filter(|kind| self.has(kind.0)).fold(0, |flags, kind| flags | kind.1)
    }

    /// What is left of it on a kernel that refused it whole: each kind is tried in a child of its own.
    pub(crate) fn possible(&self) -> (Plan, Vec<(Layer, String)>) {
        let (mut possible, mut refused) = (Vec::new(), Vec::new());
        let user = if self.has(Layer::UserNamespace) { libc::CLONE_NEWUSER } else { 0 };
        for (layer, flag, _) in KINDS.iter().filter(|kind| self.has(kind.0)) {
            match tried(user | flag) {
                Ok(()) => possible.push(*layer),
                Err(error) => refused.push((*layer, error.to_string())),
            }
        }
        (Plan(possible), refused)
    }
}

fn tried(flags: i32) -> io::Result<()> {
    match system::clone(flags)? {
        Forked::Child => system::leave(0),
        Forked::Parent(child) => {
            rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
            Ok(())
        }
    }
}

/// The namespaces that a process is in, by the kernel's numbers for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespaces(Vec<(Layer, Option<u64>)>);

impl Namespaces {
    /// Of this process (`self`), or of another one.
    pub(crate) fn of(process: &str) -> Self {
        let number = |name| rustix::fs::stat(format!("/proc/{process}/ns/{name}")).ok().map(|stat| stat.st_ino);
        Self(KINDS.iter().map(|(layer, _, name)| (*layer, number(name))).collect())
    }

    /// Each kind: its number here where it is another than `outside`, `None` where it is the same or unknown.
    pub(crate) fn other_than(&self, outside: &Namespaces) -> Vec<(Layer, Option<u64>)> {
        let theirs = |layer| outside.0.iter().find(|entry| entry.0 == layer).and_then(|entry| entry.1);
        self.0
            .iter()
            .map(|(layer, own)| (*layer, own.filter(|own| theirs(*layer).is_some_and(|theirs| theirs != *own))))
            .collect()
    }
}

/// The worker's supervisor, as its sandbox has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The namespaces it is in.
    pub(crate) namespaces: Namespaces,
    /// Its user and group. In a user namespace without maps the kernel says 65534 for both.
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Whether systemd gave the user to this worker alone.
    pub(crate) own_user: bool,
}

/// The numbers that systemd gives to units with `DynamicUser=`, each to one at a time, and that no account has
/// (systemd.io/UIDS-GIDS).
const DYNAMIC: std::ops::RangeInclusive<u32> = 61_184..=65_519;

impl Outside {
    /// Asked before the sandbox is made. `unit`: by a worker that systemd started.
    pub(crate) fn here(unit: bool) -> Self {
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Self { namespaces: Namespaces::of("self"), user, group, own_user: unit && DYNAMIC.contains(&user) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_shares_every_namespace_with_itself() {
        let own = Namespaces::of("self");
        assert!(own.other_than(&own).iter().all(|(_, number)| number.is_none()));
    }

    #[test]
    fn the_usual_plan_has_every_namespace_and_none_has_no_flags() {
        assert_eq!(Plan::usual().layers().len(), KINDS.len());
        assert_eq!(Plan::none().flags(), 0);
    }
}
