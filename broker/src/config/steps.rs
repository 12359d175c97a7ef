//! `steps`, `finally` and `on-failure` of a script: what is run after it, without it knowing. Each is a command as in chat,
//! without the prefix; `{NAME}` in a word stands for the value of the entry's own argument of that name.

use super::error::Wrong;
use super::{Allowlist, Argument, Elevate, Script, nearest};
use crate::argument::Value;
use crate::command::parse;
use crate::job::pipeline::{DEEPEST, MOST_TASKS};
use bartizan_proto::ids::ScriptName;

/// What is run after a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// `steps`: one after the other, if it ended well.
    pub steps: Vec<Step>,
    /// `on-failure`: if something failed.
    pub fails: Vec<Step>,
    /// `finally`: in any case.
    pub finals: Vec<Step>,
}

impl Steps {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// All of them as people are told, with when each is run.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, &Step)> {
        let when = |key| match key {
            "steps" => "then",
            "on-failure" => "on failure",
            _finally => "in the end",
        };
        self.all().map(move |(key, _, step)| (when(key), step))
    }

    /// All of them, with the keys that they stand under and their places there.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, usize, &Step)> {
        let of = |key, steps| std::iter::zip(0.., steps).map(move |(place, step)| (key, place, step));
        of("steps", &self.steps).chain(of("on-failure", &self.fails)).chain(of("finally", &self.finals))
    }
}

/// A command that is run after a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it runs.
    pub script: ScriptName,
    /// As it is written.
    pub written: String,
    words: Vec<Vec<Piece>>,
}

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Written without quotes: may begin with `--` or `NAME=`.
    Bare(String),
    /// Written in quotes.
    Quoted(String),
    /// The value of an argument.
    Value(String),
}

impl Step {
    /// The command with these values in it, each of which stays a part of its word. A word with a value that was not given is
    /// left out, and a `--NAME` before it.
    pub fn line(&self, values: &[Value]) -> String {
        let mut words: Vec<String> = Vec::new();
        for pieces in &self.words {
            let word: Option<String> = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Bare(text) => Some(text.clone()),
                    Piece::Quoted(text) => Some(quoted(text)),
                    Piece::Value(name) => {
                        values.iter().find(|value| value.name == *name).map(|value| quoted(&value.text))
                    }
                })
                .collect();
            match word {
                Some(word) => words.push(word),
                None if words.last().is_some_and(|last| last.starts_with("--") && !last.contains('=')) => {
                    words.pop();
                }
                None => {}
            }
        }
        std::iter::once(self.script.as_str().to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// The arguments that stand in it.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.words.iter().flatten().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Bare(_) | Piece::Quoted(_) => None,
        })
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads one list of an entry that has these arguments.
pub(super) fn read(raw: &[String], arguments: &[Argument]) -> Result<Vec<Step>, Wrong> {
    raw.iter().enumerate().map(|(i, line)| step(line, arguments).map_err(|wrong| wrong.within(i))).collect()
}

fn step(line: &str, arguments: &[Argument]) -> Result<Step, Wrong> {
    let words = parse::split(line).map_err(|error| Wrong::new(format!("\"{line}\": {error}"), "correct it"))?;
    let Some((name, words)) = words.split_first() else {
        return Err(Wrong::new("an empty command", "write a script's name and its arguments"));
    };
    let script = name.text.parse().map_err(|_| {
        Wrong::new(format!("\"{}\" is not a script's name", name.text), "write it as in chat, without the prefix")
    })?;
    let words: Result<Vec<_>, Wrong> = words.iter().map(|word| pieces(word, arguments)).collect();
    Ok(Step { script, written: line.to_owned(), words: words? })
}

/// The parts of a word: `{NAME}` stands for a value wherever an argument has that name, and nowhere else.
fn pieces(word: &parse::Word, arguments: &[Argument]) -> Result<Vec<Piece>, Wrong> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let literal = |from: usize, to: usize, pieces: &mut Vec<Piece>| {
        let bare = word.bare.clamp(from, to);
        for (from, to, is_bare) in [(from, bare, true), (bare, to, false)] {
            match word.text.get(from..to).unwrap_or_default() {
                "" => {}
                text if is_bare => pieces.push(Piece::Bare(text.to_owned())),
                text => pieces.push(Piece::Quoted(text.to_owned())),
            }
        }
    };
    while let Some(open) = word.text[at..].find('{').map(|open| at + open) {
        let Some(close) = word.text[open..].find('}').map(|close| open + close) else { break };
        let name = &word.text[open + 1..close];
        let known = arguments.iter().any(|argument| argument.name == name);
        if !known && super::script::is_word(name) {
            let remedy = match nearest(name, arguments.iter().map(|argument| argument.name.as_str())) {
                Some(near) => format!("did you mean {{{near}}}?"),
                None => "name an argument of this entry".to_owned(),
            };
            return Err(Wrong::new(format!("there is no argument \"{name}\" here"), remedy));
        }
        if known {
            literal(at, open, &mut pieces);
            pieces.push(Piece::Value(name.to_owned()));
        } else {
            literal(at, close + 1, &mut pieces);
        }
        at = close + 1;
    }
    literal(at, word.text.len(), &mut pieces);
    if pieces.is_empty() {
        pieces.push(Piece::Quoted(String::new()));
    }
    Ok(pieces)
}

/// Checks the steps of one script against the whole list.
pub(super) fn check(script: &Script, allowlist: &Allowlist) -> Result<(), Wrong> {
    if script.steps.all().count() > MOST_TASKS {
        return Err(Wrong::new(format!("more than {MOST_TASKS} steps"), "give fewer").within("steps"));
    }
    if script.approval.is_some() && !script.steps.is_empty() {
        let what = "what is to be approved has steps, which nobody who approves it would see";
        return Err(Wrong::new(what, "remove the steps or the approvals").within("approvals"));
    }
    for (key, place, step) in script.steps.all() {
        let wrong = |what: String, remedy: &str| Err(Wrong::new(what, remedy).within(place).within(key));
        let Some(target) = allowlist.get(&step.script) else {
            let remedy = match nearest(step.script.as_str(), allowlist.iter().map(|script| script.name.as_str())) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "define it as [[scripts]] in this file".to_owned(),
            };
            return wrong(format!("there is no script \"{}\"", step.script), &remedy);
        };
        if target.approval.is_some() {
            let what = format!("{} needs approvals, for which a step cannot wait", target.name);
            return wrong(what, "let it be asked for by itself");
        }
        if asks_more(target.elevate, script.elevate) {
            let what = format!("{} needs the second factor, for which a step cannot ask", target.name);
            return wrong(what, "give this entry the same elevate");
        }
        if key != "steps" && !target.steps.is_empty() {
            let what = format!("{} has steps, and what cleans up has none", target.name);
            return wrong(what, "name a script without steps");
        }
        let secret = |name: &&str| script.arguments.iter().any(|own| own.name == **name && own.sensitive);
        if let Some(name) = step.names().find(secret)
            && !target.arguments.iter().all(|argument| argument.sensitive)
        {
            let what = format!("\"{name}\" is sensitive, and {} has arguments that are not", target.name);
            return wrong(what, "mark them as sensitive, too");
        }
        if is_too_deep(target, allowlist, 2) {
            let what =
                format!("by way of {} it runs itself, or more than {DEEPEST} pipelines in each other", target.name);
            return wrong(what, "remove a step");
        }
    }
    Ok(())
}

fn asks_more(step: Option<Elevate>, whole: Option<Elevate>) -> bool {
    match (step, whole) {
        (None, _) | (Some(Elevate::Window), Some(_)) | (Some(Elevate::Always), Some(Elevate::Always)) => false,
        (Some(_), _) => true,
    }
}

/// A script that runs itself does so without end.
fn is_too_deep(script: &Script, allowlist: &Allowlist, depth: usize) -> bool {
    depth > DEEPEST
        || script
            .steps
            .all()
            .filter_map(|(_, _, step)| allowlist.get(&step.script))
            .filter(|next| !next.steps.is_empty())
            .any(|next| is_too_deep(next, allowlist, depth + 1))
}

#[cfg(test)]
mod tests {
    use super::super::{Allow, Kind};
    use super::*;
    use proptest::prelude::*;

    fn arguments(names: &[&str]) -> Vec<Argument> {
        let argument = |name: &&str| Argument {
            name: (*name).to_owned(),
            kind: Kind::Text { regex: None, length: None },
            required: false,
            default: None,
            description: None,
            sensitive: false,
            allow: Allow::default(),
            context: None,
            narrows: false,
        };
        names.iter().map(argument).collect()
    }

    fn value(name: &str, text: &str) -> Value {
        Value { name: name.to_owned(), text: text.to_owned(), sensitive: false }
    }

    #[test]
    fn a_value_stands_where_its_name_stood_and_what_is_not_given_is_left_out() {
        let arguments = arguments(&["to", "tag"]);
        for (written, line) in [
            ("deploy {to}", "deploy \"web\""),
            ("deploy --to {to} --tag {tag} now", "deploy --to \"web\" now"),
            ("deploy to={to} tag=v{tag} 'a b'", "deploy to=\"web\" \"a b\""),
            ("deploy a{to}-b", "deploy a\"web\"-b"),
            ("deploy {}", "deploy {}"),
            ("deploy '--to'", "deploy \"--to\""),
        ] {
            assert_eq!(step(written, &arguments).expect(written).line(&[value("to", "web")]), line, "{written}");
        }
        let error = step("deploy {tags}", &arguments).expect_err("there is none");
        assert!(format!("{error:?}").contains("did you mean {tag}?"), "{error:?}");
    }

    proptest! {
        /// Whatever was given as an argument: it stays what it is, in its own word.
        #[test]
        fn no_value_becomes_more_than_its_part_of_a_word(text in "[ -~äß]{0,40}") {
            let step = step("deploy --to {to} tag=v{to}", &arguments(&["to"])).expect("a step");
            let line = step.line(&[value("to", &text)]);
            let command = parse::command(&line).expect("readable").expect("a command");
            let words: Vec<String> = command.words.iter().map(|word| word.text.clone()).collect();
            prop_assert_eq!(words, ["--to".to_owned(), text.clone(), format!("tag=v{text}")]);
            prop_assert_eq!(command.words[1].bare, 0);
            prop_assert_eq!(command.words[2].bare, 5);
        }
    }
}
