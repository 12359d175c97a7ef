//! The brain's own forms (`broker/src/brain/`): the index of records, a backup that may be anybody's file, and how a passphrase
//! becomes a key. What is taken is what would be written, and nothing costs more than it may.

use bartizan_broker::brain::backup::{Backup, MAGIC};
use bartizan_broker::brain::index::{Entry, Index, place_of};
use bartizan_broker::brain::key::Kdf;
use bartizan_broker::brain::record::RecordId;
use bartizan_broker::store::brain::RecordLine;
use bartizan_proto::frame;
use std::collections::BTreeMap;

/// # Panics
/// When something is taken for what nobody wrote.
pub fn target(data: &[u8]) {
    if let Some(index) = Index::parse(data) {
        assert_eq!(Index::parse(&index.bytes()).as_ref(), Some(&index), "it is read as it is written");
        let rows: Vec<RecordLine> = index.entries.iter().map(|(id, entry)| row(id, entry)).collect();
        let mut compared = index.clone();
        // The tag is the end of what is sealed: a row that has it and the version is the one that was written.
        assert!(compared.compare(&rows).is_empty() && compared.entries.values().all(|entry| entry.problem.is_none()));
        assert!(rows.iter().all(|row| place_of(row).is_some()));
    }
    if let Ok(backup) = Backup::parse(data) {
        let again = backup.bytes().expect("what fits a backup fits another");
        assert_eq!(Backup::parse(&again).expect("its own bytes"), backup);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(kdf) = Kdf::parse(text)
    {
        assert_eq!(Kdf::parse(&kdf.to_string()).expect("its own text"), kdf);
    }
}

fn row(id: &RecordId, entry: &Entry) -> RecordLine {
    let kind = id.to_string().split(' ').next().unwrap_or_default().to_owned();
    let (namespace, key) = (id.namespace.to_string(), id.key.to_string());
    RecordLine {
        kind,
        namespace,
        key,
        version: entry.version,
        written_ms: entry.written_ms,
        sealed: entry.tag.to_vec(),
    }
}

/// An index, a backup's beginning and a whole one, and the parameters of a passphrase.
pub fn corpus() -> Vec<Vec<u8>> {
    let mut index = Index { epoch: 7, entries: BTreeMap::new() };
    for (name, version) in [("deploy/key", 1), ("deploy/password", 3), ("a/b", 2)] {
        let id = RecordId::secret(&name.parse().expect("a name"));
        index.entries.insert(id, Entry { version, written_ms: 5, tag: [9; 16], problem: None });
    }
    index.entries.insert(RecordId::token(), Entry { version: 1, written_ms: 6, tag: [1; 16], problem: None });
    // As `Backup::bytes` writes it: a head, and one record.
    let head = (vec![1u8; 16], None::<String>, vec![2u8; 60], 7u64, vec![3u8; 90]);
    let record = ("secret", "deploy", "key", 1u64, 5u64, vec![4u8; 50]);
    let frames = [frame::encode(&head).expect("small"), frame::encode(&record).expect("small")].concat();
    let whole = [MAGIC, &frames].concat();
    vec![
        index.bytes(),
        Index::default().bytes(),
        whole,
        MAGIC.to_vec(),
        b"argon2id m=65536 t=3 salt=000102030405060708090a0b0c0d0e0f".to_vec(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_holds_what_the_readers_take() {
        let corpus = corpus();
        assert!(Index::parse(&corpus[0]).is_some() && Backup::parse(&corpus[2]).is_ok());
        assert!(Kdf::parse(std::str::from_utf8(&corpus[4]).expect("text")).is_ok());
    }
}
