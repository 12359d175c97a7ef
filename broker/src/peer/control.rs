//! Operators and readers, each over a control socket of their own: one request, one answer.
//!
//! A socket stands in a directory that is private before the socket is made, and has its mode from its first moment. Who
//! connects is known by the kernel's word, and [`access`](super::access) decides; what may be asked where, [`permits`]. In
//! single-user mode workers run under the operator's uid too; what keeps them out is the sandbox (no `socket()`, no way to
//! this path), which `bartizan doctor` says.

mod permits;

pub use permits::permits;

use super::Permit;
use super::access::{Access, Authority, Peer};
use super::audit_file;
use crate::core::Input;
use crate::system;
use bartizan_proto::channel::Channel;
use bartizan_proto::control::{Answer, Refusal, Request};
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{FrameError, Role, Text, Version};
use rustix::fs::Mode as Bits;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The socket that takes commands, by its name in `[control] directory`.
pub const COMMAND: &str = "control.sock";

/// The socket that is for reading, by its name in `[control] read-directory`.
pub const READ: &str = "read.sock";

/// Who is served at the same time, at each of the sockets.
const MAX_CONNECTIONS: usize = 16;

/// How long an operator's program may take over its one request, and the core over its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// By whom, as the kernel says.
    pub uid: u32,
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// Makes a socket of this name in `folder`, which is already private; an older one of a service that died is replaced. For a
/// group of people it can be written by the folder's group, which it takes over; else by its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn bind(folder: &Path, name: &str, group: bool) -> io::Result<(std::os::unix::net::UnixListener, PathBuf)> {
    let path = folder.join(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // This process has one thread: nothing else is made meanwhile. Connecting to a socket needs the right to write it.
    let usual = rustix::process::umask(Bits::from_raw_mode(if group { 0o117 } else { 0o177 }));
    let listener = std::os::unix::net::UnixListener::bind(&path);
    rustix::process::umask(usual);
    let listener = listener?;
    listener.set_nonblocking(true)?;
    Ok((listener, path))
}

/// Serves one of the sockets until the core ends. `log` is the audit log's file.
pub async fn serve(
    listener: UnixListener,
    (access, authority): (Access, Authority),
    log: Arc<Path>,
    inputs: mpsc::Sender<Input>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "control socket: accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (inputs, log) = (inputs.clone(), Arc::clone(&log));
        tokio::spawn(async move {
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, one(socket, (access, authority), &log, inputs)).await
            {
                tracing::debug!(%error, "control socket");
            }
            drop(place);
        });
    }
}

async fn one(
    socket: UnixStream,
    (access, authority): (Access, Authority),
    log: &Path,
    inputs: mpsc::Sender<Input>,
) -> Result<(), FrameError> {
    let credentials = socket.peer_cred()?;
    let mut peer = Peer { uid: credentials.uid(), groups: system::peer::groups(socket.as_fd())? };
    peer.groups.push(credentials.gid());
    let channel: Channel = socket.into_std()?.into();
    let (sender, mut receiver): (Sender, Receiver) = stream::open(channel, Descriptors::Refuse)?;
    sender.send(&Version::of(Role::Core)).await?;
    if let Err(why) = access.judge(&peer, authority) {
        tracing::warn!(uid = peer.uid, pid = credentials.pid(), why, "control socket: refused");
        return sender.send(&Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) }).await;
    }
    receiver.greeting(Role::Control).await?;
    let request: Request = receiver.next().await?.ok_or(FrameError::Truncated)?;
    tracing::debug!(uid = peer.uid, ?authority, ?request, "control socket");
    match permits(authority, &request) {
        Permit::Allow | Permit::Once => {}
        Permit::Deny => {
            tracing::warn!(uid = peer.uid, pid = credentials.pid(), "read socket: asked for more than reading");
            let why = "this socket is for reading, and that changes something or shows a secret: be in the group of `[control] operators`, and use control.sock";
            return sender.send(&Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) }).await;
        }
    }
    if let Request::AuditFile { number } = request {
        return audit_file::hand_out(&sender, log, number).await;
    }
    let (answer, answered) = oneshot::channel();
    let unavailable = || Answer::Refused {
        refusal: Refusal::Unavailable,
        why: Text::cut("the service is ending or cannot answer now; try again"),
    };
    let answer = match inputs.send(Input::Control(Asked { uid: peer.uid, request, answer })).await {
        Ok(()) => answered.await.unwrap_or_else(|_| unavailable()),
        Err(_) => unavailable(),
    };
    sender.send(&answer).await
}
