//! Completion: the prompt's commands, the bot's, the scripts, people, channels, processes.

use super::input::COMMANDS;
use crate::cast::{CHANNELS, PEOPLE};
use crate::service::Role;
use rustyline::Context;
use rustyline::completion::Completer;
use rustyline::{Helper, Highlighter, Hinter, Validator};
use std::path::Path;

/// The bot's own commands.
const BOT: [&str; 6] = ["ping", "help", "whoami", "run", "explain", "about"];

/// What can be completed, as whole beginnings of lines.
#[derive(Debug, Clone, Default, Helper, Highlighter, Hinter, Validator)]
pub struct Words(Vec<String>);

/// Everything that a line may begin with.
pub fn words(scripts: &[String]) -> Words {
    let mut all: Vec<String> =
        COMMANDS.iter().map(|(usage, _)| usage.split(' ').next().unwrap_or(usage).to_owned()).collect();
    all.extend(PEOPLE.iter().map(|name| format!("/as {name}")));
    all.extend(CHANNELS.iter().map(|name| format!("/join {name}")));
    for role in Role::ALL {
        all.extend([format!("/kill {role}"), format!("/restart {role}")]);
    }
    all.extend(["status", "ps", "inspect", "kill", "check-config", "doctor"].map(|verb| format!("/bartizan {verb}")));
    all.extend(["white_check_mark", "x", "+1", "eyes"].map(|emoji| format!("/react {emoji}")));
    all.extend(BOT.iter().map(|name| format!("!{name}")));
    for script in scripts {
        all.extend(["!", "!run ", "!help ", "!explain !"].map(|before| format!("{before}{script}")));
    }
    Words(all)
}

/// The names of the scripts in an allowlist of either form.
pub fn script_names(allowlist: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(allowlist).unwrap_or_default();
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) {
        let scripts = json["scripts"].as_array().into_iter().flatten();
        return scripts.filter_map(|script| Some(script["name"].as_str()?.to_owned())).collect();
    }
    let document = text.parse::<toml_edit::DocumentMut>().unwrap_or_default();
    let scripts = document.get("scripts").and_then(toml_edit::Item::as_array_of_tables);
    let scripts = scripts.into_iter().flat_map(|scripts| scripts.iter());
    scripts.filter_map(|script| Some(script.get("name")?.as_str()?.to_owned())).collect()
}

impl Words {
    /// What the last word of `line` can become.
    fn matching(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(' ').map_or(0, |at| at + 1);
        let mut found: Vec<String> = self
            .0
            .iter()
            .filter(|word| word.starts_with(line))
            .filter_map(|word| {
                let end = word[start..].find(' ').map_or(word.len(), |at| start + at);
                word.get(start..end).map(str::to_owned)
            })
            .collect();
        found.sort();
        found.dedup();
        (start, found)
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.matching(&line[..pos]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_completed() {
        let words = words(&["hello".to_owned(), "deploy".to_owned()]);
        assert_eq!(words.matching("!he"), (0, vec!["!hello".to_owned(), "!help".to_owned()]));
        assert_eq!(words.matching("!run h"), (5, vec!["hello".to_owned()]));
        assert_eq!(words.matching("/as m"), (4, vec!["mallory".to_owned()]));
        assert_eq!(words.matching("/ki"), (0, vec!["/kill".to_owned()]));
        assert_eq!(words.matching("hello wor"), (6, vec![]));
    }
}
