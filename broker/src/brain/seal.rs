//! AES-256-GCM with the key schedule in secret memory: the only file that encrypts and decrypts.
//!
//! What is sealed is `nonce ‖ ciphertext ‖ tag`, the nonce 96 random bits. With one data key far fewer than 2³² records are
//! ever sealed (NIST SP 800-38D §8.3), and `rekey` makes a new one. The associated data say what is sealed, so that nothing
//! can be put in the place of something else.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};
use bartizan_secret::{SecretBox, SecretBytes, SecretMemoryError, on_clean_stack};

/// Bytes of a key.
pub const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Bytes that sealing adds.
pub const OVERHEAD: usize = NONCE + TAG;

/// What did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not ours, not here, or not as it was written.
    #[error("does not authenticate: it was changed, or belongs to another key or place")]
    Authentic,
    /// Nothing was sealed.
    #[error("there is nothing to keep")]
    Empty,
    /// The kernel gives no randomness.
    #[error("the kernel gives no randomness")]
    Random,
    /// No protected memory.
    #[error("no protected memory: raise RLIMIT_MEMLOCK (LimitMEMLOCK=)")]
    Memory,
}

impl From<SecretMemoryError> for SealError {
    fn from(error: SecretMemoryError) -> Self {
        match error {
            SecretMemoryError::Empty => SealError::Empty,
            SecretMemoryError::Allocate | SecretMemoryError::Lock | SecretMemoryError::Protect => SealError::Memory,
        }
    }
}

/// A key, expanded, in secret memory.
#[derive(Debug)]
pub struct Cipher(SecretBox<Aes256Gcm>);

impl Cipher {
    /// Expands a key.
    ///
    /// # Errors
    /// [`SealError::Memory`].
    pub fn new(key: &SecretBytes) -> Result<Self, SealError> {
        let key: &Key<Aes256Gcm> = key.expose().try_into().map_err(|_| SealError::Memory)?;
        Ok(Self(SecretBox::new(|| Aes256Gcm::new(key))?))
    }

    /// Seals something as what `about` says.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn seal(&self, about: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE] = random()?;
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let cipher = self.0.expose();
        let body = &mut sealed[NONCE..];
        let tag = on_clean_stack(|| cipher.encrypt_inout_detached(&Nonce::from(nonce), about, body.into()))
            .map_err(|_| SealError::Authentic)?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what was sealed as `about`, into secret memory.
    ///
    /// # Errors
    /// [`SealError::Authentic`]; never anything that did not authenticate.
    pub fn open(&self, about: &[u8], sealed: &[u8]) -> Result<SecretBytes, SealError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(SealError::Authentic)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(SealError::Authentic)?;
        let mut opened = Err(aes_gcm::Error);
        let plain = SecretBytes::build(body.len(), |memory| {
            memory.copy_from_slice(body);
            let (cipher, nonce, tag) = (self.0.expose(), Nonce::from(*nonce), Tag::from(*tag));
            opened = on_clean_stack(|| cipher.decrypt_inout_detached(&nonce, about, memory.into(), &tag));
        })?;
        opened.map(|()| plain).map_err(|_| SealError::Authentic)
    }
}

/// A new random key.
///
/// # Errors
/// [`SealError`].
pub fn new_key() -> Result<SecretBytes, SealError> {
    let mut filled = Ok(());
    let key = SecretBytes::build(KEY, |memory| filled = fill(memory))?;
    filled.map(|()| key)
}

/// Random bytes that are no secret.
///
/// # Errors
/// [`SealError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    fill(&mut bytes).map(|()| bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), SealError> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|_| SealError::Random)?;
    }
    Ok(())
}

/// The tag of something sealed: with the version, what the index knows a record by.
pub fn tag_of(sealed: &[u8]) -> [u8; TAG] {
    sealed.last_chunk::<TAG>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cipher() -> Cipher {
        Cipher::new(&new_key().expect("a key")).expect("a cipher")
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_the_same_words_only() {
        let cipher_of_ours = cipher();
        let sealed = cipher_of_ours.seal(b"a/b 1", b"canary").expect("sealed");
        assert_eq!(cipher_of_ours.open(b"a/b 1", &sealed).expect("opens").expose(), b"canary");
        assert_eq!(cipher_of_ours.open(b"a/b 2", &sealed).err(), Some(SealError::Authentic));
        assert_eq!(cipher().open(b"a/b 1", &sealed).err(), Some(SealError::Authentic));
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
    }

    #[test]
    fn no_nonce_comes_twice() {
        let cipher = cipher();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..2000 {
            assert!(seen.insert(cipher.seal(b"", b"x").expect("sealed")[..NONCE].to_vec()));
        }
    }

    proptest! {
        #[test]
        fn one_changed_bit_anywhere_is_noticed(bit in 0usize..(5 + OVERHEAD) * 8) {
            let cipher = cipher();
            let mut sealed = cipher.seal(b"x", b"hello").expect("sealed");
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(cipher.open(b"x", &sealed).err(), Some(SealError::Authentic));
        }
    }
}
