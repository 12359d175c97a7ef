//! Writing: every line is numbered, chained to the one before, and signed.

use crate::{PublicKey, SealingKey, hash, nothing_before};
use serde_json::Value;

/// A line's own fields, in the order in which they are written.
pub type Fields = serde_json::Map<String, Value>;

/// The end of a log, to which lines are added.
pub struct Chain {
    key: SealingKey,
    sequence: u64,
    previous_hash: String,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Chain {
    /// Goes on after the last line there is, given with its number.
    pub fn after(key: SealingKey, last: Option<(u64, &str)>) -> Self {
        let (sequence, previous_hash) =
            last.map_or_else(|| (0, nothing_before()), |(sequence, line)| (sequence, hash(line.as_bytes())));
        Self { key, sequence, previous_hash }
    }

    /// The number of the last line.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The hash of the last line.
    pub fn head(&self) -> &str {
        &self.previous_hash
    }

    /// What signs.
    pub fn key(&self) -> &SealingKey {
        &self.key
    }

    /// Who signs.
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// Another key signs from the next line on.
    pub fn change_key(&mut self, key: SealingKey) {
        self.key = key;
    }

    /// Makes the next line of these fields. `sequence` and `timestamp` are put before them.
    pub fn seal(&mut self, timestamp: &str, fields: Fields) -> String {
        self.sequence += 1;
        let line = self.sealed(self.sequence, timestamp, fields, &self.previous_hash);
        self.previous_hash = hash(line.as_bytes());
        line
    }

    /// A line that is not in the chain: it stands for everything up to the line with this number and hash.
    pub fn stub(&self, through: u64, head: &str, timestamp: &str, fields: Fields) -> String {
        self.sealed(through, timestamp, fields, head)
    }

    fn sealed(&self, sequence: u64, timestamp: &str, fields: Fields, previous: &str) -> String {
        let mut line = Fields::new();
        line.insert("sequence".into(), sequence.into());
        line.insert("timestamp".into(), timestamp.into());
        line.extend(fields);
        line.insert("previousHash".into(), previous.into());
        line.insert("publicKey".into(), self.public_key().as_str().into());
        let mut line = Value::Object(line).to_string();
        line.truncate(line.len() - 1);
        let signature = self.key.sign(line.as_bytes());
        line.push_str(",\"signature\":\"");
        line.push_str(&signature);
        line.push_str("\"}");
        line
    }

    /// Signs something that is not a line.
    pub fn sign(&self, message: &[u8]) -> String {
        self.key.sign(message)
    }
}

/// What a new key signs to show that whoever named it has it: the old key, and the number of the line that names it.
pub fn proof_of_new_key(old: &str, new: &str, sequence: u64) -> Vec<u8> {
    format!("bartizan audit key 1\n{old}\n{new}\n{sequence}").into_bytes()
}
