//! Descriptors: the sandbox's own processes keep what they were given, the script gets 0, 1 and 2, and where
//! it may call, its end of the script API.

use crate::system;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Input, output and errors.
const STANDARD: i32 = 3;

/// Closes everything but 0, 1, 2 and `kept`. For the sandbox's init, which is a copy of a process that had more.
pub(crate) fn keep_only(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    numbers.sort_unstable();
    let mut first = STANDARD.cast_unsigned();
    for number in numbers {
        if number > first {
            system::close_range(first, number - 1)?;
        }
        first = number + 1;
    }
    system::close_range(first, u32::MAX)
}

/// Input from nowhere (it is `/dev/null` since the worker's start), output and errors into one pipe, in order.
pub(crate) fn standard<Fd: AsFd>(output: Fd) -> io::Result<()> {
    rustix::stdio::dup2_stdout(&output)?;
    rustix::stdio::dup2_stderr(&output)?;
    Ok(())
}

/// Leaves the next exec 0, 1, 2 and these.
pub(crate) fn close_at_exec(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    system::close_on_exec_from(STANDARD.cast_unsigned())?;
    for fd in kept {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
    }
    Ok(())
}

/// The descriptors that the next exec would hand on, by number.
pub(crate) fn inherited() -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        numbers.extend(number.filter(|number| system::is_inherited(*number)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
