//! One transcript from its first line to its last.

use super::log::Seen;
use super::model::{Act, Transcript};
use super::pattern::Captures;
use super::report::Failure;
use super::stage::{Stage, StageError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How a transcript ended early.
#[derive(Debug)]
pub enum Stop {
    /// Something was not as it should be.
    Failed(Box<Failure>),
    /// It cannot be played here.
    Skipped(String),
}

/// How a transcript ended.
pub type Outcome = Result<(), Stop>;

/// A post as later lines refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostRef {
    /// Its id.
    pub id: String,
    /// The root of its thread: itself, where it is no reply.
    pub root: String,
    /// Its channel.
    pub channel: String,
}

/// Where an expectation looks.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// The thread and channel of the message above; `None` after an act that has no place of its own: anywhere.
    pub place: Option<PostRef>,
    /// The posts on which a reaction counts.
    pub subjects: Vec<String>,
}

/// A transcript being played.
#[derive(Debug)]
pub struct Player<'a> {
    /// Where.
    pub stage: &'a mut Stage,
    /// What was captured so far.
    pub captures: Captures,
    /// Labelled posts.
    pub labels: BTreeMap<String, PostRef>,
    /// Each person's last post.
    pub last_of: BTreeMap<String, PostRef>,
    /// The last post of the bot that a line expected.
    pub last_bot: Option<PostRef>,
    /// Where expectations look now.
    pub scene: Scene,
    /// The roots of all threads that this transcript began, with the line that did.
    pub threads: BTreeMap<String, usize>,
    /// Threads in which anything may still be posted, because of a last line `...`.
    pub let_be: BTreeSet<String>,
    /// Posts before this place in the log are an earlier transcript's.
    pub start: usize,
    /// Reactions before this place in the log are an earlier step's.
    pub reactions_before: usize,
}

impl<'a> Player<'a> {
    /// A transcript begins.
    pub fn new(stage: &'a mut Stage) -> Self {
        let start = stage.log.posts().len();
        Self {
            stage,
            captures: Captures::new(),
            labels: BTreeMap::new(),
            last_of: BTreeMap::new(),
            last_bot: None,
            scene: Scene::default(),
            threads: BTreeMap::new(),
            let_be: BTreeSet::new(),
            start,
            reactions_before: 0,
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// [`Stop`].
    pub async fn play(mut self, transcript: &Transcript) -> Outcome {
        for step in &transcript.steps {
            self.reactions_before = self.stage.log.reactions().len();
            self.act(step).await?;
            for (at, expectation) in step.expectations.iter().enumerate() {
                self.expect(expectation, at == 0).await?;
            }
        }
        let last = transcript.steps.last();
        // Where nothing is expected, something wrong must have the time to come.
        let nothing = last.is_some_and(|step| step.expectations.is_empty() && matches!(step.act, Act::Say { .. }));
        self.quiet(Duration::from_millis(if nothing { 1000 } else { 300 })).await;
        self.nothing_left_over(last.map_or(1, |step| step.line))
    }

    /// Waits until the bot has done nothing for a time, at most ten of those.
    pub async fn quiet(&mut self, pause: Duration) {
        let limit = Instant::now() + pause * 10;
        let mut end = Instant::now() + pause;
        let mut before = self.stage.log.activity();
        while self.stage.next(end.min(limit)).await {
            if self.stage.log.activity() != before {
                before = self.stage.log.activity();
                end = Instant::now() + pause;
            }
        }
    }

    /// Whether a post belongs to this transcript: in one of its threads, or the bot's own in a channel.
    pub fn concerns(&self, seen: &Seen) -> bool {
        let root = &seen.post.root;
        self.stage.log.is_bots(&seen.post)
            && seen.post.kind.is_empty()
            && (root.is_empty() || self.threads.contains_key(root))
    }

    /// Whether an expectation looks at this post now.
    pub fn in_scene(&self, seen: &Seen) -> bool {
        let here = |place: &PostRef| {
            seen.post.root == place.root || (seen.post.root.is_empty() && seen.post.channel == place.channel)
        };
        self.concerns(seen) && self.scene.place.as_ref().is_none_or(here)
    }

    fn nothing_left_over(&self, last_line: usize) -> Outcome {
        let posts = self.stage.log.posts().iter().skip(self.start);
        let mut left =
            posts.filter(|seen| !seen.taken && self.concerns(seen) && !self.let_be.contains(&seen.post.root));
        let Some(seen) = left.next() else { return Ok(()) };
        let line = self.threads.get(&seen.post.root).copied().unwrap_or(last_line);
        let channel = self.stage.channel_name(&seen.post.channel);
        Err(Failure::new(line, format!("after this, a post came in {channel} that no line expects"))
            .got(&seen.post.message)
            .stop())
    }
}

/// An error of the stage at a line: what needs the embedded server is skipped elsewhere, and everything else fails.
pub fn stage_stop(line: usize, error: StageError) -> Stop {
    match error {
        StageError::Foreign(_) => Stop::Skipped(format!("line {line}: {error}")),
        StageError::Server(_)
        | StageError::Service(_)
        | StageError::Client(_)
        | StageError::Deaf(_)
        | StageError::NoUser(_)
        | StageError::NoChannel(_)
        | StageError::Fault(_) => Failure::new(line, error.to_string()).stop(),
    }
}
