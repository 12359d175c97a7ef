//! Names that the core itself cannot look up: the operators' group, and the addresses of the hosts that profiles grant.
//!
//! Both once, at start: the core has no network and no file of the system's. The group must not be one that workers are in.
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
        "[control] operators: there is no group \"{0}\" on this machine; make it with `groupadd --system {0}`, or name another"
    )]
    NoGroup(String),
    /// It cannot be looked up.
    #[error("[control] operators: the group \"{name}\" cannot be looked up: {error}")]
    Group {
        /// Which.
        name: String,
        /// Why.
        error: nix::Error,
    },
    /// Workers would be in it.
    #[error(
        "[control] operators: the user who starts the service, and with it every script, is in the group {0}; take it out of \
         that group, or name another"
    )]
    WorkersAreOperators(u32),
}

/// Looks everything up; the operators' group, where the mode can tell operators from workers.
pub(super) fn resolve(config: &mut Config, mode: Mode, identity: &Identity) -> Result<Option<u32>, NameError> {
    hosts(config);
    match (mode, &config.operators) {
        (_, None) => Ok(None),
        (Mode::SingleUser, Some(_)) => {
            let line = "[control] operators is not in force: in single-user mode the control socket is its one user's";
            config.warnings.push(line.to_owned());
            Ok(None)
        }
        (Mode::Setuid | Mode::Systemd, Some(name)) => {
            let group = group(name)?;
            if identity.is_in(group) { Err(NameError::WorkersAreOperators(group)) } else { Ok(Some(group)) }
        }
    }
}

/// A group by its name or its number.
fn group(name: &str) -> Result<u32, NameError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(NameError::NoGroup(name.to_owned())),
        Err(error) => Err(NameError::Group { name: name.to_owned(), error }),
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
