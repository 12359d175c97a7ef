//! What a record is called, and what its ciphertext is bound to.

use bartizan_proto::brain::RecordKind;
use bartizan_proto::ids::{MemoryKey, Namespace, SecretName, UserId};
use std::fmt;

/// The format of records, of the index and of the wrapped key.
pub const FORMAT: u8 = 1;

/// Bytes of the name of a data key.
pub const KEY_ID: usize = 16;

/// The namespace that belongs to the bot itself.
pub const RESERVED: &str = "bot";

/// One record's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// Its kind.
    pub kind: RecordKind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its key.
    pub key: MemoryKey,
}

impl RecordId {
    /// Where a secret is.
    pub fn secret(name: &SecretName) -> Self {
        Self { kind: RecordKind::Secret, namespace: name.namespace.clone(), key: name.key.clone() }
    }

    /// Where a long-term memory is.
    pub fn memory(namespace: &Namespace, key: &MemoryKey) -> Self {
        Self { kind: RecordKind::Memory, namespace: namespace.clone(), key: key.clone() }
    }

    /// Where the bot's token is.
    pub fn token() -> Self {
        let valid = "these are valid names";
        Self { kind: RecordKind::Bot, namespace: RESERVED.parse().expect(valid), key: "token".parse().expect(valid) }
    }

    /// Where the key is that signs orders for other machines.
    pub fn remote_key() -> Self {
        let valid = "these are valid names";
        let key = "remote-signing-key".parse().expect(valid);
        Self { kind: RecordKind::Bot, namespace: RESERVED.parse().expect(valid), key }
    }

    /// Where the key waits that will do so next.
    pub fn next_remote_key() -> Self {
        let valid = "these are valid names";
        let key = "remote-signing-key-next".parse().expect(valid);
        Self { kind: RecordKind::Bot, namespace: RESERVED.parse().expect(valid), key }
    }

    /// Where the secret of somebody's second factor is.
    pub fn second_factor(user: UserId) -> Self {
        let valid = "these are valid names";
        let key = format!("second-factor-{user}").parse().expect(valid);
        Self { kind: RecordKind::Bot, namespace: RESERVED.parse().expect(valid), key }
    }

    /// What the ciphertext of this record is bound to: format version ‖ key id ‖ kind ‖ namespace ‖ key ‖ record version ‖
    /// time, each text after its length, so that no two records have the same.
    pub fn about(&self, key_id: &[u8; KEY_ID], version: u64, written_ms: u64) -> Vec<u8> {
        let mut about = b"bartizan brain record\0".to_vec();
        about.push(FORMAT);
        about.extend_from_slice(key_id);
        for text in [kind_name(self.kind), self.namespace.as_str(), self.key.as_str()] {
            // All of them are at most 64 bytes long.
            about.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            about.extend_from_slice(text.as_bytes());
        }
        about.extend_from_slice(&version.to_be_bytes());
        about.extend_from_slice(&written_ms.to_be_bytes());
        about
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", kind_name(self.kind), self.namespace, self.key)
    }
}

/// A kind as the database has it.
pub fn kind_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Bot => "bot",
        RecordKind::Secret => "secret",
        RecordKind::Memory => "memory",
    }
}

/// And back.
pub fn kind_named(name: &str) -> Option<RecordKind> {
    [RecordKind::Bot, RecordKind::Secret, RecordKind::Memory].into_iter().find(|kind| kind_name(*kind) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_records_are_bound_to_the_same() {
        let id = |text: &str| RecordId::secret(&text.parse().expect("a name"));
        let mut seen = std::collections::HashSet::new();
        for name in ["ab/c", "a/bc", "abc/d", "ab/cd"] {
            for version in [1, 2] {
                assert!(seen.insert(id(name).about(&[0; KEY_ID], version, 5)), "{name} {version}");
            }
        }
        let secret = id("a/b");
        let memory = RecordId { kind: RecordKind::Memory, ..secret.clone() };
        assert_ne!(secret.about(&[0; KEY_ID], 1, 5), memory.about(&[0; KEY_ID], 1, 5));
        assert_ne!(secret.about(&[0; KEY_ID], 1, 5), secret.about(&[1; KEY_ID], 1, 5));
    }
}
