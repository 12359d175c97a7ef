//! The core's own posts: written on its order, and out of the connector's reach from then on.
//!
//! What people approve, and what they are warned of, is what the core wrote. A [`Register`] knows those posts by id; it is
//! empty when egress starts, and the core fills it before any connector is attached. Called by the core's link; the
//! connector's verbs only ask [`Register::is_protected`].

use crate::answers::{self, AnswerError, OwnPost};
use crate::http::{Answer, Body, Http, HttpError, Method, Request, StatusCode};
use crate::verify::Identity;
use bartizan_proto::Text;
use bartizan_proto::egress::{FromEgress, ProtectedAct, ProtectedOutcome, Target, WriteId};
use bartizan_proto::ids::{ChannelId, PostId, UserId};
use bartizan_proto::limits::MAX_PROTECTED;
use serde::Serialize;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, watch};

/// What `pending_post_id` begins with for protected posts, and may not for the connector's: the server answers a second
/// post of the same id with the first one, whatever it says.
pub const PENDING: &str = "protected:";

/// The protected posts. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Register(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    posts: HashSet<PostId>,
    /// The same, oldest first.
    order: VecDeque<PostId>,
    /// Posts that are being made: the connector may hear of one before its id is known here.
    under_way: usize,
}

impl Register {
    /// Protects these; the oldest are given up when there are more than [`MAX_PROTECTED`].
    pub fn protect(&self, posts: impl IntoIterator<Item = PostId>) {
        let mut state = self.state();
        for post in posts {
            if state.posts.insert(post) {
                state.order.push_back(post);
            }
            if state.order.len() > MAX_PROTECTED
                && let Some(oldest) = state.order.pop_front()
            {
                state.posts.remove(&oldest);
            }
        }
    }

    /// Whether the connector must leave this post alone. Waits while a protected post is being made.
    pub async fn is_protected(&self, post: PostId) -> bool {
        loop {
            let settled = self.0.settled.notified();
            {
                let state = self.state();
                if state.under_way == 0 || state.posts.contains(&post) {
                    return state.posts.contains(&post);
                }
            }
            settled.await;
        }
    }

    fn begin(&self) -> UnderWay {
        self.state().under_way += 1;
        UnderWay(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A protected post is being made, for as long as this lives.
struct UnderWay(Register);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.0.settled.notify_waiters();
    }
}

/// Why it was not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("the server has not been reached yet")]
    NotReady,
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("the text is no JSON")]
    Json,
}

impl WriteError {
    /// The status with which the server says that it will never take it.
    fn refusal(&self) -> Option<u16> {
        match self {
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) => {
                None
            }
            Self::Status(status) => status.is_client_error().then(|| status.as_u16()),
            Self::NotReady | Self::Http(_) | Self::Answer(_) => None,
            Self::Json => Some(0),
        }
    }
}

/// Writes on the core's order. Cloning shares the register.
#[derive(Debug, Clone)]
pub struct Writer {
    http: Http,
    identity: watch::Receiver<Option<Identity>>,
    register: Register,
}

impl Writer {
    /// With a register that the connector's verbs ask.
    pub fn new(http: Http, identity: watch::Receiver<Option<Identity>>, register: Register) -> Self {
        Self { http, identity, register }
    }

    /// Takes an order; its outcome goes to the core. From this moment on the post cannot be changed by the connector.
    pub fn take(&self, write: WriteId, act: ProtectedAct, again: bool, core: &mpsc::Sender<FromEgress>) {
        let under_way = self.register.begin();
        if let ProtectedAct::Edit { post, .. } | ProtectedAct::React { post, .. } | ProtectedAct::Unreact { post, .. } =
            &act
        {
            self.register.protect([*post]);
        }
        let (own, core) = (self.clone(), core.clone());
        tokio::spawn(async move {
            let outcome = own.write(&act, again).await.unwrap_or_else(|error| {
                tracing::warn!("a protected post was not written: {error}");
                let why = Text::cut(error.to_string());
                match error.refusal() {
                    Some(status) => ProtectedOutcome::Rejected { status, why },
                    None => ProtectedOutcome::Unavailable { why },
                }
            });
            if let ProtectedOutcome::Posted { post, .. } = outcome {
                own.register.protect([post]);
            }
            drop(under_way);
            // A closed queue means that the core is gone; the link ends by itself.
            let _core_gone = core.send(FromEgress::Protected { write, outcome }).await;
        });
    }

    async fn write(&self, act: &ProtectedAct, again: bool) -> Result<ProtectedOutcome, WriteError> {
        let bot = self.identity.borrow().ok_or(WriteError::NotReady)?.bot;
        match act {
            ProtectedAct::Create { target, root, message, key } => {
                let channel = self.channel(*target, bot).await?;
                let there = if again { self.find(channel, *root, key, bot).await? } else { None };
                let post = match there {
                    Some(post) => post,
                    None => self.create(channel, *root, message, key, bot).await?,
                };
                Ok(ProtectedOutcome::Posted { post, channel })
            }
            ProtectedAct::Edit { post, message } => {
                let body = json(&serde_json::json!({ "message": message.as_str() }))?;
                self.call(Method::PUT, &["posts", post.as_str(), "patch"], body).await?;
                Ok(ProtectedOutcome::Done)
            }
            ProtectedAct::React { post, emoji } => {
                let reaction = serde_json::json!({ "user_id": bot, "post_id": post, "emoji_name": emoji });
                self.call(Method::POST, &["reactions"], json(&reaction)?).await?;
                Ok(ProtectedOutcome::Done)
            }
            ProtectedAct::Delete { post, .. } => {
                self.call(Method::DELETE, &["posts", post.as_str()], Body::None).await?;
                Ok(ProtectedOutcome::Done)
            }
            ProtectedAct::Unreact { post, emoji } => {
                let path = ["users", bot.as_str(), "posts", post.as_str(), "reactions", emoji.as_str()];
                self.call(Method::DELETE, &path, Body::None).await?;
                Ok(ProtectedOutcome::Done)
            }
        }
    }

    async fn channel(&self, target: Target, bot: UserId) -> Result<ChannelId, WriteError> {
        let user = match target {
            Target::Channel(channel) => return Ok(channel),
            Target::Direct(user) => user,
        };
        let answer = self.call(Method::POST, &["channels", "direct"], json(&[bot, user])?).await?;
        let channel = answers::channel(&answer.body)?;
        let both = [format!("{bot}__{user}"), format!("{user}__{bot}")];
        if both.iter().any(|name| **name == *channel.name) {
            Ok(channel.id)
        } else {
            Err(AnswerError::OtherSubject.into())
        }
    }

    /// One that was made before, whose answer got lost.
    async fn find(
        &self,
        channel: ChannelId,
        root: Option<PostId>,
        key: &str,
        bot: UserId,
    ) -> Result<Option<PostId>, WriteError> {
        let answer = match &root {
            Some(root) => self.http.call(Request::get(&["posts", root.as_str(), "thread"])).await,
            None => {
                let query = &[("page", "0"), ("per_page", "60")];
                self.http.call(Request { query, ..Request::get(&["channels", channel.as_str(), "posts"]) }).await
            }
        };
        let answer = match answer {
            // Said twice is better than never.
            Err(HttpError::TooLarge) => return Ok(None),
            answer => expect_success(answer?)?,
        };
        let posts = answers::own_posts(&answer.body)?;
        // One that was changed since is not what the core wrote.
        Ok(posts.iter().find(|post| post.is(bot, key) && post.is_untouched()).map(|post| post.id))
    }

    async fn create(
        &self,
        channel: ChannelId,
        root: Option<PostId>,
        message: &str,
        key: &str,
        bot: UserId,
    ) -> Result<PostId, WriteError> {
        let body = json(&NewPost {
            channel_id: channel,
            root_id: root,
            message,
            pending_post_id: &format!("{PENDING}{key}"),
            props: Props { bartizan_protected: key },
        })?;
        let answer = self.call(Method::POST, &["posts"], body).await?;
        let post = OwnPost::parse(&answer.body)?;
        if post.is(bot, key) { Ok(post.id) } else { Err(AnswerError::OtherSubject.into()) }
    }

    async fn call(&self, method: Method, path: &[&str], body: Body) -> Result<Answer, WriteError> {
        expect_success(self.http.call(Request { method, body, ..Request::get(path) }).await?)
    }
}

#[derive(Serialize)]
struct NewPost<'a> {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_id: Option<PostId>,
    message: &'a str,
    pending_post_id: &'a str,
    props: Props<'a>,
}

#[derive(Serialize)]
struct Props<'a> {
    bartizan_protected: &'a str,
}

fn expect_success(answer: Answer) -> Result<Answer, WriteError> {
    if answer.status.is_success() { Ok(answer) } else { Err(WriteError::Status(answer.status)) }
}

fn json(value: &impl Serialize) -> Result<Body, WriteError> {
    serde_json::to_vec(value).map(Body::Json).map_err(|_| WriteError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(number: usize) -> PostId {
        format!("{number:026}").parse().expect("an id")
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_newest_posts_stay_protected_and_the_register_never_grows() {
        let register = Register::default();
        register.protect((0..=MAX_PROTECTED).map(post));
        assert!(!register.is_protected(post(0)).await);
        assert!(register.is_protected(post(1)).await && register.is_protected(post(MAX_PROTECTED)).await);
        assert_eq!(register.state().posts.len(), MAX_PROTECTED);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nothing_is_called_unprotected_while_a_protected_post_is_being_made() {
        let register = Register::default();
        let under_way = register.begin();
        let (asked, later) = (register.clone(), register.clone());
        let question = tokio::spawn(async move { asked.is_protected(post(1)).await });
        tokio::task::yield_now().await;
        assert!(!question.is_finished(), "its id is not known yet");
        later.protect([post(1)]);
        drop(under_way);
        assert!(question.await.expect("answered"));
    }
}
