//! What others saw of the log: its signed checkpoints, or any other of its lines, kept where whoever changes the log cannot.

use crate::{Entry, PublicKey, hash};

/// That a line with this number and hash was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The line's number.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// Who saw it, for messages.
    pub from: String,
}

/// A text that is no witness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWitness {
    /// No line of a log is in it.
    #[error("{from}: holds no line of an audit log")]
    None {
        /// Where it is from.
        from: String,
    },
    /// It is not signed by who it names.
    #[error("{from}: line {sequence} is not signed by the key that it names: it is no witness")]
    Unsigned {
        /// Where it is from.
        from: String,
        /// The line's number.
        sequence: u64,
    },
    /// It is signed by somebody else.
    #[error("{from}: line {sequence} is signed by {key}, not by the key that you know: it is no witness of this log")]
    Foreign {
        /// Where it is from.
        from: String,
        /// The line's number.
        sequence: u64,
        /// Who signed.
        key: String,
    },
}

impl Witness {
    /// Every line of a log that stands in a text: a copy of a post, lines of a journal, another copy of the log. With a
    /// `known` key only what it signed counts.
    ///
    /// # Errors
    /// [`BadWitness`].
    pub fn all(text: &str, from: &str, known: Option<&PublicKey>) -> Result<Vec<Self>, BadWitness> {
        let mut found = Vec::new();
        for line in text.lines() {
            let Some((begin, end)) = line.find("{\"sequence\":").zip(line.rfind('}')) else { continue };
            let Some(Ok(entry)) = line.get(begin..=end).map(|line| Entry::read(line.as_bytes())) else { continue };
            let (from, sequence) = (from.to_owned(), entry.sequence);
            let signer: Option<PublicKey> = entry.public_key.parse().ok();
            match signer.filter(|key| entry.is_signed_by(key)) {
                None => return Err(BadWitness::Unsigned { from, sequence }),
                Some(key) if known.is_some_and(|known| *known != key) => {
                    return Err(BadWitness::Foreign { from, sequence, key: key.to_string() });
                }
                Some(_) => found.push(Self { sequence, hash: hash(entry.line.as_bytes()), from }),
            }
        }
        if found.is_empty() { Err(BadWitness::None { from: from.to_owned() }) } else { Ok(found) }
    }
}
