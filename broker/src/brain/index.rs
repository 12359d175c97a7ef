//! The authenticated index: the newest version of every record, under the data key, with an epoch that every change raises.
//!
//! A record that was put back to an older version still authenticates by itself; the index says that there was a newer one.
//! An older index with all its records still authenticates as well; its epoch is behind the one in the audit log's signed
//! records ([`Checkpoint`]).

use super::record::{FORMAT, KEY_ID, RecordId, kind_name, kind_named};
use super::seal::tag_of;
use crate::store::brain::RecordLine;
use bartizan_proto::brain::MAX_RECORDS;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What the index knows of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How often it was written.
    pub version: u64,
    /// When, ms since 1970.
    pub written_ms: u64,
    /// The tag of its ciphertext.
    pub tag: [u8; 16],
    /// What is wrong with the row; it is neither read nor written over.
    pub problem: Option<String>,
}

/// What a signed record of the audit log says of the brain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The epoch.
    pub epoch: u64,
    /// SHA-256 of the index at that epoch.
    pub root: [u8; 32],
}

/// Every record, by its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// Raised with every change.
    pub epoch: u64,
    /// The records.
    pub entries: BTreeMap<RecordId, Entry>,
}

impl Index {
    /// What the sealed index is bound to.
    pub fn about(key_id: &[u8; KEY_ID], epoch: u64) -> Vec<u8> {
        [b"bartizan brain index\0".as_slice(), &[FORMAT], key_id, &epoch.to_be_bytes()].concat()
    }

    /// The index as it is sealed: the epoch, and a line of fixed parts for each record.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.epoch.to_be_bytes().to_vec();
        for (id, entry) in &self.entries {
            for text in [kind_name(id.kind), id.namespace.as_str(), id.key.as_str()] {
                bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                bytes.extend_from_slice(text.as_bytes());
            }
            bytes.extend_from_slice(&entry.version.to_be_bytes());
            bytes.extend_from_slice(&entry.written_ms.to_be_bytes());
            bytes.extend_from_slice(&entry.tag);
        }
        bytes
    }

    /// Reads what [`Index::bytes`] wrote. `None` for anything else.
    pub fn parse(mut bytes: &[u8]) -> Option<Self> {
        let epoch = u64::from_be_bytes(*take(&mut bytes)?);
        let mut entries = BTreeMap::new();
        while !bytes.is_empty() {
            let kind = kind_named(text(&mut bytes)?)?;
            let id =
                RecordId { kind, namespace: text(&mut bytes)?.parse().ok()?, key: text(&mut bytes)?.parse().ok()? };
            let version = u64::from_be_bytes(*take(&mut bytes)?);
            let written_ms = u64::from_be_bytes(*take(&mut bytes)?);
            let entry = Entry { version, written_ms, tag: *take(&mut bytes)?, problem: None };
            if entries.len() == MAX_RECORDS || entries.insert(id, entry).is_some() {
                return None;
            }
        }
        Some(Self { epoch, entries })
    }

    /// Compares the rows with the index, and marks what is not as it should be. Gives the rows that no index knows.
    pub fn compare(&mut self, rows: &[RecordLine]) -> Vec<String> {
        let mut strangers = Vec::new();
        let mut missing: BTreeMap<&RecordId, ()> = BTreeMap::new();
        let known: Vec<RecordId> = self.entries.keys().cloned().collect();
        missing.extend(known.iter().map(|id| (id, ())));
        for row in rows {
            let id = place_of(row);
            let Some((id, entry)) = id.and_then(|id| self.entries.get_mut(&id).map(|entry| (id, entry))) else {
                strangers.push(format!(
                    "{} {}/{}: a row that was not written by this brain",
                    row.kind, row.namespace, row.key
                ));
                continue;
            };
            missing.remove(&id);
            if row.version < entry.version {
                entry.problem =
                    Some(format!("version {} was put back where version {} belongs", row.version, entry.version));
            } else if (row.version, row.written_ms, tag_of(&row.sealed)) != (entry.version, entry.written_ms, entry.tag)
            {
                entry.problem = Some("is not the record that was written last".to_owned());
            }
        }
        let missing: Vec<RecordId> = missing.into_keys().cloned().collect();
        for id in missing {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.problem = Some("was removed from the database".to_owned());
            }
        }
        strangers
    }

    /// What goes into the audit log.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { epoch: self.epoch, root: Sha256::digest(self.bytes()).into() }
    }
}

/// A row's place, where its words are such.
pub fn place_of(row: &RecordLine) -> Option<RecordId> {
    let (namespace, key) = (row.namespace.parse().ok()?, row.key.parse().ok()?);
    Some(RecordId { kind: kind_named(&row.kind)?, namespace, key })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(first)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = *take(bytes)?;
    let (text, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index() -> Index {
        let mut index = Index { epoch: 9, entries: BTreeMap::new() };
        for (name, version) in [("a/b", 1), ("a/c", 3)] {
            let id = RecordId::secret(&name.parse().expect("a name"));
            index.entries.insert(id, Entry { version, written_ms: 5, tag: [version as u8; 16], problem: None });
        }
        index
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        assert_eq!(Index::parse(&index().bytes()), Some(index()));
        assert_ne!(index().checkpoint().root, Index { epoch: 10, ..index() }.checkpoint().root);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_it_takes_it_would_write(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(index) = Index::parse(&bytes) {
                prop_assert_eq!(Index::parse(&index.bytes()), Some(index));
            }
        }
    }
}
