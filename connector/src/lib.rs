//! The unprivileged reader of chat: no network, no token, no files; four inherited sockets at most.
//!
//! It reads what strangers wrote, so it is the process that is expected to fall. It reports to the core, which trusts
//! nothing of it but a post's id, and posts by way of egress, which has no call that could hurt.
//!
//! | what | file |
//! |---|---|
//! | the websocket over the carrier | [`mattermost::socket`], [`mattermost::conversation`], [`mattermost::carried`] |
//! | JSON → event, JSON → answer | [`mattermost::event`], [`mattermost::answer`] |
//! | meant for the bot? | [`intake`] |
//! | each post once and in order, cursors | [`reading`] |
//! | what was missed | [`catch_up`] |
//! | to the core | [`broker_link`] |
//! | replies and reactions | [`outbox`], [`mattermost::markup`], [`mattermost::rest`] |
#![forbid(unsafe_code)]

pub mod backoff;
pub mod broker_link;
pub mod catch_up;
pub mod intake;
pub mod mattermost;
pub mod outbox;
pub mod reading;

use bartizan_confine::process::HardenError;
use bartizan_confine::unit::{self, UnitError};
use bartizan_confine::{ConfineError, Confinement};
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{Start, ToConnector};
use bartizan_proto::stream::{self, Descriptors};
use bartizan_proto::{FrameError, Role, Version};
use broker_link::Link;
use intake::Threads;
use mattermost::rest::{Rest, Verbs};
use mattermost::socket::{Socket, Timing};
use outbox::Outbox;
use reading::Reading;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that wait to be judged.
const HEARD: usize = 64;

/// Why the connector ends before the core closes its socket.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A first step of every process.
    #[error(transparent)]
    Harden(#[from] HardenError),
    /// How it was started.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The runtime cannot be made.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    /// Giving up what it does not need.
    #[error("cannot confine itself: {0}")]
    Confine(#[from] ConfineError),
    /// The core's socket.
    #[error("the core's socket failed: {0}")]
    Core(#[from] FrameError),
    /// The core said something that it may not say now.
    #[error("out of order from the core: {0}")]
    OutOfOrder(&'static str),
}

/// The program: from the first instruction to the exit code.
pub fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_max_level(tracing::Level::INFO).init();
    end_at_a_panic();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the connector ends");
            ExitCode::FAILURE
        }
    }
}

/// A task that panicked must not leave the others running without it: the core starts a new connector.
fn end_at_a_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // Where, not what: the message may hold chat text.
        tracing::error!(at = panic.location().map(tracing::field::display), "a bug in the connector: it ends");
        std::process::exit(101);
    }));
}

fn start() -> Result<(), ConnectorError> {
    // 1. Not dumpable, no new privileges, nothing inherited but the core's socket and the log.
    bartizan_confine::process::harden()?;
    bartizan_confine::process::close_from(3)?;
    let channel = unit::channel(Role::Connector, std::env::args_os().skip(1))?;
    // 2. What needs more than the runtime keeps: its epoll and wake-up descriptors.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ConnectorError::Start)?;
    // 3. No files, no sockets, before a byte is read from anyone.
    let nothing = Confinement { role: Role::Connector, read: &[], write: &[], connect_ports: &[] };
    for layer in bartizan_confine::confine(&nothing)? {
        tracing::debug!(?layer, "in force");
    }
    // 4. Work until the core closes its end.
    runtime.block_on(run(channel, Timing::default()))
}

/// Works for the core at the other end of `channel` until it closes it.
///
/// # Errors
/// [`ConnectorError`]: the process ends, and the core starts another.
pub async fn run(channel: Channel, timing: Timing) -> Result<(), ConnectorError> {
    let (sender, mut core) = stream::open(channel, Descriptors::Accept).map_err(ConnectorError::Start)?;
    sender.send(&Version::of(Role::Connector)).await?;
    core.greeting(Role::Core).await?;

    let (link, said) = Link::new();
    let mut talk = tokio::spawn(async move { broker_link::pass_on(said, &sender).await });
    let (mut verbs, rest) = Verbs::new();
    let (carriers, carrier) = mpsc::channel(4);
    let mut carrier = Some(carrier);
    let mut outbox: Option<Outbox> = None;
    let threads = Threads::default();

    loop {
        // Without ends the core has to be heard, for it brings new ones.
        let full = verbs.attached() && outbox.as_ref().is_some_and(Outbox::full);
        let message = tokio::select! {
            message = core.next::<ToConnector>(), if !full => message?,
            () = tokio::time::sleep(Duration::from_millis(50)), if full => continue,
            ended = &mut talk => return match ended {
                // It closed its end while something was being said to it.
                Ok(Err(FrameError::Io(error))) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(())) | Err(_) => Err(FrameError::Truncated.into()),
            },
        };
        match message {
            None => return Ok(()),
            Some(ToConnector::Attach) => {
                let ends: [_; 2] = core.take_descriptors().try_into().map_err(|_| FrameError::Descriptors)?;
                let [for_verbs, for_carrier] = ends.map(Channel::from);
                verbs.attach(for_verbs);
                let taken = carriers.send(for_carrier).await;
                taken.map_err(|_| ConnectorError::OutOfOrder("ends after the websocket's task ended"))?;
            }
            Some(ToConnector::Start(start)) => {
                let Some(carrier) = carrier.take() else {
                    return Err(ConnectorError::OutOfOrder("a second start"));
                };
                read_chat(&start, &threads, carrier, &rest, &link, timing);
                outbox = Some(Outbox::new(rest.clone(), link.clone(), start.bot, start.max_post));
            }
            Some(ToConnector::Listen(these)) => threads.replace(these),
            Some(ToConnector::Hear(these)) => threads.hear(these),
            Some(ToConnector::Deliver(delivery)) => match &outbox {
                Some(outbox) => outbox.push(*delivery),
                None => return Err(ConnectorError::OutOfOrder("a delivery before the start")),
            },
        }
    }
}

/// Starts the two tasks between the websocket and the core's socket.
fn read_chat(
    start: &Start,
    threads: &Threads,
    carrier: mpsc::Receiver<Channel>,
    rest: &Rest,
    link: &Link,
    timing: Timing,
) {
    let (sender, heard) = mpsc::channel(HEARD);
    tokio::spawn(Socket::new(link.clone(), sender, timing).run(carrier));
    tokio::spawn(Reading::new(start, threads.clone()).run(heard, rest.clone(), link.clone()));
}
