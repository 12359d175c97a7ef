//! The address of an HTTP proxy that connects to the server.

use reqwest::Url;
use std::net::IpAddr;

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Not an address of one.
    #[error("the proxy's address must be http://HOST[:PORT], without user, path or query")]
    Form,
    /// The token would go through it as it is.
    #[error("a proxy is for an https server: to a plain http one it could read the token")]
    Plain,
}

/// A proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    address: Url,
    port: u16,
}

impl Proxy {
    /// Checks an address as the configuration has it, for a server that is reached over TLS or not.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn parse(address: &str, is_tls: bool) -> Result<Self, ProxyError> {
        let url = Url::parse(address).map_err(|_| ProxyError::Form)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let bare = matches!(url.path(), "" | "/") && url.fragment().is_none();
        let host = !url.host_str().unwrap_or_default().is_empty();
        let (true, true, true, "http", Some(port)) = (plain, bare, host, url.scheme(), url.port_or_known_default())
        else {
            return Err(ProxyError::Form);
        };
        if is_tls { Ok(Self { address: url, port }) } else { Err(ProxyError::Plain) }
    }

    /// Its address.
    pub fn address(&self) -> Url {
        self.address.clone()
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether its host is a name, which has to be resolved.
    pub fn is_named(&self) -> bool {
        let host = self.address.host_str().unwrap_or_default();
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_is_for_https_alone() {
        for (good, port) in
            [("http://proxy.example.com:3128", 3128), ("http://[::1]:8080/", 8080), ("http://proxy", 80)]
        {
            assert_eq!(Proxy::parse(good, true).expect("an address").port(), port, "{good}");
            assert!(matches!(Proxy::parse(good, false), Err(ProxyError::Plain)), "{good}");
        }
        for bad in [
            "",
            "proxy:3128",
            "https://proxy",
            "socks5://proxy",
            "http://me:secret@proxy",
            "http://proxy/x",
            "http://proxy/?a",
        ] {
            assert!(matches!(Proxy::parse(bad, true), Err(ProxyError::Form)), "{bad}");
        }
        assert!(Proxy::parse("http://proxy", true).expect("an address").is_named());
        assert!(!Proxy::parse("http://10.0.0.1:1", true).expect("an address").is_named());
    }
}
