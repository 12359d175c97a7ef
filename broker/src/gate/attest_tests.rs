//! What counts as a person's word, and what does not.

use super::tests::{House, house, id};
use super::*;
use bartizan_proto::egress::{
    AttestedChannel, AttestedPost, AttestedReaction, AttestedReactions, AttestedUser, ChannelKind, Origin,
};
use bartizan_proto::ids::{ChannelId, UserId};
use bartizan_proto::{List, Text};

fn post() -> AttestedPost {
    AttestedPost {
        id: id("p"),
        author: AttestedUser {
            id: id("o"),
            name: Text::cut("bob"),
            bot: false,
            guest: false,
            deactivated: false,
            remote: false,
            system_admin: false,
        },
        channel: AttestedChannel {
            id: id("c"),
            kind: ChannelKind::Open,
            name: Text::cut("ops"),
            team: Some(id("t")),
            archived: false,
        },
        root: None,
        text: Text::cut("!hello"),
        kind: Text::default(),
        origin: Origin::default(),
        created_ms: 1_000_000,
        edited_ms: 0,
        deleted_ms: 0,
        server_ms: 1_001_000,
    }
}

fn counts(change: impl FnOnce(&mut AttestedPost)) -> Result<(), Refusal> {
    let House { policy, .. } = house();
    let mut post = post();
    change(&mut post);
    match attest::check(&post, &policy) {
        Verdict::Pass(_) => Ok(()),
        Verdict::Refuse(refusal, _) => Err(refusal),
    }
}

#[test]
fn only_a_fresh_unedited_post_of_a_person_in_our_team_or_to_the_bot_counts() {
    assert_eq!(counts(|_| ()), Ok(()));
    type Change = fn(&mut AttestedPost);
    let silent: [(&str, Change); 14] = [
        ("edited", |p| p.edited_ms = 1),
        ("deleted", |p| p.deleted_ms = 1),
        ("system post", |p| p.kind = Text::cut("system_join_channel")),
        ("webhook", |p| p.origin.webhook = true),
        ("bot prop", |p| p.origin.bot = true),
        ("plugin", |p| p.origin.other = true),
        ("disguised", |p| p.origin.disguised = true),
        ("bot account", |p| p.author.bot = true),
        ("the bot itself", |p| p.author.id = id("b")),
        ("deactivated", |p| p.author.deactivated = true),
        ("another team", |p| p.channel.team = Some(id("x"))),
        ("group message", |p| p.channel.kind = ChannelKind::Group),
        ("archived", |p| p.channel.archived = true),
        ("someone else's direct message", |p| {
            p.channel.kind = ChannelKind::Direct;
            p.channel.name = Text::cut(format!("{}__{}", "o".repeat(26), "x".repeat(26)));
        }),
    ];
    for (what, change) in silent {
        assert_eq!(counts(change), Err(Refusal::Silence), "{what}");
    }
    assert!(matches!(counts(|p| p.server_ms = p.created_ms + 3_600_000), Err(Refusal::Stale(_))));
    let direct = |p: &mut AttestedPost| {
        p.channel.kind = ChannelKind::Direct;
        p.channel.team = None;
        p.channel.name = Text::cut(format!("{}__{}", "b".repeat(26), "o".repeat(26)));
    };
    assert_eq!(counts(direct), Ok(()));
}

#[test]
fn an_answer_counts_only_in_its_thread_and_from_the_one_who_was_asked() {
    let House { policy, .. } = house();
    let reply = AttestedPost { root: Some(id("r")), ..post() };
    let counts = |post: &AttestedPost| matches!(attest::answer(post, id("r"), id("o"), &policy), Verdict::Pass(_));
    assert!(counts(&reply));
    assert!(!counts(&post()), "not in the thread");
    assert!(!counts(&AttestedPost { root: Some(id("x")), ..post() }), "in another thread");
    assert!(!counts(&AttestedPost { author: AttestedUser { id: id("a"), ..post().author }, ..reply.clone() }));
    assert!(!counts(&AttestedPost { edited_ms: 1, ..reply.clone() }), "edited");
    assert!(!counts(&AttestedPost { origin: Origin { webhook: true, ..Origin::default() }, ..reply }));
}

#[test]
fn only_people_react_each_once_and_an_answer_that_is_not_whole_is_none() {
    let House { policy, .. } = house();
    let by = |letter: &str, emoji: &str, change: fn(&mut AttestedUser)| {
        let mut user = AttestedUser { id: id(letter), ..post().author };
        change(&mut user);
        AttestedReaction { user, emoji: emoji.parse().expect("emoji"), created_ms: 1 }
    };
    let reactions = List::cut([
        by("o", "+1", |_| ()),
        by("o", "+1", |_| ()),
        by("a", "eyes", |_| ()),
        by("x", "+1", |user| user.bot = true),
        by("y", "+1", |user| user.deactivated = true),
        by("b", "+1", |_| ()),
        by("g", "+1", |user| user.guest = true),
    ]);
    let mut all = AttestedReactions { post: id("p"), reactions, more: false, server_ms: 1 };
    let emoji = "+1".parse().expect("emoji");
    let people = attest::reactors(&all, &emoji, &policy).expect("whole");
    assert_eq!(people.iter().map(|p| (p.user, p.restricted)).collect::<Vec<_>>(), [(id("o"), false), (id("g"), true)]);
    all.more = true;
    assert_eq!(attest::reactors(&all, &emoji, &policy), None);
}

#[test]
fn rights_are_given_to_no_bot_and_no_deactivated_account() {
    let House { policy, .. } = house();
    let user = post().author;
    assert!(matches!(attest::person(&user, &policy), Verdict::Pass(person) if person.user == user.id));
    for user in [
        AttestedUser { bot: true, ..user.clone() },
        AttestedUser { deactivated: true, ..user.clone() },
        AttestedUser { id: policy.bot, ..user.clone() },
    ] {
        assert!(matches!(attest::person(&user, &policy), Verdict::Refuse(Refusal::Silence, _)), "{user:?}");
    }
}

#[test]
fn an_impostor_is_named_where_commands_are_taken_and_nowhere_else() {
    let House { policy, .. } = house();
    let said = |change: fn(&mut AttestedPost)| {
        let mut post = post();
        change(&mut post);
        attest::impostor(&post, &policy)
    };
    assert_eq!(said(|_| ()), None);
    let told = said(|p| p.origin.webhook = true).expect("told");
    assert!(told.contains("webhook") && told.contains("bob") && told.contains("ops"), "{told}");
    assert!(said(|p| p.origin.disguised = true).is_some());
    assert_eq!(said(|p| (p.origin.webhook, p.channel.team) = (true, Some(id("x")))), None, "another team");
    assert_eq!(said(|p| (p.origin.webhook, p.edited_ms) = (true, 1)), None, "edited");
}

#[test]
fn a_direct_message_of_a_stranger_is_not_the_authors() {
    let House { policy, .. } = house();
    let mut post = post();
    let (bot, author): (UserId, UserId) = (id("b"), id("o"));
    post.channel =
        AttestedChannel { kind: ChannelKind::Direct, name: Text::cut(format!("{author}__{bot}")), ..post.channel };
    let Verdict::Pass((_, place)) = attest::check(&post, &policy) else { panic!("counts") };
    assert!(place.direct);
    assert_eq!(place.channel, id::<ChannelId>("c"));
}

/// A hostile connector names posts as it likes: whose they are, and how they came to be, is egress's word.
#[test]
fn a_trigger_takes_nothing_but_posts_of_its_account_in_its_channel_made_as_it_says() {
    use crate::config::{Trigger, TriggerSource};
    let House { policy, .. } = house();
    let trigger = |source| Trigger {
        name: "alert".parse().expect("a name"),
        source,
        channel: "ops".to_owned(),
        pattern: regex::Regex::new("x").expect("a pattern"),
        script: "hello".parse().expect("a name"),
    };
    let (bob, bot) = (id::<UserId>("o").to_string(), id::<UserId>("b").to_string());
    let webhook = trigger(TriggerSource::WebhookOf(bob.clone()));
    let (account, own) = (trigger(TriggerSource::Account(bob)), trigger(TriggerSource::Account(bot)));
    let counts = |trigger: &Trigger, change: &dyn Fn(&mut AttestedPost)| {
        let mut post = post();
        change(&mut post);
        super::trigger::check(&post, trigger, &policy).is_some()
    };
    assert!(counts(&account, &|_| ()) && counts(&webhook, &|post| post.origin.webhook = true));
    assert!(counts(&account, &|post| (post.author.bot, post.origin.bot) = (true, true)), "a bot's account");
    assert!(!counts(&webhook, &|_| ()), "what the account itself writes is none of its webhooks'");
    assert!(!counts(&account, &|post| post.origin.webhook = true), "and the other way round");
    assert!(!counts(&account, &|post| post.origin.bot = true), "a person's post that says it is a bot's");
    assert!(!counts(&own, &|post| post.author.id = id("b")), "the bot's own");
    let changes: [&dyn Fn(&mut AttestedPost); 9] = [
        &|post| post.author.id = id("v"),
        &|post| post.channel.id = id("d"),
        &|post| post.channel.kind = ChannelKind::Group,
        &|post| post.channel.team = Some(id("z")),
        &|post| post.edited_ms = 1,
        &|post| post.deleted_ms = 1,
        &|post| post.kind = Text::cut("system_join_channel"),
        &|post| post.author.deactivated = true,
        &|post| post.server_ms += 3_600_000,
    ];
    for (at, change) in changes.iter().enumerate() {
        assert!(!counts(&account, change), "change {at}");
        let both = |post: &mut AttestedPost| {
            post.origin.webhook = true;
            change(post);
        };
        assert!(!counts(&webhook, &both), "change {at} of a webhook's");
    }
}
