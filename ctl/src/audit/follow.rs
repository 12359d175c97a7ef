//! `bartizan audit follow`, and how the growing log is read: to the end, then again, also when the file is put aside or
//! pruned meanwhile.

use super::arguments::Filter;
use super::entries::Wanted;
use super::place::Place;
use super::show::{self, newest};
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::show::inert;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// How often it is asked whether it is still the one that is written.
const ASK: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 2000 });

/// Most that is read at a time, and the longest line, in bytes.
const PIECE: usize = 4 * 1024 * 1024;

pub(super) fn run(place: &Place, last: usize, filter: &Filter, out: &Out) -> Result<Exit, CtlError> {
    let wanted = Wanted::from(filter);
    let mut follower = Follower::at_end(place)?;
    for fields in newest(place, last, filter)? {
        follower.seen = follower.seen.max(fields.get("sequence").and_then(Value::as_u64).unwrap_or(0));
        let line = Value::Object(fields.clone()).to_string();
        if !give(&line, &fields, out)? {
            return Ok(Exit::Ok);
        }
    }
    loop {
        for line in follower.lines()? {
            if let Some(fields) = wanted.fields(&line)
                && !give(&line, &fields, out)?
            {
                return Ok(Exit::Ok);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// `false` when nobody reads any more.
fn give(line: &str, fields: &super::entries::Fields, out: &Out) -> Result<bool, CtlError> {
    let text = if out.json { format!("{}\n", inert(line)) } else { show::line(fields, &out.look) };
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

/// Reads a log that grows.
#[derive(Debug)]
pub(super) struct Follower<'p> {
    place: &'p Place,
    file: File,
    /// When it was last asked whether there is another file.
    asked: Instant,
    partial: Vec<u8>,
    /// Lines up to this one were seen.
    pub(super) seen: u64,
}

impl<'p> Follower<'p> {
    /// Begins with the first line of the file that is written.
    pub(super) fn at_start(place: &'p Place) -> Result<Self, CtlError> {
        Ok(Self { place, file: place.written()?, asked: Instant::now(), partial: Vec::new(), seen: 0 })
    }

    /// Begins with the next line that is written.
    pub(super) fn at_end(place: &'p Place) -> Result<Self, CtlError> {
        let mut follower = Self::at_start(place)?;
        // Read, not skipped: half a line may be at the end.
        while !follower.lines()?.is_empty() {}
        Ok(follower)
    }

    /// What was written since, as far as it is whole lines that were not seen before.
    pub(super) fn lines(&mut self) -> Result<Vec<String>, CtlError> {
        let failed = |error| CtlError::AuditFile { path: self.place.path.clone(), error };
        let mut read = Vec::new();
        (&mut self.file).take(PIECE as u64).read_to_end(&mut read).map_err(failed)?;
        if read.is_empty()
            && let Some(file) = self.another()
        {
            self.file = file;
            self.partial.clear();
            (&mut self.file).take(PIECE as u64).read_to_end(&mut read).map_err(failed)?;
        }
        self.partial.extend_from_slice(&read);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            // Longer than any line of a log.
            if self.partial.len() > PIECE {
                self.partial.clear();
            }
            return Ok(Vec::new());
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        let mut lines = Vec::new();
        for line in String::from_utf8_lossy(&whole).lines() {
            let number = bartizan_audit::Entry::read(line.as_bytes()).map(|entry| entry.sequence);
            match number {
                Ok(number) if number <= self.seen => {}
                Ok(number) => {
                    self.seen = number;
                    lines.push(line.to_owned());
                }
                Err(_) => lines.push(line.to_owned()),
            }
        }
        Ok(lines)
    }

    /// The file that has the name now, when it is another. Asked now and then: files are seldom put aside or pruned. A
    /// service that does not answer is asked again.
    fn another(&mut self) -> Option<File> {
        if self.asked.elapsed() < ASK {
            return None;
        }
        self.asked = Instant::now();
        let numbers = |file: &File| file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        self.place.written().ok().filter(|file| numbers(file) != numbers(&self.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_waits_for_its_end_and_a_new_file_is_gone_on_with() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("audit.jsonl");
        std::fs::write(&path, "one\ntw").expect("write");
        let place = Place::find(Some(&path), std::path::Path::new("/nowhere")).expect("a file");
        let mut follower = Follower::at_end(&place).expect("open");
        assert!(follower.lines().expect("read").is_empty());
        let append = |text: &str| {
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
            file.write_all(text.as_bytes()).expect("write");
        };
        append("o\nthree\n");
        assert_eq!(follower.lines().expect("read"), ["two", "three"]);
        append("four\n");
        std::fs::rename(&path, folder.path().join("aside")).expect("rename");
        std::fs::write(&path, "five\n").expect("write");
        assert_eq!(follower.lines().expect("read"), ["four"]);
        assert_eq!(follower.lines().expect("read"), ["five"]);
    }
}
