//! The core's socket: one task writes what the others say, in the order in which they say it.
//!
//! The queue is short. When the core does not read, whoever has something to say waits: reports stop, then the
//! websocket, then the server. Reading from the core is [`crate::run`]'s.

use bartizan_proto::FrameError;
use bartizan_proto::connector::FromConnector;
use bartizan_proto::stream::Sender;
use tokio::sync::mpsc;

/// Messages that wait for the core.
const WAITING: usize = 32;

/// Says things to the core. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link {
    queue: mpsc::Sender<FromConnector>,
}

impl Link {
    /// A link, and the queue to give to [`pass_on`].
    pub fn new() -> (Link, mpsc::Receiver<FromConnector>) {
        let (queue, queued) = mpsc::channel(WAITING);
        (Link { queue }, queued)
    }

    /// Says one thing, when the core has read enough of what was said before.
    pub async fn say(&self, message: FromConnector) {
        // Without a queue the core is gone, and this process about to end.
        let _core_gone = self.queue.send(message).await;
    }
}

/// Sends what is said until the core is gone.
///
/// # Errors
/// [`FrameError`].
pub async fn pass_on(mut queued: mpsc::Receiver<FromConnector>, core: &Sender) -> Result<(), FrameError> {
    while let Some(message) = queued.recv().await {
        core.send(&message).await?;
    }
    Ok(())
}
