//! Keys: public ones as people hand them on, and the one that signs, which stays in secret memory.

use bartizan_secret::{SecretBox, SecretBytes, SecretMemoryError, on_clean_stack};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
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

/// A key that signs. There is no way to print it, and no copy of it outside secret memory.
#[derive(Debug)]
pub struct SealingKey {
    key: SecretBox<SigningKey>,
    public_key: PublicKey,
}

impl SealingKey {
    /// Bytes that such a key is made of.
    pub const LENGTH: usize = ed25519_dalek::SECRET_KEY_LENGTH;

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`SecretMemoryError`]; of [`SecretMemoryError::Empty`] when there are not [`SealingKey::LENGTH`] of them.
    pub fn of(seed: &SecretBytes) -> Result<Self, SecretMemoryError> {
        let seed: &[u8; Self::LENGTH] = seed.expose().try_into().map_err(|_| SecretMemoryError::Empty)?;
        let key = SecretBox::new(|| SigningKey::from_bytes(seed))?;
        let public_key = PublicKey::from(key.expose().verifying_key());
        Ok(Self { key, public_key })
    }

    /// Its public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The signature of a message, in base64.
    pub fn sign(&self, message: &[u8]) -> String {
        BASE64.encode(on_clean_stack(|| self.key.expose().sign(message)).to_bytes())
    }

    /// What stands for a value: only who has this key can tell which one it was. `purpose` is a text of fixed length.
    pub fn keyed_hash(&self, purpose: &[u8], value: &[u8]) -> [u8; 32] {
        on_clean_stack(|| {
            let mut hasher = Sha256::new();
            hasher.update(purpose);
            hasher.update(self.key.expose().as_bytes());
            hasher.update(value);
            hasher.finalize().into()
        })
    }
}
