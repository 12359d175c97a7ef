//! The log's files: whole lines at the end of `audit.jsonl`, which is put aside when it is full or old, and a thread that
//! waits for the disk so that nobody else has to.
//!
//! A file that takes no more (the disk is full) is not the end: the lines are in the database, and are tried again.

use super::{AuditError, space};
use bartizan_audit::{Segment, segments};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Longest line that is read back at start, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

/// The most that waits for a file which takes no more, in bytes. It is in the database, too, which would grow without end.
const MAX_WAITING: usize = 8 * 1024 * 1024;

/// The line at the end of the log.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) sequence: u64,
    pub(super) line: String,
}

/// A line that is not in the file yet.
#[derive(Debug)]
struct Unwritten {
    sequence: u64,
    line: String,
    /// Whether it is the first of a new file.
    begins_file: bool,
}

/// The open file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// How long it is.
    length: u64,
    /// The number of its first line; 0 while there is none.
    first: u64,
    unwritten: Vec<Unwritten>,
    waiting: usize,
    /// The number of the last line in the file.
    written: u64,
    /// Why it took nothing when it was last tried.
    stuck: Option<String>,
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
        let mut file = open_to_append(path).map_err(failed)?;
        let mut last = last_line(&mut file).map_err(failed)?.map(|line| read(line, path)).transpose()?;
        let length = file.metadata().map_err(failed)?.len();
        let first = first_number(path).map_err(failed)?;
        if last.is_none() {
            // Put aside, and then nothing came any more.
            let closed = segments(path).map_err(failed)?.into_iter().rev().find(|segment| segment.first.is_some());
            if let Some(Segment { path, .. }) = closed {
                let line = File::open(&path).and_then(|mut file| last_whole_line(&mut file)).map_err(failed)?;
                last = line.map(|(line, _)| read(line, &path)).transpose()?;
            }
        }
        let written = last.as_ref().map_or(0, |last| last.sequence);
        let log = LogFile {
            path: path.to_owned(),
            file,
            length,
            first,
            unwritten: Vec::new(),
            waiting: 0,
            written,
            stuck: None,
            unsynced: false,
            announced: false,
            syncer: None,
            syncing: None,
        };
        Ok((log, last))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The name that it will have when it is put aside.
    pub(super) fn closed_name(&self) -> PathBuf {
        Segment::closed(self.path.parent().unwrap_or(Path::new("/")), self.first)
    }

    /// Adds a line; [`LogFile::write`] puts it into the file, or into a new one that it begins.
    pub(super) fn append(&mut self, sequence: u64, line: String, begins_file: bool) {
        self.waiting += line.len() + 1;
        self.unwritten.push(Unwritten { sequence, line, begins_file });
    }

    /// Puts what was added into the file, or keeps it for the next time.
    pub(super) fn write(&mut self) -> Result<(), AuditError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        match self.try_write() {
            Ok(()) => {
                if self.stuck.take().is_some() {
                    tracing::info!(path = %self.path.display(), "the audit log's file takes lines again");
                }
                Ok(())
            }
            Err(source) if self.waiting > MAX_WAITING => Err(self.failed(source)),
            Err(error) => {
                if self.stuck.is_none() {
                    tracing::error!(path = %self.path.display(), %error, "the audit log's file takes no more: no job is started");
                }
                self.stuck = Some(error.to_string());
                Ok(())
            }
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        while let Some(next) = self.unwritten.first() {
            if next.begins_file && self.length > 0 {
                self.begin_next_file()?;
            }
            let end = self.unwritten.iter().skip(1).position(|line| line.begins_file);
            let end = end.map_or(self.unwritten.len(), |at| at + 1);
            let mut bytes = Vec::with_capacity(self.waiting);
            for line in &self.unwritten[..end] {
                bytes.extend_from_slice(line.line.as_bytes());
                bytes.push(b'\n');
            }
            if let Err(error) = self.file.write_all(&bytes) {
                // No half a line stays: whoever reads meanwhile, and the next start, find whole ones.
                self.file.set_len(self.length.min(self.file.metadata()?.len()))?;
                return Err(error);
            }
            if self.first == 0 {
                self.first = self.unwritten[0].sequence;
            }
            self.written = self.unwritten[end - 1].sequence;
            self.length += bytes.len() as u64;
            self.waiting -= bytes.len();
            self.unwritten.drain(..end);
            self.unsynced = true;
        }
        Ok(())
    }

    /// Puts the file aside and begins another. What it has is on the disk first: a sync later reaches the new one only.
    fn begin_next_file(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        std::fs::rename(&self.path, self.closed_name())?;
        self.file = open_to_append(&self.path)?;
        self.length = 0;
        self.first = 0;
        sync_folder(&self.path)
    }

    /// Whoever may write the folder may also take the file away or cut it while it is open. A file that is gone, or that
    /// another one took the place of, is written again from what is open; what was cut is told about.
    pub(super) fn keep_in_place(&mut self) -> Result<Option<String>, AuditError> {
        let mut kept = || -> io::Result<Option<String>> {
            let own = self.file.metadata()?;
            let there = match std::fs::symlink_metadata(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                other => Some(other?),
            };
            if there.as_ref().is_some_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
                let (was, is) = (std::mem::replace(&mut self.length, own.len()), own.len());
                return Ok((was != is).then(|| {
                    format!(
                        "the audit log's file had {was} bytes and now has {is}: somebody else wrote to it or cut it"
                    )
                }));
            }
            if there.is_some() {
                std::fs::rename(&self.path, self.path.with_extension("foreign"))?;
            }
            let mut again = open_to_append(&self.path)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.length = io::copy(&mut self.file, &mut again)?;
            again.sync_all()?;
            self.file = again;
            sync_folder(&self.path)?;
            Ok(Some("the audit log's file was taken away while the service ran, and was written again".to_owned()))
        };
        kept().map_err(|source| AuditError::Io { path: self.path.clone(), source })
    }

    /// Takes the file's place by another: what a prune left of it.
    pub(super) fn reopen(&mut self) -> Result<(), AuditError> {
        let reopened = || -> io::Result<(File, u64, u64)> {
            let file = open_to_append(&self.path)?;
            let length = file.metadata()?.len();
            Ok((file, length, first_number(&self.path)?))
        };
        (self.file, self.length, self.first) = reopened().map_err(|source| self.failed(source))?;
        self.unsynced = true;
        Ok(())
    }

    /// Why nothing more may be begun, if so: the file takes no more, or soon will not.
    pub(super) fn cannot_record(&self) -> Option<String> {
        match &self.stuck {
            Some(why) => Some(format!("audit log {}: {why}", self.path.display())),
            None => space::shortage(&self.file),
        }
    }

    /// Free bytes, and all of them, where the state is kept.
    pub(super) fn room(&self) -> Option<(u64, u64)> {
        space::room(&self.file)
    }

    /// Whether [`LogFile::sync`] is to be called in a while. Asked again it says no until that has happened.
    pub(super) fn is_sync_due(&mut self) -> bool {
        let wanted = self.unsynced || self.syncing.is_some() || self.stuck.is_some();
        wanted && !std::mem::replace(&mut self.announced, true)
    }

    /// Ends the sync that is under way and begins the next, if there is something to sync. Gives the last line that is on
    /// the disk for certain, when that has changed.
    pub(super) fn sync(&mut self) -> Result<Option<u64>, AuditError> {
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
            self.syncing = Some(self.written);
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

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_CLOEXEC)
        .open(path)
}

/// A renamed or removed file stays so.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn read(line: Vec<u8>, path: &Path) -> Result<Last, AuditError> {
    let broken = || AuditError::Broken { path: path.to_owned() };
    let line = String::from_utf8(line).map_err(|_| broken())?;
    let sequence = bartizan_audit::Entry::read(line.as_bytes()).map_err(|_| broken())?.sequence;
    Ok(Last { sequence, line })
}

/// The number of the first line of the chain in a file; 0 where there is none.
fn first_number(path: &Path) -> io::Result<u64> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).take(MAX_LINE).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(bartizan_audit::Entry::read(line).map_or(0, |entry| match &*entry.event {
        bartizan_audit::PRUNED => entry.sequence + 1,
        _ => entry.sequence,
    }))
}

/// The last whole line; what follows it is cut off.
fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    let found = last_whole_line(file)?;
    let end = found.as_ref().map_or(0, |(_, end)| *end);
    if end < length {
        file.set_len(end)?;
    }
    Ok(found.map(|(line, _)| line))
}

/// The last whole line, and where it ends.
pub(super) fn last_whole_line(file: &mut File) -> io::Result<Option<(Vec<u8>, u64)>> {
    let start = file.metadata()?.len().saturating_sub(MAX_LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(MAX_LINE).read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { return Ok(None) };
    let begin = tail[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok(Some((tail[begin..end].to_vec(), start + end as u64 + 1)))
}
