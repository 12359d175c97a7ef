//! One call of a program inside a job, and its answer: `bz`, and what of Bartizan's own runs there.

use super::{Answer, Misread, announced, knock};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// No answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The worker does not hear it.
    #[error("the script API does not answer: {0}")]
    Io(#[from] io::Error),
    /// What came back is no answer.
    #[error("the answer cannot be read: {0}")]
    Misread(#[from] Misread),
}

/// Sends a whole message ([`super::frame`]) through the inherited end, and waits for its answer.
///
/// # Errors
/// [`AskError`].
pub fn ask(inherited: BorrowedFd<'_>, message: &[u8]) -> Result<Answer, AskError> {
    let (mut own, theirs) = UnixStream::pair()?;
    knock(inherited, theirs.as_fd())?;
    drop(theirs);
    // The worker may answer and hang up before it has read all.
    let sent = own.write_all(message);
    let mut header = [0; 4];
    own.read_exact(&mut header).map_err(|error| sent.err().unwrap_or(error))?;
    let mut payload = vec![0; announced(header)?];
    own.read_exact(&mut payload)?;
    Ok(Answer::parse(&payload)?)
}
