//! What belongs to the script API inside a sandbox: the program `bz`, which lies beside the worker's own, the libraries for bash
//! and Python, and the script's descriptor.

use crate::order::Job;
use bartizan_proto::script;
use bartizan_proto::worker::PLAN_DESCRIPTOR;
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The program's name.
pub(crate) const PROGRAM: &str = "bz";

/// The libraries, by the names that scripts load them under.
pub(crate) const LIBRARIES: [(&str, &str); 2] =
    [("bz.sh", include_str!("../../../config/lib/bz.sh")), ("bz.py", include_str!("../../../config/lib/bz.py"))];

/// The folder's name in the scratch directory of a job without a private root.
const FOLDER: &str = ".bartizan";

/// Where `bz` is on the machine; `None` where it was not installed.
pub(crate) fn program() -> Option<PathBuf> {
    let own = fs::read_link("/proc/self/exe").ok()?;
    Some(own.parent()?.join(PROGRAM)).filter(|path| path.is_file())
}

/// Puts them into a scratch directory on the host. The script can change these copies: nobody else uses them.
pub(crate) fn put(scratch: &Path) -> io::Result<PathBuf> {
    let folder = scratch.join(FOLDER);
    fs::create_dir(&folder)?;
    for (name, content) in LIBRARIES {
        fs::write(folder.join(name), content)?;
    }
    if let Some(program) = program() {
        std::os::unix::fs::symlink(program, folder.join(PROGRAM))?;
    }
    Ok(folder)
}

/// The script's end of the script API under the number that it will have in the script.
pub(crate) fn descriptor(job: &Job) -> io::Result<Option<OwnedFd>> {
    let number = |fd: &OwnedFd| -> Result<OwnedFd, Errno> { rustix::io::fcntl_dupfd_cloexec(fd, script::DESCRIPTOR) };
    Ok(job.api.as_ref().map(number).transpose()?)
}

/// Its plan, likewise.
pub(crate) fn plan(job: &Job) -> io::Result<Option<OwnedFd>> {
    let number = |fd: &OwnedFd| -> Result<OwnedFd, Errno> { rustix::io::fcntl_dupfd_cloexec(fd, PLAN_DESCRIPTOR) };
    Ok(job.plan.as_ref().map(number).transpose()?)
}
