//! Binding, against what people type and against what nobody would.

use super::*;
use crate::command::parse::split;
use crate::config::Allow;
use proptest::prelude::*;

fn argument(name: &str, kind: Kind, required: bool) -> Argument {
    Argument {
        name: name.to_owned(),
        kind,
        required,
        default: None,
        description: None,
        sensitive: false,
        allow: Allow::default(),
        context: None,
        narrows: false,
    }
}

fn text(regex: Option<&str>) -> Kind {
    Kind::Text { regex: regex.map(|regex| Regex::new(&format!("^(?:{regex})$")).unwrap()), length: Some(20) }
}

fn values(values: &[&str]) -> Kind {
    Kind::Enum(values.iter().map(|value| (*value).to_owned()).collect())
}

fn deploy() -> Vec<Argument> {
    vec![
        argument("service", values(&["api-server", "web-app", "database"]), true),
        argument("environment", values(&["staging", "production"]), true),
        Argument { default: Some("latest".to_owned()), ..argument("tag", text(None), false) },
        argument("force", Kind::Boolean, false),
        argument("note", text(None), false),
        argument("delta", Kind::Number { min: Some(-5.0), max: Some(5.0) }, false),
    ]
}

fn bound(schema: &[Argument], line: &str) -> Result<Vec<String>, String> {
    match bind(schema, &split(line).unwrap()) {
        Ok(values) => Ok(values.into_iter().map(|value| value.text).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_way_of_naming_an_argument_gives_the_schemas_order() {
    let expected = vec!["api-server", "staging", "v2", "true"];
    for line in [
        "api-server staging v2 true",
        "environment=staging api-server v2 yes",
        "--force --tag v2 api-server staging",
        "--force on --tag=v2 api-server staging",
        "api-server --environment staging force=on tag=v2",
        "--force=yes -- api-server staging v2",
        "service=\"api-server\" environment='staging' tag=v2 force=true",
    ] {
        assert_eq!(bound(&deploy(), line).unwrap(), expected, "{line}");
    }
}

#[test]
fn what_is_not_given_is_filled_in_so_that_positions_hold() {
    assert_eq!(bound(&deploy(), "web-app staging").unwrap(), ["web-app", "staging", "latest", "false"]);
    assert_eq!(
        bound(&deploy(), "web-app staging delta=-2.5").unwrap(),
        ["web-app", "staging", "latest", "false", "", "-2.5"]
    );
    assert_eq!(bound(&[], "").unwrap(), Vec::<String>::new());
}

/// Attack row 71.
#[test]
fn an_unknown_key_is_refused_and_the_nearest_named() {
    for (line, error) in [
        ("enviroment=staging", "there is no argument enviroment; did you mean environment?"),
        ("--serivce api-server", "there is no argument serivce; did you mean service?"),
        ("sеrvice=api-server", "there is no argument sеrvice; did you mean service?"),
        ("api-server staging x=y", "there is no argument x"),
        ("api-server staging --no-such", "there is no argument no-such"),
    ] {
        assert_eq!(bound(&deploy(), line).unwrap_err(), error, "{line}");
    }
}

#[test]
fn an_equals_sign_can_be_part_of_a_value() {
    let schema = [argument("query", text(None), true)];
    for line in ["\"a=b\"", "-- a=b", "query=a=b", "--query a=b", "'a'=b", "query='a=b'"] {
        assert_eq!(bound(&schema, line).unwrap(), ["a=b"], "{line}");
    }
    assert_eq!(bound(&schema, "https://x/?a=b").unwrap(), ["https://x/?a=b"]);
    assert!(bound(&schema, "a=b").is_err());
}

/// Attack row 69.
#[test]
fn a_value_that_looks_like_an_option_is_refused_unless_after_two_dashes() {
    let schema = [argument("file", text(None), true)];
    for line in ["-rf", "'-rf'", "\\-rf", "file=-rf", "--file -rf", "--file=-rf", "file='-rf'", "-", "---x", "'--'"] {
        assert!(bound(&schema, line).unwrap_err().contains("may not begin with -"), "{line}");
    }
    assert_eq!(bound(&schema, "-- -rf").unwrap(), ["-rf"]);
    assert_eq!(bound(&schema, "-- --").unwrap(), ["--"]);
    assert_eq!(bound(&schema, "-- --file").unwrap(), ["--file"]);
}

#[test]
fn too_many_too_few_and_the_same_twice_are_refused() {
    let short = &deploy()[..2];
    assert_eq!(
        bound(short, "api-server staging x").unwrap_err(),
        "too many arguments: 3 given, and it takes at most 2"
    );
    assert_eq!(bound(&[], "x").unwrap_err(), "too many arguments: 1 given, and it takes none");
    assert_eq!(bound(short, "api-server").unwrap_err(), "environment is missing");
    assert_eq!(bound(short, "").unwrap_err(), "service is missing");
    assert_eq!(bound(short, "service=database --service database").unwrap_err(), "service is given twice");
    assert_eq!(
        bound(short, "database staging service=database").unwrap_err(),
        "too many arguments: 3 given, and it takes at most 2"
    );
    assert_eq!(bound(short, "database --environment").unwrap_err(), "--environment needs a value");
}

#[test]
fn a_value_outside_an_enum_is_refused_with_the_values_and_the_nearest() {
    assert_eq!(
        bound(&deploy(), "api-server stagin").unwrap_err(),
        "environment: \"stagin\" is not one of staging, production; did you mean staging?"
    );
    assert!(bound(&deploy(), "API-SERVER staging").is_err());
}

#[test]
fn a_number_is_a_plain_decimal_within_its_bounds_and_stays_as_typed() {
    let number = |min, max| argument("n", Kind::Number { min, max }, true);
    for good in ["0", "7", "0.25", "123456789012345", "1.50"] {
        assert_eq!(check(&number(None, None), good).unwrap(), good);
    }
    for bad in [
        "",
        "-",
        "+1",
        "1e3",
        "inf",
        "NaN",
        "0x10",
        "010",
        "1.",
        ".5",
        "1,5",
        "1 ",
        "1_000",
        "٣",
        "--1",
        "1.2.3",
        "1234567890123456",
        "0.1234567890123456",
    ] {
        assert!(check(&number(Some(-1e300), None), bad).is_err(), "{bad}");
    }
    assert_eq!(check(&number(None, None), "-1"), Err(Mismatch::Negative));
    assert_eq!(check(&number(Some(0.0), None), "-0"), Err(Mismatch::Negative));
    assert_eq!(check(&number(Some(-1.0), None), "-1").unwrap(), "-1");
    assert_eq!(check(&number(Some(1.0), Some(10.0)), "0.99"), Err(Mismatch::Less(1.0)));
    assert_eq!(check(&number(Some(1.0), Some(10.0)), "10.0000000000001"), Err(Mismatch::More(10.0)));
    assert_eq!(check(&number(Some(1.0), Some(10.0)), "10.0").unwrap(), "10.0");
    assert_eq!(bound(&[number(Some(1.0), None)], "-3").unwrap_err(), "n: \"-3\" may not be negative");
}

#[test]
fn a_text_has_its_length_its_form_and_is_not_empty() {
    let form = argument("t", text(Some("[a-z]*")), true);
    assert_eq!(check(&form, "").unwrap(), "");
    assert_eq!(check(&form, "a1").unwrap_err().to_string(), "does not have the form [a-z]*");
    let any = argument("t", text(None), true);
    assert_eq!(check(&any, ""), Err(Mismatch::Empty));
    assert_eq!(check(&any, &"é".repeat(20)).unwrap(), "é".repeat(20));
    assert_eq!(check(&any, &"é".repeat(21)), Err(Mismatch::TooLong(20)));
    assert_eq!(check(&any, "a\nb"), Err(Mismatch::Hidden('\n')));
}

/// Attack rows 67, 68 and 69.
#[test]
fn what_is_read_as_something_else_is_refused_unless_the_schema_allows_that_kind() {
    let any = argument("t", text(None), true);
    let none = Allow::default();
    for (given, code, allow) in [
        ("a\u{200b}b", "<U+200B>", Allow { invisible: true, ..none }),
        ("a\u{202e}b", "<U+202E>", Allow { invisible: true, ..none }),
        ("cafe\u{301}", "<U+0301>", Allow { decomposed: true, ..none }),
        ("\u{430}pi", "<U+0430>", Allow { look_alikes: true, ..none }),
        ("it\u{2019}s", "<U+2019>", Allow { look_alikes: true, ..none }),
        ("-rf", "may not begin with -", Allow { leading_dash: true, ..none }),
    ] {
        let line = format!("\"{given}\"");
        let error = bound(std::slice::from_ref(&any), &line).unwrap_err();
        assert!(error.contains(code), "{given:?}: {error}");
        let allowing = Argument { allow, ..any.clone() };
        assert_eq!(bound(&[allowing], &line).unwrap(), [given], "{given:?}");
    }
    let all = Allow { look_alikes: true, leading_dash: true, invisible: true, decomposed: true };
    assert!(bound(&[Argument { allow: all, ..any.clone() }], "--t\u{200b}=x").is_err(), "no key of that name");
    assert_eq!(check(&Argument { allow: all, ..any }, "a\u{1b}b"), Err(Mismatch::Hidden('\u{1b}')), "never");
    let named = argument("t", values(&["\u{430}\u{431}"]), true);
    assert_eq!(bound(&[named], "\u{430}\u{431}").unwrap(), ["\u{430}\u{431}"], "the schema names it");
}

#[test]
fn a_sensitive_value_is_neither_in_an_error_nor_in_a_debug_line() {
    let secret = Argument { sensitive: true, ..argument("pin", text(Some("[0-9]{4}")), true) };
    let error = bound(std::slice::from_ref(&secret), "hunter2").unwrap_err();
    assert_eq!(error, "pin: the value does not have the form [0-9]{4}");
    let value = bind(&[secret], &split("1234").unwrap()).unwrap();
    assert!(!format!("{value:?}").contains("1234"));
}

#[test]
fn usage_shows_what_each_argument_may_be() {
    let script = Script {
        name: "deploy".parse().unwrap(),
        path: "/x".into(),
        description: String::new(),
        level: crate::config::Level::Operator,
        required_flags: Vec::new(),
        channels: Vec::new(),
        private_only: false,
        direct_only: false,
        users: Vec::new(),
        groups: Vec::new(),
        authorizer: None,
        authorizer_group: String::new(),
        elevate: None,
        elevator: None,
        approval: None,
        rate: None,
        timeout: std::time::Duration::from_secs(1),
        warn_after: None,
        concurrency: None,
        exclusive: None,
        refused_when_busy: false,
        is_async: false,
        idempotent: false,
        arguments: deploy(),
        profile_name: None,
        profile: bartizan_proto::worker::Profile {
            read: Default::default(),
            write: Default::default(),
            exec: Default::default(),
            network: Default::default(),
            limits: Default::default(),
        },
        sha256: None,
        backend: crate::config::Backend::Local,
        targets: crate::config::Targets::default(),
        secrets: Vec::new(),
        api: Vec::new(),
        steps: crate::config::Steps::default(),
    };
    assert_eq!(
        usage(&script),
        "deploy <service: api-server|web-app|database> <environment: staging|production> [tag: text = latest] \
         [force: true|false] [note: text] [delta: -5 to 5]"
    );
}

proptest! {
    #[test]
    fn whatever_is_bound_fits_the_schema(words in proptest::collection::vec(word(), 0..9)) {
        let schema = deploy();
        if let Ok(values) = bind(&schema, &words) {
            prop_assert!(values.len() <= schema.len());
            for (argument, value) in schema.iter().zip(&values) {
                prop_assert_eq!(&argument.name, &value.name);
                let left_out = value.text.is_empty() && !argument.required;
                prop_assert!(left_out || check(argument, &value.text).is_ok(), "{:?}", value);
                let dashed = value.text.starts_with('-') && !matches!(argument.kind, Kind::Number { .. });
                prop_assert!(!dashed || words.iter().any(|word| word.text == "--"), "{:?}", value);
            }
        }
    }

    #[test]
    fn no_text_makes_a_check_panic(given in any::<String>()) {
        for argument in deploy() {
            if let Ok(value) = check(&argument, &given) {
                prop_assert_eq!(check(&argument, &value).unwrap(), value);
            }
        }
    }
}

/// Words made of what means something here, with any part of them bare.
fn word() -> impl Strategy<Value = Word> {
    let pieces = prop_oneof![
        Just("api-server".to_owned()),
        Just("staging".to_owned()),
        Just("--".to_owned()),
        Just("-".to_owned()),
        Just("=".to_owned()),
        Just("--force".to_owned()),
        Just("tag".to_owned()),
        Just("true".to_owned()),
        Just("-2".to_owned()),
        "[a-zé=-]{0,6}",
    ];
    (proptest::collection::vec(pieces, 1..4), any::<prop::sample::Index>()).prop_map(|(pieces, bare)| {
        let text = pieces.concat();
        let mut bare = bare.index(text.len() + 1);
        while !text.is_char_boundary(bare) {
            bare -= 1;
        }
        Word { text, bare }
    })
}
