//! What a job of a cluster prints: a file in a folder of the job's own, below one that all nodes have. The job runs there as the same
//! user and may put into that folder what it likes: nothing but a plain file of that very name is read, and no link followed.

use crate::{DriverError, failed};
use bartizan_proto::driver::Batch;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file.
pub(super) const OUTPUT: &str = "output";

/// What the job writes down at its end.
const END: &str = "end";

/// Most that is handed on between two looks at the job, in bytes.
const MOST: u64 = 4 << 20;

/// The folder, and how far its output was handed on.
pub(super) struct Output<'a> {
    work: &'a Batch,
    /// The folder of all jobs.
    all: OwnedFd,
    from: u64,
}

impl<'a> Output<'a> {
    pub(super) fn new(work: &'a Batch) -> Result<Self, DriverError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let all = rustix::fs::open(work.output.as_str(), flags, Mode::empty())
            .map_err(|error| failed(work.output.to_string())(error.into()))?;
        Ok(Self { work, all, from: work.output_from })
    }

    /// Makes the job's own folder; gives its path, which is the same on the nodes. One that is there must be this user's alone.
    pub(super) fn make(&self) -> io::Result<PathBuf> {
        let name = self.work.name.as_str();
        match rustix::fs::mkdirat(&self.all, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.folder()?;
        Ok(Path::new(self.work.output.as_str()).join(name))
    }

    fn folder(&self) -> io::Result<OwnedFd> {
        let folder = self.open(&self.all, self.work.name.as_str(), OFlags::DIRECTORY)?;
        let stat = rustix::fs::fstat(&folder)?;
        let own = stat.st_uid == rustix::process::getuid().as_raw() && stat.st_mode & 0o022 == 0;
        if own { Ok(folder) } else { Err(io::Error::other(format!("{} is somebody else's", self.work.name))) }
    }

    fn open(&self, folder: &OwnedFd, name: &str, more: OFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve)?)
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let file = self.open(&self.folder()?, name, OFlags::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(io::Error::other("it is no plain file")),
        }
    }

    /// Hands on what is new; whether there was something. Opened anew each time: over a network only that shows what is there.
    pub(super) fn pump(&mut self) -> bool {
        let Ok(moved) = self.handed_on() else { return false };
        self.from += moved;
        moved > 0
    }

    fn handed_on(&self) -> io::Result<u64> {
        let mut file = self.file(OUTPUT)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut out = io::stdout();
        let moved = io::copy(&mut file.take(MOST), &mut out)?;
        out.flush()?;
        Ok(moved)
    }

    /// Hands on what is still coming: until the job has written down its end and nothing more came; or for so long, and then what is
    /// there, whatever something that the job left behind goes on writing.
    pub(super) fn settle(&mut self, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let more = self.pump();
            if !more && self.end().is_some() {
                return;
            }
            if Instant::now() >= until {
                let last = self.file(OUTPUT).and_then(|file| file.metadata()).map_or(0, |file| file.len());
                while self.from < last && self.pump() {}
                return;
            }
            if !more {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// The exit code that it wrote down itself.
    pub(super) fn end(&self) -> Option<u8> {
        let mut text = String::new();
        self.file(END).ok()?.take(16).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    /// Takes it all away. What else the job has put there stays, and with it the folder.
    pub(super) fn remove(&self) {
        if let Ok(folder) = self.folder() {
            for name in [OUTPUT, END] {
                let _not_there = rustix::fs::unlinkat(&folder, name, AtFlags::empty());
            }
            let _not_empty = rustix::fs::unlinkat(&self.all, self.work.name.as_str(), AtFlags::REMOVEDIR);
        }
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
