//! The core's socket: takes its orders until it closes, and says back what the server says.

use crate::attest::Attestor;
use crate::http::Http;
use crate::permits::Permit;
use crate::permits::core::{Kind, Phase, kind, permits};
use crate::protected::{Register, Writer};
use crate::rotate;
use crate::session::{self, Ends};
use crate::verify::keep_verified;
use bartizan_confine::memory::QUIET;
use bartizan_proto::channel::Channel;
use bartizan_proto::egress::{FromEgress, ToEgress};
use bartizan_proto::limits::MAX_NAME;
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{FrameError, Text};
use std::io;
use std::os::fd::OwnedFd;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Most messages that wait for the core to read.
const QUEUE: usize = 64;

/// Why the link ended badly. The process ends with it.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket or what came over it.
    #[error("the core's socket: {0}")]
    Frame(#[from] FrameError),
    /// Something that does not belong into this phase.
    #[error("the core sent {kind:?} in phase {phase:?}")]
    Phase {
        /// What came.
        kind: Kind,
        /// When.
        phase: Phase,
    },
    /// An `Attach` without its two ends.
    #[error("an Attach came with {0} descriptors instead of 2")]
    Ends(usize),
}

/// Serves the core until it closes its end.
///
/// # Errors
/// [`LinkError`]; nothing more can be done with this core.
pub async fn serve(channel: Channel, http: Http, team: Text<MAX_NAME>) -> Result<(), LinkError> {
    let (sender, receiver) = stream::open(channel, Descriptors::Accept).map_err(FrameError::Io)?;
    let (core, outbox) = mpsc::channel(QUEUE);
    let (known, identity) = watch::channel(None);
    let attestor = Attestor::new(http.clone(), identity.clone());
    let register = Register::default();
    let writer = Writer::new(http.clone(), identity.clone(), register.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_verified(http.clone(), team, known, core.clone()));
    tasks.spawn(keep_small(http.clone()));
    let ends = Ends { http, identity, register };
    let ended = tokio::select! {
        ended = take_orders(receiver, &attestor, &writer, ends, &core) => ended,
        ended = write(sender, outbox) => ended,
    };
    match ended {
        Err(LinkError::Frame(FrameError::Io(error))) if is_closed(&error) => Ok(()),
        ended => ended,
    }
}

/// Gives back what a busy time leaves behind: above all kept connections that have ended.
async fn keep_small(http: Http) {
    loop {
        http.used().await;
        tokio::time::sleep(QUIET).await;
        bartizan_confine::memory::give_back();
    }
}

/// A core that ends with something unread resets the socket or breaks the pipe: it has closed its end all the same.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

async fn take_orders(
    mut receiver: Receiver,
    attestor: &Attestor,
    writer: &Writer,
    ends: Ends,
    core: &mpsc::Sender<FromEgress>,
) -> Result<(), LinkError> {
    const PHASE: Phase = Phase::Serving;
    let mut connector = JoinSet::new();
    let mut session = 0;
    let mut rotation = JoinSet::new();
    while let Some(message) = next(&mut receiver, &mut connector).await? {
        let kind = kind(&message);
        match (permits(PHASE, kind), message) {
            (Permit::Allow, ToEgress::Attest { question, subject }) => attestor.take(question, subject, core).await,
            (Permit::Allow, ToEgress::Token(token)) => {
                let (http, identity, core) = (ends.http.clone(), ends.identity.clone(), core.clone());
                // One at a time: a second one before the first is answered is the core's mistake, and the last one counts.
                rotation.shutdown().await;
                rotation.spawn(rotate::rotate(token.into_inner(), http, identity, core));
            }
            (Permit::Allow, ToEgress::Attach) => {
                let [verbs, carrier] = two(receiver.take_descriptors())?;
                // No older connector may still be served when a newer one is.
                connector.shutdown().await;
                session += 1;
                let (ends, core) = (ends.clone(), core.clone());
                connector.spawn(async move {
                    let lie = session::serve(verbs.into(), carrier.into(), ends).await;
                    if let Some(why) = lie {
                        let _core_gone = core.send(FromEgress::Dropped { session, why: Text::cut(why) }).await;
                    }
                });
            }
            (Permit::Allow, ToEgress::Protected { write, act, again }) => writer.take(write, *act, again, core),
            (Permit::Allow, ToEgress::Protect(posts)) => ends.register.protect(posts),
            (Permit::Allow | Permit::Once | Permit::Deny, _) => return Err(LinkError::Phase { kind, phase: PHASE }),
        }
    }
    Ok(())
}

/// The next order; meanwhile a connector's session that has ended is put away.
async fn next(receiver: &mut Receiver, connector: &mut JoinSet<()>) -> Result<Option<ToEgress>, FrameError> {
    loop {
        tokio::select! {
            message = receiver.next() => return message,
            Some(ended) = connector.join_next() => if let Err(error) = ended {
                tracing::error!("the connector's session failed: {error}");
            },
        }
    }
}

fn two(ends: Vec<OwnedFd>) -> Result<[OwnedFd; 2], LinkError> {
    ends.try_into().map_err(|ends: Vec<OwnedFd>| LinkError::Ends(ends.len()))
}

async fn write(sender: Sender, mut outbox: mpsc::Receiver<FromEgress>) -> Result<(), LinkError> {
    while let Some(message) = outbox.recv().await {
        sender.send(&message).await?;
    }
    Ok(())
}
