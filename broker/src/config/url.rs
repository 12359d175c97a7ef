//! The server's address, checked: `http(s)://HOST[:PORT][/PATH]`, without user, query or fragment.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A base address that egress may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// The text is not such an address; the reason is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(pub &'static str);

impl ServerUrl {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the token would cross a network in clear: plain http to another machine.
    pub fn is_in_clear(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else { return false };
        let authority = rest.split('/').next().unwrap_or(rest);
        let host = match authority.strip_prefix('[') {
            Some(inner) => inner.split(']').next().unwrap_or(inner),
            None => authority.split(':').next().unwrap_or(authority),
        };
        !host.eq_ignore_ascii_case("localhost") && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidUrl;
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(InvalidUrl("it must begin with https:// (or http:// for a server on this machine)"))?;
        if text.len() > bartizan_proto::limits::MAX_NAME {
            return Err(InvalidUrl("it is too long"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(InvalidUrl("it must not carry a user or password"));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']').ok_or(InvalidUrl("the bracket is never closed"))?;
                host.parse::<Ipv6Addr>().map_err(|_| InvalidUrl("it has no IPv6 address between its brackets"))?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or("")) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (check_host(host)?, Some(port)),
                None => (check_host(authority)?, None),
            },
        };
        if host.is_empty() {
            return Err(InvalidUrl("it names no host"));
        }
        if port
            .is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()) || !matches!(port.parse(), Ok(1..=65535u32)))
        {
            return Err(InvalidUrl("its port is not a number from 1 to 65535"));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
        if !path.bytes().all(plain) || path.split('/').any(|part| part == "..") {
            return Err(InvalidUrl("its path may only have letters, digits and -._~ (no query, no fragment, no ..)"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// A host name or an IPv4 address.
pub(super) fn check_host(host: &str) -> Result<&str, InvalidUrl> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label) {
        Ok(host)
    } else {
        Err(InvalidUrl("its host is not a host name or an address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_perhaps_a_port_and_a_path() {
        for (good, kept) in [
            ("https://chat.example.com", "https://chat.example.com"),
            ("https://chat.example.com/", "https://chat.example.com"),
            ("https://example.com/mattermost/", "https://example.com/mattermost"),
            ("http://127.0.0.1:8065", "http://127.0.0.1:8065"),
            ("http://[::1]:8065/x", "http://[::1]:8065/x"),
        ] {
            assert_eq!(good.parse::<ServerUrl>().unwrap().as_str(), kept);
        }
        for bad in [
            "",
            "chat.example.com",
            "ftp://x",
            "https://",
            "https:///x",
            "https://alice:secret@x",
            "https://x:0",
            "https://x:+1",
            "https://x:65536",
            "https://x:",
            "https://x?y",
            "https://x/y?z",
            "https://x/#z",
            "https://x/../y",
            "https://x y",
            "https://[::1",
            "https://[::1]8",
            "https://[x]",
            "https://exämple.com",
            "https://x\n",
        ] {
            assert!(bad.parse::<ServerUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_http_to_another_machine_is_in_clear() {
        for (url, clear) in [
            ("https://chat.example.com", false),
            ("http://localhost:8065", false),
            ("http://127.0.0.1", false),
            ("http://[::1]:8065", false),
            ("http://chat.example.com", true),
            ("http://10.0.0.1:8065", true),
        ] {
            assert_eq!(url.parse::<ServerUrl>().unwrap().is_in_clear(), clear, "{url}");
        }
    }
}
