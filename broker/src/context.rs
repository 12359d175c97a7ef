//! "It" in a command stands for what its author named last, where the allowlist gives an argument a `context`.
//!
//! Only the bare word `it` as the whole value of such an argument; in quotes, or after `--`, it is the word itself. The value
//! takes its place as one quoted word, before any gate is asked: the gates, others who approve, audit and receipts see the
//! command with the value in it, and the argument's own schema is asked whether it fits.

use crate::argument::{Given, assign};
use crate::command::Builtin;
use crate::command::parse::{self, Command, Word};
use crate::config::Argument;
use bartizan_proto::ids::MemoryKey;
use bartizan_proto::limits::MAX_MESSAGE;

/// The word.
pub const IT: &str = "it";

/// What becomes of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant {
    /// It has no "it".
    AsSaid,
    /// Every "it" is known.
    Known {
        /// The command with the values.
        command: Command,
        /// The same as a line.
        line: String,
        /// Arguments and what they are.
        stands: Vec<(String, String)>,
    },
    /// Nothing was named that "it" could be.
    Unknown {
        /// For this argument.
        argument: String,
        /// The command without it, where it can be asked for: every other value with its name.
        without: Option<Command>,
    },
}

/// What a command means, where `recall` says what was named last.
pub fn meant(schema: &[Argument], command: &Command, recall: impl Fn(&MemoryKey) -> Option<String>) -> Meant {
    // What does not fit is told by the gate.
    let Ok(given) = assign(schema, &command.words) else { return Meant::AsSaid };
    let mut words = command.words.clone();
    let (mut stands, mut unknown) = (Vec::new(), Vec::new());
    for (argument, given) in schema.iter().zip(&given) {
        let (Some(context), Some(given)) = (&argument.context, given) else { continue };
        let (at, from) = given.at;
        let Some(word) = words.get_mut(at).filter(|word| is_it(word, given)) else { continue };
        match recall(context) {
            Some(value) => {
                word.text.truncate(from);
                word.text.push_str(&value);
                word.bare = from;
                stands.push((argument.name.clone(), value));
            }
            None => unknown.push(argument.name.clone()),
        }
    }
    match unknown.as_slice() {
        [] if stands.is_empty() => return Meant::AsSaid,
        [] => {}
        [first, more @ ..] => {
            let without = if more.is_empty() && stands.is_empty() { others(schema, &given, first) } else { None };
            let command = without.map(|words| Command { words, ..command.clone() });
            return Meant::Unknown { argument: first.clone(), without: command.filter(|new| line(new).is_some()) };
        }
    }
    let command = Command { words, ..command.clone() };
    match line(&command) {
        Some(line) => Meant::Known { command, line, stands },
        None => Meant::Unknown { argument: stands.swap_remove(0).0, without: None },
    }
}

/// What a command names: contexts and values. What nobody said, a default, is not named.
pub fn named(schema: &[Argument], words: &[Word]) -> Vec<(MemoryKey, String)> {
    let given = assign(schema, words).unwrap_or_default();
    let both = schema.iter().zip(given).filter_map(|(argument, given)| argument.context.clone().zip(given));
    both.map(|(context, given)| (context, given.text)).filter(|(_, text)| !text.is_empty()).collect()
}

fn is_it(word: &Word, given: &Given) -> bool {
    given.text == IT && !given.after_dashes && word.bare == word.text.len()
}

/// Every value but that argument's, with its name. None where one stood after `--`: it may look like an option.
fn others(schema: &[Argument], given: &[Option<Given>], but: &str) -> Option<Vec<Word>> {
    let all = schema.iter().zip(given).filter(|(argument, _)| argument.name != but);
    let named = all.filter_map(|(argument, given)| given.as_ref().map(|given| (argument, given)));
    named
        .map(|(argument, given)| {
            let key = format!("{}=", argument.name);
            (!given.after_dashes).then(|| Word { bare: key.len(), text: key + &given.text })
        })
        .collect()
}

/// A command as it could have been typed. None where it cannot: it is too long, or no such words are accepted.
pub fn line(command: &Command) -> Option<String> {
    if command.dry {
        let name = Word { text: command.name.clone(), bare: command.name.len() };
        let words = [name].into_iter().chain(command.words.iter().cloned()).collect();
        return line(&Command { name: Builtin::DryRun.name().to_owned(), words, dry: false });
    }
    let words = command.words.iter().map(typed);
    let line = [command.name.clone()].into_iter().chain(words).collect::<Vec<_>>().join(" ");
    let read = if line.len() <= MAX_MESSAGE { parse::command(&line).ok().flatten() } else { None };
    read.filter(|read| read == command).map(|_| line)
}

fn typed(word: &Word) -> String {
    match word.text.split_at_checked(word.bare) {
        Some((bare, "")) if !bare.is_empty() => bare.to_owned(),
        Some((bare, rest)) => format!("{bare}\"{}\"", rest.replace('\\', "\\\\").replace('"', "\\\"")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Allow, Kind};
    use proptest::prelude::*;

    fn argument(name: &str, context: Option<&str>) -> Argument {
        Argument {
            name: name.to_owned(),
            kind: Kind::Text { regex: None, length: None },
            required: true,
            default: None,
            description: None,
            sensitive: false,
            allow: Allow::default(),
            context: context.map(|name| name.parse().expect("a name")),
            narrows: false,
        }
    }

    fn schema() -> Vec<Argument> {
        vec![argument("service", Some("service")), argument("to", None), argument("host", Some("host"))]
    }

    fn read(line: &str) -> Command {
        parse::command(line).expect("it reads").expect("a command")
    }

    fn with(line: &str, known: &[(&str, &str)]) -> Meant {
        let recall = |context: &MemoryKey| {
            known.iter().find(|(name, _)| *name == context.as_str()).map(|(_, value)| (*value).to_owned())
        };
        meant(&schema(), &read(line), recall)
    }

    #[test]
    fn it_stands_for_what_was_named_last_however_it_is_given() {
        for (said, expected) in [
            ("deploy it staging", "deploy \"web app\" staging"),
            ("deploy service=it staging", "deploy service=\"web app\" staging"),
            ("deploy --service=it \"to=x\"", "deploy --service=\"web app\" \"to=x\""),
            ("deploy staging --service it", "deploy staging --service \"web app\""),
            ("deploy it it", "deploy \"web app\" it"),
            ("deploy it -- --staging", "deploy \"web app\" -- --staging"),
        ] {
            match with(said, &[("service", "web app")]) {
                Meant::Known { command, line, stands } => {
                    assert_eq!(line, expected);
                    assert_eq!((read(&line), stands), (command, vec![("service".to_owned(), "web app".to_owned())]));
                }
                other => panic!("{said}: {other:?}"),
            }
        }
    }

    #[test]
    fn quoted_or_after_dashes_or_where_there_is_no_context_it_is_the_word_itself() {
        for said in [
            "deploy \"it\" x",
            "deploy i\\t x",
            "deploy -- it x",
            "deploy web it",
            "deploy web",
            "deploy IT x",
            "deploy",
        ] {
            assert_eq!(with(said, &[("service", "web")]), Meant::AsSaid, "{said}");
        }
    }

    #[test]
    fn what_was_named_is_one_value_whatever_it_looks_like() {
        for value in ["--force", "to=x", "\"", "\\", "a b", "it", "; rm -rf /", "$(x)", "--"] {
            match with("deploy it staging", &[("service", value)]) {
                Meant::Known { command, .. } => {
                    assert_eq!(command.words.len(), 2);
                    assert_eq!((command.words[0].text.as_str(), command.words[0].bare), (value, 0), "{value}");
                }
                other => panic!("{value}: {other:?}"),
            }
        }
        for value in ["a\nb", "\u{7}", &"x".repeat(MAX_MESSAGE)] {
            let refused = Meant::Unknown { argument: "service".to_owned(), without: None };
            assert_eq!(with("deploy it staging", &[("service", value)]), refused);
        }
    }

    #[test]
    fn what_nobody_named_can_be_asked_for_and_no_other_value_takes_its_place() {
        let Meant::Unknown { argument, without: Some(command) } = with("deploy it \"a b\"", &[]) else {
            panic!("it is asked for")
        };
        assert_eq!((argument.as_str(), line(&command)), ("service", Some("deploy to=\"a b\"".to_owned())));
        for said in ["deploy it x it", "deploy it -- -x"] {
            assert!(matches!(with(said, &[]), Meant::Unknown { without: None, .. }), "{said}");
        }
        assert!(matches!(with("deploy it x it", &[("host", "h")]), Meant::Unknown { without: None, .. }));
    }

    #[test]
    fn only_what_was_said_is_named() {
        let named = named(&schema(), &read("deploy web staging").words);
        assert_eq!(named, [("service".parse().expect("a name"), "web".to_owned())]);
    }

    proptest! {
        #[test]
        fn a_line_that_was_read_is_written_so_that_it_reads_the_same(text in "[ -~é=]{0,60}") {
            if let Ok(Some(command)) = parse::command(&text)
                && !command.name.is_empty()
                && command.name.bytes().all(|b| b.is_ascii_alphanumeric())
            {
                prop_assert!(line(&command).is_some(), "{command:?}");
            }
        }
    }
}
