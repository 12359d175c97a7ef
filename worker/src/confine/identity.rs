//! Identity: the same user inside the user namespace as outside, and no capability in any set.

use bartizan_proto::worker::Layer;
use caps::{CapSet, errors::CapsError};
use rustix::process::DumpableBehavior;
use rustix::thread::CapabilitiesSecureBits;
use std::fs;
use std::io;

/// A host name for the UTS namespace, of which nothing can be learnt.
const HOST_NAME: &[u8] = b"bartizan";

/// Maps this process's own user and group to themselves, and nobody else (`user_namespaces(7)`).
///
/// The files in `/proc/self` belong to root while the process is not dumpable, so it is dumpable for these three writes:
/// before there is an order, hence with nothing in its memory worth reading.
pub(crate) fn map(user: u32, group: u32) -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let written = fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| fs::write("/proc/self/uid_map", format!("{user} {user} 1\n")))
        .and_then(|()| fs::write("/proc/self/gid_map", format!("{group} {group} 1\n")));
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    written
}

/// Takes the host's name away, and sets the number of further user namespaces to none. Both are second nets: their failure
/// leaves seccomp, which denies the same.
pub(crate) fn narrow(entered: &[Layer]) {
    if entered.contains(&Layer::UtsNamespace) {
        let _second_net = rustix::system::sethostname(HOST_NAME);
    }
    if entered.contains(&Layer::UserNamespace) {
        let _second_net = fs::write("/proc/sys/user/max_user_namespaces", "0");
    }
}

/// Drops every capability from every set: ambient, bounding, effective, permitted, inheritable; root's exec brings none back.
///
/// Without a user namespace an ordinary user cannot touch the bounding set; it has nothing to bound under
/// `no_new_privs`, and the report shows it.
///
/// # Errors
/// What `capset(2)` and `prctl(2)` say.
pub(crate) fn drop_capabilities() -> Result<(), CapsError> {
    caps::clear(None, CapSet::Ambient)?;
    if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP)? {
        let root_is_nobody = CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED;
        // Where an administrator's policy denies a user namespace its capabilities (AppArmor), these two fail: then
        // no_new_privs alone keeps exec from giving any, and the report shows the bounding set.
        let _second_net = rustix::thread::set_capabilities_secure_bits(root_is_nobody);
        let _second_net = caps::clear(None, CapSet::Bounding);
    }
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)?;
    caps::clear(None, CapSet::Inheritable)
}
