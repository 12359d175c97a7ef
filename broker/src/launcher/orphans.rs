//! What ended processes left behind. As the subreaper of everything that it starts, the launcher inherits it.

use rustix::process::Pid;
use std::io;

/// All children of this process that were not reaped yet, as the kernel lists them.
///
/// The list is exact: only a child that is reaped while it is read could be skipped, and nobody but this one thread
/// reaps (proc_pid_children(5)).
///
/// # Errors
/// When `/proc` is not there, or the kernel does not have the list.
pub fn own_children() -> io::Result<Vec<Pid>> {
    let list = std::fs::read_to_string("/proc/thread-self/children")?;
    Ok(list.split_ascii_whitespace().filter_map(|word| word.parse().ok().and_then(Pid::from_raw)).collect())
}
