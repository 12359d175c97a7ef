//! The core's deliveries → REST calls, each tried until the server has it or will never take it.
//!
//! Order is kept within a lane: the replies in one thread (Mattermost fails one of two concurrent first replies with a
//! 500), the reactions on one post, the edits of one post. Lanes do not wait for one another. What a delivery's bytes
//! say is the core's; only how often it is sent is decided here.

use crate::backoff::Backoff;
use crate::broker_link::Link;
use crate::mattermost::rest::{Rest, Trouble};
use crate::mattermost::{answer, markup};
use bartizan_proto::connector::{Act, Attachment, Body, Delivered, Delivery, FromConnector};
use bartizan_proto::ids::{ChannelId, FileId, PostId, UserId};
use bartizan_proto::limits::{MAX_MESSAGE, MAX_NAME};
use bartizan_proto::verbs::Verb;
use bartizan_proto::{List, Text};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Deliveries that are being sent at once.
const AT_ONCE: usize = 16;
/// With so many deliveries, or so many bytes of files, unreported, no more are taken from the core for a while.
const FULL: Load = Load { deliveries: 1024, bytes: 32 * 1024 * 1024 };
/// How many of the newest posts are searched where a thread's answer is too large.
const SEARCHED: [u8; 4] = [200, 50, 10, 1];

/// Takes deliveries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rest: Rest,
    link: Link,
    bot: UserId,
    max_post: u32,
    at_once: Semaphore,
    queued: Mutex<Queued>,
}

#[derive(Debug, Default)]
struct Queued {
    lanes: HashMap<Lane, VecDeque<Delivery>>,
    load: Load,
}

#[derive(Debug, Default, Clone, Copy)]
struct Load {
    deliveries: usize,
    bytes: usize,
}

/// What is kept in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lane {
    Thread(PostId),
    Reactions(PostId),
    Edits(PostId),
}

impl Lane {
    fn of(act: &Act) -> Lane {
        match act {
            Act::Reply { root, .. } => Lane::Thread(*root),
            Act::React { post, .. } | Act::Unreact { post, .. } => Lane::Reactions(*post),
            Act::Edit { post, .. } => Lane::Edits(*post),
        }
    }
}

impl Outbox {
    /// For posts of `bot`, of at most `max_post` code points.
    pub fn new(rest: Rest, link: Link, bot: UserId, max_post: u32) -> Self {
        let at_once = Semaphore::new(AT_ONCE);
        Self { shared: Arc::new(Shared { rest, link, bot, max_post, at_once, queued: Mutex::default() }) }
    }

    /// Whether the core should wait.
    pub fn full(&self) -> bool {
        let load = self.shared.queued().load;
        load.deliveries >= FULL.deliveries || load.bytes >= FULL.bytes
    }

    /// Delivers, and reports how it ended.
    pub fn push(&self, delivery: Delivery) {
        let lane = Lane::of(&delivery.act);
        let mut queued = self.shared.queued();
        queued.load.deliveries += 1;
        queued.load.bytes += weight(&delivery);
        if let Some(waiting) = queued.lanes.get_mut(&lane) {
            waiting.push_back(delivery);
            return;
        }
        queued.lanes.insert(lane, VecDeque::from([delivery]));
        drop(queued);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.work_off(lane).await });
    }
}

fn weight(delivery: &Delivery) -> usize {
    match &delivery.act {
        Act::Reply { attachment, .. } => attachment.as_ref().map_or(0, |file| file.content.len()),
        Act::Edit { .. } | Act::React { .. } | Act::Unreact { .. } => 0,
    }
}

/// A reply on its way: what was done of it already.
#[derive(Debug, Default)]
struct Progress {
    /// It may be on the server: look before sending it.
    again: bool,
    /// The file that goes with it, once it is uploaded.
    file: Option<FileId>,
    /// The server does not want the file: its status.
    file_refused: Option<u16>,
}

impl Shared {
    fn queued(&self) -> std::sync::MutexGuard<'_, Queued> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One lane, first to last, until it is empty.
    async fn work_off(&self, lane: Lane) {
        while let Some(delivery) = self.first_of(lane) {
            let outcome = self.deliver(&delivery).await;
            {
                let mut queued = self.queued();
                queued.load.deliveries -= 1;
                queued.load.bytes -= weight(&delivery);
            }
            self.link.say(FromConnector::Delivered { delivery: delivery.delivery, outcome }).await;
        }
    }

    /// The next of a lane; the empty lane is forgotten.
    fn first_of(&self, lane: Lane) -> Option<Delivery> {
        let mut queued = self.queued();
        let first = queued.lanes.get_mut(&lane)?.pop_front();
        if first.is_none() {
            queued.lanes.remove(&lane);
        }
        first
    }

    async fn deliver(&self, delivery: &Delivery) -> Delivered {
        let mut backoff = Backoff::default();
        let mut progress = Progress { again: delivery.again, ..Progress::default() };
        loop {
            let attempt = match self.at_once.acquire().await {
                Ok(_room) => self.attempt(&delivery.act, &mut progress).await,
                Err(_) => Err(Trouble::unclear("closing")),
            };
            let (after, why) = match attempt {
                Ok(delivered) => return delivered,
                Err(Trouble::Refused { status, why }) => return rejected(status, why),
                Err(Trouble::Later { after, maybe_done, why }) => {
                    progress.again |= maybe_done;
                    (after, why)
                }
                // A call that only writes has a small answer: treat it as one that was lost.
                Err(Trouble::TooLarge) => {
                    progress.again = true;
                    (None, "the answer is too large".to_owned())
                }
            };
            let wait = backoff.next(after);
            tracing::info!(delivery = delivery.delivery.0, why, ?wait, "a delivery is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, act: &Act, progress: &mut Progress) -> Result<Delivered, Trouble> {
        match act {
            Act::Reply { channel, root, reply_id, body, attachment } => {
                let message = self.render(body)?;
                if progress.again
                    && let Some(found) = self.find(*channel, *root, reply_id).await?
                {
                    return Ok(Delivered::Posted(found));
                }
                if let Some(attachment) = attachment {
                    self.upload(*channel, attachment, progress).await?;
                }
                let create = Verb::CreatePost {
                    channel: *channel,
                    root: Some(*root),
                    message: self.with_refused_file(message, progress.file_refused),
                    pending: reply_id.clone(),
                    reply_id: reply_id.clone(),
                    files: List::cut(progress.file),
                    card: match body {
                        Body::Card(card) => Some(card.clone()),
                        Body::Markup(_) | Body::Output { .. } => None,
                    },
                };
                let body = self.rest.ask(create).await?;
                answer::created(&body).map(Delivered::Posted).map_err(|error| Trouble::unclear(error.to_string()))
            }
            Act::Edit { post, body } => {
                let message = self.render(body)?;
                self.rest.ask(Verb::PatchPost { post: *post, message }).await?;
                Ok(Delivered::Done)
            }
            Act::React { post, emoji } => {
                self.rest.ask(Verb::AddReaction { post: *post, emoji: emoji.clone() }).await?;
                Ok(Delivered::Done)
            }
            Act::Unreact { post, emoji } => {
                match self.rest.ask(Verb::RemoveReaction { post: *post, emoji: emoji.clone() }).await {
                    // It is gone: that is what was wanted.
                    Ok(_) | Err(Trouble::Refused { status: 404, .. }) => Ok(Delivered::Done),
                    Err(trouble) => Err(trouble),
                }
            }
        }
    }

    fn render(&self, body: &Body) -> Result<Text<MAX_MESSAGE>, Trouble> {
        markup::render(body, self.max_post).map_err(|error| Trouble::Refused { status: 0, why: error.to_string() })
    }

    /// Uploads the file unless it is there. A server that does not want it still gets the reply.
    async fn upload(&self, channel: ChannelId, file: &Attachment, progress: &mut Progress) -> Result<(), Trouble> {
        if progress.file.is_some() || progress.file_refused.is_some() {
            return Ok(());
        }
        let upload = Verb::UploadFile { channel, name: plain_name(&file.name), content: file.content.clone() };
        match self.rest.ask(upload).await {
            Ok(body) => match answer::uploaded(&body) {
                Ok(id) => progress.file = Some(id),
                Err(error) => return Err(Trouble::unclear(error.to_string())),
            },
            Err(Trouble::Refused { status, why }) => {
                tracing::warn!(status, why, "the server does not take the file of a reply");
                progress.file_refused = Some(status);
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(())
    }

    /// Says that a file is missing, where there is room for it.
    fn with_refused_file(&self, message: Text<MAX_MESSAGE>, refused: Option<u16>) -> Text<MAX_MESSAGE> {
        let Some(status) = refused else { return message };
        let said = format!("{message}\n*(The server did not take the file: {status}.)*");
        let fits = said.chars().count() <= usize::try_from(self.max_post).unwrap_or(usize::MAX);
        if fits { Text::new(said).unwrap_or(message) } else { message }
    }

    /// The bot's post in the thread that was ordered under this id, if it got there.
    async fn find(&self, channel: ChannelId, root: PostId, reply_id: &str) -> Result<Option<PostId>, Trouble> {
        let mut body = self.rest.ask(Verb::Thread { root }).await;
        for per_page in SEARCHED {
            if !matches!(body, Err(Trouble::TooLarge)) {
                break;
            }
            body = self.rest.ask(Verb::PostsNewest { channel, per_page }).await;
        }
        let body = match body {
            Ok(body) => body,
            // No such thread, or nothing small enough to search: sending says what the server thinks of it, and the
            // server knows the pending id for 30 s.
            Err(Trouble::Refused { .. } | Trouble::TooLarge) => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let page = answer::page(&body).map_err(|error| Trouble::unclear(error.to_string()))?;
        let ours = page.posts.iter().find(|post| {
            post.user_id == self.bot && post.delete_at == 0 && post.props.reply_id.as_deref() == Some(reply_id)
        });
        Ok(ours.map(|post| post.id))
    }
}

/// A name that egress takes: no path, nothing hidden. Egress drops a connector that sends another, so this must not fail.
fn plain_name(name: &str) -> Text<MAX_NAME> {
    let plain = |c| if matches!(c, '/' | '\\') || bartizan_proto::text::is_hidden(c) { '_' } else { c };
    match name {
        "" | "." | ".." => Text::cut("output"),
        name => Text::cut(name.chars().map(plain).collect::<String>()),
    }
}

fn rejected(status: u16, why: String) -> Delivered {
    tracing::warn!(status, why, "a delivery was refused");
    Delivered::Rejected { status, why: Text::cut(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_that_egress_would_refuse_is_made_plain() {
        for (name, plain) in [("out.txt", "out.txt"), ("../a\\b", ".._a_b"), ("", "output"), ("..", "output")] {
            assert_eq!(plain_name(name).as_str(), plain);
        }
        assert_eq!(plain_name("a\u{202e}\nb").as_str(), "a__b");
    }
}
