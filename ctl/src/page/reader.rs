//! Reads the log for the page: once from its beginning, then what was added, and now and then all of it again. Every line is
//! verified as it comes: signature, number, hash of the one before, and at the end what the running service says it wrote last.
//!
//! The service hands its files out open, one after the other; this process can open none.

use super::book::{Book, Chain};
use super::row::Spot;
use crate::ask::{ask, ask_for_file};
use crate::audit::Fields;
use crate::exit::CtlError;
use bartizan_audit::{Fault, Verifier, Witness};
use bartizan_proto::control::{Answer, AuditHead, Request};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

/// Longest line in bytes, and most files of a log.
const MAX_LINE: u64 = 4 * 1024 * 1024;
const MAX_FILES: u32 = 1024;

/// All of it is read again after so long, and after so many times what that takes.
const AGAIN: Duration = Duration::from_secs(600);
const SHARE: u32 = 50;

/// A log that is not as it was written is read again sooner: somebody may be putting it right.
const AGAIN_BROKEN: Duration = Duration::from_secs(5);

/// How long the file may be behind what the service says before it counts as cut.
const BEHIND: Duration = Duration::from_secs(10);

/// At least so long between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// Lines that are taken over together.
const BATCH: usize = 1000;

/// The book, and who reads for it.
#[derive(Debug)]
pub(super) struct Log {
    book: RwLock<Book>,
    /// How often it was asked for, and up to which of those it was read since.
    turns: Mutex<(u64, u64)>,
    turned: Condvar,
    /// A line was seen to be another one than when it was read.
    doubted: AtomicBool,
    socket: PathBuf,
}

impl Log {
    pub(super) fn new(socket: &Path) -> Self {
        let (book, turns, turned, doubted) = Default::default();
        Self { book, turns, turned, doubted, socket: socket.to_owned() }
    }

    /// The book as it is now: read after this was asked for, or, where that takes longer than `patience`, as it was.
    pub(super) fn book(&self, patience: Duration) -> RwLockReadGuard<'_, Book> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.0 += 1;
        let mine = turns.0;
        self.turned.notify_all();
        let turns = self.turned.wait_timeout_while(turns, patience, |turns| turns.1 < mine);
        drop(turns.unwrap_or_else(PoisonError::into_inner));
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of the log as it is there now, without its line break.
    pub(super) fn line(&self, spot: Spot) -> Result<Vec<u8>, CtlError> {
        let (path, file, _) = self.file(spot.file)?;
        let mut line = vec![0; usize::try_from(spot.length).unwrap_or(0)];
        file.read_exact_at(&mut line, spot.offset).map_err(|error| CtlError::AuditFile { path, error })?;
        Ok(line)
    }

    /// All of it is read again at the next look.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
    }

    fn file(&self, number: u32) -> Result<(PathBuf, File, bool), CtlError> {
        let (answer, file) = ask_for_file(&self.socket, &Request::AuditFile { number })?;
        let Answer::AuditFile { path, more } = answer else { return Err(CtlError::WrongAnswer) };
        Ok((PathBuf::from(&*path), file, more))
    }

    /// Reads whenever somebody asks; never returns.
    pub(super) fn read_on(self: &Arc<Self>) {
        let mut reader = Reader::default();
        loop {
            let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let turns =
                self.turned.wait_while(turns, |turns| turns.0 == turns.1).unwrap_or_else(PoisonError::into_inner);
            let until = turns.0;
            drop(turns);
            let told = reader.look(self);
            let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
            book.unreachable = told.err().map(|error| error.to_string());
            drop(book);
            self.turns.lock().unwrap_or_else(PoisonError::into_inner).1 = until;
            self.turned.notify_all();
            std::thread::sleep(PAUSE);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// How far it has come.
#[derive(Debug, Default)]
struct Reader {
    at: Option<Progress>,
    /// When all of it was begun last, and how long that took.
    whole: Option<(Instant, Duration)>,
    /// Since when the file is behind the service.
    behind: Option<Instant>,
    named: Option<Instant>,
}

#[derive(Debug)]
struct Progress {
    verifier: Verifier,
    /// The first line that was wrong: what follows is shown, and not believed.
    fault: Option<Fault>,
    file: u32,
    /// The file's device and number.
    id: (u64, u64),
    offset: u64,
}

impl Reader {
    fn look(&mut self, log: &Log) -> Result<(), CtlError> {
        let Answer::AuditHead(head) = ask(&log.socket, &Request::AuditHead)? else { return Err(CtlError::WrongAnswer) };
        let begun = Instant::now();
        let due = self.whole.is_none_or(|(since, took)| {
            let broken = self.at.as_ref().is_none_or(|at| at.fault.is_some());
            since.elapsed() > if broken { AGAIN_BROKEN } else { AGAIN }.max(took * SHARE)
        });
        // Asked for first: a doubt is over with the look that it causes.
        if log.doubted.swap(false, Ordering::Relaxed) || due || !self.goes_on(log)? {
            self.whole = Some((begun, Duration::ZERO));
            let mut book = Book::default();
            let mut at = Progress::beginning(&head);
            // Told while it goes on: the first time nothing else can be shown.
            let first = self.at.is_none();
            at.read(log, &head, |fields, spot, lines| {
                book.take(fields, spot);
                if first && lines.is_multiple_of(10_000) {
                    log.change(|book| book.chain = Chain::Reading { lines });
                }
            })?;
            log.change(|old| {
                std::mem::swap(old, &mut book);
                old.keep_names_of(book);
            });
            self.at = Some(at);
            self.whole = Some((begun, begun.elapsed()));
        } else if let Some(at) = &mut self.at {
            let mut found = Vec::new();
            let put = |found: &mut Vec<(Fields, Spot)>| {
                log.change(|book| found.drain(..).for_each(|(fields, spot)| book.take(&fields, spot)));
            };
            let read = at.read(log, &head, |fields, spot, _| {
                found.push((fields.clone(), spot));
                if found.len() == BATCH {
                    put(&mut found);
                }
            });
            put(&mut found);
            read?;
        }
        let chain = self.judge(&head);
        log.change(|book| book.chain = chain);
        self.learn_channels(log);
        Ok(())
    }

    /// Whether the file that was read last is still there, and has not become shorter.
    fn goes_on(&self, log: &Log) -> Result<bool, CtlError> {
        let Some(at) = &self.at else { return Ok(false) };
        let (path, file, _) = match log.file(at.file) {
            Ok(found) => found,
            // There are fewer files now.
            Err(CtlError::Refused { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let there = file.metadata().map_err(|error| CtlError::AuditFile { path, error })?;
        Ok((there.dev(), there.ino()) == at.id && there.len() >= at.offset)
    }

    fn judge(&mut self, head: &AuditHead) -> Chain {
        let now = format!("{:.3}", jiff::Timestamp::now());
        let Some(at) = &mut self.at else { return Chain::Reading { lines: 0 } };
        let so_far = match &at.fault {
            Some(fault) => Err(fault.clone()),
            None => at.verifier.so_far().map(|report| (report, at.verifier.unmet())),
        };
        let (report, unmet) = match so_far {
            Ok(so_far) => so_far,
            Err(fault) => {
                let what = fault.to_string();
                at.fault = Some(fault);
                return Chain::Broken { what, at: now };
            }
        };
        let behind = unmet.unwrap_or(0).saturating_sub(report.last);
        if behind == 0 || !head.behind.is_empty() {
            self.behind = None;
        } else if self.behind.get_or_insert_with(Instant::now).elapsed() > BEHIND {
            let what = format!(
                "the log ends at line {}, and the running service wrote line {}",
                report.last,
                report.last + behind
            );
            return Chain::Broken { what, at: now };
        }
        Chain::Whole { report: Box::new(report), behind, at: now }
    }

    /// The log has channels by id; the service knows the names of those where something ran lately.
    fn learn_channels(&mut self, log: &Log) {
        if self.named.is_some_and(|since| since.elapsed() < BEHIND) {
            return;
        }
        self.named = Some(Instant::now());
        if let Ok(Answer::History(rows)) = ask(&log.socket, &Request::History { script: None }) {
            log.change(|book| rows.iter().for_each(|row| book.name_channel(row.job.0, &row.channel)));
        }
    }
}

impl Progress {
    fn beginning(head: &AuditHead) -> Self {
        let verifier = Verifier::new(head.public_key.parse().ok(), Vec::new(), true);
        Self { verifier, fault: None, file: 0, id: (0, 0), offset: 0 }
    }

    /// Every whole line from here to the end, verified; `take` gets its fields, where it is, and the number of lines so far.
    fn read(&mut self, log: &Log, head: &AuditHead, mut take: impl FnMut(&Fields, Spot, u64)) -> Result<(), CtlError> {
        let mut lines = 0;
        // What the service wrote last must be there, or come.
        if head.sequence > 0 && !head.hash.is_empty() && head.behind.is_empty() {
            let (hash, from) = (head.hash.to_string(), "the running service".to_owned());
            self.verify(|verifier| verifier.ask(Witness { sequence: head.sequence, hash, from }));
        }
        loop {
            let (path, mut file, more) = log.file(self.file)?;
            let failed = |error| CtlError::AuditFile { path: path.clone(), error };
            let there = file.metadata().map_err(failed)?;
            let id = (there.dev(), there.ino());
            if self.offset == 0 {
                self.id = id;
                self.verify(|verifier| {
                    verifier.begin_file(&path.display().to_string());
                    Ok(())
                });
            } else if self.id != id {
                // Put aside or pruned just now: the next look begins anew.
                return Ok(());
            }
            file.seek(SeekFrom::Start(self.offset)).map_err(failed)?;
            let mut reader = BufReader::with_capacity(1 << 18, file);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)?;
                let Some(whole) = line.strip_suffix(b"\n") else {
                    if (read as u64) < MAX_LINE {
                        // Half a line: the rest comes.
                        break;
                    }
                    // No line of a log is so long: a piece of it is no record.
                    self.verify(|verifier| verifier.line(&line));
                    self.offset += read as u64;
                    continue;
                };
                self.verify(|verifier| verifier.line(whole));
                lines += 1;
                let (offset, length) = (self.offset, u32::try_from(whole.len()).unwrap_or(0));
                self.offset += read as u64;
                if let Ok(fields) = serde_json::from_slice::<Fields>(whole) {
                    let line = fields.get("sequence").and_then(serde_json::Value::as_u64).unwrap_or(0);
                    let spot = Spot { file: self.file, offset, length, line };
                    take(&fields, spot, lines);
                }
            }
            if !more || self.file + 1 >= MAX_FILES {
                return Ok(());
            }
            self.file += 1;
            self.offset = 0;
        }
    }

    fn verify(&mut self, with: impl FnOnce(&mut Verifier) -> Result<(), Fault>) {
        if self.fault.is_none()
            && let Err(fault) = with(&mut self.verifier)
        {
            self.fault = Some(fault);
        }
    }
}
