//! The parser against what people type, and against what nobody would.

use super::*;
use proptest::prelude::*;

fn texts(line: &str) -> Result<Vec<String>, ParseError> {
    Ok(split(line)?.into_iter().map(|word| word.text).collect())
}

#[test]
fn quotes_and_backslashes_group_and_nothing_expands() {
    for (line, words) in [
        ("deploy api  staging ", vec!["deploy", "api", "staging"]),
        ("say 'a b' \"c d\" e\\ f", vec!["say", "a b", "c d", "e f"]),
        (r#"a"b c"d"#, vec!["ab cd"]),
        (r#""" ''"#, vec!["", ""]),
        (r#""\"\\\n$x""#, vec![r#""\\n$x"#]),
        (r"'\'", vec![r"\"]),
        ("$HOME ~ * $(id) `id` ;|&<> # x", vec!["$HOME", "~", "*", "$(id)", "`id`", ";|&<>", "#", "x"]),
        ("\"it’s done — now\"", vec!["it’s done — now"]),
        ("a—b", vec!["a—b"]),
        ("", vec![]),
    ] {
        assert_eq!(texts(line).unwrap(), words, "{line}");
    }
}

#[test]
fn a_word_remembers_how_much_of_it_was_bare() {
    let bare = |line: &str| split(line).unwrap()[0].bare;
    assert_eq!(bare("key=value"), 9);
    assert_eq!(bare("key=\"a value\""), 4);
    assert_eq!(bare("\"key=value\""), 0);
    assert_eq!(bare("ke\\y=value"), 2);
    assert_eq!(bare("'--'"), 0);
}

/// Attack rows 67 and 68. In other words it is for the schema to say: [`crate::oddity`].
#[test]
fn a_name_with_what_is_not_composed_or_not_seen_is_refused_with_its_code_point() {
    for (line, code) in [
        ("cafe\u{301} x", "<U+0301>"),
        ("'cafe'\u{301}", "<U+0301>"),
        ("\u{212a}", "<U+212A>"),
        ("hel\u{200d}lo", "<U+200D>"),
        ("\u{202e}hello", "<U+202E>"),
    ] {
        let error = command(line).unwrap_err();
        assert!(matches!(error, ParseError::Odd(_)) && error.to_string().contains(code), "{line:?}: {error}");
    }
    for line in ["café", "日本", "ก็", "\u{1f600}", "\u{430}", "x a\u{200b}b"] {
        assert!(command(line).is_ok(), "{line:?}");
    }
}

#[test]
fn what_is_not_closed_is_refused() {
    assert_eq!(texts("a 'b"), Err(ParseError::Unbalanced('\'')));
    assert_eq!(texts("a \"b"), Err(ParseError::Unbalanced('"')));
    assert_eq!(texts("a \"b\\\""), Err(ParseError::Unbalanced('"')));
    assert_eq!(texts("it's"), Err(ParseError::Unbalanced('\'')));
    assert_eq!(texts("a\\"), Err(ParseError::LoneBackslash));
}

/// Attack row 70.
#[test]
fn control_characters_line_breaks_and_odd_spaces_are_refused_with_their_code_point_quoted_or_not() {
    for (c, code) in [
        ('\0', "<U+0000>"),
        ('\n', "<U+000A>"),
        ('\r', "<U+000D>"),
        ('\t', "<U+0009>"),
        ('\u{1b}', "<U+001B>"),
        ('\u{9b}', "<U+009B>"),
        ('\u{a0}', "<U+00A0>"),
        ('\u{3000}', "<U+3000>"),
        ('\u{2028}', "<U+2028>"),
    ] {
        for line in [format!("deploy a{c}b"), format!("deploy 'a{c}b'"), format!("deploy -- a{c}b")] {
            let error = split(&line).unwrap_err();
            assert_eq!(error, ParseError::Hidden(c));
            assert!(error.to_string().contains(code), "{error}");
        }
    }
}

/// Attack row 69.
#[test]
fn typographic_quotes_and_dashes_are_refused_and_named() {
    for c in ['“', '”', '‘', '’'] {
        let error = split(&format!("deploy {c}api")).unwrap_err();
        assert_eq!(error, ParseError::SmartQuote(c));
        assert!(error.to_string().contains(&format!("{c} <U+201")), "{error}");
    }
    for line in ["deploy —force", "deploy –force", "deploy -—force", "deploy −1"] {
        assert!(matches!(split(line), Err(ParseError::LongDash(_))), "{line}");
    }
    assert!(split("deploy -- —force").is_ok());
    assert!(split("deploy '—force'").is_ok());
    assert!(split("deploy '--' —force").is_err(), "what was quoted ends no options");
}

#[test]
fn what_is_overlong_is_refused() {
    assert_eq!(texts(&"x".repeat(MAX_ARGUMENT + 1)), Err(ParseError::TooLong));
    assert_eq!(texts(&"'x' ".repeat(MAX_MESSAGE)), Err(ParseError::TooLong));
    assert_eq!(texts(&"x ".repeat(MAX_WORDS + 1)), Err(ParseError::TooManyWords));
    assert!(texts(&"x ".repeat(MAX_WORDS)).is_ok());
}

#[test]
fn a_post_is_addressed_by_prefix_by_name_or_by_being_direct() {
    for (text, command) in [
        ("!ping", Some("ping")),
        ("  !ping \n", Some("ping")),
        ("!!!", Some("!!")),
        ("! ping", None),
        ("!", None),
        ("ping", None),
        ("say !ping", None),
        ("@bartizan ping", Some("ping")),
        ("@Bartizan: ping", Some("ping")),
        ("@bartizan, ping", Some("ping")),
        ("@bartizan !ping", Some("ping")),
        ("@bartizan", Some("")),
        ("@bartizan-two ping", None),
        ("@bartizan.two ping", None),
        ("@bartizans ping", None),
        ("hello @bartizan ping", None),
        ("", None),
    ] {
        assert_eq!(addressed(text, "!", "bartizan", false), command, "{text}");
    }
    assert_eq!(addressed("ping", "!", "bartizan", true), Some("ping"));
    assert_eq!(addressed("!ping", "!", "bartizan", true), Some("ping"));
    assert_eq!(addressed(" ", "!", "bartizan", true), None);
    assert_eq!(addressed(".ping", ".", "bartizan", false), Some("ping"));
    assert_eq!(addressed("@é", "!", "x", false), None);
}

#[test]
fn names_keep_their_case() {
    let found = command("Deploy 'a b'").unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.words[0].text.as_str()), ("Deploy", "a b"));
    assert_eq!(command("  "), Ok(None));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_no_word_has_a_hidden_character(line in any::<String>(), direct: bool) {
        let rest = addressed(&line, "!", "bartizan", direct).unwrap_or(&line);
        let _ = command(rest);
        for word in split(&line).unwrap_or_default() {
            prop_assert!(word.text.is_char_boundary(word.bare));
            prop_assert!(!word.text.chars().any(char::is_control));
        }
    }

    #[test]
    fn no_mixture_of_what_means_something_makes_it_panic(line in r#"[ a='"\\—’@!:\-\n]{0,40}"#, direct: bool) {
        let _ = addressed(&line, "!", "a", direct).map(command);
        let _ = split(&line);
    }

    #[test]
    fn what_is_quoted_comes_back(words in proptest::collection::vec(r#"[ -~é—’日]{0,20}"#, 0..8)) {
        let single: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        prop_assert_eq!(texts(&single.join(" ")).unwrap(), words.clone());
        let double: Vec<String> =
            words.iter().map(|word| format!("\"{}\"", word.replace('\\', r"\\").replace('"', r#"\""#))).collect();
        prop_assert_eq!(texts(&double.join("  ")).unwrap(), words);
    }
}
