//! The matcher: every test of a match stands beside tests of what must not match.

use super::*;
use proptest::prelude::*;

fn matches(pattern: &str, text: &str) -> bool {
    captured(pattern, text, &[]).is_some()
}

fn captured(pattern: &str, text: &str, known: &[(&str, &str)]) -> Option<Captures> {
    let lines: Vec<&str> = pattern.split('\n').collect();
    let known = known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Pattern::parse(&lines).expect("a good pattern").captures(text, &known)
}

#[test]
fn plain_text_matches_itself_and_nothing_else() {
    assert!(matches("Pong!", "Pong!"));
    for wrong in ["Pong", "Pong!!", "pong!", "xPong!", "", "Pong!\nmore", "more\nPong!", "P.ng!"] {
        assert!(!matches("Pong!", wrong), "{wrong:?}");
    }
    assert!(!matches("P.ng!", "Pong!"), "a dot is a dot");
    assert!(!matches("", "Pong!"), "an empty expectation asks for an empty post");
    assert!(matches("", ""));
}

#[test]
fn two_dots_in_brackets_stay_within_their_line() {
    assert!(matches("exit [..] in [..] ms", "exit 0 in 12 ms"));
    assert!(matches("a[..]b", "ab"));
    assert!(!matches("a[..]b", "a\nb"));
    assert!(!matches("[..]one[..]two[..]", "one\ntwo"));
    assert!(!matches("exit [..] in [..] ms", "exit 0 in 12 s"));
}

#[test]
fn one_line_between_two_wildcards_is_looked_for_in_the_whole_post() {
    assert!(matches("[..]exit 0[..]", "**hello**: exit 0 in 3 ms\n```\nHello\n```"));
    assert!(matches("[..]", "a\nb"));
    assert!(!matches("[..]exit 0[..]", "**hello**: exit 1 in 3 ms\n```\nHello\n```"));
    assert!(!matches("[..]exit 0", "exit 0\nmore"), "only with a wildcard on both sides");
    assert!(!matches("exit 0[..]", "more\nexit 0"));
}

#[test]
fn more_lines_must_all_be_there_in_order() {
    assert!(matches("a\nb\nc", "a\nb\nc"));
    for wrong in ["a\nb", "a\nc\nb", "a\nb\nc\nd", "a\n\nb\nc", "b\nc"] {
        assert!(!matches("a\nb\nc", wrong), "{wrong:?}");
    }
}

#[test]
fn three_dots_on_a_line_are_any_number_of_lines() {
    assert!(matches("a\n...\nz", "a\nz"));
    assert!(matches("a\n...\nz", "a\nb\nc\nz"));
    assert!(matches("...\nz", "z"));
    assert!(matches("...", "a\nb"));
    assert!(matches("a\n...\nm\n...\nz", "a\nm\nm\ny\nz"));
    assert!(!matches("a\n...\nz", "a\nb"));
    assert!(!matches("a\n...\nz", "z\na"));
    assert!(!matches("a ... z", "a\nz"), "only alone on its line");
}

#[test]
fn many_any_lines_do_not_take_exponential_time() {
    let pattern = format!("{}x", "...\na\n".repeat(12));
    assert!(!matches(&pattern, &"a\n".repeat(300)));
}

#[test]
fn a_capture_takes_what_its_expression_says_and_brackets_need_no_escape() {
    let got = captured("approve [id=[a-z0-9]+] now", "approve x7f now", &[]).expect("matches");
    assert_eq!(got.get("id").map(String::as_str), Some("x7f"));
    assert!(captured("approve [id=[a-z0-9]+] now", "approve X7F now", &[]).is_none());
    assert!(captured("[id=[a-z0-9]+][..]production[..]", "x7f: to production, please", &[]).is_some());
    let class = captured("[x=[^]]+]]", "ab]", &[]).expect("a class that holds a bracket");
    assert_eq!(class["x"], "ab");
    assert_eq!(captured("[n=\\d{1,3}] ms", "12 ms", &[]).expect("matches")["n"], "12");
    assert!(captured("[a=x|y]z", "xz", &[]).is_some(), "an alternative ends with its capture");
    assert!(captured("[a=x|y]z", "x", &[]).is_none());
}

#[test]
fn a_repeated_name_must_be_what_was_captured() {
    assert!(captured("job $id", "job 17", &[("id", "17")]).is_some());
    assert!(captured("job $id", "job 18", &[("id", "17")]).is_none());
    assert!(captured("job $id", "job 1x7", &[("id", "1.7")]).is_none(), "a value is text, not an expression");
    assert!(matches("cost: $HOME", "cost: $HOME"), "an unknown name is a dollar sign and a word");
    assert!(!matches("cost: $HOME", "cost: /home/alice"));
}

#[test]
fn a_name_can_be_repeated_in_the_expectation_that_captures_it() {
    assert!(matches("[id=[a-z]+] and $id", "abc and abc"));
    assert!(!matches("[id=[a-z]+] and $id", "abc and abd"));
    assert!(matches("[id=[a-z]+]\nagain $id", "abc\nagain abc"));
    assert!(!matches("[id=[a-z]+]\nagain $id", "abc\nagain abd"));
}

#[test]
fn a_backslash_takes_the_next_character_as_it_is() {
    assert!(matches(r"\[..]", "[..]"));
    assert!(!matches(r"\[..]", "anything"));
    assert!(matches(r"\...", "..."));
    assert!(!matches(r"\...", "a\nb"));
    assert!(captured(r"\$id", "$id", &[("id", "17")]).is_some());
    assert!(captured(r"\$id", "17", &[("id", "17")]).is_none());
    assert!(matches(r"a\\b", r"a\b"));
    assert!(matches("[not a capture]", "[not a capture]"));
}

#[test]
fn a_bad_capture_is_an_error() {
    assert_eq!(Pattern::parse(&["[id=(]"]), Err(PatternError::Capture("id".to_owned())));
    assert_eq!(Pattern::parse(&["[id=a"]), Err(PatternError::Capture("id".to_owned())));
    assert_eq!(Pattern::parse(&["[id=a]", "[id=b]"]), Err(PatternError::Twice("id".to_owned())));
}

#[test]
fn blanks_at_the_end_of_a_line_do_not_count() {
    assert!(matches("a\nb", "a  \nb\t\n\n"));
    assert!(!matches("a\nb", "  a\nb"), "but those at its beginning do");
}

#[test]
fn a_post_is_also_tried_as_a_person_sees_it() {
    let pattern = Pattern::parse(&["disk-usage for @all"]).expect("good");
    let known = Captures::new();
    assert!(pattern.captures_post("disk\\-usage for @\u{200b}all", &known).is_some());
    assert!(pattern.captures("disk\\-usage for @\u{200b}all", &known).is_none());
    assert!(pattern.captures_post("disk\\-usage for @here", &known).is_none());
    assert_eq!(seen("`a\\-b` \\*\n```\n\\*\n```\n\\*"), "`a\\-b` *\n```\n\\*\n```\n*", "code is left alone");
}

#[test]
fn messages_repeat_what_was_captured_and_leave_the_rest_alone() {
    let known: Captures = [("id".to_owned(), "17".to_owned())].into();
    assert_eq!(fill_in("!approve $id", &known), "!approve 17");
    assert_eq!(fill_in(r"!argv \$id $HOME $1 $ \x", &known), r"!argv $id $HOME $1 $ \x");
    assert_eq!(fill_in("$id$id.", &known), "1717.");
}

proptest! {
    #[test]
    fn an_escaped_text_matches_itself_alone(text in "[ -~é\\n]{0,60}", other in "[ -~é\\n]{0,60}") {
        let escaped: String = text
            .chars()
            .flat_map(|c| (c != '\n').then_some('\\').into_iter().chain(Some(c)))
            .collect();
        prop_assert!(matches(&escaped, &text));
        // Blanks that an escape protects are the one way to ask for more than the text can give.
        prop_assert_eq!(matches(&escaped, &other), lines_of(&text) == lines_of(&other) );
    }

    #[test]
    fn no_pattern_and_no_text_panics(pattern in any::<String>(), text in any::<String>()) {
        if let Ok(pattern) = Pattern::parse(&[&pattern]) {
            let _any_answer = pattern.captures_post(&text, &Captures::new());
            let _any_line = pattern.line_like(&text, 0, &Captures::new());
        }
    }
}
