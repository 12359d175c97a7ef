//! Each gate, and their order.

use super::*;
use crate::command::parse;
use crate::config::Level;
use crate::config::{Config, Trust};
use crate::people::People;
use bartizan_proto::Text;
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
[[scripts]]
name = "guarded"
path = "hello"
required-permission = "user"
approvals = 2
approver-level = "operator"
approver-flags = ["deploy"]
approval-when = { where = ["production"] }
[scripts.arguments.where]
type = "string"
[[scripts]]
name = "sealed"
path = "hello"
required-permission = "user"
approvals = 2
approval = "signed"
approver-level = "operator"
approver-flags = ["deploy"]
[scripts.arguments.where]
type = "string"
[[scripts]]
name = "both"
path = "hello"
required-permission = "user"
elevator = "shows"
authorizer = "asker"
[[elevators]]
name = "shows"
path = "authorizer"
[[authorizers]]
name = "asker"
path = "authorizer"
"#;

pub(crate) struct House {
    pub(crate) policy: Policy,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(letter: &str) -> T {
    letter.repeat(26).parse().expect("26 letters")
}

pub(crate) fn house() -> House {
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
         [groups]\nrelease = [\"bob\"]\n[identities]\nanna = [\"aaaaaaaaaaaaaaaaaaaaaaaaaa\", \"carol\"]\n[scripts]\nallowlist = \"allowlist.toml\"\ndirectories = [\".\"]\n",
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
        lockdown: None,
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

pub(crate) fn person(letter: &str) -> Requester {
    Requester { user: id(letter), name: Text::cut(letter), restricted: false }
}

pub(crate) fn nothing() -> Proofs<'static> {
    Proofs { post: id("p"), elevated: None, approved: None, glass: None, grants: &[] }
}

pub(crate) fn channel(letter: &str) -> Place {
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
fn a_cause_calls_people_and_channels_by_their_names() {
    let House { policy, .. } = house();
    let cause = |line: &str, who: &str, place: &Place| {
        let command = parse::command(line).expect("readable").expect("not empty");
        decide(&command, &person(who), place, &policy).outcome.expect_err("refused").1.0
    };
    assert_eq!(cause("deploy api-server", "u", &channel("c")), "u is user, deploy needs operator");
    assert_eq!(cause("flagged", "u", &channel("c")), "u has not the flag deploy, which flagged needs");
    assert_eq!(cause("deploy api-server", "o", &channel("d")), "deploy is not allowed in #somewhere");
    assert_eq!(cause("hello", "m", &channel("c")), "m is banned for good by people.toml: by people.toml");
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
        crate::command::explain::answer(
            &command,
            &person("u"),
            &channel("c"),
            &policy,
            &opener,
            (&limiter, crate::elevation::Standing::None),
        )
    };
    assert_eq!(explained("deploy api-server"), explained("deplxy api-server").replace("deplxy", "deploy"));
    assert_eq!(explained("adduser @x admin"), explained("adduxer @x admin").replace("adduxer", "adduser"));
    let command = parse::command("deploy database").expect("readable").expect("not empty");
    let all =
        survey(&command, &person("u"), &channel("d"), &policy, &opener, (&limiter, crate::elevation::Standing::None));
    let refused: Vec<&str> = all.gates.iter().filter(|gate| !gate.cause.is_empty()).map(|gate| gate.name).collect();
    assert_eq!(refused, ["permission", "channel", "arguments"], "on the host every gate is heard");
}

#[test]
fn a_script_is_cleared_with_the_hash_of_what_was_opened_and_a_wrong_pin_is_refused() {
    let House { policy, folder } = house();
    let opener = file::Opener::new(Trust::single_user());
    let clear = |line: &str| {
        let command = parse::command(line).expect("readable").expect("not empty");
        match clear(&command, &person("u"), &channel("c"), &policy, &opener, nothing()) {
            Ok(Clearance::Start(cleared)) => Ok(cleared),
            Ok(Clearance::Ask(..)) => panic!("{line} has no authorizer"),
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

#[test]
fn in_a_lockdown_nobody_starts_anything_and_a_job_that_was_let_through_before_is_refused_at_its_start() {
    let House { mut policy, folder: _folder } = house();
    let command = parse::command("hello").expect("readable").expect("not empty");
    let clear = |policy: &Policy| {
        let opener = file::Opener::new(Trust::single_user());
        clear(&command, &person("a"), &channel("c"), policy, &opener, nothing())
            .map(drop)
            .map_err(|(refusal, _)| refusal)
    };
    assert_eq!(clear(&policy), Ok(()));
    policy.lockdown = Some(lockdown::Lockdown {
        reason: "bad deploy".into(),
        by: Some(id("a")),
        by_name: "alice".into(),
        since_ms: 0,
    });
    let refusal = Refusal::LockedDown { by: "alice".into(), reason: "bad deploy".into() };
    assert_eq!(clear(&policy), Err(refusal.clone()), "an admin's, too");
    for line in ["hello", "no-such-name", "deploy wrong arguments"] {
        assert_eq!(asked(line, &person("u"), &channel("c"), &policy), Err(refusal.clone()), "{line}");
    }
    assert_eq!(asked("hello", &person("m"), &channel("c"), &policy), Err(Refusal::Banned), "that comes first");
}
