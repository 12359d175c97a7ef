//! One question to the core, over its control socket.

use crate::exit::CtlError;
use bartizan_proto::channel::Channel;
use bartizan_proto::control::{Answer, Request};
use bartizan_proto::frame::FrameError;
use bartizan_proto::text::printable;
use bartizan_proto::version::{Role, Version};
use rustix::net::sockopt::socket_peercred;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the core may take. Checking a configuration reads files; nothing else takes a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks, and returns the answer. A refusal is an error.
///
/// # Errors
/// [`CtlError`].
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, CtlError> {
    let mut channel = connect(socket)?;
    match converse(&mut channel, request) {
        Ok(Answer::Refused { refusal, why }) => Err(CtlError::Refused { refusal, why: printable(&why) }),
        Ok(answer) => Ok(answer),
        Err(error) => Err(CtlError::Conversation { socket: socket.to_owned(), error }),
    }
}

/// As [`ask`], where a descriptor comes with the answer.
///
/// # Errors
/// [`CtlError`].
pub fn ask_for_file(socket: &Path, request: &Request) -> Result<(Answer, std::fs::File), CtlError> {
    let mut channel = connect(socket)?;
    match converse_with(&mut channel, request) {
        Ok((Answer::Refused { refusal, why }, _)) => Err(CtlError::Refused { refusal, why: printable(&why) }),
        Ok((answer, mut fds)) => Ok((answer, fds.pop().ok_or(CtlError::WrongAnswer)?.into())),
        Err(error) => Err(CtlError::Conversation { socket: socket.to_owned(), error }),
    }
}

/// Whether the error means that no service runs, as opposed to one that runs and does not answer.
pub fn nobody_listens(error: &CtlError) -> bool {
    matches!(error, CtlError::Unreachable { .. })
}

fn connect(path: &Path) -> Result<Channel, CtlError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => CtlError::Closed { socket: path.to_owned() },
        _ => CtlError::Unreachable { socket: path.to_owned(), error },
    };
    // Whoever can put a socket there is believed to be the service only if its owner is also the one who listens.
    let metadata = std::fs::symlink_metadata(path).map_err(failed)?;
    if !metadata.file_type().is_socket() {
        return Err(CtlError::NotASocket { socket: path.to_owned() });
    }
    let stream = UnixStream::connect(path).map_err(failed)?;
    let peer = socket_peercred(&stream).map_err(|error| failed(error.into()))?.uid.as_raw();
    if peer != metadata.uid() {
        return Err(CtlError::Impostor { socket: path.to_owned(), owner: metadata.uid(), peer });
    }
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    Ok(stream.into())
}

/// A core that refuses this user says so and closes without reading: what cannot be sent to it any more is no reason not to
/// read its answer.
fn converse(channel: &mut Channel, request: &Request) -> Result<Answer, FrameError> {
    converse_with(channel, request).map(|(answer, _)| answer)
}

fn converse_with(channel: &mut Channel, request: &Request) -> Result<(Answer, Vec<OwnedFd>), FrameError> {
    let closed = |sent: Result<(), FrameError>| match sent {
        Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    };
    closed(channel.send(&Version::of(Role::Control)))?;
    let version: Version = channel.receive()?.ok_or(FrameError::Truncated)?;
    version.check(Role::Core).map_err(|error| FrameError::Malformed(error.to_string()))?;
    closed(channel.send(request))?;
    channel.receive_with()?.ok_or(FrameError::Truncated)
}
