//! A command line (`broker/src/command/parse.rs`): no control character becomes part of a word, nothing hidden part of a
//! name, and a quoted word is that word. What else is odd in a word is for the argument's schema (`broker/src/oddity.rs`).

use bartizan_broker::command::parse::{addressed, command, split};
use bartizan_proto::text::is_hidden;

/// # Panics
/// When a word holds a control character, a name something that cannot be seen, or quoting changes a word.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for direct in [false, true] {
        if let Some(line) = addressed(&text, "!", "bartizan", direct) {
            assert!(text.contains(line), "the command is part of the text");
        }
    }
    let line = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if let Ok(Some(command)) = command(line) {
        assert!(!command.name.chars().any(is_hidden));
    }
    let Ok(words) = split(&text) else { return };
    for word in &words {
        assert!(!word.text.chars().any(char::is_control), "{word:?}");
        assert!(word.bare <= word.text.len() && word.text.is_char_boundary(word.bare), "{word:?}");
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.text.replace('\'', "'\\''"))).collect();
    let quoted = quoted.join(" ");
    if quoted.len() <= bartizan_proto::limits::MAX_MESSAGE {
        let again = split(&quoted).expect("quoted words are words");
        assert!(words.iter().map(|word| &word.text).eq(again.iter().map(|word| &word.text)), "{quoted}");
    }
}

/// As people type them.
pub fn corpus() -> Vec<Vec<u8>> {
    let lines = [
        "!run hello",
        "@bartizan: deploy api-server staging",
        "!deploy --service=api-server environment=staging",
        "!argv 'a b' \"c \\\"d\\\"\" e\\ f \"\"",
        "!argv -- -x --y=z",
        "!say “smart” — dash",
        "whoami",
        "!explain !deploy api-server production",
    ];
    lines.map(|line| line.as_bytes().to_vec()).into()
}
