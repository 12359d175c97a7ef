//! Is this post meant for the bot? Pure; the same answer for what arrives live and for what is found by catching up.
//!
//! It only spares the core work: what it lets through is a claim, and the core has it attested.

use crate::mattermost::event::Post;
use bartizan_proto::Text;
use bartizan_proto::connector::{Heard, Listen, Report, Start};
use bartizan_proto::ids::UserId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where somebody is asked something, as the core has it now. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Threads(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    threads: HashSet<Listen>,
    heard: HashSet<Heard>,
}

impl Threads {
    /// These, and no others.
    pub fn replace(&self, threads: impl IntoIterator<Item = Listen>) {
        self.lists().threads = threads.into_iter().collect();
    }

    /// The posts of these are reported whatever they say, and of nobody else.
    pub fn hear(&self, heard: impl IntoIterator<Item = Heard>) {
        self.lists().heard = heard.into_iter().collect();
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the post is by an account whose posts are reported there.
    fn hear_of(&self, post: &Post) -> bool {
        self.lists().heard.contains(&Heard { channel: post.channel_id, user: post.user_id })
    }

    /// Whether the post is in one of them, by the person who is asked.
    fn have(&self, post: &Post) -> bool {
        let Some(root) = post.root_id else { return false };
        let lists = self.lists();
        let asked = |user| lists.threads.contains(&Listen { channel: post.channel_id, root, user });
        asked(Some(post.user_id)) || asked(None)
    }
}

/// Whom to listen for.
#[derive(Debug, Clone)]
pub struct Intake {
    bot: UserId,
    name: String,
    prefix: String,
    threads: Threads,
}

impl Intake {
    /// From what the core says of the bot.
    pub fn new(start: &Start, threads: Threads) -> Self {
        threads.replace(start.listen.iter().copied());
        let (name, prefix) = (start.bot_name.to_lowercase(), start.prefix.as_str().to_owned());
        Self { bot: start.bot, name, prefix, threads }
    }

    /// The report of a post that a person meant for the bot, or of one that speaks for a person and is none; `None` for
    /// any other.
    pub fn report(&self, post: &Post, direct: bool, caught_up: bool) -> Option<Report> {
        let own = post.user_id == self.bot;
        let by_a_person = post.kind.is_empty() && !post.props.from_elsewhere;
        // Never a command, and admins are to hear of it: a webhook's with attachments has a type of its own.
        let impostor = post.props.webhook && matches!(post.kind.as_str(), "" | "slack_attachment");
        let untouched = post.edit_at == 0 && post.delete_at == 0;
        let meant = self.addressed(&post.message, direct) || (by_a_person && self.threads.have(post));
        let heard = matches!(post.kind.as_str(), "" | "slack_attachment") && !direct && self.threads.hear_of(post);
        if own || !untouched || !(heard || (meant && (by_a_person || impostor))) {
            return None;
        }
        let Ok(text) = Text::new(post.message.as_str()) else {
            tracing::warn!(post = %post.id, bytes = post.message.len(), "dropped a post over the size limit");
            return None;
        };
        Some(Report {
            post: post.id,
            channel: post.channel_id,
            author: post.user_id,
            root: post.root_id,
            text,
            created_ms: post.create_at,
            direct,
            caught_up,
            webhook: post.props.webhook,
        })
    }

    /// In a direct message everything counts; elsewhere the prefix or the bot's name has to come first.
    fn addressed(&self, text: &str, direct: bool) -> bool {
        let text = text.trim_start();
        if text.is_empty() {
            return false;
        }
        direct || (!self.prefix.is_empty() && text.starts_with(&self.prefix)) || self.named_first(text)
    }

    /// `@name`, `@name command`, `@name: command`, `@name, command`; names are case-insensitive in Mattermost.
    fn named_first(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix('@') else { return false };
        let Some(name) = rest.get(..self.name.len()) else { return false };
        !self.name.is_empty()
            && name.eq_ignore_ascii_case(&self.name)
            && rest[self.name.len()..].chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, ':' | ','))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mattermost::event::Props;
    use proptest::prelude::*;

    fn intake() -> Intake {
        Intake {
            bot: "b".repeat(26).parse().expect("id"),
            name: "bartizan".into(),
            prefix: "!".into(),
            threads: Threads::default(),
        }
    }

    fn post(message: &str) -> Post {
        Post {
            id: "p".repeat(26).parse().expect("id"),
            user_id: "u".repeat(26).parse().expect("id"),
            channel_id: "c".repeat(26).parse().expect("id"),
            root_id: None,
            message: message.to_owned(),
            kind: String::new(),
            create_at: 1,
            edit_at: 0,
            delete_at: 0,
            props: Props::default(),
        }
    }

    fn counts(message: &str, direct: bool) -> bool {
        intake().report(&post(message), direct, false).is_some()
    }

    #[test]
    fn in_a_thread_where_somebody_is_asked_their_words_count_and_nobody_elses() {
        let id = |c: &str| c.repeat(26);
        let intake = intake();
        let (root, user) = (id("r").parse().expect("id"), post("").user_id);
        intake.threads.replace([Listen { channel: post("").channel_id, root, user: Some(user) }]);
        let answer = Post { root_id: Some(root), ..post("api-server") };
        assert!(intake.report(&answer, false, false).is_some());
        let others = [
            post("api-server"),
            Post { root_id: Some(id("s").parse().expect("id")), ..answer.clone() },
            Post { user_id: id("v").parse().expect("id"), ..answer.clone() },
            Post { channel_id: id("d").parse().expect("id"), ..answer.clone() },
            Post { edit_at: 1, ..answer.clone() },
            Post { kind: "system_join_channel".to_owned(), ..answer.clone() },
        ];
        assert!(others.iter().all(|other| intake.report(other, false, false).is_none()));
        intake.threads.replace([]);
        assert!(intake.report(&answer, false, false).is_none(), "the question is over");
    }

    #[test]
    fn in_a_channel_the_prefix_or_the_name_comes_first() {
        for yes in ["!ping", "  !ping", "\n!ping", "@bartizan ping", "@Bartizan: ping", "@bartizan, ping", "@bartizan"]
        {
            assert!(counts(yes, false), "{yes:?}");
        }
        for no in
            ["ping", "say !ping", "", " ", "@bartizans ping", "@bartizan-dev ping", "@alice !ping", "hi @bartizan"]
        {
            assert!(!counts(no, false), "{no:?}");
        }
    }

    #[test]
    fn in_a_direct_message_everything_but_nothing_counts() {
        assert!(counts("ping", true));
        assert!(counts("!ping", true));
        assert!(!counts("  ", true));
    }

    #[test]
    fn the_bots_own_posts_system_posts_edits_and_deleted_ones_are_left_out() {
        let spoiled: [fn(&mut Post); 5] = [
            |post| post.user_id = "b".repeat(26).parse().expect("id"),
            |post| post.kind = "system_join_channel".into(),
            |post| post.kind = "me".into(),
            |post| post.edit_at = 2,
            |post| post.delete_at = 2,
        ];
        for spoil in spoiled {
            let mut post = post("!ping");
            spoil(&mut post);
            assert_eq!(intake().report(&post, true, false), None, "{post:?}");
        }
    }

    #[test]
    fn what_says_it_comes_from_a_bot_webhook_or_plugin_is_left_out() {
        let mut post = post("!ping");
        post.props.from_elsewhere = true;
        assert_eq!(intake().report(&post, true, false), None);
    }

    #[test]
    fn what_speaks_for_a_person_and_is_none_is_reported_as_such() {
        let mut post = post("!ping");
        post.props = Props { from_elsewhere: true, webhook: true, reply_id: None };
        assert!(intake().report(&post, false, false).is_some_and(|report| report.webhook));
        post.kind = "slack_attachment".to_owned();
        assert!(intake().report(&post, false, false).is_some_and(|report| report.webhook));
        post.props.webhook = false;
        assert_eq!(intake().report(&post, false, false), None);
        post.message = "talk".to_owned();
        post.props.webhook = true;
        assert_eq!(intake().report(&post, false, false), None, "not addressed");
    }

    #[test]
    fn what_a_trigger_waits_for_is_reported_whatever_it_says_but_for_own_edited_and_system_posts() {
        let intake = intake();
        let mut robot = post("anything");
        robot.props.from_elsewhere = true;
        assert_eq!(intake.report(&robot, false, false), None);
        intake.threads.hear([Heard { channel: robot.channel_id, user: robot.user_id }]);
        assert!(intake.report(&robot, false, false).is_some());
        assert_eq!(intake.report(&robot, true, false), None, "a direct message");
        let other = Post { user_id: "v".repeat(26).parse().expect("id"), ..robot.clone() };
        assert_eq!(intake.report(&other, false, false), None, "somebody else");
        let own = "b".repeat(26).parse().expect("id");
        intake.threads.hear([Heard { channel: robot.channel_id, user: own }]);
        assert_eq!(intake.report(&Post { user_id: own, ..robot.clone() }, false, false), None, "the bot's own");
        intake.threads.hear([Heard { channel: robot.channel_id, user: robot.user_id }]);
        assert_eq!(intake.report(&Post { edit_at: 2, ..robot.clone() }, false, false), None, "an edit");
        assert_eq!(intake.report(&Post { kind: "system_join_channel".into(), ..robot }, false, false), None);
    }

    #[test]
    fn a_text_over_the_limit_is_dropped_and_not_cut() {
        assert!(!counts(&"!".repeat(bartizan_proto::limits::MAX_MESSAGE + 1), false));
        assert!(counts(&"!".repeat(bartizan_proto::limits::MAX_MESSAGE), false));
    }

    #[test]
    fn an_empty_prefix_means_by_name_only() {
        let intake = Intake { prefix: String::new(), ..intake() };
        assert!(intake.report(&post("hello"), false, false).is_none());
        assert!(intake.report(&post("@bartizan hello"), false, false).is_some());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", direct: bool) {
            let _whatever = counts(&text, direct);
            let _whatever = counts(&format!("@{text}"), direct);
        }
    }
}
