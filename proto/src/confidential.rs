//! A secret on its way through a frame: bounded, never printed, zeroed when it is dropped.
//!
//! What the reading and writing of frames has of it in buffers is zeroed too: those that stay by
//! [`crate::frame::Decoder`] and [`crate::stream::Receiver`], those that are freed by the heap of the processes that
//! handle secrets (`secret/src/system/heap.rs`).

use crate::bounded::{Bytes, TooLong};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use zeroize::{Zeroize, Zeroizing};

/// At most `MAX` secret bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Confidential<const MAX: usize>(Zeroizing<Vec<u8>>);

impl<const MAX: usize> Confidential<MAX> {
    /// Takes the secret whole, or refuses it; then it is zeroed.
    ///
    /// # Errors
    /// [`TooLong`] when there are more than `MAX` bytes.
    pub fn new(secret: Zeroizing<Vec<u8>>) -> Result<Self, TooLong> {
        match secret.len() {
            n if n <= MAX => Ok(Self(secret)),
            actual => Err(TooLong { actual, limit: MAX }),
        }
    }

    /// Copies a secret out of protected memory.
    ///
    /// # Errors
    /// As [`Confidential::new`].
    pub fn copy_of(secret: &[u8]) -> Result<Self, TooLong> {
        Self::new(Zeroizing::new(secret.to_vec()))
    }

    /// Gives the secret away; it is still zeroed when it is dropped.
    pub fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl<const MAX: usize> Deref for Confidential<MAX> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Confidential<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(confidential)")
    }
}

impl<const MAX: usize> Serialize for Confidential<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Confidential<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The bytes are moved, not copied.
        let bytes = Bytes::<MAX>::deserialize(deserializer)?;
        Ok(Self(Zeroizing::new(bytes.into_vec())))
    }
}

impl<const MAX: usize> Zeroize for Confidential<MAX> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{self, HEADER};

    #[test]
    fn a_secret_travels_whole_and_is_in_no_debug_text() {
        let secret = Confidential::<8>::copy_of(b"canary").expect("short enough");
        let frame = frame::encode(&secret).expect("a frame");
        let back: Confidential<8> = frame::decode(&frame[HEADER..]).expect("decodes");
        assert_eq!(&*back, b"canary");
        assert_eq!(format!("{back:?}"), "(confidential)");
        assert!(frame::decode::<Confidential<5>>(&frame[HEADER..]).is_err(), "over its limit");
    }
}
