//! The log's file: whole lines at its end, and a thread that waits for the disk so that nobody else has to.

use super::AuditError;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Longest line that is read back at start, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

/// The line at the end of the file.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) sequence: u64,
    pub(super) line: String,
}

/// The open file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Lines that are not in the file yet.
    unwritten: Vec<u8>,
    /// Whether the file has something that no sync was begun for.
    unsynced: bool,
    /// Whether somebody will call [`LogFile::sync`].
    announced: bool,
    syncer: Option<Syncer>,
    /// A sync is under way: up to this line.
    syncing: Option<u64>,
}

impl LogFile {
    /// Opens or makes it. A last line without a line break is what a crash left, and is cut off.
    pub(super) fn open(path: &Path) -> Result<(LogFile, Option<Last>), AuditError> {
        let failed = |source| AuditError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC)
            .open(path)
            .map_err(failed)?;
        let last = match last_line(&mut file).map_err(failed)? {
            None => None,
            Some(line) => {
                let broken = || AuditError::Broken { path: path.to_owned() };
                let line = String::from_utf8(line).map_err(|_| broken())?;
                let value: serde_json::Value = serde_json::from_str(&line).map_err(|_| broken())?;
                let sequence = value.get("sequence").and_then(serde_json::Value::as_u64).ok_or_else(broken)?;
                Some(Last { sequence, line })
            }
        };
        let path = path.to_owned();
        let (unwritten, syncer, syncing) = (Vec::new(), None, None);
        Ok((LogFile { path, file, unwritten, unsynced: false, announced: false, syncer, syncing }, last))
    }

    /// Adds a line; [`LogFile::write`] puts it into the file.
    pub(super) fn append(&mut self, line: &str) {
        self.unwritten.extend_from_slice(line.as_bytes());
        self.unwritten.push(b'\n');
    }

    /// Puts what was added into the file.
    pub(super) fn write(&mut self) -> Result<(), AuditError> {
        if !self.unwritten.is_empty() {
            self.file.write_all(&self.unwritten).map_err(|source| self.failed(source))?;
            self.unwritten.clear();
            self.unsynced = true;
        }
        Ok(())
    }

    /// Whether [`LogFile::sync`] is to be called in a while. Asked again it says no until that has happened.
    pub(super) fn is_sync_due(&mut self) -> bool {
        let wanted = self.unsynced || self.syncing.is_some();
        wanted && !std::mem::replace(&mut self.announced, true)
    }

    /// Ends the sync that is under way and begins the next, if there is something to sync. `last` is the number of the last
    /// line that was written.
    pub(super) fn sync(&mut self, last: u64) -> Result<Option<u64>, AuditError> {
        self.announced = false;
        let done = match (&self.syncer, self.syncing) {
            (Some(syncer), Some(through)) => match syncer.done.try_recv() {
                Ok(Ok(())) => {
                    self.syncing = None;
                    Some(through)
                }
                Ok(Err(source)) => return Err(self.failed(source)),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(self.failed(io::ErrorKind::BrokenPipe.into())),
            },
            (_, None) | (None, Some(_)) => None,
        };
        if std::mem::take(&mut self.unsynced) {
            self.begin_sync().map_err(|source| self.failed(source))?;
            self.syncing = Some(last);
        }
        Ok(done)
    }

    /// Waits until all of it is on the disk.
    pub(super) fn close(&mut self) -> Result<(), AuditError> {
        self.file.sync_data().map_err(|source| self.failed(source))
    }

    fn begin_sync(&mut self) -> io::Result<()> {
        // Started with the first use: the core confines itself before, while it has one thread.
        let syncer = match self.syncer.take() {
            Some(syncer) => syncer,
            None => Syncer::start()?,
        };
        let file = self.file.try_clone()?;
        syncer.ask.try_send(file).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.syncer = Some(syncer);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> AuditError {
        AuditError::Io { path: self.path.clone(), source }
    }
}

/// The thread that waits for the disk.
#[derive(Debug)]
struct Syncer {
    ask: SyncSender<File>,
    done: Receiver<io::Result<()>>,
}

impl Syncer {
    fn start() -> io::Result<Syncer> {
        let (ask, asked) = sync_channel::<File>(1);
        let (answer, done) = sync_channel(1);
        std::thread::Builder::new().name("audit-sync".to_owned()).stack_size(64 * 1024).spawn(move || {
            while let Ok(file) = asked.recv() {
                if answer.send(file.sync_data()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Syncer { ask, done })
    }
}

/// The last whole line; what follows it is cut off.
fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(MAX_LINE).read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else {
        if length > 0 {
            file.set_len(0)?;
        }
        return Ok(None);
    };
    file.set_len(start + u64::try_from(end).unwrap_or(0) + 1)?;
    let begin = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(Some(tail[begin..end].to_vec()))
}
