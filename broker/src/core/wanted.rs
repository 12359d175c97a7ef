//! Commands that waited too long: their author is asked whether they are still wanted, and a ✅ of theirs, once, has them obeyed.
//!
//! The question is a post of the core's own, in the command's thread. The ✅ counts on the question, or on the command after
//! it was asked. What the connector says of a reaction only has egress asked: who reacted, and when, is the server's word.
//! What was missed while nobody listened is found by asking about every open question again.

use super::timers::Timer;
use super::{Core, CoreError};
use crate::gate::{Cause, Refusal};
use crate::store::wanted::Asked;
use crate::words;
use bartizan_proto::connector::{Reaction, Report};
use bartizan_proto::egress::{AttestedPost, AttestedReactions, Outcome, QuestionId, Subject, Target};
use bartizan_proto::ids::PostId;
use bartizan_proto::{List, Text};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Commands that are asked about at once. More are refused.
const MAX_OPEN: usize = 1000;

/// Questions to egress at once.
const MAX_LOOKING: usize = 16;

/// After egress could not say who reacted.
const LATER: Duration = Duration::from_secs(2);

/// What the question's protected key begins with.
const KEY: &str = "wanted:";

/// The open questions.
#[derive(Debug, Default)]
pub struct Wanted {
    /// By the command.
    open: HashMap<PostId, Asked>,
    /// The command of each question's post.
    questions: HashMap<PostId, PostId>,
    /// Command and post whose reactions are to be looked at.
    to_look: VecDeque<(PostId, PostId)>,
    looking: HashMap<QuestionId, (PostId, PostId)>,
    /// When their authors said that they are wanted, by the server's clock.
    said: HashMap<PostId, u64>,
}

impl Wanted {
    /// When the author of this command said that it is still wanted.
    pub(crate) fn said(&self, command: PostId) -> Option<u64> {
        self.said.get(&command).copied()
    }

    /// Egress is gone: it answers nothing any more.
    pub(crate) fn egress_lost(&mut self) {
        let looking: Vec<_> = self.looking.drain().map(|(_, pair)| pair).collect();
        self.to_look.extend(looking);
    }

    /// What nobody will ask for any more.
    pub(crate) fn forget(&mut self, server_ms: u64) {
        self.said.retain(|_, at| server_ms.saturating_sub(*at) < 24 * 3_600_000);
    }
}

impl Core {
    /// What the last run of the service asked.
    pub(crate) fn restore_wanted(&mut self) -> Result<(), CoreError> {
        for asked in self.store.asked(MAX_OPEN)? {
            if let Some(question) = self.store.protected_post(&key(&asked))? {
                self.wanted.questions.insert(question, asked.post);
            }
            self.wanted.open.insert(asked.post, asked);
        }
        Ok(())
    }

    /// A command that waited too long: who wrote it is asked.
    pub(crate) fn ask_whether_wanted(
        &mut self,
        report: &Report,
        post: &AttestedPost,
        age: Duration,
        cause: &Cause,
    ) -> Result<(), CoreError> {
        let once_already = self.wanted.said.remove(&report.post).is_some();
        if once_already || self.wanted.open.len() >= MAX_OPEN {
            return self.refuse(report, Refusal::Stale(age), &cause.0, Vec::new());
        }
        self.refused += 1;
        self.record_decision(
            report,
            &post.text,
            Some(format!("{}; asked whether it is still wanted", cause.0)),
            Vec::new(),
        );
        self.ask(
            Asked {
                post: report.post,
                channel: report.channel,
                author: post.author.id,
                root: post.root,
                created_ms: post.created_ms,
                direct: report.direct,
                asked_ms: post.server_ms,
            },
            age,
        )
    }

    /// Writes the question down.
    pub(crate) fn ask(&mut self, asked: Asked, age: Duration) -> Result<(), CoreError> {
        self.store.ask_again(&asked)?;
        let root = asked.root.unwrap_or(asked.post);
        self.write_protected(Target::Channel(asked.channel), Some(root), &key(&asked), &words::still_wanted(age))?;
        self.wanted.open.insert(asked.post, asked);
        Ok(())
    }

    /// A post of the core's own is on the server: is it a question?
    pub(crate) fn question_posted(&mut self, question: PostId) -> Result<(), CoreError> {
        let Some(key) = self.store.protected_key(question)? else { return Ok(()) };
        let command = key.strip_prefix(KEY).and_then(|rest| rest.split(':').next()).and_then(|post| post.parse().ok());
        if let Some(command) = command.filter(|command| self.wanted.open.contains_key(command)) {
            self.wanted.questions.insert(question, command);
            // Somebody may have been faster than this news.
            self.wanted.to_look.push_back((command, question));
            self.look_at_reactions()?;
        }
        Ok(())
    }

    /// The connector says that somebody reacted: a hint.
    pub(crate) fn on_reaction(&mut self, reaction: &Reaction) -> Result<(), CoreError> {
        if reaction.emoji.as_str() != words::WANTED {
            return Ok(());
        }
        let command = self.wanted.questions.get(&reaction.post).copied().unwrap_or(reaction.post);
        let pair = (command, reaction.post);
        let waits = self.wanted.to_look.contains(&pair);
        if self.wanted.open.get(&command).is_some_and(|asked| asked.author == reaction.user) && !waits {
            self.wanted.to_look.push_back(pair);
        }
        self.look_at_reactions()
    }

    /// Reactions may have been missed: every open question is looked at.
    pub(crate) fn look_at_all_questions(&mut self) -> Result<(), CoreError> {
        let commands = self.wanted.open.keys().map(|command| (*command, *command));
        let questions = self.wanted.questions.iter().map(|(question, command)| (*command, *question));
        self.wanted.to_look = commands.chain(questions).collect();
        self.look_at_reactions()
    }

    /// Asks egress, as much as may be asked at once.
    pub(crate) fn look_at_reactions(&mut self) -> Result<(), CoreError> {
        while self.wanted.looking.len() < MAX_LOOKING && self.supervisor.egress_ready() {
            let Some(pair) = self.wanted.to_look.pop_front() else { return Ok(()) };
            if !self.wanted.open.contains_key(&pair.0) {
                continue;
            }
            let emoji = words::WANTED.parse().map_err(|_| CoreError::Start("no emoji's name".to_owned()))?;
            let question = self.ask_egress(Subject::Reactions { post: pair.1, emoji: List::cut([emoji]) })?;
            self.wanted.looking.insert(question, pair);
        }
        Ok(())
    }

    /// Egress says who reacted. `false` when the question is not about that.
    pub(crate) fn on_reactions(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some((command, at)) = self.wanted.looking.remove(&question) else { return Ok(false) };
        match outcome {
            Outcome::Reactions(reactions) if reactions.post == at => {
                let said = self.wanted.open.get(&command).and_then(|asked| yes_of(asked, at, reactions));
                if let Some(said_ms) = said {
                    self.still_wanted(command, said_ms)?;
                }
            }
            Outcome::Unavailable { why } => {
                tracing::warn!(%command, %why, "who reacted is not known; asking again");
                self.wanted.to_look.push_back((command, at));
                self.timers.after(LATER, Timer::Wanted);
                return Ok(true);
            }
            // A post that is gone, or no answer to this.
            _nobody => {}
        }
        self.look_at_reactions()?;
        Ok(true)
    }

    /// Its author says so: it is attested and gated like a new one.
    fn still_wanted(&mut self, command: PostId, said_ms: u64) -> Result<(), CoreError> {
        let Some(asked) = self.wanted.open.remove(&command) else { return Ok(()) };
        self.wanted.questions.retain(|_, of| *of != command);
        self.wanted.said.insert(command, said_ms);
        tracing::info!(post = %command, user = %asked.author, "still wanted");
        self.posts.again(Report {
            post: command,
            channel: asked.channel,
            author: asked.author,
            root: asked.root,
            text: Text::default(),
            created_ms: asked.created_ms,
            direct: asked.direct,
            caught_up: true,
            webhook: false,
        });
        self.attest_waiting()
    }
}

/// When the author of the command said yes: on the question, or on the command after the question was asked.
fn yes_of(asked: &Asked, at: PostId, reactions: &AttestedReactions) -> Option<u64> {
    let counts = |reaction: &&bartizan_proto::egress::AttestedReaction| {
        let theirs = reaction.user.id == asked.author && !reaction.user.bot && !reaction.user.deactivated;
        let late_enough = at != asked.post || reaction.created_ms >= asked.asked_ms;
        theirs && late_enough && reaction.emoji.as_str() == words::WANTED
    };
    reactions.reactions.iter().find(counts).map(|reaction| reaction.created_ms)
}

/// Unique for ever: a command is not asked about twice in one second.
fn key(asked: &Asked) -> String {
    format!("{KEY}{}:{}", asked.post, asked.asked_ms)
}
