//! A Mattermost that is just large enough: channels with posts, the typed calls, faults on order.

use bartizan_proto::channel::Channel;
use bartizan_proto::stream::{self, Descriptors};
use bartizan_proto::verbs::{Failure, FromVerbs, RequestId, ToVerbs, Verb};
use bartizan_proto::{Bytes, Role, Text, Version};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(prefix: &str, n: u64) -> T {
    name(prefix, n).parse().expect("an id")
}

fn name(prefix: &str, n: u64) -> String {
    format!("{prefix}{n:0>width$}", width = 26 - prefix.len())
}

/// A post by alice in channel 1.
pub fn post(n: u64, create_at: u64, message: &str) -> Value {
    json!({"id": name("p", n), "user_id": name("u", 1), "channel_id": name("c", 1), "root_id": "", "type": "",
           "message": message, "create_at": create_at, "update_at": create_at, "edit_at": 0, "delete_at": 0, "props": {}})
}

pub enum Fault {
    Answer(u16, Option<u32>),
    Fail(Failure),
    /// It is done, but the answer is lost.
    Lose,
    /// Never answered.
    Ignore,
    /// An answer that is none.
    Garbage,
}

#[derive(Default)]
pub struct World {
    pub posts: Vec<Value>,
    pub channels: Vec<(u64, &'static str)>,
    pub calls: Vec<Verb>,
    pub faults: BTreeMap<&'static str, VecDeque<Fault>>,
    /// A page of more posts than this is too large.
    pub too_large: Option<usize>,
    /// `since` finds nothing.
    pub since_lies: bool,
    /// How long each call takes.
    pub delay: Duration,
    /// Calls under way, and the most there were.
    pub under_way: usize,
    pub most_under_way: usize,
}

impl World {
    pub fn new() -> World {
        World { channels: vec![(1, "O")], ..World::default() }
    }

    pub fn fault(&mut self, kind: &'static str, fault: Fault) {
        self.faults.entry(kind).or_default().push_back(fault);
    }

    pub fn count(&self, kind: &str) -> usize {
        self.calls.iter().filter(|verb| kind_of(verb) == kind).count()
    }

    /// The texts of what the bot posted.
    pub fn by_bot(&self) -> Vec<String> {
        let bot = name("b", 0);
        let texts = self.posts.iter().filter(|post| post["user_id"] == *bot);
        texts.map(|post| post["message"].as_str().expect("text").to_owned()).collect()
    }

    fn list(&self, chosen: Vec<&Value>) -> Result<Value, Failure> {
        if self.too_large.is_some_and(|most| chosen.len() > most) {
            return Err(Failure::TooLarge);
        }
        let mut order: Vec<&Value> = chosen;
        order.sort_by_key(|post| std::cmp::Reverse(post["create_at"].as_u64()));
        let posts: serde_json::Map<String, Value> =
            order.iter().map(|post| (post["id"].as_str().expect("id").to_owned(), (*post).clone())).collect();
        Ok(json!({"order": order.iter().map(|post| &post["id"]).collect::<Vec<_>>(), "posts": posts}))
    }

    fn of_channel(&self, channel: &str) -> Vec<&Value> {
        let mut posts: Vec<&Value> = self.posts.iter().filter(|post| post["channel_id"] == *channel).collect();
        posts.sort_by_key(|post| post["create_at"].as_u64());
        posts
    }

    fn act(&mut self, verb: &Verb) -> Result<(u16, Value), Failure> {
        let ok = |value| Ok((200, value));
        match verb {
            Verb::Channels => {
                let all =
                    self.channels.iter().map(|(n, kind)| json!({"id": name("c", *n), "type": kind, "create_at": 1}));
                ok(json!(all.collect::<Vec<_>>()))
            }
            Verb::PostsNewest { channel, per_page } => {
                let all = self.of_channel(channel.as_str());
                let from = all.len().saturating_sub((*per_page).into());
                self.list(all[from..].to_vec()).and_then(ok)
            }
            Verb::PostsSince { channel, since_ms } => {
                let mut all = self.of_channel(channel.as_str());
                all.retain(|post| !self.since_lies && post["create_at"].as_u64() >= Some(*since_ms));
                self.list(all).and_then(ok)
            }
            Verb::PostsAfter { channel, after, per_page } => {
                let all = self.of_channel(channel.as_str());
                let anchor =
                    all.iter().find(|post| post["id"] == *after.as_str()).and_then(|p| p["create_at"].as_u64());
                let later = all.iter().filter(|post| anchor.is_some() && post["create_at"].as_u64() > anchor);
                self.list(later.take((*per_page).into()).copied().collect()).and_then(ok)
            }
            Verb::Thread { root } => {
                let root = root.as_str();
                let posts = self.posts.iter().filter(|post| post["root_id"] == *root || post["id"] == *root);
                self.list(posts.collect()).and_then(ok)
            }
            Verb::CreatePost { channel, root, message, pending, reply_id, files, card: _ } => {
                if let Some(known) = self.posts.iter().find(|post| post["pending_post_id"] == *pending.as_str()) {
                    return Ok((201, known.clone()));
                }
                let n = 1_000 + self.posts.len() as u64;
                let post = json!({
                    "id": name("p", n), "user_id": name("b", 0), "channel_id": channel.as_str(),
                    "root_id": root.map(|id| id.to_string()).unwrap_or_default(), "message": message.as_str(),
                    "pending_post_id": pending.as_str(), "props": {"bartizan_reply": reply_id.as_str()},
                    "file_ids": files.iter().map(|id| id.to_string()).collect::<Vec<_>>(), "create_at": 5_000_000 + n,
                });
                self.posts.push(post.clone());
                Ok((201, post))
            }
            Verb::UploadFile { .. } => Ok((201, json!({"file_infos": [{"id": name("f", 1)}]}))),
            Verb::PatchPost { .. } | Verb::AddReaction { .. } | Verb::RemoveReaction { .. } => {
                ok(json!({"status": "OK"}))
            }
        }
    }
}

fn kind_of(verb: &Verb) -> &'static str {
    match verb {
        Verb::CreatePost { .. } => "create",
        Verb::PatchPost { .. } => "patch",
        Verb::AddReaction { .. } => "react",
        Verb::RemoveReaction { .. } => "unreact",
        Verb::UploadFile { .. } => "upload",
        Verb::PostsSince { .. } => "since",
        Verb::PostsAfter { .. } => "after",
        Verb::PostsNewest { .. } => "newest",
        Verb::Thread { .. } => "thread",
        Verb::Channels => "channels",
    }
}

/// Answers calls at this end as egress would.
pub fn serve(channel: Channel, world: Arc<Mutex<World>>) {
    let (sender, mut receiver) = stream::open(channel, Descriptors::Refuse).expect("channel");
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    tokio::spawn(async move {
        sender.lock().await.send(&Version::of(Role::Egress)).await.expect("greets");
        receiver.greeting(Role::Connector).await.expect("the connector");
        while let Ok(Some(ToVerbs::Call { request, verb })) = receiver.next().await {
            let (world, sender) = (Arc::clone(&world), Arc::clone(&sender));
            tokio::spawn(async move {
                if let Some(answer) = answer(request, *verb, &world).await {
                    let _replaced = sender.lock().await.send(&answer).await;
                }
            });
        }
    });
}

async fn answer(request: RequestId, verb: Verb, world: &Mutex<World>) -> Option<FromVerbs> {
    let (fault, delay) = {
        let mut world = world.lock().expect("world");
        let kind = kind_of(&verb);
        world.calls.push(verb.clone());
        world.under_way += 1;
        world.most_under_way = world.most_under_way.max(world.under_way);
        (world.faults.get_mut(kind).and_then(VecDeque::pop_front), world.delay)
    };
    tokio::time::sleep(delay).await;
    let mut world = world.lock().expect("world");
    world.under_way -= 1;
    let failed = |failure| FromVerbs::Failed { request, failure, why: Text::cut("as ordered") };
    let answered = |status, retry_after_ms, body: String| FromVerbs::Answer {
        request,
        status,
        retry_after_ms,
        body: Bytes::new(body).expect("short"),
    };
    match fault {
        Some(Fault::Answer(status, after)) => return Some(answered(status, after, "limit exceeded".into())),
        Some(Fault::Fail(failure)) => return Some(failed(failure)),
        Some(Fault::Garbage) => return Some(answered(200, None, "<html>".into())),
        Some(Fault::Ignore) => return None,
        Some(Fault::Lose) => {
            let _lost = world.act(&verb);
            return Some(failed(Failure::Network));
        }
        None => {}
    }
    Some(match world.act(&verb) {
        Ok((status, body)) => answered(status, None, body.to_string()),
        Err(failure) => failed(failure),
    })
}
