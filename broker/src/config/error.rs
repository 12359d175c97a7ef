//! What is wrong with a configuration, always as one line: `FILE:LINE: what is wrong; what to do`.

use super::nearest;
use super::trust::TrustError;
use bartizan_proto::text::printable;
use std::fmt;
use std::path::PathBuf;

/// Why the configuration is refused. Its text is one line for the operator, whatever stands in the files.
#[derive(Debug)]
pub enum ConfigError {
    /// A file cannot be believed, or cannot be read.
    Untrusted(TrustError),
    /// Something in a file is wrong.
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self {
            Self::Untrusted(error) => error.to_string(),
            Self::Wrong { file, line: Some(line), what, remedy } => {
                format!("{}:{line}: {what}; {remedy}", file.display())
            }
            Self::Wrong { file, line: None, what, remedy } => format!("{}: {what}; {remedy}", file.display()),
        };
        f.write_str(&printable(&line))
    }
}

/// One step from a file's top to a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A key of a table.
    Key(String),
    /// An item of a list, from 0.
    Item(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

/// Something wrong at a place whose file and line are not known yet.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The way to it, outermost step first.
    pub(super) at: Vec<Step>,
    what: String,
    remedy: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { at: Vec::new(), what: what.into(), remedy: remedy.into() }
    }

    /// The same, seen from one step further out.
    pub(super) fn within(mut self, step: impl Into<Step>) -> Self {
        self.at.insert(0, step.into());
        self
    }

    /// The same, saying whose it is.
    pub(super) fn about(mut self, subject: &str) -> Self {
        self.what = format!("{subject}: {}", self.what);
        self
    }

    /// The same, about another kind of thing.
    pub(super) fn renamed(mut self, from: &str, to: &str) -> Self {
        self.what = self.what.replacen(from, to, 1);
        self
    }

    /// The same, with its place found.
    pub(super) fn placed(self, file: PathBuf, line: Option<usize>) -> ConfigError {
        ConfigError::Wrong { file, line, what: self.what, remedy: self.remedy }
    }
}

impl From<TrustError> for Wrong {
    fn from(error: TrustError) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((what, remedy)) => Self::new(what, remedy),
            None => Self::new(text, "correct it"),
        }
    }
}

/// `"value" is not one of …`, with the nearest one as the remedy.
pub(super) fn not_one_of(what: &str, value: &str, known: &[&str]) -> Wrong {
    Wrong::new(format!("{what} \"{value}\""), meant(value, known.iter().copied()))
}

fn meant<'a>(given: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(given, known.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// What serde says, in an operator's words. Its messages have had these forms for as long as serde 1 exists; one that
/// is not recognised is handed on as it is.
pub(super) fn explained(message: &str, is_wanted: impl Fn(&str) -> bool) -> Wrong {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let known = || quoted.iter().skip(1).copied().filter(|key| is_wanted(key));
    let given = quoted.first().copied().unwrap_or_default();
    if message.starts_with("unknown field") {
        return match known().next() {
            Some(_) => {
                Wrong::new(format!("unknown key \"{given}\""), meant(given, known().collect::<Vec<_>>().into_iter()))
            }
            None => Wrong::new(format!("unknown key \"{given}\""), "remove it"),
        };
    }
    if message.starts_with("unknown variant") {
        return Wrong::new(format!("unknown word \"{given}\""), meant(given, known().collect::<Vec<_>>().into_iter()));
    }
    if message.starts_with("missing field") {
        return Wrong::new(format!("the key \"{given}\" is missing"), "add it (docs/configuration.md describes it)");
    }
    if message.starts_with("duplicate field") {
        return Wrong::new(format!("\"{given}\" is given twice"), "keep one of them");
    }
    let text = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    let text = match text.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => format!("wrong type: {}, expected {}", in_words(found), in_words(expected)),
        None => text,
    };
    let remedy = if text.starts_with("wrong type") || text.starts_with("invalid value") {
        "docs/configuration.md says what belongs here"
    } else {
        "correct the syntax here"
    };
    Wrong::new(text, remedy)
}

/// serde's name of a type, in an operator's words. What was found may be followed by its value, which stays.
fn in_words(kind: &str) -> &str {
    match kind {
        "sequence" | "a sequence" => "a list",
        "map" | "a map" => "a table",
        kind if kind.starts_with("struct ") => "a table",
        "u64" => "a whole number of at least 0",
        "f64" => "a number",
        "path string" => "a path",
        kind => kind,
    }
}
