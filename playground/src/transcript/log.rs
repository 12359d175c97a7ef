//! What came in over chat, in order, each thing once: several people report the same.
//!
//! Whatever a line of the transcript expected is marked as taken; what is left over at the end is a failure.

use crate::client::{Event, Post};
use std::collections::BTreeSet;

/// A post with everything that happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// As it came first.
    pub post: Post,
    /// Ids of those whom anybody's copy says are mentioned.
    pub mentions: BTreeSet<String>,
    /// What it said after each change of its text.
    pub edits: Vec<String>,
    /// How many edits lines of the transcript took.
    pub edits_taken: usize,
    /// Whether a line of the transcript took it.
    pub taken: bool,
}

/// One reaction by the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// On what.
    pub post: String,
    /// The emoji's name.
    pub emoji: String,
    at_ms: i64,
    /// Whether a line of the transcript took it.
    pub taken: bool,
}

/// Everything since the start.
#[derive(Debug, Default)]
pub struct Log {
    bot: String,
    posts: Vec<Seen>,
    reactions: Vec<Reaction>,
    changes: BTreeSet<(String, i64, String)>,
    /// Goes up with each thing that the bot did.
    activity: u64,
}

impl Log {
    /// An empty log that tells the bot by its id.
    pub fn new(bot: &str) -> Self {
        Self { bot: bot.to_owned(), ..Self::default() }
    }

    /// How much the bot has done so far.
    pub fn activity(&self) -> u64 {
        self.activity
    }

    /// All posts, oldest first.
    pub fn posts(&self) -> &[Seen] {
        &self.posts
    }

    /// The post at a place of [`Log::posts`].
    pub fn post_mut(&mut self, at: usize) -> Option<&mut Seen> {
        self.posts.get_mut(at)
    }

    /// Where a post stands.
    pub fn place_of(&self, id: &str) -> Option<usize> {
        self.posts.iter().position(|seen| seen.post.id == id)
    }

    /// Whether the bot wrote it.
    pub fn is_bots(&self, post: &Post) -> bool {
        post.author == self.bot && !post.from_webhook
    }

    /// The bot's reactions, oldest first.
    pub fn reactions(&mut self) -> &mut [Reaction] {
        &mut self.reactions
    }

    /// Takes one report in.
    pub fn take_in(&mut self, event: Event) {
        match event {
            Event::Posted { post, mentions } => self.posted(post, mentions),
            Event::Edited(post) => self.edited(post),
            Event::Reacted { user, post, emoji, at_ms } if user == self.bot => {
                let known = |old: &Reaction| old.post == post && old.emoji == emoji && old.at_ms == at_ms;
                if !self.reactions.iter().any(known) {
                    self.reactions.push(Reaction { post, emoji, at_ms, taken: false });
                    self.activity += 1;
                }
            }
            Event::Unreacted { user, .. } if user == self.bot => self.activity += 1,
            Event::Reacted { .. } | Event::Unreacted { .. } => {}
        }
    }

    /// Takes in what was missed while nobody watched: a channel's posts as they are now.
    pub fn catch_up(&mut self, posts: Vec<Post>) {
        for post in posts.into_iter().filter(|post| post.deleted_ms == 0) {
            match self.place_of(&post.id) {
                None => self.posted(post, Vec::new()),
                Some(_) => self.edited(post),
            }
        }
    }

    fn posted(&mut self, post: Post, mentions: Vec<String>) {
        if let Some(at) = self.place_of(&post.id) {
            self.posts[at].mentions.extend(mentions);
            return;
        }
        self.activity += u64::from(self.is_bots(&post));
        let mentions = mentions.into_iter().collect();
        self.posts.push(Seen { post, mentions, edits: Vec::new(), edits_taken: 0, taken: false });
    }

    /// A change is a change of the text; a pin is not, and neither is the same change told by somebody else.
    fn edited(&mut self, post: Post) {
        let Some(at) = self.place_of(&post.id) else { return };
        let bots = self.is_bots(&post);
        let seen = &mut self.posts[at];
        let now = seen.edits.last().unwrap_or(&seen.post.message);
        if *now != post.message && self.changes.insert((post.id, post.updated_ms, post.message.clone())) {
            seen.edits.push(post.message);
            self.activity += u64::from(bots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: &str, message: &str, updated_ms: i64) -> Post {
        Post { id: id.to_owned(), author: "bot".to_owned(), message: message.to_owned(), updated_ms, ..Post::default() }
    }

    fn posted(id: &str, message: &str) -> Event {
        Event::Posted { post: post(id, message, 1), mentions: vec![] }
    }

    #[test]
    fn what_several_people_report_is_there_once() {
        let mut log = Log::new("bot");
        for _person in 0..3 {
            log.take_in(posted("a", "one"));
            log.take_in(Event::Edited(post("a", "two", 2)));
            log.take_in(Event::Edited(post("a", "three", 3)));
        }
        assert_eq!(log.posts().len(), 1);
        assert_eq!(log.posts()[0].edits, ["two", "three"]);
        assert_eq!(log.activity(), 3);
    }

    #[test]
    fn an_edit_to_the_same_text_is_none() {
        let mut log = Log::new("bot");
        log.take_in(posted("a", "one"));
        log.take_in(Event::Edited(post("a", "one", 2)));
        assert!(log.posts()[0].edits.is_empty());
    }

    #[test]
    fn only_the_bots_reactions_count_and_one_that_comes_again_is_another() {
        let mut log = Log::new("bot");
        let react = |user: &str, at_ms| Event::Reacted {
            user: user.to_owned(),
            post: "a".to_owned(),
            emoji: "x".to_owned(),
            at_ms,
        };
        for event in [react("alice", 1), react("bot", 2), react("bot", 2), react("bot", 9)] {
            log.take_in(event);
        }
        assert_eq!(log.reactions().len(), 2);
    }

    #[test]
    fn catching_up_adds_what_is_missing_and_changes_what_changed() {
        let mut log = Log::new("bot");
        log.take_in(posted("a", "one"));
        log.catch_up(vec![post("a", "one", 1), post("a", "uno", 5), post("b", "new", 6)]);
        assert_eq!(log.posts().len(), 2);
        assert_eq!(log.posts()[0].edits, ["uno"]);
    }
}
