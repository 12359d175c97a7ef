//! The embedded server and the real processes against it, for tests that attack them.
//!
//! A [`House`] is one server and one service with a configuration of the test's own. Everything runs as a user without
//! rights, also when the tests run as root ([`ground`]). Waiting is for a condition, never for a time. A [`puppet`] takes
//! the place of one of the service's processes.

mod ground;
pub mod memory;
pub mod plan;
pub mod puppet;
pub mod seen;
pub mod web;

pub use ground::{programs, skip, stand};
pub use plan::Plan;

use bartizan_playground::server::{Options, Server};
use bartizan_playground::service::{Finished, Service, Settings};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that is waited for, on a machine with better things to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and Bartizan against it.
#[derive(Debug)]
pub struct House {
    /// Bartizan.
    pub service: Service,
    /// The chat server.
    pub server: Server,
    /// Where the configuration and the scripts are.
    pub files: TempDir,
    /// Where the programs are.
    pub programs: PathBuf,
}

impl House {
    /// With a plain plan.
    pub async fn open() -> Self {
        Self::build(Plan::default()).await
    }

    /// With a plan of one's own.
    pub async fn build(plan: Plan) -> Self {
        ground::stand();
        let server = Server::start(Options::default()).expect("the server starts");
        Self::at(server, plan).await
    }

    /// Against a server that runs already.
    pub async fn at(server: Server, plan: Plan) -> Self {
        let (files, source) = plan.write();
        let programs = plan.programs.clone().unwrap_or_else(programs);
        let settings = Settings {
            server: server.file(),
            source,
            programs: programs.clone(),
            environment: plan.environment.clone(),
        };
        let service = Service::start(&settings).await.expect("Bartizan starts");
        Self { service, server, files, programs }
    }

    /// Says something as a person; the post's id.
    pub fn say(&self, who: &str, channel: &str, text: &str) -> String {
        self.server.say(who, channel, text).expect("such a person and channel")
    }

    /// The first reply of the bot's to a post.
    pub async fn reply(&self, post: &str) -> String {
        self.replies(post, 1).await.swap_remove(0)
    }

    /// The bot's replies to a post, as soon as there are so many.
    pub async fn replies(&self, post: &str, count: usize) -> Vec<String> {
        let what = format!("{count} replies to a post");
        self.wait(&what, || Some(self.said(post)).filter(|said| said.len() >= count)).await
    }

    /// What the bot said to a post so far.
    pub fn said(&self, post: &str) -> Vec<String> {
        let bot = &self.server.file().bot.id;
        let replies = self.server.replies(post).into_iter().filter(|reply| reply["user_id"] == **bot);
        replies.map(|reply| reply["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until the bot has reacted to a post so.
    pub async fn reaction(&self, post: &str, emoji: &str) {
        let reacted = || self.server.reactions(post).iter().any(|(_, name)| name == emoji).then_some(());
        self.wait(&format!("the reaction {emoji}"), reacted).await;
    }

    /// Says something and gives the first answer.
    pub async fn ask(&self, who: &str, channel: &str, text: &str) -> String {
        let post = self.say(who, channel, text);
        self.reply(&post).await
    }

    /// Runs a command of carol's whose result names a word of the test's own: the service works, from end to end.
    pub async fn works(&self) {
        let post = self.say("carol", "ops", "!hello Works");
        let reply = self.reply(&post).await;
        assert!(reply.contains("exit 0") && reply.contains("Hello, Works!"), "{reply}");
        self.reaction(&post, "white_check_mark").await;
        assert_eq!(self.said(&post).len(), 1, "answered once");
    }

    /// The bot has not answered or reacted to a post, and will not: call it after something later was dealt with.
    pub fn ignored(&self, post: &str) {
        assert_eq!(self.said(post), [""; 0], "an answer");
        assert_eq!(self.server.reactions(post), [], "a reaction");
    }

    /// The audit log's records so far.
    pub fn audit(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.service.state().join("audit.jsonl")).unwrap_or_default();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The first audit record that fits, as soon as there is one.
    pub async fn recorded(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, || self.audit().into_iter().find(|record| fits(record))).await
    }

    /// The cause for which a post was refused, as the audit log has it.
    pub async fn cause(&self, post: &str) -> String {
        let record =
            self.recorded("a decision", |record| record["event"] == "decision" && record["postId"] == post).await;
        assert_eq!(record["success"], false, "let through: {record}");
        record["error"].as_str().unwrap_or_default().to_owned()
    }

    /// How many jobs were started, as the audit log has it.
    pub fn jobs(&self) -> usize {
        self.audit().iter().filter(|record| record["event"] == "job-start").count()
    }

    /// What the bot said to somebody in their direct channel so far: each post.
    pub fn told(&self, who: &str) -> Vec<Value> {
        let bot = self.server.file().bot;
        let channel = self.server.direct_channel(who, &bot.name).expect("such a person");
        self.server.posts(&channel).into_iter().filter(|post| post["user_id"] == *bot.id).collect()
    }

    /// The first direct message to an admin that has these words in it, as soon as there is one.
    pub async fn warned(&self, words: &str) -> Value {
        let has = |post: &Value| post["message"].as_str().is_some_and(|message| message.contains(words));
        self.wait(&format!("a warning of {words}"), || self.told("alice").into_iter().find(has)).await
    }

    /// Runs `bartizan`.
    pub async fn operator(&self, arguments: &[&str]) -> Finished {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.service.operator(arguments).await.expect("`bartizan` starts")
    }

    /// The process ids of a role, as `status` has them.
    pub async fn pids(&self, role: &str) -> Vec<u32> {
        let status = self.service.status().await.expect("a status");
        let rows = status["processes"].as_array().into_iter().flatten().filter(|row| row["role"] == role);
        rows.filter_map(|row| u32::try_from(row["pid"].as_u64()?).ok()).filter(|pid| *pid != 0).collect()
    }

    /// Waits for a condition; with the end of the log when it does not come.
    pub async fn wait<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        match until(condition).await {
            Some(value) => value,
            None => panic!("waited in vain for {what}; the log ends with\n{}", self.service.log_tail(25)),
        }
    }
}

/// Waits for a condition, at most [`PATIENCE`].
pub async fn until<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(value) = condition() {
            return Some(value);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}
