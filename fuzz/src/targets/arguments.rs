//! Words to arguments (`broker/src/argument.rs`): what is bound fits its schema, and nothing looks like an option that
//! was not meant as one.

use bartizan_broker::argument::{bind, check};
use bartizan_broker::command::parse::split;
use bartizan_broker::config::{Allow, Argument, Kind};
use bartizan_proto::text::is_hidden;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Vec<Argument>> = LazyLock::new(|| {
    let argument = |name: &str, kind, default: Option<&str>| Argument {
        name: name.to_owned(),
        kind,
        required: default.is_none(),
        default: default.map(str::to_owned),
        description: None,
        sensitive: false,
        allow: Allow::default(),
        context: None,
        narrows: false,
    };
    let regex = regex::Regex::new("^(?:[A-Za-z][A-Za-z0-9 ,.'-]*)$").expect("a regex of ours");
    vec![
        argument("who", Kind::Text { regex: Some(regex), length: Some(40) }, None),
        argument("where", Kind::Enum(vec!["staging".to_owned(), "production".to_owned()]), Some("staging")),
        argument("count", Kind::Number { min: Some(-5.0), max: Some(100.0) }, Some("1")),
        argument("loud", Kind::Boolean, Some("false")),
        argument("note", Kind::Text { regex: None, length: None }, Some("none")),
    ]
});

/// # Panics
/// When a bound value does not fit its schema.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(words) = split(&text) else { return };
    let Ok(values) = bind(&SCHEMA, &words) else { return };
    assert!(values.len() <= SCHEMA.len());
    let dashes = words.iter().any(|word| word.text == "--");
    for (value, argument) in values.iter().zip(SCHEMA.iter()) {
        assert_eq!(value.name, argument.name);
        assert_eq!(check(argument, &value.text).as_ref(), Ok(&value.text), "{value:?}");
        assert!(!value.text.chars().any(|c| is_hidden(c) || c == '\0'));
        let number = matches!(argument.kind, Kind::Number { .. });
        assert!(dashes || number || !value.text.starts_with('-'), "an option that nobody meant: {value:?}");
    }
}

/// As people type them.
pub fn corpus() -> Vec<Vec<u8>> {
    let lines = [
        "Carol",
        "Carol production 7 true 'all of it'",
        "who=Carol where=staging --count -3 --loud",
        "--who \"Carol D\" --note=x loud=yes",
        "note=-- -- Carol -x",
        "Carol staging -0.5 no -- -rf",
    ];
    lines.map(|line| line.as_bytes().to_vec()).into()
}
