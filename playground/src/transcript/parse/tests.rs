//! The parser: every kind of line, every error, and no panic on anything.

use super::*;
use proptest::prelude::*;

fn good(text: &str) -> Transcript {
    parse(text).expect("a good transcript")
}

fn fault(text: &str) -> (usize, Fault) {
    let error = parse(text).expect_err("a bad transcript");
    (error.line, error.fault)
}

fn pattern(lines: &[&str]) -> Pattern {
    Pattern::parse(lines).expect("a good pattern")
}

fn whats(text: &str) -> Vec<What> {
    good(text).steps.remove(0).expectations.into_iter().map(|expectation| expectation.what).collect()
}

#[test]
fn the_example_of_the_design_parses() {
    let transcript = good(
        "\
# what a person sees; run by `playground` against the real processes
alice #ops> !ping
  bartizan> Pong!
bob #random> !deploy api-server staging
  bartizan> [..]not here[..]#ops[..]
  reacts> no_entry
bob #ops> !deploy api-server production
  bartizan req> [..]approve [id=[a-z0-9]+][..]production[..]
alice reacts req> white_check_mark
  bartizan> [..]exit 0[..]
alice DM> !whoami
  ...
  bartizan> [..]admin[..]
",
    );
    assert_eq!(transcript.steps.len(), 5);
    assert_eq!(transcript.steps[0].line, 2);
    assert_eq!(transcript.steps[0].expectations[0].line, 3);
    assert_eq!(
        transcript.steps[1].act,
        Act::Say {
            who: "bob".to_owned(),
            place: Place::Channel("random".to_owned()),
            label: None,
            text: "!deploy api-server staging".to_owned()
        }
    );
    assert_eq!(transcript.steps[1].expectations[1].what, What::Reaction("no_entry".to_owned()));
    assert!(
        matches!(&transcript.steps[2].expectations[0].what, What::Post { label: Some(label), .. } if label == "req")
    );
    assert_eq!(
        transcript.steps[3].act,
        Act::React { who: "alice".to_owned(), label: Some("req".to_owned()), emoji: "white_check_mark".to_owned() }
    );
    assert!(transcript.steps[4].expectations[0].skipping);
    assert!(!transcript.steps[3].expectations[0].skipping);
}

#[test]
fn the_first_lines_name_config_allowlist_and_needs() {
    let transcript = good("# words\nconfig: a/b.toml\n\nallowlist: ../c.json\nneeds: root, python3\nwait 2s\n");
    assert_eq!(transcript.config, Some(PathBuf::from("a/b.toml")));
    assert_eq!(transcript.allowlist, Some(PathBuf::from("../c.json")));
    assert_eq!(transcript.needs, ["root", "python3"]);
    assert_eq!(fault("wait 1s\nconfig: x\n"), (2, Fault::Header("config".to_owned())));
    assert_eq!(fault("config:\n"), (1, Fault::EmptyHeader("config".to_owned())));
}

#[test]
fn every_act_parses() {
    let acts = |text: &str| good(text).steps.into_iter().map(|step| step.act).collect::<Vec<_>>();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        acts("wait 2s\nclock +15m\nfault 429\nfault delay 500ms\nrestart core\nkill -9 worker\n"),
        [
            Act::Wait(Duration::from_secs(2)),
            Act::Clock(Duration::from_secs(900)),
            Act::Fault(text("429")),
            Act::Fault(text("delay 500ms")),
            Act::Restart(Role::Core),
            Act::Kill(Role::Worker),
        ]
    );
    assert_eq!(
        acts("alice in req> yes\nalice edits> other\nalice reacts> +1\nwebhook bob #ops> !ping\nalice DM> a > b\n"),
        [
            Act::Say { who: text("alice"), place: Place::Thread(text("req")), label: None, text: text("yes") },
            Act::Edit { who: text("alice"), text: text("other") },
            Act::React { who: text("alice"), label: None, emoji: text("+1") },
            Act::Webhook { owner: text("bob"), channel: text("ops"), text: text("!ping") },
            Act::Say { who: text("alice"), place: Place::Direct, label: None, text: text("a > b") },
        ]
    );
}

#[test]
fn a_message_goes_on_over_lines_that_begin_with_a_bar() {
    let said = |text: &str| match good(text).steps.remove(0).act {
        Act::Say { text, .. } => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(said("alice #ops> one\n| two\n|\n|  three\n  bartizan> x\n"), "one\ntwo\n\n three");
    assert_eq!(said("alice #ops>\n| one\n| two\n"), "one\ntwo", "nothing on the first line: the bars are the message");
    assert_eq!(said("alice #ops> !run \"a  b\"  \n"), "!run \"a  b\"  ", "a message is not trimmed");
    assert_eq!(fault("wait 1s\n| x\n"), (2, Fault::Continuation));
}

#[test]
fn every_expectation_parses() {
    let say = "alice #ops> x\n";
    assert_eq!(whats(&format!("{say}  bartizan> Pong!\n")), [What::Post { label: None, pattern: pattern(&["Pong!"]) }]);
    assert_eq!(
        whats(&format!("{say}  updates> a\n  updates…> b\n  updates...> c\n")),
        [
            What::Update { later: false, pattern: pattern(&["a"]) },
            What::Update { later: true, pattern: pattern(&["b"]) },
            What::Update { later: true, pattern: pattern(&["c"]) },
        ]
    );
    assert_eq!(
        whats(&format!("{say}  reacts> :+1:\n  notifies> none\n  notifies> @alice bob\n  (silence)\n")),
        [
            What::Reaction("+1".to_owned()),
            What::Notifies(vec![]),
            What::Notifies(vec!["alice".to_owned(), "bob".to_owned()]),
            What::Silence,
        ]
    );
    let file = |content| What::File { name: pattern(&["out.txt"]), content };
    assert_eq!(
        whats(&format!("{say}  file> out.txt\n  file> out.txt [..]line 7[..]\n  file> out.txt\n    a\n    ...\n")),
        [
            file(None),
            file(Some(Content::Line(pattern(&["[..]line 7[..]"])))),
            file(Some(Content::Whole(pattern(&["a", "..."])))),
        ]
    );
    assert_eq!(
        whats(&format!("{say}  file> [n=[a-z 0-9]+].txt [..]\n")),
        [What::File { name: pattern(&["[n=[a-z 0-9]+].txt"]), content: Some(Content::Line(pattern(&["[..]"]))) }]
    );
}

#[test]
fn the_emoji_that_bartizan_uses_may_stand_for_themselves() {
    let expected = ["hourglass_flowing_sand", "white_check_mark", "x", "no_entry"];
    let seen = whats("alice #ops> x\n  reacts> ⏳\n  reacts> ✅\n  reacts> ❌\n  reacts> ⛔\n");
    assert_eq!(seen, expected.map(|name| What::Reaction(name.to_owned())));
    assert_eq!(fault("alice #ops> x\n  reacts> two words\n"), (2, Fault::Expectation));
}

#[test]
fn further_lines_belong_to_the_expectation_above_them() {
    let posts = whats(
        "alice #ops> x\n  bartizan> head\n    ```\n      deep\n\n    # no comment\n    ```\n  bartizan>\n    only\n",
    );
    assert_eq!(
        posts,
        [
            What::Post { label: None, pattern: pattern(&["head", "```", "  deep", "", "# no comment", "```"]) },
            What::Post { label: None, pattern: pattern(&["only"]) },
        ]
    );
    assert_eq!(fault("alice #ops> x\n  reacts> y\n    z\n"), (3, Fault::Further));
    assert_eq!(fault("alice #ops> x\n  ...\n    z\n"), (3, Fault::Further));
    assert_eq!(fault("alice #ops> x\n    bartizan> y\n  bartizan> z\n"), (3, Fault::Indent));
}

#[test]
fn a_comment_may_stand_between_an_act_and_what_follows_it() {
    let text = "alice #ops> x\n# one\n  # two\n  bartizan> a\n# three\n    b\n";
    assert_eq!(whats(text), [What::Post { label: None, pattern: pattern(&["a", "b"]) }]);
}

#[test]
fn within_speaks_of_the_next_line_only() {
    let step = good("alice #ops> x\n  within 30s\n  bartizan> a\n  bartizan> b\n").steps.remove(0);
    assert_eq!(step.expectations[0].within, Duration::from_secs(30));
    assert_eq!(step.expectations[1].within, PATIENCE);
    assert_eq!(fault("alice #ops> x\n  within 30s\n"), (2, Fault::Dangling));
    assert_eq!(fault("alice #ops> x\n  within soon\n  reacts> y\n"), (2, Fault::Time("soon".to_owned())));
}

#[test]
fn dots_hold_until_the_next_post_and_at_the_end_allow_anything() {
    let step = good("alice #ops> x\n  ...\n  reacts> y\n  bartizan> a\n  bartizan> b\n  ...\n").steps.remove(0);
    let skipping: Vec<bool> = step.expectations.iter().map(|expectation| expectation.skipping).collect();
    assert_eq!(skipping, [true, true, false, true]);
    assert_eq!(step.expectations[3].what, What::Anything);
}

#[test]
fn what_a_command_prints_follows_it_and_chat_may_follow_that() {
    let step = |text: &str| good(text).steps.remove(0);
    let printed = |text: &str| match step(text).act {
        Act::Operator { output, .. } => output,
        other => panic!("{other:?}"),
    };
    assert_eq!(printed("$ bartizan ps\n"), None);
    assert_eq!(
        printed("$ bartizan ps\n  JOB\n    indented\n\n  # kept\n"),
        Some(pattern(&["JOB", "  indented", "", "# kept"]))
    );
    assert_eq!(printed("$ bartizan ps\n  (silence)\n"), Some(pattern(&[""])));
    let both = "$ bartizan kill 1\n  stopping\n  within 30s\n  bartizan> [..]\n";
    assert_eq!(printed(both), Some(pattern(&["stopping"])));
    assert_eq!(step(both).expectations.len(), 1);
    assert_eq!(fault("$ rm -rf x\n"), (1, Fault::Act));
}

#[test]
fn what_is_not_a_transcript_is_refused_with_its_line() {
    assert_eq!(fault("alice says hello\n"), (1, Fault::Act));
    assert_eq!(fault("\nalice #ops !ping\n"), (2, Fault::Act));
    assert_eq!(fault("alice ops> !ping\n"), (1, Fault::Act));
    assert_eq!(fault("  bartizan> x\n"), (1, Fault::Orphan));
    assert_eq!(fault("alice #ops> x\n  hubot> y\n"), (2, Fault::Expectation));
    assert_eq!(fault("alice #ops> x\n  bartizan says\n"), (2, Fault::Expectation));
    assert_eq!(fault("alice #ops> x\n  reacts>\n"), (2, Fault::Expectation));
    assert_eq!(fault("restart everything\n"), (1, Fault::Role("everything".to_owned())));
    assert_eq!(fault("wait long\n"), (1, Fault::Time("long".to_owned())));
    assert!(matches!(fault("alice #ops> x\n  bartizan> [id=(]\n"), (2, Fault::Pattern(_))));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _either_way = parse(&text);
    }

    #[test]
    fn nothing_like_a_transcript_panics(
        lines in prop::collection::vec(
            "( {0,6}|\t)(alice|bartizan|updates…|file|reacts|within|wait|webhook|\\$|[|]|\\.\\.\\.)?( #ops| DM| in| edits| 2s)?[ >é:|]{0,3}[a-z\\[\\]=(.é\\\\$]{0,9}",
            0..14,
        ),
    ) {
        let _either_way = parse(&lines.join("\n"));
    }
}
