//! The addresses of the hosts that profiles grant, looked up once: the core that they are for has no network.
//!
//! A job gets them in a hosts file of its own, and never asks a name server. A name that stands for nothing is a line in
//! the log: the scripts that want it cannot reach it, and the others run.

use crate::config::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs as _};

/// Most addresses of one name that are kept.
const MAX_ADDRESSES: usize = 16;

/// Looks every granted host up.
pub(super) fn resolve(config: &mut Config) {
    let endpoints = config.allowlist.iter().flat_map(|script| &script.profile.network);
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
