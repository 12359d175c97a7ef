//! A log's files: `audit.jsonl`, which is written, and before it `audit-FIRST.jsonl`, named after the number of their first
//! line, each closed when it was full or old.

use std::io;
use std::path::{Path, PathBuf};

/// One file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// The number of its first line, as its name says; `None` for the one that is written.
    pub first: Option<u64>,
}

/// The files of a log in their order. `path` is the one that is written, or one file by itself: then only that.
///
/// # Errors
/// When the folder cannot be read.
pub fn segments(path: &Path) -> io::Result<Vec<Segment>> {
    let written = Segment { path: path.to_owned(), first: None };
    if path.file_name().is_none_or(|name| name != "audit.jsonl") {
        return Ok(vec![written]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(first) = first_of(&path) {
            segments.push(Segment { path, first: Some(first) });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    segments.push(written);
    Ok(segments)
}

fn first_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

impl Segment {
    /// The name of a closed file whose first line has this number.
    pub fn closed(folder: &Path, first: u64) -> PathBuf {
        folder.join(format!("audit-{first:020}.jsonl"))
    }
}
