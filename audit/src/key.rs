//! Public keys as people hand them on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::VerifyingKey;
use std::fmt;
use std::str::FromStr;

/// An ed25519 public key: base64, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) key: VerifyingKey,
    text: String,
}

/// A text that is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an ed25519 public key: 32 bytes in base64, as in a line's publicKey")]
pub struct BadKey;

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes: [u8; 32] = BASE64.decode(text.trim()).map_err(|_| BadKey)?.try_into().map_err(|_| BadKey)?;
        Ok(Self::from(VerifyingKey::from_bytes(&bytes).map_err(|_| BadKey)?))
    }
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        Self { key, text: BASE64.encode(key.as_bytes()) }
    }
}

impl PublicKey {
    /// As it stands in the log.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
