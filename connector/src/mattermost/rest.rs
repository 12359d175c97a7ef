//! REST calls by way of egress: numbered, answered in any order, failed together when the ends are replaced.
//!
//! Callers see [`Trouble`], never a socket: a call waits for ends when there are none, so that a restart of egress is
//! only a delay.

use crate::backoff::Backoff;
use crate::mattermost::answer;
use bartizan_proto::channel::Channel;
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::verbs::{Failure, FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::{FrameError, Role, Version};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Calls under way at once. Egress takes 64.
const CALLS: usize = 48;
/// Egress answers within 30 s, be it with [`Failure::Timeout`]; this is for an egress that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// To be tried again.
    #[error("no answer for now: {why}")]
    Later {
        /// Not before this (`Retry-After`).
        after: Option<Duration>,
        /// Whether it may have been done all the same.
        maybe_done: bool,
        /// What happened.
        why: String,
    },
    /// The answer is over the limit: ask for less.
    #[error("the answer is too large")]
    TooLarge,
    /// The server will never do it.
    #[error("the server refused with {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, inert.
        why: String,
    },
}

impl Trouble {
    /// Something to be tried again that may have been done.
    pub fn unclear(why: impl Into<String>) -> Self {
        Self::Later { after: None, maybe_done: true, why: why.into() }
    }
}

/// Makes calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rest {
    current: watch::Receiver<Option<Arc<Ends>>>,
}

/// Holds the ends that calls go through, and replaces them.
#[derive(Debug)]
pub struct Verbs {
    current: watch::Sender<Option<Arc<Ends>>>,
    serving: Option<JoinHandle<()>>,
}

/// One pair of ends, alive.
#[derive(Debug)]
struct Ends {
    queue: mpsc::Sender<ToVerbs>,
    room: Semaphore,
    /// `None` once the ends are dead.
    waiting: Mutex<Option<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u32,
    calls: HashMap<RequestId, oneshot::Sender<FromVerbs>>,
}

impl Rest {
    /// Makes a call once.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn ask(&self, verb: Verb) -> Result<Vec<u8>, Trouble> {
        match self.call(verb).await? {
            FromVerbs::Answer { status, retry_after_ms, body, .. } => {
                settle(status, retry_after_ms.map(|ms| Duration::from_millis(ms.into())), body.into_vec())
            }
            FromVerbs::Failed { failure, why, .. } => Err(match failure {
                Failure::Network | Failure::Timeout => Trouble::unclear(why.into_string()),
                Failure::TooLarge => Trouble::TooLarge,
                Failure::Busy => Trouble::Later { after: None, maybe_done: false, why: why.into_string() },
            }),
        }
    }

    /// Makes a call that only reads until it is answered.
    ///
    /// # Errors
    /// [`Trouble::TooLarge`] or [`Trouble::Refused`].
    pub async fn insist(&self, verb: Verb) -> Result<Vec<u8>, Trouble> {
        let mut backoff = Backoff::default();
        for tries in 1_u32.. {
            match self.ask(verb.clone()).await {
                Err(Trouble::Later { after, why, .. }) => {
                    if tries >= 4 && tries.is_power_of_two() {
                        tracing::warn!(tries, why, "a call is still without an answer");
                    }
                    tokio::time::sleep(backoff.next(after)).await;
                }
                settled => return settled,
            }
        }
        Err(Trouble::unclear("asked for as often as can be counted"))
    }

    async fn call(&self, verb: Verb) -> Result<FromVerbs, Trouble> {
        let detached = || Trouble::unclear("egress is gone");
        let mut current = self.current.clone();
        let ends = current.wait_for(Option::is_some).await.ok().and_then(|ends| ends.clone()).ok_or_else(detached)?;
        let _room = ends.room.acquire().await.map_err(|_| detached())?;
        let (answer, answered) = oneshot::channel();
        let registered = ends.register(answer).ok_or_else(detached)?;
        let call = ToVerbs::Call { request: registered.request, verb: Box::new(verb) };
        ends.queue.send(call).await.map_err(|_| detached())?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(detached()),
            Err(_) => Err(Trouble::unclear("egress does not answer")),
        }
    }
}

/// Status → what to do. 401 is retried: the core replaces the token, or egress.
fn settle(status: u16, after: Option<Duration>, body: Vec<u8>) -> Result<Vec<u8>, Trouble> {
    match status {
        200..=299 => Ok(body),
        429 => Err(Trouble::Later { after, maybe_done: false, why: "the server wants fewer requests".to_owned() }),
        401 => Err(Trouble::Later { after, maybe_done: false, why: "the server refuses the token".to_owned() }),
        501 => Err(Trouble::Refused { status, why: answer::refusal(&body) }),
        408 | 425 | 500..=599 => {
            Err(Trouble::Later { after, maybe_done: true, why: format!("{status}: {}", answer::refusal(&body)) })
        }
        _ => Err(Trouble::Refused { status, why: answer::refusal(&body) }),
    }
}

impl Verbs {
    /// Without ends: calls wait.
    pub fn new() -> (Verbs, Rest) {
        let (current, calls) = watch::channel(None);
        (Verbs { current, serving: None }, Rest { current: calls })
    }

    /// Whether calls can be made now.
    pub fn attached(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// Works with these ends from now on. What was under way on older ones fails.
    pub fn attach(&mut self, channel: Channel) {
        if let Some(old) = self.serving.take() {
            old.abort();
        }
        if let Some(old) = self.current.send_replace(None) {
            old.close();
        }
        let current = self.current.clone();
        self.serving = Some(tokio::spawn(async move {
            if let Err(error) = serve(channel, &current).await {
                tracing::warn!(%error, "the socket for REST calls failed");
            }
            if let Some(old) = current.send_replace(None) {
                old.close();
            }
        }));
    }
}

/// Serves one pair of ends until it dies.
async fn serve(channel: Channel, current: &watch::Sender<Option<Arc<Ends>>>) -> Result<(), FrameError> {
    let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse)?;
    sender.send(&Version::of(Role::Connector)).await?;
    receiver.greeting(Role::Egress).await?;
    let (queue, queued) = mpsc::channel(CALLS);
    let ends = Arc::new(Ends { queue, room: Semaphore::new(CALLS), waiting: Mutex::new(Some(Waiting::default())) });
    current.send_replace(Some(Arc::clone(&ends)));
    tokio::select! {
        ended = pass_on(queued, &sender) => ended,
        ended = hand_out(&mut receiver, &ends) => ended,
    }
}

async fn pass_on(mut queued: mpsc::Receiver<ToVerbs>, sender: &Sender) -> Result<(), FrameError> {
    while let Some(call) = queued.recv().await {
        sender.send(&call).await?;
    }
    Ok(())
}

async fn hand_out(receiver: &mut Receiver, ends: &Ends) -> Result<(), FrameError> {
    while let Some(message) = receiver.next::<FromVerbs>().await? {
        let request = match &message {
            FromVerbs::Answer { request, .. } | FromVerbs::Failed { request, .. } => *request,
        };
        // Nobody waits for an answer whose caller gave up.
        if let Some(waiting) = ends.take(request) {
            let _gave_up = waiting.send(message);
        }
    }
    Ok(())
}

impl Ends {
    fn register(self: &Arc<Self>, answer: oneshot::Sender<FromVerbs>) -> Option<Registered> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.as_mut()?;
        waiting.last = waiting.last.wrapping_add(1);
        let request = RequestId(waiting.last);
        waiting.calls.insert(request, answer);
        Some(Registered { ends: Arc::clone(self), request })
    }

    fn take(&self, request: RequestId) -> Option<oneshot::Sender<FromVerbs>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.calls.remove(&request)
    }

    /// Fails every call under way, and every later one.
    fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.room.close();
    }
}

/// A call under way; forgotten when its caller goes.
struct Registered {
    ends: Arc<Ends>,
    request: RequestId,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.ends.take(self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(status: u16) -> bool {
        matches!(settle(status, None, Vec::new()), Err(Trouble::Later { .. }))
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_refused() {
        assert!([401, 408, 429, 500, 502, 503, 504].into_iter().all(later));
        for status in [400, 403, 404, 405, 413, 501, 302] {
            assert!(matches!(settle(status, None, Vec::new()), Err(Trouble::Refused { status: s, .. }) if s == status));
        }
        assert_eq!(settle(201, None, b"x".to_vec()), Ok(b"x".to_vec()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn replacing_the_ends_fails_what_was_under_way_and_serves_what_comes_then() {
        let (mut verbs, rest) = Verbs::new();
        let (ours, mut theirs) = Channel::pair().expect("socketpair");
        verbs.attach(ours);
        let waiting = tokio::spawn({
            let rest = rest.clone();
            async move { rest.ask(Verb::Channels).await }
        });
        theirs.send(&Version::of(Role::Egress)).expect("greets");
        let old = tokio::task::spawn_blocking(move || {
            theirs.receive::<Version>().expect("greeting");
            theirs.receive::<ToVerbs>().expect("a call");
            theirs
        });
        let _old = old.await.expect("thread");
        let (ours, mut theirs) = Channel::pair().expect("socketpair");
        verbs.attach(ours);
        assert!(matches!(waiting.await.expect("task"), Err(Trouble::Later { maybe_done: true, .. })));
        let server = std::thread::spawn(move || {
            theirs.greet(Role::Egress, Role::Connector).expect("greets");
            let Some(ToVerbs::Call { request, .. }) = theirs.receive().expect("a call") else { panic!("closed") };
            let body = bartizan_proto::Bytes::new(*b"[]").expect("short");
            theirs.send(&FromVerbs::Answer { request, status: 200, retry_after_ms: None, body }).expect("sends");
            theirs
        });
        assert_eq!(rest.ask(Verb::Channels).await, Ok(b"[]".to_vec()));
        server.join().expect("thread");
    }
}
