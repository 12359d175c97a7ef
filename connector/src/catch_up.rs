//! What was posted while nobody listened, read over REST: every channel of the bot, from its cursor on, oldest first.
//!
//! | what is known of a channel | how it is read |
//! |---|---|
//! | its newest posts reach back to the cursor (nearly always) | that page is all |
//! | more came, and the last post seen is known | forward from it, page by page |
//! | more came, and only the cursor is known | `since` names the first, then forward |
//! | its first time, and the first time of all channels | nothing old is read: it begins at its newest post |
//!
//! `since` has been empty or short in some versions, so nothing relies on it alone: a way counts only when it arrived
//! at the channel's newest post. Pages overlap by [`OVERLAP_MS`] and by posts of the same ms; the reader knows what it
//! has seen; they never reach back over a channel's beginning. An answer that is too large is asked for in smaller pages.

use crate::backoff::Backoff;
use crate::mattermost::answer::{self, Membership, Page};
use crate::mattermost::event::Post;
use crate::mattermost::rest::{Rest, Trouble};
use bartizan_proto::ids::{ChannelId, PostId};
use bartizan_proto::verbs::Verb;
use futures_util::{StreamExt, stream};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Posts may appear out of order by as much (several server nodes, replica lag).
pub const OVERLAP_MS: u64 = 5_000;
/// Channels read at once.
const AT_ONCE: usize = 6;
/// The first look at a channel.
const NEWEST: u8 = 60;
/// A page on the way forward, and the most that a page can hold.
const FORWARD: u8 = 100;
const MOST: u8 = 200;
/// Answers in a row that cannot be read before a channel is given up.
const UNREADABLE: usize = 5;

/// How far a channel has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// What is not newer than this was there before the bot: never looked at, also where pages overlap.
    pub begun_ms: u64,
    /// Creation time of the newest post seen, ms since 1970 by the server's clock.
    pub read_ms: u64,
    /// A post seen at or before that time, after which nothing was missed.
    pub anchor: Option<PostId>,
}

/// What was found, in order per channel.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The channels that will be read; no other has anything to catch up.
    Listed(Vec<ChannelId>),
    /// Posts, oldest first. Some may have been seen before.
    Posts {
        /// Whether in a direct message.
        direct: bool,
        /// The posts.
        posts: Vec<Post>,
    },
    /// The channel has been read.
    Done {
        /// Which.
        channel: ChannelId,
        /// At least up to here.
        read_ms: u64,
        /// Whether it was the channel's first time: it begins there.
        first: bool,
    },
}

/// One round of catching up.
#[derive(Debug)]
pub struct CatchUp {
    /// Makes the calls.
    pub rest: Rest,
    /// How far each channel was read when the round began.
    pub known: HashMap<ChannelId, Known>,
    /// Where to report to.
    pub found: mpsc::Sender<Found>,
}

/// A channel cannot be read to its end.
enum Stop {
    /// The server does not show it.
    Refused(String),
    /// Nobody wants to know any more.
    Unheard,
}

impl CatchUp {
    /// Reads everything; ends early only when nobody listens.
    pub async fn run(self) {
        let channels = self.channels().await;
        let listed = channels.iter().map(|membership| membership.channel).collect();
        if self.found.send(Found::Listed(listed)).await.is_err() {
            return;
        }
        let newest_known = self.known.values().map(|known| known.read_ms).max();
        stream::iter(channels).for_each_concurrent(AT_ONCE, |member| self.member(member, newest_known)).await;
        tracing::info!("caught up");
    }

    async fn member(&self, member: Membership, newest_known: Option<u64>) {
        let channel = member.channel;
        // A channel that is new among known ones was joined or made while nobody listened.
        let known = self.known.get(&channel).copied();
        let known = known.or(newest_known.map(|read_ms| Known { begun_ms: 0, read_ms, anchor: None }));
        let outcome = match known {
            Some(known) => self.missed(&member, known).await.map(|()| known.read_ms),
            None => self.first_time(&member).await,
        };
        let read_ms = match outcome {
            Ok(read_ms) => read_ms,
            Err(Stop::Refused(why)) => {
                tracing::warn!(%channel, why, "a channel could not be caught up");
                known.map_or(0, |known| known.read_ms)
            }
            Err(Stop::Unheard) => return,
        };
        let first = known.is_none();
        let _unheard = self.found.send(Found::Done { channel, read_ms, first }).await;
    }

    /// Where a channel begins for Bartizan: at its newest post.
    async fn first_time(&self, member: &Membership) -> Result<u64, Stop> {
        let newest = self.newest(member.channel, 1).await?;
        Ok(match newest.page.posts.last() {
            Some(post) => post.create_at,
            None if newest.page.listed == 0 && !newest.cut => member.created_ms.max(1),
            None => now_ms(),
        })
    }

    /// Everything after `known`.
    async fn missed(&self, member: &Membership, known: Known) -> Result<(), Stop> {
        let since_ms = known.read_ms.saturating_sub(OVERLAP_MS).max(known.begun_ms.saturating_add(1));
        let to = Way { channel: member.channel, direct: member.direct, since_ms };
        let newest = self.newest(to.channel, NEWEST).await?;
        if newest.reaches(since_ms) {
            return self.report(&to, newest.page.posts).await;
        }
        let goal = newest.page.posts.last().map(|post| post.id);
        if let Some(anchor) = known.anchor
            && self.forward(&to, anchor, goal).await?
        {
            return Ok(());
        }
        let oldest = self.oldest_since(&to).await?;
        if let Some(anchor) = oldest.first().map(|post| post.id) {
            self.report(&to, oldest).await?;
            if self.forward(&to, anchor, goal).await? {
                return Ok(());
            }
        }
        let most = self.newest(to.channel, MOST).await?;
        if !most.reaches(since_ms) {
            tracing::warn!(channel = %to.channel, since_ms, "older posts than the newest page could not be read");
        }
        self.report(&to, most.page.posts).await
    }

    /// Page by page from a post that was seen. Whether `goal` was met on the way.
    async fn forward(&self, to: &Way, anchor: PostId, goal: Option<PostId>) -> Result<bool, Stop> {
        let (mut after, mut per_page, mut met) = (anchor, FORWARD, false);
        let mut last = None;
        loop {
            let verb = Verb::PostsAfter { channel: to.channel, after, per_page };
            let Some(page) = self.page(verb).await? else {
                if per_page == 1 {
                    return Ok(false);
                }
                per_page = (per_page / 4).max(1);
                continue;
            };
            let newest = match page.posts.last() {
                Some(newest) if Some(newest.id) != last => newest,
                Some(_) | None => return Ok(met),
            };
            last = Some(newest.id);
            // `after` leaves out posts of the very same ms: go on from an earlier one where the page has it.
            let earlier = page.posts.iter().rev().find(|post| post.create_at < newest.create_at && post.id != after);
            after = earlier.unwrap_or(newest).id;
            met |= goal.is_some_and(|goal| page.posts.iter().any(|post| post.id == goal));
            self.report(to, page.posts).await?;
        }
    }

    /// The first of all that `since` names, with those of the same ms. Where they are too many for one answer, of as many
    /// as fit.
    async fn oldest_since(&self, to: &Way) -> Result<Vec<Post>, Stop> {
        let (mut too_early, mut late_enough) = (to.since_ms, now_ms().max(to.since_ms));
        let mut since_ms = to.since_ms;
        for _ in 0..14 {
            match self.page(Verb::PostsSince { channel: to.channel, since_ms }).await? {
                None => too_early = since_ms,
                Some(Page { mut posts, .. }) => {
                    posts.retain(|post| post.create_at >= to.since_ms);
                    let first_ms = posts.first().map(|post| post.create_at);
                    posts.retain(|post| Some(post.create_at) == first_ms);
                    if since_ms == to.since_ms || !posts.is_empty() {
                        if since_ms > to.since_ms {
                            tracing::warn!(channel = %to.channel, since_ms, "too much to read all of what was missed");
                        }
                        return Ok(posts);
                    }
                    late_enough = since_ms;
                }
            }
            since_ms = too_early + (late_enough - too_early) / 2;
        }
        Ok(Vec::new())
    }

    /// The newest posts, fewer where they are too large.
    async fn newest(&self, channel: ChannelId, per_page: u8) -> Result<Newest, Stop> {
        let mut asked = per_page;
        while asked > 0 {
            if let Some(page) = self.page(Verb::PostsNewest { channel, per_page: asked }).await? {
                return Ok(Newest { page, asked: asked.into(), cut: false });
            }
            asked /= 2;
        }
        Ok(Newest { page: Page::default(), asked: 0, cut: true })
    }

    /// One page; `None` when it is too large.
    async fn page(&self, verb: Verb) -> Result<Option<Page>, Stop> {
        let mut backoff = Backoff::default();
        for _ in 0..UNREADABLE {
            let body = match self.rest.insist(verb.clone()).await {
                Ok(body) => body,
                Err(Trouble::TooLarge) => return Ok(None),
                Err(trouble) => return Err(Stop::Refused(trouble.to_string())),
            };
            match answer::page(&body) {
                Ok(page) => return Ok(Some(page)),
                Err(error) => tracing::warn!(%error, "asking again"),
            }
            tokio::time::sleep(backoff.next(None)).await;
        }
        Err(Stop::Refused("no answer could be read".to_owned()))
    }

    /// Every channel of the bot, asked for until there is an answer; those that are known where that is too large.
    async fn channels(&self) -> Vec<Membership> {
        let mut backoff = Backoff::default();
        loop {
            match self.rest.insist(Verb::Channels).await.map(|body| answer::channels(&body)) {
                Ok(Ok(channels)) => return channels,
                Err(Trouble::TooLarge) => {
                    tracing::warn!("the bot is in too many channels to list: only the known ones are caught up");
                    let member = |&channel| Membership { channel, direct: false, created_ms: 0 };
                    return self.known.keys().map(member).collect();
                }
                Ok(Err(error)) => tracing::warn!(%error, "the list of channels cannot be read"),
                Err(trouble) => tracing::warn!(%trouble, "the list of channels cannot be had"),
            }
            tokio::time::sleep(backoff.next(Some(Duration::from_secs(1)))).await;
        }
    }

    async fn report(&self, to: &Way, mut posts: Vec<Post>) -> Result<(), Stop> {
        posts.retain(|post| post.channel_id == to.channel && post.create_at >= to.since_ms);
        if posts.is_empty() {
            return Ok(());
        }
        self.found.send(Found::Posts { direct: to.direct, posts }).await.map_err(|_| Stop::Unheard)
    }
}

/// What is being read.
struct Way {
    channel: ChannelId,
    direct: bool,
    since_ms: u64,
}

/// The newest page of a channel.
struct Newest {
    page: Page,
    asked: usize,
    /// Not even one post fitted an answer.
    cut: bool,
}

impl Newest {
    /// Whether nothing after `since_ms` is missing from it.
    fn reaches(&self, since_ms: u64) -> bool {
        let all = !self.cut && self.page.listed < self.asked && !self.page.older;
        all || self.page.posts.first().is_some_and(|oldest| oldest.create_at < since_ms)
    }
}

/// Only a bound for guessing: the server's clock may differ.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
