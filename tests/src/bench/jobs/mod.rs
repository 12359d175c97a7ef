//! Jobs by the hundred, each from a post in chat to its result in the thread: `queue` many that wait, `live` many that run at
//! once, `flood` one that prints without end.
//!
//! People post without HTTP, so that the server is there for the bot alone; from there on nothing is left out: attestation,
//! the gates, the audit log, a confined worker for each job, a reply and two reactions at its end. The least bot has no part in it: it has no queue.

mod flood;
mod live;
mod queue;

use super::meter::{children, cpu, own_pid};
use super::progress::Progress;
use super::side::Programs;
use super::table::Table;
use super::{BenchError, Effort, io};
use bartizan_playground::server::{Options, Server, UserOptions};
use bartizan_playground::service::{Service, Source};
use std::time::{Duration, Instant};

/// Who asks.
const PEOPLE: [&str; 8] = ["alice", "bob", "user2", "user3", "user4", "user5", "user6", "user7"];

/// The core, as the kernel names it.
const CORE: &str = "bartizan-broker";

/// A wait that takes longer is an end without a figure.
const PATIENCE: Duration = Duration::from_secs(120);

/// The three of them.
pub(super) async fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    queue::measure(effort, programs, table, progress).await?;
    live::measure(effort, programs, table, progress).await?;
    flood::measure(programs, table, progress).await
}

/// A service, and a server where eight people are.
#[derive(Debug)]
struct House {
    service: Service,
    /// Its uppermost process.
    root: i32,
    server: Server,
}

impl House {
    async fn start(programs: &Programs, source: &Source, options: Options) -> Result<Self, BenchError> {
        let server = Server::start(options).map_err(io("the embedded server"))?;
        let known = server.file().users;
        for name in PEOPLE.iter().filter(|name| !known.contains_key(**name)) {
            server.add_user(name, UserOptions::default());
        }
        let before = children(own_pid());
        let service = Service::start(&programs.settings_of(source, server.file())).await?;
        let root = children(own_pid()).into_iter().find(|pid| !before.contains(pid));
        let root = root.ok_or_else(|| BenchError::Missing("the service's main process".to_owned()))?;
        Ok(Self { service, root, server })
    }

    /// One of the eight says something in #ops.
    fn say(&self, who: usize, text: &str) -> Result<String, BenchError> {
        let name = PEOPLE[who % PEOPLE.len()];
        self.server.say(name, "ops", text).ok_or_else(|| BenchError::Missing(format!("{name}, or #ops")))
    }

    /// How often a command was told that its job ended as it should.
    fn results(&self, post: &str, wanted: &str) -> usize {
        let told = |reply: &serde_json::Value| reply["message"].as_str().is_some_and(|text| text.contains(wanted));
        self.server.replies(post).iter().filter(|reply| told(reply)).count()
    }

    /// Until each of these has its result. How many have none when nothing has come for [`PATIENCE`].
    async fn until_all(&self, posts: &[String], wanted: &str, mut look: impl FnMut(usize)) -> usize {
        let mut left: Vec<&String> = posts.iter().collect();
        let mut news = Instant::now();
        while !left.is_empty() && news.elapsed() < PATIENCE {
            let before = left.len();
            left.retain(|post| self.results(post, wanted) == 0);
            if left.len() < before {
                news = Instant::now();
                look(posts.len() - left.len());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        left.len()
    }

    /// How many of these were told more than once.
    fn doubled(&self, posts: &[String], wanted: &str) -> usize {
        posts.iter().filter(|post| self.results(post, wanted) > 1).count()
    }

    /// Until `bartizan status` counts so many.
    async fn until(&self, what: &str, count: usize) -> Result<(), BenchError> {
        let begun = Instant::now();
        while self.service.status().await.is_none_or(|status| status[what] != count) {
            if begun.elapsed() > PATIENCE {
                return Err(BenchError::Missing(format!("{count} jobs that are {what}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// CPU time so far: of the core, and of all processes together.
    fn cpu(&self) -> [Duration; 2] {
        let all = cpu(self.root);
        [all.get(CORE).copied().unwrap_or_default(), all.values().sum()]
    }
}
