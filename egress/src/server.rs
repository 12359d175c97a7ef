//! The server's address and the certificates it is checked against, parsed once from the core's `Setup`.

use crate::proxy::{Proxy, ProxyError};
use bartizan_proto::egress::ClientCertificate;
use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::sync::Arc;

/// Why no server can be reached by this setup. Never has anything secret in it.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not an address.
    #[error("the server's address is not a URL: {0}")]
    Url(String),
    /// An address with more in it than an address.
    #[error("the server's address must be http(s)://HOST[:PORT][/PATH], without user, query or fragment")]
    Form,
    /// https cannot be checked.
    #[error("an https server needs CA certificates, and none were given")]
    NoRoots,
    /// The bundle is broken.
    #[error("the CA certificates cannot be read: certificate {index}: {why}")]
    Roots {
        /// Counted from 1.
        index: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Our own certificate is broken, or its key.
    #[error("the client certificate cannot be used: {0}")]
    Client(String),
    /// The proxy's address.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where the server is. The only place that requests go to.
#[derive(Debug, Clone)]
pub struct Server {
    base: Url,
    port: u16,
    named: bool,
    proxy: Option<Proxy>,
}

impl Server {
    /// Checks an address as the configuration has it.
    ///
    /// # Errors
    /// [`ServerError::Url`], [`ServerError::Form`].
    pub fn parse(address: &str) -> Result<Self, ServerError> {
        let base = Url::parse(address).map_err(|error| ServerError::Url(error.to_string()))?;
        let plain = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        let host = base.host_str().unwrap_or_default();
        let (true, "http" | "https", false, Some(port)) =
            (plain, base.scheme(), host.is_empty(), base.port_or_known_default())
        else {
            return Err(ServerError::Form);
        };
        let named = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
        Ok(Self { named, port, base, proxy: None })
    }

    /// Whether requests go over TLS.
    pub fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Whether the address is a loopback one, where plain http is seen by nobody else.
    pub fn is_loopback(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Has everything go through a proxy, which connects to the server.
    ///
    /// # Errors
    /// [`ServerError::Proxy`], also where the server is no https server: the proxy could read the token.
    pub fn through(self, address: &str) -> Result<Self, ServerError> {
        let proxy = Some(Proxy::parse(address, self.is_tls())?);
        Ok(Self { proxy, ..self })
    }

    /// The proxy, where there is one.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The only TCP port to connect to.
    pub fn port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.port, Proxy::port)
    }

    /// Whether a name has to be resolved here: the proxy's where there is one, which resolves the server's.
    pub fn is_named(&self) -> bool {
        self.proxy.as_ref().map_or(self.named, Proxy::is_named)
    }

    /// `BASE/api/v4/…` with these segments, each escaped, and this query.
    pub fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("an http address always has a path")
            .pop_if_empty()
            .extend(["api", "v4"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// The settings for TLS: ring, TLS 1.2 and 1.3, these roots and no others, and our own certificate where there is one.
///
/// # Errors
/// [`ServerError::Roots`] when a certificate is broken, [`ServerError::NoRoots`] when https has none, [`ServerError::Client`] when
/// our own is broken or does not fit its key.
pub fn tls(server: &Server, pem: &[u8], client: Option<ClientCertificate>) -> Result<ClientConfig, ServerError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let broken = |why: String| ServerError::Roots { index: index + 1, why };
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        roots.add(certificate).map_err(|error| broken(error.to_string()))?;
    }
    if roots.is_empty() && server.is_tls() {
        return Err(ServerError::NoRoots);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { chain, key }) => {
            let broken = |error: &dyn std::fmt::Display| ServerError::Client(error.to_string());
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
            let chain = chain.map_err(|error| broken(&error))?;
            // The TLS library keeps the key for as long as egress lives, as it keeps those of its sessions.
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| broken(&error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| broken(&error))?
        }
    };
    // One server: the default keeps tickets of 256.
    config.resumption = rustls::client::Resumption::in_memory_sessions(4);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_perhaps_a_port_and_a_path() {
        for good in ["http://127.0.0.1:8065", "https://chat.example.com", "https://example.com/chat/", "http://[::1]:1"]
        {
            assert!(Server::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "chat.example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://alice@example.com",
            "https://example.com/?a=b",
            "https://example.com/#x",
            "unix:/x",
        ] {
            assert!(Server::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_below_the_host_stays_in_front_and_segments_are_escaped() {
        let server = Server::parse("https://example.com/chat/").expect("an address");
        let url = server.url(&["users", "username", "a/../b?c"], &[("q", "x y&z")]);
        assert_eq!(url.as_str(), "https://example.com/chat/api/v4/users/username/a%2F..%2Fb%3Fc?q=x+y%26z");
        assert_eq!(server.port(), 443);
    }

    #[test]
    fn only_a_name_needs_the_resolver() {
        for (address, named) in [("http://127.0.0.1:1", false), ("http://[::1]:1", false), ("http://localhost:1", true)]
        {
            let server = Server::parse(address).expect("an address");
            assert_eq!(server.is_named(), named, "{address}");
            assert!(server.is_loopback(), "{address}");
        }
        assert!(!Server::parse("http://10.0.0.1").expect("an address").is_loopback());
    }

    #[test]
    fn https_without_roots_is_refused_and_so_is_a_broken_bundle() {
        let server = Server::parse("https://example.com").expect("an address");
        assert!(matches!(tls(&server, b"", None), Err(ServerError::NoRoots)));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(tls(&server, broken, None), Err(ServerError::Roots { index: 1, .. })));
        let plain = Server::parse("http://127.0.0.1").expect("an address");
        assert!(tls(&plain, b"", None).is_ok());
    }
}
