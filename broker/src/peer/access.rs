//! Who may use the control sockets, by the kernel's word about who connected.
//!
//! The directories and the sockets are closed to everybody else already; this is the second look, and the only one that tells
//! operators from the user that workers run as. It is a pure function. What may be asked where is in [`super::control`].

use bartizan_proto::control::Mode;

/// Who connected (`SO_PEERCRED`, `SO_PEERGROUPS`), as they were when they did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Their user.
    pub uid: u32,
    /// Their groups.
    pub groups: Vec<u32>,
}

/// Which of the two sockets: reading and commanding are different authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// `control.sock`: everything.
    Command,
    /// `read.sock`: what changes nothing.
    Read,
}

/// What the core knows of the machine's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// How they are separated.
    pub mode: Mode,
    /// The core's own user.
    pub service: u32,
    /// The user that workers run as.
    pub workers: u32,
    /// The operators' group: may command.
    pub operators: Option<u32>,
    /// The group of those who may read, and nothing else.
    pub readers: Option<u32>,
}

impl Access {
    /// Whether a peer may ask anything at one of the sockets.
    ///
    /// # Errors
    /// Why not, in words that are its answer.
    pub fn judge(&self, peer: &Peer, authority: Authority) -> Result<(), String> {
        let Peer { uid, groups } = peer;
        let is_in = |group: Option<u32>| group.is_some_and(|group| groups.contains(&group));
        match self.mode {
            _ if *uid == 0 => Ok(()),
            Mode::SingleUser if *uid == self.service => Ok(()),
            Mode::SingleUser => Err(format!("uid {uid} may not use this socket")),
            // Under systemd a worker's user changes with each job, and is never in a group of people's.
            Mode::Setuid if *uid == self.workers => {
                Err(format!("uid {uid} is the user that scripts run as, and may not use this socket"))
            }
            // Egress may have the core's user, and whoever operates the service is a person with a user of their own.
            Mode::Setuid | Mode::Systemd if *uid == self.service => {
                Err(format!("uid {uid} is the service's own user, and may not use this socket"))
            }
            Mode::Setuid | Mode::Systemd if is_in(self.operators) => Ok(()),
            Mode::Setuid | Mode::Systemd => match authority {
                Authority::Read if is_in(self.readers) => Ok(()),
                Authority::Read => Err(format!(
                    "uid {uid} is in neither group of `[control]`, readers or operators, and may not use this socket"
                )),
                Authority::Command => {
                    Err(format!("uid {uid} is not in the group of `[control] operators`, and may not use this socket"))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUID: Access =
        Access { mode: Mode::Setuid, service: 900, workers: 901, operators: Some(77), readers: Some(78) };

    fn may(access: Access, uid: u32, groups: &[u32]) -> bool {
        access.judge(&Peer { uid, groups: groups.to_vec() }, Authority::Command).is_ok()
    }

    fn may_read(access: Access, uid: u32, groups: &[u32]) -> bool {
        access.judge(&Peer { uid, groups: groups.to_vec() }, Authority::Read).is_ok()
    }

    #[test]
    fn readers_may_read_and_not_command_and_operators_may_both() {
        assert!(may_read(SETUID, 1000, &[78]) && !may(SETUID, 1000, &[78]));
        assert!(may_read(SETUID, 1000, &[77]) && may(SETUID, 1000, &[77]));
        assert!(may_read(SETUID, 0, &[]) && !may_read(SETUID, 1000, &[1000]));
        assert!(!may_read(Access { readers: None, ..SETUID }, 1000, &[78]));
        for own in [900, 901] {
            assert!(!may_read(SETUID, own, &[77, 78]), "{own}: scripts read nothing about others");
        }
    }

    #[test]
    fn with_separate_users_root_and_the_operators_may_and_nobody_else() {
        assert!(may(SETUID, 0, &[]));
        assert!(may(SETUID, 1000, &[1000, 77]));
        assert!(!may(SETUID, 1000, &[1000]));
        assert!(!may(Access { operators: None, ..SETUID }, 1000, &[77]));
    }

    #[test]
    fn row_36_the_users_of_workers_and_of_the_service_may_not_even_as_operators() {
        assert!(!may(SETUID, 901, &[77]));
        assert!(!may(SETUID, 900, &[77]));
    }

    #[test]
    fn in_single_user_mode_its_one_user_may() {
        let single = Access { mode: Mode::SingleUser, service: 1000, workers: 1000, operators: None, readers: None };
        assert!(may_read(single, 1000, &[]) && !may_read(single, 1001, &[78]));
        assert!(may(single, 1000, &[]) && may(single, 0, &[]) && !may(single, 1001, &[77]));
    }
}
