//! One file of the configuration: its text, its form, and the line of anything in it.

use super::error::{ConfigError, Step, Wrong, explained};
use super::trust::{Trust, TrustError};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Largest file that is read, in bytes: thousands of scripts.
const MAX_FILE: usize = 4 << 20;

/// The two forms that a file can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Keys like `required-permission`.
    Toml,
    /// Keys like `requiredPermission`, as in the seed.
    Json,
}

/// A file that was read.
pub(super) struct Source {
    path: PathBuf,
    text: String,
    form: Form,
}

impl Source {
    /// Reads a file that `trust` believes. What ends in `.json` is JSON, everything else TOML.
    pub(super) fn read(path: &Path, trust: &Trust) -> Result<Self, TrustError> {
        Ok(Self::new(path, trust.read(path, MAX_FILE)?))
    }

    pub(super) fn new(path: &Path, text: String) -> Self {
        let json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
        Self { path: path.to_owned(), text, form: if json { Form::Json } else { Form::Toml } }
    }

    /// From text to a type; keys that the type does not have are errors.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let (message, line) = match self.form {
            Form::Toml => match toml::from_str(&self.text) {
                Ok(parsed) => return Ok(parsed),
                Err(error) => (error.message().to_owned(), error.span().map(|span| self.line_at(span.start))),
            },
            Form::Json => match serde_json::from_str(&self.text) {
                Ok(parsed) => return Ok(parsed),
                Err(error) => {
                    let text = error.to_string();
                    // serde_json repeats the place at the end of its message.
                    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
                    (message.to_owned(), Some(error.line()))
                }
            },
        };
        let wanted = |key: &str| match self.form {
            Form::Toml => !key.contains(|c: char| c.is_ascii_uppercase()),
            Form::Json => !key.contains('-'),
        };
        Err(explained(&message, wanted).placed(self.path.clone(), line))
    }

    /// Gives an error its file and line.
    pub(super) fn place(&self, wrong: Wrong) -> ConfigError {
        let offset = match self.form {
            Form::Toml => toml_offset(&self.text, &wrong.at),
            Form::Json => json_offset(&self.text, &wrong.at),
        };
        let line = offset.map(|offset| self.line_at(offset));
        wrong.placed(self.path.clone(), line)
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Where the last step of `at` that exists begins.
fn toml_offset(text: &str, at: &[Step]) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut offset = None;
    let mut value: Option<&DeValue<'_>> = None;
    for step in at {
        let found = match (step, value) {
            (Step::Key(key), None) => in_table(root.get_ref(), key),
            (Step::Key(key), Some(DeValue::Table(table))) => in_table(table, key),
            (Step::Item(item), Some(DeValue::Array(list))) => {
                list.get(*item).map(|item| (item.span().start, item.get_ref()))
            }
            (Step::Key(_) | Step::Item(_), _) => None,
        };
        let Some((start, inner)) = found else { break };
        offset = Some(start);
        value = Some(inner);
    }
    offset
}

fn in_table<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<(usize, &'a DeValue<'i>)> {
    let (name, value) = table.iter().find(|(name, _)| same(name.get_ref(), key))?;
    Some((name.span().start, value.get_ref()))
}

/// The same for JSON, where each value is a slice of the text and so knows where it begins.
fn json_offset(text: &str, at: &[Step]) -> Option<usize> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    let mut offset = None;
    for step in at {
        let found: Option<&RawValue> = match step {
            Step::Key(key) => serde_json::from_str::<Members<'_>>(value.get())
                .ok()
                .and_then(|members| members.0.into_iter().find(|(name, _)| same(name, key)))
                .map(|(_, inner)| inner),
            Step::Item(item) => {
                serde_json::from_str::<Vec<&RawValue>>(value.get()).ok().and_then(|list| list.get(*item).copied())
            }
        };
        let Some(inner) = found else { break };
        offset = (inner.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        value = inner;
    }
    offset
}

/// The members of a JSON object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;
        impl<'de> serde::de::Visitor<'de> for Taker {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Taker)
    }
}

/// Whether two spellings name one key: `required-permission` is `requiredPermission`.
fn same(theirs: &str, ours: &str) -> bool {
    let plain = |key: &str| key.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect::<String>();
    theirs == ours || plain(theirs) == plain(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, text: &str, at: &[Step]) -> Option<usize> {
        let mut wrong = Wrong::new("x", "y");
        wrong.at = at.to_vec();
        match Source::new(Path::new(name), text.to_owned()).place(wrong) {
            ConfigError::Wrong { line, .. } => line,
            ConfigError::Untrusted(_) => None,
        }
    }

    #[test]
    fn a_place_in_toml_has_a_line() {
        let text = "[server]\nurl = 1\n\n[[scripts]]\nname = \"a\"\n[[scripts]]\nname = \"b\"\n\
                    [scripts.arguments.size]\ntype = \"x\"\n";
        let at = |steps: &[Step]| line("a.toml", text, steps);
        assert_eq!(at(&["server".into(), "url".into()]), Some(2));
        assert_eq!(at(&["scripts".into(), 1.into(), "name".into()]), Some(7));
        assert_eq!(at(&["scripts".into(), 1.into(), "arguments".into(), "size".into(), "type".into()]), Some(9));
        assert_eq!(at(&["server".into(), "team".into()]), Some(1), "what is missing is sought where it belongs");
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn a_place_in_json_has_a_line() {
        let text = "{\n\"scripts\": [\n{\"name\": \"a\"},\n{\n\"name\": \"b\",\n\"requiredPermission\": 3}\n]}";
        let at = |steps: &[Step]| line("a.json", text, steps);
        assert_eq!(at(&["scripts".into(), 0.into()]), Some(3));
        assert_eq!(at(&["scripts".into(), 1.into()]), Some(4));
        assert_eq!(at(&["scripts".into(), 1.into(), "required-permission".into()]), Some(6));
    }
}
