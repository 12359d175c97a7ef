//! Operators, over the control socket: one request, one answer.
//!
//! The socket stands in a directory that is private before the socket is made. Who connects is known by the kernel's
//! word (SO_PEERCRED): root and the service's own user so far. In single-user mode workers run under that uid too; what
//! keeps them out is the sandbox (no `socket()`, no way to this path), which `bartizan doctor` says.

use crate::core::Input;
use bartizan_proto::channel::Channel;
use bartizan_proto::control::{Answer, Refusal, Request};
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{FrameError, Role, Text, Version};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Operators that are served at the same time.
const MAX_CONNECTIONS: usize = 16;

/// How long an operator's program may take over its one request, and the core over its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// Makes `control.sock` in `folder`, which is already private; an older one of a service that died is replaced.
///
/// # Errors
/// When it cannot be made.
pub fn bind(folder: &Path) -> io::Result<(std::os::unix::net::UnixListener, PathBuf)> {
    let path = folder.join("control.sock");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    Ok((listener, path))
}

/// Serves operators until the core ends.
pub async fn serve(listener: UnixListener, owner: u32, inputs: mpsc::Sender<Input>) {
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
        let inputs = inputs.clone();
        tokio::spawn(async move {
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, one(socket, owner, inputs)).await {
                tracing::debug!(%error, "control socket");
            }
            drop(place);
        });
    }
}

async fn one(socket: UnixStream, owner: u32, inputs: mpsc::Sender<Input>) -> Result<(), FrameError> {
    let peer = socket.peer_cred()?;
    let channel: Channel = socket.into_std()?.into();
    let (sender, mut receiver): (Sender, Receiver) = stream::open(channel, Descriptors::Refuse)?;
    sender.send(&Version::of(Role::Core)).await?;
    if peer.uid() != 0 && peer.uid() != owner {
        tracing::warn!(uid = peer.uid(), pid = peer.pid(), "control socket: refused");
        let why = format!("uid {} may not use this socket", peer.uid());
        return sender.send(&Answer::Refused { refusal: Refusal::Forbidden, why: Text::cut(why) }).await;
    }
    receiver.greeting(Role::Control).await?;
    let request: Request = receiver.next().await?.ok_or(FrameError::Truncated)?;
    tracing::debug!(uid = peer.uid(), ?request, "control socket");
    let (answer, answered) = oneshot::channel();
    let unavailable = || Answer::Refused {
        refusal: Refusal::Unavailable,
        why: Text::cut("the service is ending or cannot answer now; try again"),
    };
    let answer = match inputs.send(Input::Control(Asked { request, answer })).await {
        Ok(()) => answered.await.unwrap_or_else(|_| unavailable()),
        Err(_) => unavailable(),
    };
    sender.send(&answer).await
}
