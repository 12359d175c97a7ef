//! Everything at once: lost, doubled and replayed events, dropped connections, restarts of the server, REST faults. Each
//! post must be reported exactly once, and in order within its channel.

mod support;

use bartizan_proto::verbs::Failure;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::{Fault, House, World, id, post};

const CHANNELS: u64 = 3;
const CONNECTIONS: u64 = 4;
const POSTS_EACH: u64 = 80;

/// The server's side: what it keeps for a connection that may come back.
struct Server {
    random: StdRng,
    posts: u64,
    seq: u64,
    kept: Vec<(u64, Value)>,
}

impl Server {
    /// Somebody posts, whether the bot is there or not.
    fn post(&mut self, world: &mut World) -> (u64, Value) {
        self.posts += 1;
        let mut post = post(self.posts, 100_000 + 700 * self.posts, &format!("!{}", self.posts));
        let channel = self.random.random_range(1..=CHANNELS);
        post["channel_id"] = json!(id::<bartizan_proto::ids::ChannelId>("c", channel).to_string());
        world.posts.push(post.clone());
        let event = (self.seq, post);
        self.seq += 1;
        self.kept.push(event.clone());
        event
    }

    fn fault(&mut self, world: &mut World) {
        let kind = ["channels", "newest", "after", "since"][self.random.random_range(0..4)];
        let fault = match self.random.random_range(0..5) {
            0 => Fault::Answer(429, Some(20)),
            1 => Fault::Answer(500, None),
            2 => Fault::Fail(Failure::Network),
            3 => Fault::Garbage,
            _ => Fault::Fail(Failure::TooLarge),
        };
        // A list of channels that is too large is not tried again: only the known ones are read then.
        if !(kind == "channels" && matches!(fault, Fault::Fail(Failure::TooLarge))) {
            world.fault(kind, fault);
        }
    }
}

async fn storm(seed: u64) {
    let mut world = World::new();
    world.channels = (1..=CHANNELS).map(|n| (n, "O")).collect();
    let cursors: Vec<(u64, u64)> = (1..=CHANNELS).map(|n| (n, 99_000)).collect();
    let mut house = House::with(world, &cursors).await;
    let mut server = Server { random: StdRng::seed_from_u64(seed), posts: 0, seq: 0, kept: Vec::new() };
    for connection in 1..=CONNECTIONS {
        let mut conn = house.wire.accept().await;
        match conn.resume.clone() {
            Some(resume) if server.random.random_bool(0.5) => {
                for (seq, post) in server.kept.iter().filter(|(seq, _)| *seq >= resume.sequence) {
                    conn.seq = *seq;
                    conn.posted(post);
                }
            }
            _ => {
                conn.hello(&format!("connection{connection}")).await;
                (server.seq, server.kept) = (1, Vec::new());
            }
        }
        for step in 0..POSTS_EACH {
            if server.random.random_bool(0.05) {
                server.fault(&mut house.world());
            }
            let (seq, post) = server.post(&mut house.world());
            let lost = step + 1 < POSTS_EACH && server.random.random_bool(0.1);
            for _ in 0..if lost { 0 } else { server.random.random_range(1..=2) } {
                conn.seq = seq;
                conn.posted(&post);
            }
            tokio::time::sleep(std::time::Duration::from_millis(server.random.random_range(0..4))).await;
        }
        if connection < CONNECTIONS {
            conn.drop_it().await;
            for _ in 0..server.random.random_range(0..20) {
                server.post(&mut house.world());
            }
        } else {
            // The last connection stays: its last event shows every gap before it.
            check(&mut house, server.posts, seed).await;
            drop(conn);
            return;
        }
    }
}

async fn check(house: &mut House, posts: u64, seed: u64) {
    let mut seen = BTreeSet::new();
    let mut newest: BTreeMap<_, u64> = BTreeMap::new();
    for _ in 0..posts {
        let report = house.report().await;
        assert!(seen.insert(report.post), "seed {seed}: {} twice", report.text);
        let newest = newest.entry(report.channel).or_default();
        assert!(report.created_ms > *newest, "seed {seed}: {} after a newer one", report.text);
        *newest = report.created_ms;
    }
    house.silent().await;
}

#[tokio::test(flavor = "current_thread")]
async fn whatever_happens_each_post_is_reported_once_and_in_order() {
    tokio::join!(storm(1), storm(2), storm(3), storm(4), storm(5), storm(6));
}
