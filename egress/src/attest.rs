//! What the server itself says about a post, its reactions, a user or a channel. The core believes this and nothing else.
//!
//! Nothing is decided here. Every answer is checked to be about what was asked, and an answer that is not whole is
//! no answer: the core hears that nothing is known.

use crate::answers::{self, AnswerError, Post};
use crate::cache::Cache;
use crate::http::{Answer, Http, HttpError, Request, StatusCode};
use crate::verify::Identity;
use bartizan_proto::egress::{
    AttestedChannel, AttestedPost, AttestedReaction, AttestedReactions, AttestedUser, FromEgress, Outcome, QuestionId,
    Subject,
};
use bartizan_proto::ids::{ChannelId, EmojiName, PostId, TeamId, UserId};
use bartizan_proto::limits::{MAX_GROUP, MAX_REACTIONS};
use bartizan_proto::{List, Text};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, watch};

/// Most questions that are held at once; one more is answered with [`Outcome::Unavailable`].
pub const MAX_QUESTIONS: usize = 256;
/// Most questions that are asked of the server at once.
pub const MAX_ASKED: usize = 16;
/// So often a server that wants fewer requests is waited for, and for so long at most each time.
const WAITS: usize = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// The pauses before a post that was not found is asked for again: a replica of the database may lag behind.
const REPLICA_LAG: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(200)];

/// Why there is nothing to attest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttestError {
    #[error("not found")]
    NotFound,
    #[error("the server does not accept the bot's token (401)")]
    Token,
    #[error("the server asks to wait {0} ms (429)")]
    Wait(u32),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the server has not been reached yet")]
    NotReady,
    #[error("a group of more than {MAX_GROUP} people")]
    LargeGroup,
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Answers the core's questions. Cloning shares the cache and the limits.
#[derive(Debug, Clone)]
pub struct Attestor {
    http: Http,
    identity: watch::Receiver<Option<Identity>>,
    known: Arc<Mutex<Known>>,
    held: Arc<Semaphore>,
    asked: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    users: Cache<UserId, AttestedUser>,
    channels: Cache<ChannelId, AttestedChannel>,
}

impl Attestor {
    /// Makes one with an empty cache.
    pub fn new(http: Http, identity: watch::Receiver<Option<Identity>>) -> Self {
        Self {
            http,
            identity,
            known: Arc::default(),
            held: Arc::new(Semaphore::new(MAX_QUESTIONS)),
            asked: Arc::new(Semaphore::new(MAX_ASKED)),
        }
    }

    /// Takes a question; the answer goes to the core when it is there. Waits only when the core does not read.
    pub async fn take(&self, question: QuestionId, subject: Subject, core: &mpsc::Sender<FromEgress>) {
        let Ok(place) = Arc::clone(&self.held).try_acquire_owned() else {
            let why = Text::cut("too many questions at once");
            // A closed queue means that the core is gone; the link ends by itself.
            let _core_gone = core.send(FromEgress::Attested { question, outcome: Outcome::Unavailable { why } }).await;
            return;
        };
        let (own, core) = (self.clone(), core.clone());
        tokio::spawn(async move {
            let outcome = own.look_up(subject).await;
            let _core_gone = core.send(FromEgress::Attested { question, outcome }).await;
            drop(place);
        });
    }

    async fn look_up(&self, subject: Subject) -> Outcome {
        let _turn = self.asked.acquire().await;
        let result = match subject {
            Subject::Post(id) => self.post(id).await.map(|post| Outcome::Post(Box::new(post))),
            Subject::User(id) => self.user(id).await.map(Outcome::User),
            Subject::UserNamed(name) => self.user_named(&name).await.map(Outcome::User),
            Subject::Channel(id) => self.channel(id).await.map(Outcome::Channel),
            Subject::ChannelNamed(name) => self.channel_named(&name).await.map(Outcome::Channel),
            Subject::GroupNamed(name) => self.group_named(&name).await.map(|group| Outcome::Group(Box::new(group))),
            Subject::OwnRights => self.own_rights().await.map(Outcome::OwnRights),
            Subject::Reactions { post, emoji } => {
                self.reactions(post, &emoji).await.map(|reactions| Outcome::Reactions(Box::new(reactions)))
            }
        };
        result.unwrap_or_else(|error| match error {
            AttestError::NotFound => Outcome::NotFound,
            error => {
                tracing::warn!("nothing could be attested: {error}");
                Outcome::Unavailable { why: Text::cut(error.to_string()) }
            }
        })
    }

    async fn post(&self, id: PostId) -> Result<AttestedPost, AttestError> {
        let answer = self.fetch_post(id).await?;
        let mut post = Post::parse(&answer.body)?;
        let server_ms = answer.server_ms.ok_or(AnswerError::NoDate)?;
        if post.id != id {
            return Err(AnswerError::OtherSubject.into());
        }
        let text = post.take_text()?;
        let (author, channel) = tokio::try_join!(self.known_user(post.author), self.known_channel(post.channel))?;
        Ok(AttestedPost {
            id,
            author: AttestedUser { remote: author.remote || post.is_remote(), ..author },
            channel,
            root: post.root,
            text,
            kind: post.kind,
            origin: post.origin.0,
            created_ms: post.created_ms,
            edited_ms: post.edited_ms,
            deleted_ms: post.deleted_ms,
            server_ms,
        })
    }

    async fn fetch_post(&self, id: PostId) -> Result<Answer, AttestError> {
        for pause in REPLICA_LAG {
            match self.get(&["posts", id.as_str()]).await {
                Err(AttestError::NotFound) => tokio::time::sleep(pause).await,
                other => return other,
            }
        }
        self.get(&["posts", id.as_str()]).await
    }

    /// Only what was asked for is counted and looked into: others cannot be crowded out by other emoji.
    async fn reactions(&self, post: PostId, emoji: &[EmojiName]) -> Result<AttestedReactions, AttestError> {
        let answer = self.get(&["posts", post.as_str(), "reactions"]).await?;
        let mut found = answers::reactions(&answer.body)?;
        let server_ms = answer.server_ms.ok_or(AnswerError::NoDate)?;
        if found.iter().any(|reaction| reaction.post != post) {
            return Err(AnswerError::OtherSubject.into());
        }
        found.retain(|reaction| emoji.is_empty() || emoji.contains(&reaction.emoji));
        let more = found.len() > MAX_REACTIONS;
        let mut reactions = Vec::with_capacity(found.len().min(MAX_REACTIONS));
        for reaction in found.into_iter().take(MAX_REACTIONS) {
            let user = self.known_user(reaction.user).await?;
            let user = AttestedUser { remote: user.remote || reaction.is_remote(), ..user };
            reactions.push(AttestedReaction { user, emoji: reaction.emoji, created_ms: reaction.created_ms });
        }
        Ok(AttestedReactions { post, reactions: List::cut(reactions), more, server_ms })
    }

    async fn known_user(&self, id: UserId) -> Result<AttestedUser, AttestError> {
        let known = self.known().users.find(id, Instant::now());
        match known {
            Some(user) => Ok(user),
            None => self.user(id).await,
        }
    }

    async fn known_channel(&self, id: ChannelId) -> Result<AttestedChannel, AttestError> {
        let known = self.known().channels.find(id, Instant::now());
        match known {
            Some(channel) => Ok(channel),
            None => self.channel(id).await,
        }
    }

    async fn user(&self, id: UserId) -> Result<AttestedUser, AttestError> {
        let user = answers::user(&self.get(&["users", id.as_str()]).await?.body)?;
        self.keep_user(user, |user| user.id == id)
    }

    async fn user_named(&self, name: &str) -> Result<AttestedUser, AttestError> {
        let user = answers::user(&self.get(&["users", "username", checked_name(name)?]).await?.body)?;
        self.keep_user(user, |user| user.name.eq_ignore_ascii_case(name))
    }

    async fn channel(&self, id: ChannelId) -> Result<AttestedChannel, AttestError> {
        let channel = answers::channel(&self.get(&["channels", id.as_str()]).await?.body)?;
        self.keep_channel(channel, |channel| channel.id == id)
    }

    async fn channel_named(&self, name: &str) -> Result<AttestedChannel, AttestError> {
        let team = self.identity.borrow().ok_or(AttestError::NotReady)?.team;
        let path = ["teams", team.as_str(), "channels", "name", checked_name(name)?];
        let channel = answers::channel(&self.get(&path).await?.body)?;
        self.keep_channel(channel, |channel| channel.team == Some(team) && channel.name.eq_ignore_ascii_case(name))
    }

    fn keep_user(
        &self,
        user: AttestedUser,
        is_asked: impl Fn(&AttestedUser) -> bool,
    ) -> Result<AttestedUser, AttestError> {
        if !is_asked(&user) {
            return Err(AnswerError::OtherSubject.into());
        }
        self.known().users.store(user.id, user.clone(), Instant::now());
        Ok(user)
    }

    fn keep_channel(
        &self,
        channel: AttestedChannel,
        is_asked: impl Fn(&AttestedChannel) -> bool,
    ) -> Result<AttestedChannel, AttestError> {
        if !is_asked(&channel) {
            return Err(AnswerError::OtherSubject.into());
        }
        self.known().channels.store(channel.id, channel.clone(), Instant::now());
        Ok(channel)
    }

    async fn get(&self, path: &[&str]) -> Result<Answer, AttestError> {
        self.get_with(path, &[]).await
    }

    /// The bot and the team, once the server has said who they are.
    pub(crate) fn own_ids(&self) -> Result<(UserId, TeamId), AttestError> {
        let Identity { bot, team } = self.identity.borrow().ok_or(AttestError::NotReady)?;
        Ok((bot, team))
    }

    /// A request that is no plain `GET`; whatever the status is.
    pub(crate) async fn call(&self, request: Request<'_>) -> Result<Answer, AttestError> {
        Ok(self.http.call(request).await?)
    }

    pub(crate) async fn get_with(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, AttestError> {
        let mut answer = self.http.call(Request { query, ..Request::get(path) }).await?;
        for _ in 0..WAITS {
            let Some(wait) = asked_to_wait(&answer) else { break };
            // A person's command is behind this: it is late rather than refused.
            tokio::time::sleep(wait).await;
            answer = self.http.call(Request { query, ..Request::get(path) }).await?;
        }
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Err(AttestError::NotFound),
            StatusCode::UNAUTHORIZED => Err(AttestError::Token),
            StatusCode::TOO_MANY_REQUESTS => Err(AttestError::Wait(answer.retry_after_ms.unwrap_or(1000))),
            status => Err(AttestError::Status(status)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server wants to be waited for, where it is worth it.
fn asked_to_wait(answer: &Answer) -> Option<Duration> {
    let wait = Duration::from_millis(answer.retry_after_ms.unwrap_or(1000).into());
    (answer.status == StatusCode::TOO_MANY_REQUESTS && wait <= LONGEST_WAIT).then_some(wait)
}

/// A name that the server may have: letters, digits, `.`, `_`, `-`. Anything else, and what a path gives a meaning to,
/// names nobody, and is not asked for.
pub(crate) fn checked_name(name: &str) -> Result<&str, AttestError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_name = name.bytes().all(allowed) && name.bytes().any(|byte| byte != b'.');
    if is_name { Ok(name) } else { Err(AttestError::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_to_another_path() {
        for bad in ["", ".", "..", "a/b", "a?b", "a%2fb", "a b", "é", "a\0"] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
        for good in ["alice", "town-square", "a.b_c", "Alice"] {
            assert!(checked_name(good).is_ok(), "{good}");
        }
    }
}
