//! One connector's two sockets, from the core's `Attach` until either of them ends. Then the other ends too, and the
//! websocket with them.

use crate::http::Http;
use crate::protected::Register;
use crate::verify::Identity;
use crate::{carrier, verbs};
use bartizan_proto::channel::Channel;
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{FrameError, Role, Version};
use std::time::Duration;
use tokio::sync::watch;

/// How long the connector's first frame may take.
const GREETING: Duration = Duration::from_secs(10);

/// What both sockets need of the rest of egress.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The connections to the server.
    pub http: Http,
    /// Who the bot is.
    pub identity: watch::Receiver<Option<Identity>>,
    /// The posts that a connector must leave alone.
    pub register: Register,
}

/// Why a connector was dropped.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The socket or what came over it.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// No first frame.
    #[error("the connector did not say who it is")]
    Silent,
    /// A message in the wrong phase.
    #[error("{0} came before anything was opened")]
    Phase(&'static str),
    /// A call that egress does not make for anybody.
    #[error("a call with {0}")]
    Call(&'static str),
    /// A call's task failed.
    #[error("a call failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl SessionError {
    /// Whether it said what no connector of ours says. One that only ended did not.
    fn is_a_lie(&self) -> bool {
        match self {
            Self::Frame(FrameError::Io(_) | FrameError::Truncated) | Self::Silent | Self::Task(_) => false,
            Self::Frame(
                FrameError::TooLarge(_) | FrameError::Malformed(_) | FrameError::Trailing(_) | FrameError::Descriptors,
            )
            | Self::Phase(_)
            | Self::Call(_) => true,
        }
    }
}

/// Serves one connector; says what it was dropped for, if it was. Dropping this drops its sockets, its calls and its
/// websocket.
pub async fn serve(verbs: Channel, carrier: Channel, ends: Ends) -> Option<String> {
    tracing::info!("a connector is attached");
    let calls = Ends { http: ends.http.for_connector(), ..ends.clone() };
    let (socket, ended) = tokio::select! {
        ended = verbs::serve(verbs, calls) => ("verbs", ended),
        ended = carrier::serve(carrier, ends.http) => ("carrier", ended),
    };
    match ended {
        Ok(()) => {
            tracing::info!("the connector closed its {socket}");
            None
        }
        Err(error) => {
            tracing::warn!("the connector is dropped, {socket}: {error}");
            error.is_a_lie().then(|| format!("to egress, over its {socket}: {error}"))
        }
    }
}

/// Makes an end asynchronous, says who this is and checks that a connector answers.
///
/// # Errors
/// [`SessionError::Frame`], [`SessionError::Silent`].
pub(crate) async fn greet(channel: Channel) -> Result<(Sender, Receiver), SessionError> {
    let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse).map_err(FrameError::Io)?;
    sender.send(&Version::of(Role::Egress)).await?;
    tokio::time::timeout(GREETING, receiver.greeting(Role::Connector)).await.map_err(|_| SessionError::Silent)??;
    Ok((sender, receiver))
}
