//! Whose certificates are believed: the CA that the server's file names, else the system's.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Where Debian, and most others by a link, keep the system's certificates.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA in the server's file.
    #[error("the CA in the server's file cannot be used: {0}")]
    Ca(String),
    /// The provider lacks a protocol version.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The settings for REST and websocket.
///
/// # Errors
/// [`TlsError`].
pub fn config(ca_pem: Option<&str>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| TlsError::Ca(error.to_string()))?;
                roots.add(certificate).map_err(|error| TlsError::Ca(error.to_string()))?;
            }
        }
        None => {
            // None at all is right for a server without TLS; one with TLS is then not believed.
            let system = CertificateDer::pem_file_iter(SYSTEM).into_iter().flatten().flatten();
            roots.add_parsable_certificates(system);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
