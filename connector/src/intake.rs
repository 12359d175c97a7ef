//! Is this post meant for the bot? Pure; the same answer for what arrives live and for what is found by catching up.
//!
//! It only spares the core work: what it lets through is a claim, and the core has it attested.

use crate::mattermost::event::Post;
use bartizan_proto::Text;
use bartizan_proto::connector::{Report, Start};
use bartizan_proto::ids::UserId;

/// Whom to listen for.
#[derive(Debug, Clone)]
pub struct Intake {
    bot: UserId,
    name: String,
    prefix: String,
}

impl Intake {
    /// From what the core says of the bot.
    pub fn new(start: &Start) -> Self {
        Self { bot: start.bot, name: start.bot_name.to_lowercase(), prefix: start.prefix.as_str().to_owned() }
    }

    /// The report of a post that a person meant for the bot, or of one that speaks for a person and is none; `None` for
    /// any other.
    pub fn report(&self, post: &Post, direct: bool, caught_up: bool) -> Option<Report> {
        let own = post.user_id == self.bot;
        let by_a_person = post.kind.is_empty() && !post.props.from_elsewhere;
        // Never a command, and admins are to hear of it: a webhook's with attachments has a type of its own.
        let impostor = post.props.webhook && matches!(post.kind.as_str(), "" | "slack_attachment");
        let untouched = post.edit_at == 0 && post.delete_at == 0;
        if own || !(by_a_person || impostor) || !untouched || !self.addressed(&post.message, direct) {
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
        Intake { bot: "b".repeat(26).parse().expect("id"), name: "bartizan".into(), prefix: "!".into() }
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
