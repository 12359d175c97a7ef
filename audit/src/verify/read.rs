//! Verifying files.

use super::{Fault, Kind, Report, Verifier, Witness};
use crate::{Entry, PublicKey, segments};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line in bytes.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log is not what was written.
    #[error(transparent)]
    Fault(Box<Fault>),
}

/// Verifies a log with all its files, or one file by itself.
///
/// # Errors
/// [`VerifyError`].
pub fn verify_files(path: &Path, known: Option<PublicKey>, witnesses: Vec<Witness>) -> Result<Report, VerifyError> {
    let opened = || -> io::Result<Vec<(PathBuf, File)>> {
        let files = segments(path)?.into_iter();
        files.map(|segment| File::open(&segment.path).map(|file| (segment.path, file))).collect()
    };
    let files = opened().map_err(|source| VerifyError::Io { path: path.to_owned(), source })?;
    verify_opened(files, is_whole(path), known, witnesses)
}

/// Whether a log of this name must begin at its beginning: one file that was put aside need not.
pub fn is_whole(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "audit.jsonl")
}

/// Verifies files that are open, in the order of their lines.
///
/// # Errors
/// [`VerifyError`].
pub fn verify_opened(
    files: Vec<(PathBuf, File)>,
    whole: bool,
    known: Option<PublicKey>,
    witnesses: Vec<Witness>,
) -> Result<Report, VerifyError> {
    let mut verifier = Verifier::new(known, witnesses, whole);
    let mut line = Vec::new();
    let mut files = files.into_iter();
    while let Some((path, file)) = files.next() {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        verifier.begin_file(&path.display().to_string());
        while read_line(&mut reader, &mut line).map_err(|source| VerifyError::Io { path: path.clone(), source })? {
            let Some(whole) = line.strip_suffix(b"\n") else { return Ok(verifier.finish(&line)?) };
            if let Err(fault) = verifier.line(whole) {
                let rest = std::iter::once(reader).chain(files.map(|(_, file)| BufReader::new(file)));
                return Err(named_exactly(fault, rest).into());
            }
        }
    }
    Ok(verifier.finish(&[])?)
}

/// A line that is missing here may stand further on: then it was moved, not removed.
fn named_exactly(mut fault: Fault, rest: impl Iterator<Item = BufReader<File>>) -> Fault {
    let Some(missing) = fault.missing else { return fault };
    let mut line = Vec::new();
    for mut reader in rest {
        while read_line(&mut reader, &mut line).unwrap_or(false) {
            let whole = line.strip_suffix(b"\n").unwrap_or(&line);
            if Entry::read(whole).is_ok_and(|entry| entry.sequence == missing) {
                fault.kind = Kind::Reordered;
                fault.why = format!("stands where line {missing} must be, which comes later");
                return fault;
            }
        }
    }
    fault
}

impl From<Fault> for VerifyError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// The next line with its line break; one that is too long is handed on in pieces, which are no records.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    Ok(reader.by_ref().take(MAX_LINE).read_until(b'\n', line)? > 0)
}
