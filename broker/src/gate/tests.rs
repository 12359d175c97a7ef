//! Each gate, and their order.

use super::*;
use crate::command::parse;
use crate::config::Level;
use crate::config::{Config, Trust};
use crate::people::People;
use bartizan_proto::egress::{
    AttestedChannel, AttestedPost, AttestedReaction, AttestedReactions, AttestedUser, ChannelKind, Origin,
};
use bartizan_proto::ids::{ChannelId, UserId};
use bartizan_proto::{List, Text};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

const ALLOWLIST: &str = r#"
[[scripts]]
name = "hello"
path = "hello"
required-permission = "user"
[[scripts]]
name = "deploy"
path = "hello"
allowed-channels = ["ops"]
[scripts.arguments.service]
type = "enum"
values = ["api-server", "web-app"]
required = true
[[scripts]]
name = "flagged"
path = "hello"
required-permission = "user"
required-flags = ["deploy"]
[[scripts]]
name = "chosen"
path = "hello"
required-permission = "user"
allowed-users = ["carol"]
allowed-groups = ["release"]
[[scripts]]
name = "quiet"
path = "hello"
required-permission = "user"
private-only = true
[[scripts]]
name = "quiet-operators"
path = "hello"
private-only = true
[[scripts]]
name = "whisper"
path = "hello"
required-permission = "user"
direct-only = true
[[scripts]]
name = "pinned"
path = "hello"
required-permission = "user"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[[scripts]]
name = "asked"
path = "hello"
required-permission = "user"
authorizer = "asker"
authorizer-group = "web"
[scripts.arguments.what]
type = "string"
[[authorizers]]
name = "asker"
path = "authorizer"
"#;

struct House {
    policy: Policy,
    folder: tempfile::TempDir,
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(letter: &str) -> T {
    letter.repeat(26).parse().expect("26 letters")
}

fn house() -> House {
    let folder = tempfile::tempdir().expect("temp dir");
    let write = |name: &str, mode: u32, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("chmod");
        path
    };
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
    write("token", 0o600, "abcdefghijklmnopqrstuvwxyz\n");
    write("hello", 0o755, "#!/bin/sh\necho hello\n");
    write("authorizer", 0o755, "#!/bin/sh\nexit 7\n");
    write("allowlist.toml", 0o644, ALLOWLIST);
    let config = write(
        "bartizan.toml",
        0o644,
        "[server]\nurl = \"http://127.0.0.1:1\"\nteam = \"t\"\n[bot]\ntoken-file = \"token\"\n[state]\ndirectory = \"state\"\n\
         [groups]\nrelease = [\"bob\"]\n[scripts]\nallowlist = \"allowlist.toml\"\ndirectories = [\".\"]\n",
    );
    let config = Config::load(&config, &Trust::single_user()).expect("config");
    let policy = Policy {
        generation: 1,
        config,
        bot: id("b"),
        bot_name: Text::cut("bartizan"),
        team: id("t"),
        people: people(),
        names: [("carol".to_owned(), id("w"))].into(),
        groups: [("release".to_owned(), [id("o")].into())].into(),
        channels: [("ops".to_owned(), id("c"))].into(),
        server_ahead_ms: 0,
    };
    House { policy, folder }
}

fn people() -> People {
    let mut people = People::default();
    for (letter, level) in [("a", Level::Admin), ("o", Level::Operator), ("f", Level::User), ("m", Level::Banned)] {
        let flags = if letter == "f" { ["deploy".parse().expect("a flag")].into() } else { BTreeSet::new() };
        people.in_file(id(letter), letter, level, flags);
    }
    people
}

fn person(letter: &str) -> Requester {
    Requester { user: id(letter), name: Text::cut(letter), restricted: false }
}

fn channel(letter: &str) -> Place {
    Place { channel: id(letter), name: Text::cut("somewhere"), direct: false, private: false }
}

fn asked(line: &str, requester: &Requester, place: &Place, policy: &Policy) -> Result<Vec<String>, Refusal> {
    let command = parse::command(line).expect("readable").expect("not empty");
    let decision = decide(&command, requester, place, policy);
    decision
        .outcome
        .map(|(_, values)| values.into_iter().map(|value| value.text).collect())
        .map_err(|(refusal, _)| refusal)
}

#[test]
fn an_operator_may_run_an_operators_script_in_its_channel_only() {
    let House { policy, .. } = house();
    assert_eq!(asked("deploy api-server", &person("o"), &channel("c"), &policy), Ok(vec!["api-server".to_owned()]));
    let elsewhere = asked("deploy api-server", &person("o"), &channel("d"), &policy);
    assert_eq!(
        elsewhere,
        Err(Refusal::NotHere { name: "deploy".into(), wanted: channel::Where::Channels(vec!["ops".into()]) })
    );
    let direct = Place { direct: true, ..channel("c") };
    assert!(matches!(asked("deploy api-server", &person("o"), &direct, &policy), Err(Refusal::NotHere { .. })));
}

#[test]
fn what_is_forbidden_sounds_exactly_like_what_does_not_exist() {
    let House { policy, .. } = house();
    let words =
        |line: &str| asked(line, &person("u"), &channel("c"), &policy).expect_err("refused").words("!").expect("words");
    assert_eq!(words("deploy api-server"), words("depley api-server").replace("depley", "deploy"));
    assert_eq!(
        words("deploy wrong arguments"),
        words("deploy api-server"),
        "arguments are not looked at before rights"
    );
}

#[test]
fn a_wrong_argument_is_refused_after_permission_and_channel() {
    let House { policy, .. } = house();
    let refused = asked("deploy database", &person("o"), &channel("c"), &policy);
    assert!(matches!(refused, Err(Refusal::Arguments { .. })));
    assert!(matches!(asked("deploy database", &person("o"), &channel("d"), &policy), Err(Refusal::NotHere { .. })));
}

#[test]
fn banned_user_is_refused_before_permission_is_read() {
    let House { policy, .. } = house();
    let command = parse::command("hello").expect("readable").expect("not empty");
    let decision = decide(&command, &person("m"), &channel("c"), &policy);
    assert!(matches!(decision.outcome, Err((Refusal::Banned, _))));
    assert_eq!(decision.gates, [Gate { name: "ban", passed: false }]);
}

#[test]
fn a_guest_counts_as_user_whatever_the_list_says() {
    let House { policy, .. } = house();
    let guest = Requester { restricted: true, ..person("a") };
    assert_eq!(policy.level(&guest), Level::User);
    assert!(matches!(asked("deploy api-server", &guest, &channel("c"), &policy), Err(Refusal::Unknown { .. })));
}

#[test]
fn a_script_that_requires_a_flag_is_for_those_who_have_it_and_is_unknown_to_admins_who_have_not() {
    let House { policy, .. } = house();
    assert!(asked("flagged", &person("f"), &channel("c"), &policy).is_ok());
    assert!(matches!(asked("flagged", &person("a"), &channel("c"), &policy), Err(Refusal::Unknown { .. })));
    let guest = Requester { restricted: true, ..person("f") };
    assert!(matches!(asked("flagged", &guest, &channel("c"), &policy), Err(Refusal::Unknown { .. })));
}

#[test]
fn users_and_groups_limit_who_may_run_a_script_whatever_their_level() {
    let House { policy, .. } = house();
    for (who, may) in [("o", true), ("w", true), ("a", false), ("u", false)] {
        assert_eq!(asked("chosen", &person(who), &channel("c"), &policy).is_ok(), may, "{who}");
    }
    // Whoever is called by the name of somebody else is not meant.
    let policy = Policy { names: [("carol".to_owned(), id("x"))].into(), ..policy };
    assert!(asked("chosen", &person("w"), &channel("c"), &policy).is_err());
}

#[test]
fn private_and_direct_scripts_are_hinted_at_elsewhere_to_those_who_may_run_them() {
    let House { policy, .. } = house();
    let direct = Place { direct: true, ..channel("d") };
    let private = Place { private: true, ..channel("d") };
    let open = channel("c");
    for (line, place, wanted) in [
        ("quiet", &direct, None),
        ("quiet", &private, None),
        ("quiet", &open, Some(channel::Where::Private)),
        ("whisper", &direct, None),
        ("whisper", &private, Some(channel::Where::Direct)),
        ("whisper", &open, Some(channel::Where::Direct)),
    ] {
        let refused = asked(line, &person("u"), place, &policy).err();
        assert_eq!(refused, wanted.map(|wanted| Refusal::NotHere { name: line.into(), wanted }), "{line}");
    }
    assert!(matches!(asked("quiet-operators", &person("u"), &open, &policy), Err(Refusal::Unknown { .. })));
}

/// Attack row 21.
#[test]
fn row_21_a_survey_of_what_is_forbidden_looks_like_one_of_what_does_not_exist() {
    let House { policy, folder: _folder } = house();
    let opener = file::Opener::new(Trust::single_user());
    let limiter = rate::Limiter::default();
    let explained = |line: &str| {
        let command = parse::command(line).expect("readable").expect("not empty");
        crate::command::explain::answer(&command, &person("u"), &channel("c"), &policy, &opener, &limiter)
    };
    assert_eq!(explained("deploy api-server"), explained("deplxy api-server").replace("deplxy", "deploy"));
    assert_eq!(explained("adduser @x admin"), explained("adduxer @x admin").replace("adduxer", "adduser"));
    let command = parse::command("deploy database").expect("readable").expect("not empty");
    let all = survey(&command, &person("u"), &channel("d"), &policy, &opener, &limiter);
    let refused: Vec<&str> = all.gates.iter().filter(|gate| !gate.cause.is_empty()).map(|gate| gate.name).collect();
    assert_eq!(refused, ["permission", "channel", "arguments"], "on the host every gate is heard");
}

#[test]
fn a_script_is_cleared_with_the_hash_of_what_was_opened_and_a_wrong_pin_is_refused() {
    let House { policy, folder } = house();
    let opener = file::Opener::new(Trust::single_user());
    let clear = |line: &str| {
        let command = parse::command(line).expect("readable").expect("not empty");
        match clear(&command, &person("u"), &channel("c"), &policy, &opener, None) {
            Ok(Clearance::Start(cleared)) => Ok(cleared),
            Ok(Clearance::Ask(_)) => panic!("{line} has no authorizer"),
            Err(refused) => Err(refused),
        }
    };
    let cleared = clear("hello").expect("cleared");
    assert_eq!(cleared.file().sha256.len(), 64);
    assert!(matches!(clear("pinned"), Err((Refusal::Broken, _))));
    std::fs::write(folder.path().join("hello"), "#!/bin/sh\necho other\n").expect("write");
    assert_ne!(
        clear("hello").expect("cleared").file().sha256,
        cleared.file().sha256,
        "a changed file has another hash"
    );
    std::fs::set_permissions(folder.path().join("hello"), PermissionsExt::from_mode(0o757)).expect("chmod");
    assert!(matches!(clear("hello"), Err((Refusal::Broken, _))), "writable by others");
}

/// Attack row 20.
#[test]
fn row_20_a_script_with_an_authorizer_starts_only_on_a_grant_that_holds() {
    let House { mut policy, folder } = house();
    let opener = file::Opener::new(Trust::single_user());
    let clear = |policy: &Policy, grant: Option<&authorizer::Grant>, line: &str| {
        let command = parse::command(line).expect("readable").expect("not empty");
        clear(&command, &person("f"), &channel("c"), policy, &opener, grant)
    };
    let granted = |generation| match authorizer::judge("asked", authorizer::tests::granting(), generation, "") {
        Verdict::Pass(grant) => grant,
        Verdict::Refuse(..) => panic!("granted"),
    };
    let Ok(Clearance::Ask(asked)) = clear(&policy, None, "asked x") else { panic!("it is asked first") };
    let values: Vec<&str> = asked.values().iter().map(|value| value.text.as_str()).collect();
    assert_eq!(values, ["asked", "web", "asked", "x"], "script, group, command and arguments");
    let told = |name: &str| asked.environment().iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(told("BARTIZAN_USER_ID"), Some(person("f").user.as_str()));
    assert_eq!((told("BARTIZAN_LEVEL"), told("BARTIZAN_FLAGS")), (Some("user"), Some("deploy")));
    assert!(matches!(clear(&policy, Some(&granted(1)), "asked x"), Ok(Clearance::Start(_))));
    policy.generation += 1;
    assert!(matches!(clear(&policy, Some(&granted(1)), "asked x"), Ok(Clearance::Ask(_))), "the policy has changed");
    assert!(clear(&policy, Some(&granted(2)), "deploy web-app").is_err(), "a grant is no permission");
    std::fs::remove_file(folder.path().join("authorizer")).expect("removed");
    assert!(matches!(clear(&policy, None, "asked x"), Err((Refusal::Unauthorizable { .. }, _))));
    let command = parse::command("asked").expect("readable").expect("not empty");
    let seen = survey(&command, &person("u"), &channel("c"), &policy, &opener, &rate::Limiter::default());
    assert!(
        seen.gates.iter().any(|gate| gate.name == "authorizer" && gate.cause.contains("asker")),
        "named, not called"
    );
}

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
