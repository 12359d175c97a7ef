//! What has been read, and what the core is told of it: each post once, oldest first per channel, cursors behind them.
//!
//! While a channel is being caught up its live posts are held back, so that its cursor never passes a post that the core
//! has not been told of. Held posts are bounded: beyond that the websocket is not read for a while.

use crate::broker_link::Link;
use crate::catch_up::{CatchUp, Found, Known};
use crate::intake::{Intake, Threads};
use crate::mattermost::event::Post;
use crate::mattermost::rest::Rest;
use crate::mattermost::socket::Heard;
use bartizan_confine::memory::QUIET;
use bartizan_proto::connector::{Cursor, FromConnector, Report, Start};
use bartizan_proto::ids::{ChannelId, PostId};
use bartizan_proto::limits::MAX_CHANNELS;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Posts remembered, to leave out what comes twice: more than a server says again after an interruption. The core knows all of them.
const REMEMBERED: usize = 1024;
/// Live posts held back at most.
const HELD: usize = 1024;
/// Cursors are told at most this often.
const CURSORS_EVERY: Duration = Duration::from_secs(1);

/// The state of reading; pure but for [`Reading::run`].
#[derive(Debug)]
pub struct Reading {
    intake: Intake,
    seen: Recent,
    channels: HashMap<ChannelId, Read>,
    waiting: Waiting,
    held: VecDeque<(Box<Post>, bool)>,
    /// Beginnings of channels, to be told before anything that is reported of them.
    begun: Vec<Cursor>,
}

/// How far one channel has been read.
#[derive(Debug, Clone, Copy)]
struct Read {
    begun_ms: u64,
    read_ms: u64,
    told_ms: u64,
    newest: Option<PostId>,
    /// The newest post that is older than `newest`: no post of the same ms can hide behind it.
    anchor: Option<PostId>,
}

/// Which channels are being caught up.
#[derive(Debug)]
enum Waiting {
    Nothing,
    /// It is not known yet which.
    Everything,
    These(HashSet<ChannelId>),
}

/// A round of catching up under way.
struct Catching {
    found: mpsc::Receiver<Found>,
    task: JoinHandle<()>,
}

impl Drop for Catching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reading {
    /// From where the core says that reading ended.
    pub fn new(start: &Start, threads: Threads) -> Self {
        let read = |cursor: &Cursor| {
            let (begun_ms, read_ms) = (cursor.begun_ms, cursor.seen_ms);
            (cursor.channel, Read { begun_ms, read_ms, told_ms: read_ms, newest: None, anchor: None })
        };
        Self {
            intake: Intake::new(start, threads),
            seen: Recent::default(),
            channels: start.cursors.iter().map(read).collect(),
            waiting: Waiting::Nothing,
            held: VecDeque::new(),
            begun: Vec::new(),
        }
    }

    /// Tells the core what is heard and found, until nothing more can be heard.
    pub async fn run(mut self, mut heard: mpsc::Receiver<Heard>, rest: Rest, link: Link) {
        let mut catching: Option<Catching> = None;
        let mut cursors_due: Option<Instant> = None;
        let mut quiet_due: Option<Instant> = None;
        loop {
            let reports = tokio::select! {
                heard = heard.recv(), if self.held.len() < HELD => match heard {
                    Some(Heard::Posted { post, direct }) => self.live(post, direct).into_iter().collect(),
                    Some(Heard::Reacted(reaction)) => {
                        link.say(FromConnector::Reaction(reaction)).await;
                        continue;
                    }
                    Some(Heard::Fresh | Heard::Gap) => {
                        catching = Some(self.catch_up(rest.clone()));
                        link.say(FromConnector::ReactionsMissed).await;
                        Vec::new()
                    }
                    None => return,
                },
                found = next(&mut catching) => match found {
                    Some(found) => self.found(found),
                    None => {
                        catching = None;
                        self.caught_up()
                    }
                },
                () = at(cursors_due) => {
                    cursors_due = None;
                    for cursor in self.untold() {
                        link.say(FromConnector::Seen(cursor)).await;
                    }
                    continue;
                }
                () = at(quiet_due) => {
                    quiet_due = None;
                    bartizan_confine::memory::give_back();
                    continue;
                }
            };
            for cursor in std::mem::take(&mut self.begun) {
                link.say(FromConnector::Seen(cursor)).await;
            }
            for report in reports {
                link.say(FromConnector::Post(report)).await;
            }
            cursors_due = cursors_due.or_else(|| Some(Instant::now() + CURSORS_EVERY));
            quiet_due = quiet_due.or_else(|| Some(Instant::now() + QUIET));
        }
    }

    fn catch_up(&mut self, rest: Rest) -> Catching {
        self.waiting = Waiting::Everything;
        let known = |(&channel, &Read { begun_ms, read_ms, anchor, .. }): (&ChannelId, &Read)| {
            (channel, Known { begun_ms, read_ms, anchor })
        };
        let (sender, found) = mpsc::channel(4);
        let round = CatchUp { rest, known: self.channels.iter().map(known).collect(), found: sender };
        Catching { found, task: tokio::spawn(round.run()) }
    }

    /// A post that just came.
    fn live(&mut self, post: Box<Post>, direct: bool) -> Option<Report> {
        if self.waiting.holds(post.channel_id) {
            self.held.push_back((post, direct));
            return None;
        }
        self.read(&post, direct, false)
    }

    fn found(&mut self, found: Found) -> Vec<Report> {
        match found {
            Found::Listed(channels) => {
                self.waiting = Waiting::These(channels.into_iter().collect());
                self.release()
            }
            Found::Posts { direct, posts } => posts.iter().filter_map(|post| self.read(post, direct, true)).collect(),
            Found::Done { channel, read_ms, first } => {
                if let Waiting::These(channels) = &mut self.waiting {
                    channels.remove(&channel);
                }
                self.advance(channel, read_ms, None);
                if let Some(read) = self.channels.get_mut(&channel).filter(|_| first) {
                    (read.begun_ms, read.told_ms) = (read_ms, read_ms);
                    self.begun.push(Cursor { channel, seen_ms: read_ms, begun_ms: read_ms });
                }
                self.release()
            }
        }
    }

    /// The round ended, whatever it left unsaid.
    fn caught_up(&mut self) -> Vec<Report> {
        self.waiting = Waiting::Nothing;
        self.release()
    }

    /// Held posts of channels that are caught up.
    fn release(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        for (post, direct) in std::mem::take(&mut self.held) {
            if self.waiting.holds(post.channel_id) {
                self.held.push_back((post, direct));
            } else {
                reports.extend(self.read(&post, direct, false));
            }
        }
        reports
    }

    fn read(&mut self, post: &Post, direct: bool, caught_up: bool) -> Option<Report> {
        if !self.seen.insert(post.id) {
            return None;
        }
        self.advance(post.channel_id, post.create_at, Some(post.id));
        self.intake.report(post, direct, caught_up)
    }

    fn advance(&mut self, channel: ChannelId, read_ms: u64, post: Option<PostId>) {
        // A bound for a server that makes channels up; the core keeps no more either.
        if read_ms == 0 || (self.channels.len() >= MAX_CHANNELS && !self.channels.contains_key(&channel)) {
            return;
        }
        let new = Read { begun_ms: 0, read_ms: 0, told_ms: 0, newest: None, anchor: None };
        let read = self.channels.entry(channel).or_insert(new);
        if read_ms > read.read_ms {
            read.read_ms = read_ms;
            if post.is_some() {
                read.anchor = read.newest;
                read.newest = post;
            }
        }
    }

    /// Cursors that moved since they were last told. Call only when every report so far was made.
    fn untold(&mut self) -> Vec<Cursor> {
        let mut cursors = Vec::new();
        for (&channel, read) in &mut self.channels {
            if read.read_ms > read.told_ms {
                read.told_ms = read.read_ms;
                cursors.push(Cursor { channel, seen_ms: read.read_ms, begun_ms: 0 });
            }
        }
        cursors
    }
}

impl Waiting {
    fn holds(&self, channel: ChannelId) -> bool {
        match self {
            Waiting::Nothing => false,
            Waiting::Everything => true,
            Waiting::These(channels) => channels.contains(&channel),
        }
    }
}

async fn next(catching: &mut Option<Catching>) -> Option<Found> {
    match catching {
        Some(catching) => catching.found.recv().await,
        None => std::future::pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The posts seen last.
#[derive(Debug, Default)]
struct Recent {
    known: HashSet<PostId>,
    order: VecDeque<PostId>,
}

impl Recent {
    /// Whether it is new.
    fn insert(&mut self, post: PostId) -> bool {
        if !self.known.insert(post) {
            return false;
        }
        self.order.push_back(post);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mattermost::event::Props;
    use bartizan_proto::{List, Text};

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(prefix: &str, n: u64) -> T {
        format!("{prefix}{n:0>width$}", width = 26 - prefix.len()).parse().expect("id")
    }

    fn reading(cursors: &[(u64, u64)]) -> Reading {
        let cursor = |&(channel, seen_ms): &(u64, u64)| Cursor { channel: id("c", channel), seen_ms, begun_ms: 0 };
        let start = Start {
            bot: id("b", 0),
            bot_name: Text::cut("bartizan"),
            prefix: Text::cut("!"),
            max_post: 16_383,
            cursors: List::cut(cursors.iter().map(cursor)),
            listen: List::default(),
        };
        Reading::new(&start, Threads::default())
    }

    fn post(n: u64, channel: u64, create_at: u64) -> Post {
        Post {
            id: id("p", n),
            user_id: id("u", 1),
            channel_id: id("c", channel),
            root_id: None,
            message: "!ping".to_owned(),
            kind: String::new(),
            create_at,
            edit_at: 0,
            delete_at: 0,
            props: Props::default(),
        }
    }

    fn times(reports: &[Report]) -> Vec<(u64, bool)> {
        reports.iter().map(|report| (report.created_ms, report.caught_up)).collect()
    }

    #[test]
    fn a_post_that_comes_twice_is_reported_once() {
        let mut reading = reading(&[]);
        assert!(reading.live(Box::new(post(1, 1, 10)), false).is_some());
        assert!(reading.live(Box::new(post(1, 1, 10)), false).is_none());
        assert!(reading.found(Found::Posts { direct: false, posts: vec![post(1, 1, 10)] }).is_empty());
    }

    #[test]
    fn live_posts_wait_until_their_own_channel_is_caught_up() {
        let mut reading = reading(&[(1, 5), (2, 5)]);
        reading.waiting = Waiting::Everything;
        assert!(reading.live(Box::new(post(9, 1, 90)), false).is_none());
        assert!(reading.live(Box::new(post(8, 3, 80)), false).is_none());
        assert_eq!(times(&reading.found(Found::Listed(vec![id("c", 1), id("c", 2)]))), [(80, false)]);
        assert!(reading.untold().iter().all(|cursor| cursor.channel == id("c", 3)), "the cursor is behind the posts");
        let found = Found::Posts { direct: false, posts: vec![post(3, 1, 30), post(4, 1, 40)] };
        assert_eq!(times(&reading.found(found)), [(30, true), (40, true)]);
        assert_eq!(times(&reading.found(Found::Done { channel: id("c", 1), read_ms: 5, first: false })), [(90, false)]);
        assert_eq!(reading.untold(), [Cursor { channel: id("c", 1), seen_ms: 90, begun_ms: 0 }]);
        assert!(reading.untold().is_empty());
    }

    #[test]
    fn a_round_that_ends_early_holds_nothing_back() {
        let mut reading = reading(&[]);
        reading.waiting = Waiting::Everything;
        reading.live(Box::new(post(1, 1, 10)), false);
        assert_eq!(times(&reading.caught_up()), [(10, false)]);
    }

    #[test]
    fn the_cursor_never_goes_back_and_the_anchor_is_older_than_the_newest() {
        let mut reading = reading(&[(1, 50)]);
        reading.live(Box::new(post(1, 1, 60)), false);
        reading.live(Box::new(post(2, 1, 60)), false);
        reading.live(Box::new(post(3, 1, 55)), false);
        assert_eq!(reading.channels[&id("c", 1)].anchor, None);
        reading.live(Box::new(post(4, 1, 70)), false);
        assert_eq!(reading.channels[&id("c", 1)].anchor, Some(id("p", 1)));
        assert_eq!(reading.untold(), [Cursor { channel: id("c", 1), seen_ms: 70, begun_ms: 0 }]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        for n in 0..=REMEMBERED as u64 {
            assert!(recent.insert(id("p", n)));
        }
        assert_eq!(recent.known.len(), REMEMBERED);
        assert!(recent.insert(id("p", 0)), "the oldest was forgotten");
    }
}
