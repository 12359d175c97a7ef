//! Who the service runs as: an ordinary user without privileges, in every mode.

use crate::config::trust::Trust;
use crate::system;
use bartizan_confine::process::harden_entry;
use bartizan_proto::control::Mode;
use caps::CapSet;
use nix::unistd::{getresgid, getresuid};
use rustix::process::Uid;

/// Not a user that the service may run as.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The superuser.
    #[error("started as root; nothing in Bartizan runs as root: start it as an ordinary user")]
    Root,
    /// `(uid_t) -1` means "leave it" to set*id(2), and never a user (CVE-2019-14287).
    #[error("started with the user or group id 4294967295, which is not an id")]
    NotAnId,
    /// The file has the setuid or setgid bit.
    #[error(
        "started with the rights of another user (setuid or setgid); this version runs as its caller only: remove the bit with chmod ug-s"
    )]
    Setuid,
    /// The kernel does not say, or does not do it.
    #[error("cannot settle the user and its privileges: {0}")]
    Kernel(String),
}

/// The ids of this process, and whether the kernel says that it has more rights than its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    uids: [u32; 3],
    gids: [u32; 3],
    /// `AT_SECURE`: setuid, setgid, file capabilities, or a security module's word.
    elevated: bool,
}

/// Reads the ids, refuses those that no service may have, and gives up every capability for good: no exec from here on
/// can gain anything, and nobody of the same user can look into this process.
///
/// # Errors
/// [`IdentityError`].
pub fn settle() -> Result<Identity, IdentityError> {
    let kernel = |error: nix::Error| IdentityError::Kernel(error.to_string());
    let (uid, gid) = (getresuid().map_err(kernel)?, getresgid().map_err(kernel)?);
    let identity = Identity {
        uids: [uid.real, uid.effective, uid.saved].map(nix::unistd::Uid::as_raw),
        gids: [gid.real, gid.effective, gid.saved].map(nix::unistd::Gid::as_raw),
        elevated: system::process::is_secure_execution(),
    };
    identity.check()?;
    // A systemd unit or a container may have given some to an ordinary user too.
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| IdentityError::Kernel(error.to_string()))?;
    }
    harden_entry().map_err(|error| IdentityError::Kernel(error.to_string()))?;
    Ok(identity)
}

impl Identity {
    fn check(&self) -> Result<(), IdentityError> {
        if self.uids.contains(&u32::MAX) || self.gids.contains(&u32::MAX) {
            return Err(IdentityError::NotAnId);
        }
        if self.uids.contains(&0) {
            return Err(IdentityError::Root);
        }
        Ok(())
    }

    /// How the users are separated, from the ids alone.
    ///
    /// # Errors
    /// [`IdentityError::Setuid`]: this version cannot run like that.
    pub fn mode(&self) -> Result<Mode, IdentityError> {
        let one = |ids: [u32; 3]| ids.iter().all(|id| *id == ids[0]);
        if self.elevated || !one(self.uids) || !one(self.gids) {
            return Err(IdentityError::Setuid);
        }
        Ok(Mode::SingleUser)
    }

    /// Whose files are believed in this mode.
    pub fn trust(&self, mode: Mode) -> Trust {
        let [_real, effective, _saved] = self.uids;
        let allow_own = match mode {
            Mode::SingleUser => true,
            Mode::Setuid | Mode::Systemd => false,
        };
        Trust { owner: Uid::from_raw(effective), allow_own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Identity = Identity { uids: [1000; 3], gids: [1000; 3], elevated: false };

    #[test]
    fn an_ordinary_user_is_single_user_mode() {
        assert_eq!(ALICE.check(), Ok(()));
        assert_eq!(ALICE.mode(), Ok(Mode::SingleUser));
    }

    #[test]
    fn root_in_any_of_the_three_ids_is_refused() {
        for place in 0..3 {
            let mut identity = ALICE;
            identity.uids[place] = 0;
            assert_eq!(identity.check(), Err(IdentityError::Root));
        }
    }

    #[test]
    fn minus_one_is_not_an_id() {
        assert_eq!(Identity { uids: [u32::MAX; 3], ..ALICE }.check(), Err(IdentityError::NotAnId));
        assert_eq!(Identity { gids: [1000, u32::MAX, 1000], ..ALICE }.check(), Err(IdentityError::NotAnId));
    }

    #[test]
    fn rights_of_another_user_are_refused() {
        assert_eq!(Identity { uids: [1000, 999, 999], ..ALICE }.mode(), Err(IdentityError::Setuid));
        assert_eq!(Identity { gids: [1000, 999, 999], ..ALICE }.mode(), Err(IdentityError::Setuid));
        assert_eq!(Identity { elevated: true, ..ALICE }.mode(), Err(IdentityError::Setuid));
    }
}
