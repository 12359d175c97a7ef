//! Names that the core itself cannot look up: the groups of those who may use its control sockets, and the addresses of the
//! hosts that profiles grant.
//!
//! Both once, at start: the core has no network and no file of the system's. A group must not be one that workers are in.
//!
//! A job gets them in a hosts file of its own, and never asks a name server. A name that stands for nothing is a line in
//! the log: the scripts that want it cannot reach it, and the others run.

use super::identity::Identity;
use crate::config::Config;
use bartizan_proto::control::Mode;
use nix::unistd::Group;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs as _};

/// Most addresses of one name that are kept.
const MAX_ADDRESSES: usize = 16;

/// A name stands for nothing, or for the wrong thing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No such group.
    #[error(
        "[control] {key}: there is no group \"{name}\" on this machine; make it with `groupadd --system {name}`, or name another"
    )]
    NoGroup {
        /// The key.
        key: &'static str,
        /// Which.
        name: String,
    },
    /// It cannot be looked up.
    #[error("[control] {key}: the group \"{name}\" cannot be looked up: {error}")]
    Group {
        /// The key.
        key: &'static str,
        /// Which.
        name: String,
        /// Why.
        error: nix::Error,
    },
    /// The broker itself would be.
    #[error(
        "[control] {key}: the user of bartizan-broker's unit is in the group {group}; take it out of that group, or name another"
    )]
    ServiceIsIn {
        /// The key.
        key: &'static str,
        /// The group.
        group: u32,
    },
    /// Workers would be in it.
    #[error(
        "[control] {key}: the user who starts the service, and with it every script, is in the group {group}; take it out of \
         that group, or name another"
    )]
    WorkersAreIn {
        /// The key.
        key: &'static str,
        /// The group.
        group: u32,
    },
}

/// Who may use the control sockets beside root, where the mode can tell people from workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Groups {
    /// `[control] operators`: may command.
    pub operators: Option<u32>,
    /// `[control] readers`: may read.
    pub readers: Option<u32>,
}

/// Looks everything up.
pub(super) fn resolve(config: &mut Config, mode: Mode, identity: &Identity) -> Result<Groups, NameError> {
    hosts(config);
    let named = [("operators", config.operators.clone()), ("readers", config.readers.clone())];
    let mut groups = [None, None];
    for ((key, name), found) in named.into_iter().zip(&mut groups) {
        let Some(name) = name else { continue };
        match mode {
            Mode::SingleUser => {
                let line = format!(
                    "[control] {key} is not in force: in single-user mode the control socket is its one user's"
                );
                config.warnings.push(line);
            }
            Mode::Setuid | Mode::Systemd => {
                let group = group(key, &name)?;
                match mode {
                    _ if !identity.is_in(group) => {}
                    Mode::Systemd => return Err(NameError::ServiceIsIn { key, group }),
                    Mode::Setuid | Mode::SingleUser => return Err(NameError::WorkersAreIn { key, group }),
                }
                *found = Some(group);
            }
        }
    }
    let [operators, readers] = groups;
    Ok(Groups { operators, readers })
}

/// A group by its name or its number.
fn group(key: &'static str, name: &str) -> Result<u32, NameError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(NameError::NoGroup { key, name: name.to_owned() }),
        Err(error) => Err(NameError::Group { key, name: name.to_owned(), error }),
    }
}

/// Looks every granted host up.
fn hosts(config: &mut Config) {
    let scripts = config.allowlist.programs();
    let endpoints = scripts.flat_map(|script| &script.profile.network);
    let hosts: BTreeSet<String> = endpoints.map(|endpoint| endpoint.host.to_string()).collect();
    let mut found = BTreeMap::new();
    for host in hosts {
        match (host.as_str(), 0).to_socket_addrs() {
            Ok(addresses) => {
                let mut addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
                addresses.sort();
                addresses.dedup();
                addresses.truncate(MAX_ADDRESSES);
                found.insert(host, addresses);
            }
            Err(error) => {
                let host = bartizan_proto::text::printable(&host);
                config.warnings.push(format!("the granted host {host} has no address: {error}"));
            }
        }
    }
    config.addresses = found;
}
