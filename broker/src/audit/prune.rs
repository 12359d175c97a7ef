//! Taking old lines away: whole files, and the beginning of the one where the old lines end. A signed stub stays in their
//! place, which names the last of them and its hash; the line that told of the prune is in the log by then.

use super::file::{last_whole_line, sync_folder};
use bartizan_audit::{Entry, KEY_ROTATION, PRUNED, hash, segments};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What is to go.
#[derive(Debug)]
pub(super) struct Plan {
    /// The last line that goes.
    pub(super) through: u64,
    /// Its hash.
    pub(super) head: String,
    /// Who signed the line after it.
    pub(super) next_key: String,
    /// Lines that go.
    pub(super) lines: u64,
    /// Files that go whole.
    whole: Vec<PathBuf>,
    /// The file that loses its beginning, and how much of it in bytes.
    cut: (PathBuf, u64),
}

/// What is older than `before` (RFC 3339 in UTC with milliseconds, as in the log). The last line always stays.
pub(super) fn plan(log: &Path, before: &str) -> io::Result<Option<Plan>> {
    let mut whole = Vec::new();
    let mut last: Option<Gone> = None;
    let mut first = None;
    for segment in segments(log)? {
        let mut file = File::open(&segment.path)?;
        if segment.first.is_some()
            && let Some((line, _)) = last_whole_line(&mut file)?
            && let Some(gone) = Gone::of(&line).filter(|gone| *gone.timestamp < *before)
        {
            first = first.or(segment.first);
            last = Some(gone);
            whole.push(segment.path);
            continue;
        }
        file.seek(SeekFrom::Start(0))?;
        let (mut reader, mut line, mut offset) = (BufReader::new(file), Vec::new(), 0);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            let Some(gone) = line.strip_suffix(b"\n").and_then(Gone::of) else { break };
            let is_last = segment.first.is_none() && reader.fill_buf()?.is_empty();
            if gone.stub {
                offset += length;
                continue;
            }
            if *gone.timestamp >= *before || is_last {
                break;
            }
            first = first.or(Some(gone.sequence));
            last = Some(gone);
            offset += length;
        }
        let (Some(gone), Some(first)) = (last, first) else { return Ok(None) };
        return Ok(Some(Plan {
            through: gone.sequence,
            head: gone.hash,
            next_key: gone.next_key,
            lines: gone.sequence + 1 - first,
            whole,
            cut: (segment.path, offset),
        }));
    }
    Ok(None)
}

/// A line that may go.
struct Gone {
    sequence: u64,
    timestamp: String,
    hash: String,
    next_key: String,
    stub: bool,
}

impl Gone {
    fn of(line: &[u8]) -> Option<Self> {
        let entry = Entry::read(line).ok()?;
        let next_key = match &*entry.event {
            KEY_ROTATION => entry.text("newPublicKey")?,
            _ => entry.public_key.clone().into_owned(),
        };
        Some(Self {
            sequence: entry.sequence,
            timestamp: entry.timestamp.clone().into_owned(),
            hash: hash(line),
            next_key,
            stub: entry.event == PRUNED,
        })
    }
}

/// Puts the stub in the place of what goes. Whatever a crash leaves is a log that verifies: until the file with the stub has
/// its name nothing is gone, and after that only files are in the way that [`finish`] removes.
pub(super) fn carry_out(plan: &Plan, stub: &str) -> io::Result<()> {
    let (path, offset) = &plan.cut;
    let new = path.with_file_name("audit.new");
    let mut from = File::open(path)?;
    from.seek(SeekFrom::Start(*offset))?;
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    to.write_all(stub.as_bytes())?;
    to.write_all(b"\n")?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path)?;
    for path in &plan.whole {
        std::fs::remove_file(path)?;
    }
    sync_folder(path)
}

/// Ends a prune that a crash interrupted: files before one that begins with a stub go.
pub(super) fn finish(log: &Path) -> io::Result<()> {
    let segments = match segments(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    match std::fs::remove_file(log.with_extension("new")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let begins_with_stub = |path: &Path| -> io::Result<bool> {
        let mut line = Vec::new();
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        BufReader::new(file.take(64 * 1024)).read_until(b'\n', &mut line)?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Ok(Entry::read(line).is_ok_and(|entry| entry.event == PRUNED))
    };
    for (at, segment) in segments.iter().enumerate().rev() {
        if at > 0 && begins_with_stub(&segment.path)? {
            for older in &segments[..at] {
                std::fs::remove_file(&older.path)?;
            }
            return sync_folder(log);
        }
    }
    Ok(())
}
