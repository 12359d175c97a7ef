//! What is wrong with a log, and where.

use serde::Serialize;
use std::fmt;

/// In what way a line is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Its text was changed.
    Edited,
    /// It stands in another place.
    Reordered,
    /// Lines before it are missing.
    Removed,
    /// The end is missing.
    Cut,
    /// Another key signed it.
    ForeignKey,
    /// It is no line of a log.
    Malformed,
    /// It is signed, and it is not the line that was there: somebody who has the key wrote the log again.
    Forked,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Edited => "edited",
            Kind::Reordered => "reordered",
            Kind::Removed => "removed",
            Kind::Cut => "cut",
            Kind::ForeignKey => "foreign key",
            Kind::Malformed => "malformed",
            Kind::Forked => "forked",
        })
    }
}

/// The first line that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[error("{file}:{line}: {kind}: {}{why}", .sequence.map_or_else(String::new, |sequence| format!("line {sequence}: ")))]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Which line of the file, from 1.
    pub line: u64,
    /// The line's own number.
    pub sequence: Option<u64>,
    /// In what way.
    pub kind: Kind,
    /// In words.
    pub why: String,
    /// The number that was expected instead.
    #[serde(skip)]
    pub(crate) missing: Option<u64>,
}
