//! Signatures, many at a time.

use super::Fault;
use crate::{Entry, PublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey, verify_batch};

/// Signatures that are verified together: more are hardly faster.
const SIZE: usize = 512;

/// Signatures that are still to be verified, with what to say where one is not right.
#[derive(Debug, Default)]
pub(super) struct Batch {
    messages: Vec<Vec<u8>>,
    used: usize,
    signatures: Vec<Signature>,
    keys: Vec<VerifyingKey>,
    faults: Vec<Fault>,
}

impl Batch {
    pub(super) fn add(&mut self, entry: &Entry<'_>, key: &PublicKey, fault: Fault) -> Result<(), Fault> {
        if self.used == self.messages.len() {
            self.messages.push(Vec::with_capacity(entry.signed.len()));
        }
        self.messages[self.used].clear();
        self.messages[self.used].extend_from_slice(entry.signed);
        self.used += 1;
        self.signatures.push(entry.signature);
        self.keys.push(key.key);
        self.faults.push(fault);
        if self.used == SIZE { self.flush() } else { Ok(()) }
    }

    /// Verifies what waits. The first that is not right is the fault.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        let messages: Vec<&[u8]> = self.messages[..self.used].iter().map(Vec::as_slice).collect();
        let mut result = Ok(());
        if self.used > 0 && verify_batch(&messages, &self.signatures, &self.keys).is_err() {
            let wrong = (0..self.used)
                .find(|at| self.keys[*at].verify_strict(messages[*at], &self.signatures[*at]).is_err())
                .unwrap_or(0);
            result = Err(self.faults[wrong].clone());
        }
        self.used = 0;
        self.signatures.clear();
        self.keys.clear();
        self.faults.clear();
        result
    }
}

/// Whether this is that key's signature.
pub(super) fn is_signature(key: &PublicKey, message: &[u8], signature: &str) -> bool {
    let Ok(bytes) = BASE64.decode(signature) else { return false };
    Signature::from_slice(&bytes).is_ok_and(|signature| key.key.verify_strict(message, &signature).is_ok())
}
