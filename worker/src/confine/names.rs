//! The names that a job's own `/etc` knows: its user, the hosts that it may reach, and where its order has a daemon, that one's user.

use crate::confine::environment::USER;
use crate::confine::root::SCRATCH;
use crate::order::Job;

/// The job's own `/etc/passwd`. (A user's name from the order has been checked: it cannot be more than a name.)
pub(super) fn passwd(job: &Job) -> String {
    let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mut passwd = format!("{USER}:x:{user}:{group}::{SCRATCH}:/bin/sh\n");
    if let Some(daemon) = &job.order.daemon {
        passwd.push_str(&format!("{}:x:{}:{}::/:/bin/false\n", daemon.user, daemon.id, daemon.id));
    }
    passwd
}

/// The job's own `/etc/group`.
pub(super) fn group() -> String {
    format!("{USER}:x:{}:\n", rustix::process::getgid().as_raw())
}

/// The job's own `/etc/hosts`: this machine's loopback, and the hosts that it was granted.
pub(super) fn hosts(job: &Job) -> String {
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for endpoint in &job.order.profile.network {
        // A name with a space or a line break would become more than one entry.
        if endpoint.host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#') {
            continue;
        }
        for address in &endpoint.addresses {
            hosts.push_str(&format!("{address} {}\n", endpoint.host));
        }
    }
    hosts
}
