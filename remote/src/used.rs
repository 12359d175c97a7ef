//! No order is carried out twice. Each has a number that is used once; those that were used stay in a file for as long as their
//! orders are good, over restarts, and a number is on the disk before its order is begun.
//!
//! What has expired is forgotten, and the latest of those ends is kept: should the clock go back, nothing that ended before it is
//! taken again. The file has limited room; while that is full nothing is run.

use rustix::fs::{FlockOperation, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What the file begins with: its form, then the latest end that was forgotten.
const MAGIC: &[u8; 16] = b"bartizan used 1\0";
/// Bytes before the first record.
const HEAD: usize = MAGIC.len() + 8;
/// A number of 16 bytes, and its order's end in 8.
const RECORD: usize = 24;
/// Orders that are remembered at once.
pub const MAX_USED: usize = 65_536;
/// So many that have expired are worth a new file.
const WORTH_IT: usize = 1024;

/// Why an order is not begun.
#[derive(Debug, thiserror::Error)]
pub enum UsedError {
    /// It was.
    #[error("the order was carried out before")]
    Before,
    /// Its end is before one that was forgotten.
    #[error("the order's end is before that of others that this machine has forgotten: its clock went back")]
    Forgotten,
    /// No room.
    #[error("{MAX_USED} orders that are still good are remembered here, and no more can be")]
    Full,
    /// Not such a file.
    #[error("{0} is not a file of used orders; remove it when no order is good any more")]
    Format(PathBuf),
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Uses a number, once.
///
/// # Errors
/// [`UsedError`]; then nothing may be run.
pub fn claim(directory: &Path, nonce: [u8; 16], expires_s: u64, now_s: u64) -> Result<(), UsedError> {
    let path = directory.join("used");
    let failed = |source: io::Error| UsedError::Io { path: path.clone(), source };
    // One at a time, also while the file is replaced by a new one.
    let lock = open(&directory.join("lock"), OFlags::RDWR | OFlags::CREATE).map_err(failed)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;

    let mut file = open(&path, OFlags::RDWR | OFlags::CREATE | OFlags::APPEND).map_err(failed)?;
    let mut bytes = Vec::new();
    let most = (HEAD + RECORD * (MAX_USED + WORTH_IT + 1)) as u64;
    Read::by_ref(&mut file).take(most).read_to_end(&mut bytes).map_err(failed)?;
    let known = Known::parse(&bytes).ok_or_else(|| UsedError::Format(path.clone()))?;

    if expires_s <= known.forgotten_s {
        return Err(UsedError::Forgotten);
    }
    if known.records.iter().any(|(used, _)| *used == nonce) {
        return Err(UsedError::Before);
    }
    let (good, over): (Vec<_>, Vec<_>) = known.records.iter().copied().partition(|(_, end)| *end > now_s);
    if good.len() >= MAX_USED {
        return Err(UsedError::Full);
    }
    let record = [&nonce[..], &expires_s.to_le_bytes()].concat();
    if bytes.len() == known.length() && over.len() < WORTH_IT && !bytes.is_empty() {
        file.write_all(&record).and_then(|()| file.sync_data()).map_err(failed)?;
        return Ok(());
    }
    // A new file: there was none, or its last record is half of one (the machine went down, and that order was never begun), or much
    // of it is over.
    let forgotten_s = over.iter().map(|(_, end)| *end).fold(known.forgotten_s, u64::max);
    let mut whole = [&MAGIC[..], &forgotten_s.to_le_bytes()].concat();
    for (nonce, end) in good {
        whole.extend_from_slice(&nonce);
        whole.extend_from_slice(&end.to_le_bytes());
    }
    whole.extend_from_slice(&record);
    let fresh = directory.join("used.new");
    let write = || -> io::Result<()> {
        let mut file = open(&fresh, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(&whole)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(failed)
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(rustix::fs::open(path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)?.into())
}

/// What a file says.
struct Known {
    forgotten_s: u64,
    records: Vec<([u8; 16], u64)>,
}

impl Known {
    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self { forgotten_s: 0, records: Vec::new() });
        }
        let rest = bytes.strip_prefix(MAGIC)?;
        let (forgotten, rest) = rest.split_first_chunk()?;
        let record = |chunk: &[u8]| {
            let (nonce, end) = chunk.split_first_chunk()?;
            Some((*nonce, u64::from_le_bytes(end.try_into().ok()?)))
        };
        let records = rest.chunks_exact(RECORD).map(record).collect::<Option<_>>()?;
        Some(Self { forgotten_s: u64::from_le_bytes(*forgotten), records })
    }

    /// Bytes of a file that says this and no more.
    fn length(&self) -> usize {
        HEAD + RECORD * self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn number(n: u64) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&n.to_le_bytes());
        nonce
    }

    #[test]
    fn a_number_is_used_once_and_stays_used_when_the_file_is_read_again() {
        let directory = tempfile::tempdir().expect("tempdir");
        for n in 0..5 {
            claim(directory.path(), number(n), NOW + 10, NOW).expect("new");
        }
        for n in 0..5 {
            assert!(matches!(claim(directory.path(), number(n), NOW + 10, NOW), Err(UsedError::Before)), "{n}");
        }
    }

    #[test]
    fn what_expired_is_forgotten_and_never_taken_again_when_the_clock_goes_back() {
        let directory = tempfile::tempdir().expect("tempdir");
        let many = u64::try_from(WORTH_IT).expect("small");
        for n in 0..=many {
            claim(directory.path(), number(n), NOW + 10, NOW).expect("new");
        }
        let size = || std::fs::metadata(directory.path().join("used")).expect("a file").len();
        let before = size();
        claim(directory.path(), number(many + 1), NOW + 2000, NOW + 1000).expect("new");
        assert!(size() < before / 100, "{} of {before}", size());
        assert!(matches!(claim(directory.path(), number(3), NOW + 10, NOW), Err(UsedError::Forgotten)));
        assert!(matches!(claim(directory.path(), number(many + 1), NOW + 2000, NOW), Err(UsedError::Before)));
    }

    #[test]
    fn half_a_record_is_of_an_order_that_was_never_begun() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("used");
        claim(directory.path(), number(1), NOW + 10, NOW).expect("new");
        let mut bytes = std::fs::read(&path).expect("read");
        bytes.extend_from_slice(&[7; 11]);
        std::fs::write(&path, bytes).expect("write");
        claim(directory.path(), number(2), NOW + 10, NOW).expect("new");
        assert_eq!(std::fs::metadata(&path).expect("a file").len(), (HEAD + 2 * RECORD) as u64);
        for n in [1, 2] {
            assert!(matches!(claim(directory.path(), number(n), NOW + 10, NOW), Err(UsedError::Before)), "{n}");
        }
    }

    #[test]
    fn a_full_file_and_one_of_another_kind_let_nothing_run() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("used");
        let mut whole = [&MAGIC[..], &0u64.to_le_bytes()].concat();
        for n in 0..MAX_USED as u64 {
            whole.extend_from_slice(&number(n));
            whole.extend_from_slice(&(NOW + 10).to_le_bytes());
        }
        std::fs::write(&path, whole).expect("write");
        assert!(matches!(claim(directory.path(), number(u64::MAX), NOW + 10, NOW), Err(UsedError::Full)));
        claim(directory.path(), number(u64::MAX), NOW + 20, NOW + 11).expect("room again");
        std::fs::write(&path, "something else altogether").expect("write");
        assert!(matches!(claim(directory.path(), number(1), NOW + 10, NOW), Err(UsedError::Format(_))));
    }
}
