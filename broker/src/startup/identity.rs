//! Who the service runs as: an ordinary user without privileges, in every mode; and who the workers will be.

use super::installation::OwnFile;
use crate::config::trust::Trust;
use crate::system;
use bartizan_confine::process::harden_entry;
use bartizan_proto::control::Mode;
use caps::CapSet;
use nix::unistd::{getgroups, getresgid, getresuid};
use rustix::process::Uid;
use std::path::PathBuf;

/// Not a user that the service may run as.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The superuser.
    #[error("started as root; nothing in Bartizan runs as root: start it as an ordinary user")]
    Root,
    /// `(uid_t) -1` means "leave it" to set*id(2), and never a user (CVE-2019-14287).
    #[error("started with the user or group id 4294967295, which is not an id")]
    NotAnId,
    /// More rights than a setuid bit of its own file explains.
    #[error(
        "started with rights that a setuid bit does not explain (setgid, file capabilities or another user's saved id): chmod 4750 {0}, and setcap -r {0}"
    )]
    Elevated(PathBuf),
    /// The file is setuid, and the kernel did not heed it.
    #[error("{path}: its setuid bit was ignored, because {why}; nothing was started")]
    Ignored {
        /// The program.
        path: PathBuf,
        /// What is in the way, and what to do.
        why: &'static str,
    },
    /// systemd gives a unit its user; nobody gives it by a setuid bit, too.
    #[error(
        "started with --units and with another user's rights; --units is for a unit of systemd's, whose User= is the service's own"
    )]
    Units,
    /// Started by the very user whose rights it was to give.
    #[error(
        "{0}: started by the user that it belongs to, and scripts would run as that user; start it as the service's unprivileged user"
    )]
    ByItsOwner(PathBuf),
    /// The kernel does not say, or does not do it.
    #[error("cannot settle the user and its privileges: {0}")]
    Kernel(String),
}

/// The ids of this process, and whether the kernel says that it has more rights than its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    uids: [u32; 3],
    gids: [u32; 3],
    /// Supplementary groups, which an unprivileged process cannot drop.
    groups: Vec<u32>,
    /// `AT_SECURE`: setuid, setgid, file capabilities, or a security module's word.
    elevated: bool,
    /// `no_new_privs` when the process began.
    frozen: bool,
}

/// What the kernel says in a user namespace of a user that it does not have (`/proc/sys/kernel/overflowuid`); nobody's.
const NOT_MAPPED: u32 = 65_534;

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
        groups: getgroups().map_err(kernel)?.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        elevated: system::process::is_secure_execution(),
        frozen: rustix::thread::no_new_privs().map_err(|error| IdentityError::Kernel(error.to_string()))?,
    };
    identity.check()?;
    // A systemd unit or a container may have given some to an ordinary user too.
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| IdentityError::Kernel(error.to_string()))?;
    }
    // Reads back that none is left.
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

    /// How the users are separated, from the ids and the program's own file.
    ///
    /// # Errors
    /// [`IdentityError`] where the two do not fit together.
    pub fn mode(&self, own: &OwnFile) -> Result<Mode, IdentityError> {
        self.mode_with(own.setuid(), own.is_nosuid(), own.path())
    }

    /// Whether this is one user, without rights of another one: what a unit of systemd's is. The bits of the program's file
    /// are nothing to it.
    ///
    /// # Errors
    /// [`IdentityError::Units`].
    pub fn one_alone(&self) -> Result<Mode, IdentityError> {
        let one = |ids: &[u32; 3]| ids.iter().all(|id| *id == ids[0]);
        if self.elevated || !one(&self.uids) || !one(&self.gids) {
            return Err(IdentityError::Units);
        }
        Ok(Mode::Systemd)
    }

    fn mode_with(&self, setuid: Option<u32>, nosuid: bool, path: &std::path::Path) -> Result<Mode, IdentityError> {
        let [real, effective, saved] = self.uids;
        let one_group = self.gids.iter().all(|id| *id == self.gids[0]);
        let path = || path.to_owned();
        match setuid {
            None if self.elevated || real != effective || effective != saved || !one_group => {
                Err(IdentityError::Elevated(path()))
            }
            None => Ok(Mode::SingleUser),
            Some(owner) if owner == real && owner != NOT_MAPPED => Err(IdentityError::ByItsOwner(path())),
            Some(owner) if owner != effective || owner != saved || owner == NOT_MAPPED => {
                let why = if self.frozen {
                    "no_new_privs is set; start it without (systemd: NoNewPrivileges= and what implies it)"
                } else if nosuid {
                    "its file system is mounted nosuid; install it on one that is not"
                } else {
                    "this is a user namespace where its owner does not exist; start it outside"
                };
                Err(IdentityError::Ignored { path: path(), why })
            }
            Some(_) if !one_group || !self.elevated => Err(IdentityError::Elevated(path())),
            Some(_) => Ok(Mode::Setuid),
        }
    }

    /// Whose files are believed in this mode.
    pub fn trust(&self, mode: Mode) -> Trust {
        let allow_own = match mode {
            Mode::SingleUser => true,
            Mode::Setuid | Mode::Systemd => false,
        };
        Trust { owner: self.service(), allow_own }
    }

    /// The user that the core, and under setuid egress, runs as.
    pub fn service(&self) -> Uid {
        Uid::from_raw(self.uids[1])
    }

    /// The user that the launcher, the connector and the workers run as.
    pub fn invoker(&self) -> Uid {
        Uid::from_raw(self.uids[0])
    }

    /// Whether the workers will be in this group.
    pub fn is_in(&self, group: u32) -> bool {
        self.gids.contains(&group) || self.groups.contains(&group)
    }

    /// A line for the log where workers keep groups that nobody can take from them.
    pub fn kept_groups(&self) -> Option<String> {
        let further: Vec<String> =
            self.groups.iter().filter(|group| **group != self.gids[0]).map(u32::to_string).collect();
        (!further.is_empty()).then(|| {
            format!(
                "every process keeps the supplementary groups {} of the user who started it: without privileges they cannot be \
                 dropped; start the service as a user that has none",
                further.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn alice() -> Identity {
        Identity { uids: [1000; 3], gids: [1000; 3], groups: vec![1000, 27], elevated: false, frozen: false }
    }

    fn setuid() -> Identity {
        Identity { uids: [1000, 999, 999], elevated: true, ..alice() }
    }

    fn mode(identity: &Identity, setuid: Option<u32>) -> Result<Mode, IdentityError> {
        identity.mode_with(setuid, false, Path::new("/b"))
    }

    #[test]
    fn an_ordinary_user_is_single_user_mode() {
        assert_eq!(alice().check(), Ok(()));
        assert_eq!(mode(&alice(), None), Ok(Mode::SingleUser));
    }

    #[test]
    fn root_in_any_of_the_three_ids_is_refused() {
        for place in 0..3 {
            let mut identity = alice();
            identity.uids[place] = 0;
            assert_eq!(identity.check(), Err(IdentityError::Root));
        }
    }

    #[test]
    fn row_08_minus_one_is_not_an_id() {
        assert_eq!(Identity { uids: [u32::MAX; 3], ..alice() }.check(), Err(IdentityError::NotAnId));
        assert_eq!(Identity { gids: [1000, u32::MAX, 1000], ..alice() }.check(), Err(IdentityError::NotAnId));
    }

    #[test]
    fn the_owner_of_a_setuid_file_in_both_other_ids_is_setuid_mode() {
        assert_eq!(mode(&setuid(), Some(999)), Ok(Mode::Setuid));
        assert_eq!((setuid().service().as_raw(), setuid().invoker().as_raw()), (999, 1000));
    }

    #[test]
    fn a_setuid_bit_that_was_ignored_is_refused_with_the_reason() {
        let reason = |identity: &Identity, nosuid| match identity.mode_with(Some(999), nosuid, Path::new("/b")) {
            Err(IdentityError::Ignored { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        assert!(reason(&Identity { frozen: true, ..alice() }, true).contains("no_new_privs"));
        assert!(reason(&alice(), true).contains("nosuid"));
        assert!(reason(&alice(), false).contains("user namespace"));
        let nobody = Identity { uids: [65_534; 3], ..alice() };
        assert!(matches!(mode(&nobody, Some(65_534)), Err(IdentityError::Ignored { .. })));
    }

    #[test]
    fn the_owner_may_not_start_its_own_program() {
        let owner = Identity { uids: [999; 3], ..alice() };
        assert!(matches!(mode(&owner, Some(999)), Err(IdentityError::ByItsOwner(_))));
    }

    #[test]
    fn rights_that_the_file_does_not_explain_are_refused() {
        let elevated = |identity: Identity, file| matches!(mode(&identity, file), Err(IdentityError::Elevated(_)));
        assert!(elevated(setuid(), None), "not setuid, and yet other ids");
        assert!(elevated(Identity { elevated: true, ..alice() }, None), "file capabilities");
        assert!(elevated(Identity { gids: [1000, 999, 999], ..alice() }, None), "setgid");
        assert!(elevated(Identity { gids: [1000, 999, 999], ..setuid() }, Some(999)), "setuid and setgid");
        assert!(mode(&Identity { uids: [1000, 999, 1000], ..setuid() }, Some(999)).is_err(), "another saved id");
    }

    #[test]
    fn a_unit_of_systemds_has_one_user_and_no_rights_of_another() {
        assert_eq!(alice().one_alone(), Ok(Mode::Systemd));
        for elevated in
            [setuid(), Identity { elevated: true, ..alice() }, Identity { gids: [1000, 999, 999], ..alice() }]
        {
            assert_eq!(elevated.one_alone(), Err(IdentityError::Units));
        }
        assert!(!alice().trust(Mode::Systemd).allow_own);
    }

    #[test]
    fn groups_beside_the_users_own_are_told_about() {
        assert!(alice().kept_groups().is_some_and(|line| line.contains("groups 27 of")));
        assert_eq!(Identity { groups: vec![1000], ..alice() }.kept_groups(), None);
        assert!(alice().is_in(27) && alice().is_in(1000) && !alice().is_in(28));
    }
}
