//! The audit log's format: how a line is sealed, read and verified. docs/audit.md describes it for people without this code.
//!
//! Used by the core, which writes, by `bartizan`, which reads, and by the tests. Trusts nothing that it reads: a verdict
//! follows from the bytes and from a public key that the caller knows by other means.
#![forbid(unsafe_code)]

mod entry;
mod files;
mod key;
mod person;
mod receipt;
mod seal;
mod verify;

pub use entry::{Entry, Unreadable};
pub use files::{Segment, segments};
pub use key::{BadKey, PublicKey, SealingKey};
pub use person::{
    BadPersonKey, BadSignature, CannotSign, MAX_SIGNATURE, NAMESPACE, PersonKey, PersonSignature, openssh_fingerprint,
    sha512, sign_as_person,
};
pub use receipt::{BadReceipt, MAX_RECEIPT, Receipt, seal_receipt, verify_receipt};
pub use seal::{Chain, Fields, proof_of_new_key};
pub use verify::{
    BadWitness, Fault, Kind, Report, Verifier, VerifyError, Witness, is_whole, verify_files, verify_opened,
};

use sha2::{Digest as _, Sha256};

/// The event whose line stands for everything that was pruned before it.
pub const PRUNED: &str = "pruned";
/// The event that tells of a prune, in the chain.
pub const PRUNE: &str = "prune";
/// The event that begins a file after the first.
pub const ROTATION: &str = "rotation";
/// The event after which another key signs.
pub const KEY_ROTATION: &str = "key-rotation";
/// The event that sums up what was before, for witnesses.
pub const CHECKPOINT: &str = "checkpoint";

/// What the first line of a log names as the hash of the line before it.
pub fn nothing_before() -> String {
    "0".repeat(64)
}

/// The hash of a line, without its line break, as it stands in the next line.
pub fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line))
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
