//! The carried websocket: the server's bytes to the connector as they come, the connector's control frames to the
//! server, one connection at a time.
//!
//! The connector runs the websocket protocol; egress only opens the connection, because that takes the token. While the
//! connector does not read, the server is not read either.

pub mod frames;
pub mod upgrade;

use crate::http::Http;
use crate::permits::Permit;
use crate::permits::carrier::{Phase, kind, permits};
use crate::session::{SessionError, greet};
use bartizan_proto::carrier::{Attempt, FromCarrier, Resume, ToCarrier};
use bartizan_proto::channel::Channel;
use bartizan_proto::stream::{Receiver, Sender};
use bartizan_proto::{Bytes, Text};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Most bytes that are read from the server at once. With what the scrubber holds it stays under `MAX_CARRIED`.
const PIECE: usize = 16 * 1024;
/// Most pieces that wait for the connector to read.
const QUEUE: usize = 4;
/// Most messages of the connector that wait for the server to read.
const CONTROL_QUEUE: usize = 16;

/// Serves the connector's carrier until it closes its end.
///
/// # Errors
/// [`SessionError`]; the connector is to be dropped.
pub async fn serve(channel: Channel, http: Http) -> Result<(), SessionError> {
    let (sender, receiver) = greet(channel).await?;
    let (say, outbox) = mpsc::channel(QUEUE);
    tokio::select! {
        ended = take_orders(receiver, http, say) => ended,
        ended = write(sender, outbox) => ended,
    }
}

/// One attempt to connect and what became of it. Dropping it drops the connection.
struct Line {
    attempt: Attempt,
    control: mpsc::Sender<Vec<u8>>,
    _task: JoinSet<()>,
}

async fn take_orders(mut receiver: Receiver, http: Http, say: mpsc::Sender<FromCarrier>) -> Result<(), SessionError> {
    let mut phase = Phase::Fresh;
    let mut line: Option<Line> = None;
    while let Some(message) = receiver.next::<ToCarrier>().await? {
        let kind = kind(&message);
        match permits(phase, kind) {
            Permit::Allow => {}
            Permit::Once | Permit::Deny => {
                return Err(SessionError::Phase(match message {
                    ToCarrier::Open { .. } => "Open",
                    ToCarrier::Data { .. } => "Data",
                    ToCarrier::Close { .. } => "Close",
                }));
            }
        }
        let ended = match message {
            ToCarrier::Open { attempt, resume } => {
                phase = Phase::Opened;
                line = Some(open(attempt, resume, &http, &say));
                None
            }
            ToCarrier::Data { attempt, bytes } => match &line {
                Some(line) if line.attempt == attempt => pass_on(line, &bytes).err().map(|why| (attempt, why)),
                Some(_) | None => None,
            },
            ToCarrier::Close { attempt } => line
                .as_ref()
                .is_some_and(|line| line.attempt == attempt)
                .then(|| (attempt, "closed as asked".to_owned())),
        };
        if let Some((attempt, why)) = ended {
            line = None;
            let _connector_gone = say.send(FromCarrier::Closed { attempt, why: Text::cut(why) }).await;
        }
    }
    Ok(())
}

/// Gives the connector's bytes to the connection, when they are control frames.
fn pass_on(line: &Line, bytes: &[u8]) -> Result<(), String> {
    if let Err(refused) = frames::check(bytes) {
        tracing::warn!("the connector tried to send {refused} to the server; the websocket is dropped");
        return Err(format!("refused: {refused}"));
    }
    match line.control.try_send(bytes.to_vec()) {
        // A connection that has ended meanwhile has said so itself.
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        Err(mpsc::error::TrySendError::Full(_)) => Err("the server does not read".to_owned()),
    }
}

fn open(attempt: Attempt, resume: Option<Resume>, http: &Http, say: &mpsc::Sender<FromCarrier>) -> Line {
    let (control, frames) = mpsc::channel(CONTROL_QUEUE);
    let (http, say) = (http.clone(), say.clone());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let last = carry(attempt, resume, &http, &say, frames).await;
        let _connector_gone = say.send(last).await;
    });
    Line { attempt, control, _task: task }
}

/// Opens one connection and carries it to its end. Gives the last thing to say about it.
async fn carry(
    attempt: Attempt,
    resume: Option<Resume>,
    http: &Http,
    say: &mpsc::Sender<FromCarrier>,
    frames: mpsc::Receiver<Vec<u8>>,
) -> FromCarrier {
    let connection = match upgrade::open(http, resume.as_ref()).await {
        Ok(connection) => connection,
        Err(refusal) => {
            tracing::warn!("no websocket: {refusal}");
            return FromCarrier::Refused {
                attempt,
                status: refusal.status(),
                retry_after_ms: refusal.retry_after_ms(),
                why: Text::cut(refusal.to_string()),
            };
        }
    };
    let _connector_gone = say.send(FromCarrier::Opened { attempt }).await;
    let (from_server, to_server) = tokio::io::split(connection);
    let mut changes = http.token().changes();
    let why = tokio::select! {
        why = down(attempt, from_server, http, say) => why,
        why = up(to_server, frames) => why,
        // The connector connects again, and that connection is opened with the new one.
        _ = changes.changed() => "the bot's token was exchanged".to_owned(),
    };
    tracing::info!("the websocket has ended: {why}");
    FromCarrier::Closed { attempt, why: Text::cut(why) }
}

/// Server to connector, without the token. Gives why it ended.
async fn down(
    attempt: Attempt,
    mut server: impl AsyncRead + Unpin,
    http: &Http,
    say: &mpsc::Sender<FromCarrier>,
) -> String {
    let mut scrubber = http.token().stream_scrubber();
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match server.read(&mut buffer).await {
            Ok(0) => return "the server closed the connection".to_owned(),
            Ok(read) => scrubber.push(&buffer[..read]),
            Err(error) => return format!("the connection broke: {}", error.kind()),
        };
        if piece.is_empty() {
            continue;
        }
        let Ok(bytes) = Bytes::new(piece) else { return "a piece over the limit".to_owned() };
        if say.send(FromCarrier::Data { attempt, bytes }).await.is_err() {
            return "the connector is gone".to_owned();
        }
    }
}

/// Connector to server: frames that were checked. Gives why it ended.
async fn up(mut server: impl AsyncWrite + Unpin, mut frames: mpsc::Receiver<Vec<u8>>) -> String {
    while let Some(frame) = frames.recv().await {
        let written = async {
            server.write_all(&frame).await?;
            server.flush().await
        };
        if let Err(error) = written.await {
            return format!("the connection broke: {}", error.kind());
        }
    }
    "the connector is gone".to_owned()
}

async fn write(sender: Sender, mut outbox: mpsc::Receiver<FromCarrier>) -> Result<(), SessionError> {
    while let Some(message) = outbox.recv().await {
        sender.send(&message).await?;
    }
    Ok(())
}
