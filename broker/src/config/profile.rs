//! `[profiles.NAME]`: what a script may reach and use, and what no profile may grant.

use super::error::Wrong;
use super::quantity::Amount;
use super::url::check_host;
use super::{absolute, raw};
use bartizan_proto::limits::{MAX_ENDPOINTS, MAX_GRANTS};
use bartizan_proto::worker::{Endpoint, Limits, Profile};
use bartizan_proto::{List, Text};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What belongs to Bartizan itself, and must not come into a script's reach.
pub(super) struct Own {
    /// The token, the state, the control socket: not even to be read.
    pub(super) secret: Vec<PathBuf>,
    /// The configuration and the allowlist: not to be written.
    pub(super) fixed: Vec<PathBuf>,
}

/// The profile of a script that names none: nothing but the system's programs, no network, the seed's limits.
pub(super) fn least() -> Profile {
    Profile {
        read: List::default(),
        write: List::default(),
        exec: List::default(),
        network: List::default(),
        limits: Limits::default(),
    }
}

/// Checks one profile; relative paths are relative to `folder`.
pub(super) fn check(raw: &raw::Profile, folder: &Path, own: &Own) -> Result<Profile, Wrong> {
    let secret: Vec<&Path> = own.secret.iter().map(PathBuf::as_path).collect();
    let all: Vec<&Path> = own.secret.iter().chain(&own.fixed).map(PathBuf::as_path).collect();
    let profile = Profile {
        read: paths(&raw.read, folder, &secret).map_err(|wrong| wrong.within("read"))?,
        write: paths(&raw.write, folder, &all).map_err(|wrong| wrong.within("write"))?,
        exec: paths(&raw.exec, folder, &secret).map_err(|wrong| wrong.within("exec"))?,
        network: network(&raw.network).map_err(|wrong| wrong.within("network"))?,
        limits: Limits::default(),
    };
    Ok(Profile { limits: limits(&raw.limits(), profile.limits)?, ..profile })
}

/// Puts the limits that are written over others.
pub(super) fn limits(raw: &raw::JobLimits, below: Limits) -> Result<Limits, Wrong> {
    let second = Some(Duration::from_secs(1));
    let bytes = |key: &str, amount: &Option<Amount>, otherwise: u64| match amount {
        Some(amount) => amount.bytes().map_err(|wrong| wrong.within(key)),
        None => Ok(otherwise),
    };
    let limits = Limits {
        memory: bytes("memory", &raw.memory, below.memory)?,
        cpu: match &raw.cpu {
            // Less than a second is a second: the kernel counts in those.
            Some(cpu) => cpu.time(second).map_err(|wrong| wrong.within("cpu"))?.as_millis().div_ceil(1000) as u64,
            None => below.cpu,
        },
        processes: raw.processes.unwrap_or(below.processes),
        files: raw.files.unwrap_or(below.files),
        file_size: bytes("file-size", &raw.file_size, below.file_size)?,
        scratch: bytes("scratch", &raw.scratch, below.scratch)?,
    };
    let needed = [
        ("memory", limits.memory, 16 << 20, "16 MiB"),
        ("cpu", limits.cpu, 1, "1 second"),
        ("processes", limits.processes, 1, "1"),
        ("files", limits.files, 16, "16"),
    ];
    for (key, value, least, words) in needed {
        if value < least {
            let what = format!("{key} is so small that nothing could run");
            return Err(Wrong::new(what, format!("give at least {words}")).within(key));
        }
    }
    Ok(limits)
}

type Paths = List<Text<{ bartizan_proto::limits::MAX_PATH }>, { bartizan_proto::limits::MAX_GRANTS }>;

fn paths(raw: &[PathBuf], folder: &Path, kept: &[&Path]) -> Result<Paths, Wrong> {
    let mut granted = Vec::new();
    for (i, path) in raw.iter().enumerate() {
        let path = absolute(folder, path);
        // Reached from above (/etc for /etc/bartizan/token) or from inside (a file of the state directory).
        if let Some(kept) = kept.iter().find(|kept| kept.starts_with(&path) || path.starts_with(kept)) {
            let what = format!("{} would give scripts {}, which is Bartizan's own", path.display(), kept.display());
            return Err(Wrong::new(what, "grant a narrower path, or move that file").within(i));
        }
        let text = path.into_os_string().into_string().ok().and_then(|path| Text::new(path).ok());
        let text = text.ok_or_else(|| Wrong::new("the path is too long or not UTF-8", "use another one").within(i))?;
        granted.push(text);
    }
    List::new(granted).map_err(|e| Wrong::new(format!("too many paths ({e})"), "grant a directory above them"))
}

/// Paths that a script is to read, where they give it nothing of Bartizan's own.
pub(super) fn readable(all: &[PathBuf], own: &Own) -> Result<Paths, Wrong> {
    let secret: Vec<&Path> = own.secret.iter().map(PathBuf::as_path).collect();
    paths(all, Path::new("/"), &secret)
}

/// Paths that a program of Bartizan's is to write in a job: nothing of Bartizan's own is among them.
pub(super) fn writable(all: &[PathBuf], own: &Own) -> Result<Paths, Wrong> {
    let kept: Vec<&Path> = own.secret.iter().chain(&own.fixed).map(PathBuf::as_path).collect();
    paths(all, Path::new("/"), &kept)
}

fn network(raw: &[String]) -> Result<List<Endpoint, MAX_ENDPOINTS>, Wrong> {
    let mut granted = Vec::new();
    for (i, text) in raw.iter().enumerate() {
        let endpoint = endpoint(text).ok_or_else(|| {
            Wrong::new(format!("\"{text}\" is not a host and a port"), "write it like \"host.example.com:443\"")
                .within(i)
        })?;
        granted.push(endpoint);
    }
    if granted.len() > MAX_GRANTS {
        return Err(Wrong::new(format!("more than {MAX_GRANTS} hosts"), "grant fewer"));
    }
    List::new(granted).map_err(|e| Wrong::new(format!("too many hosts ({e})"), "grant fewer"))
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let port = Some(port).filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?.parse().ok().filter(|p| *p != 0)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|inner| inner.parse::<IpAddr>().is_ok())?,
        None => check_host(host).ok()?,
    };
    Some(Endpoint { host: Text::new(host).ok()?, port, addresses: List::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (text, host, port) in
            [("a.example.com:443", "a.example.com", 443), ("10.0.0.1:22", "10.0.0.1", 22), ("[::1]:80", "::1", 80)]
        {
            let endpoint = endpoint(text).unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
        }
        for bad in ["", "a", "a:", ":1", "a:0", "a:+1", "a:65536", "::1:80", "[x]:1", "a b:1", "*:443", "http://a:1"] {
            assert!(endpoint(bad).is_none(), "{bad}");
        }
    }
}
