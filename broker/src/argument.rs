//! Do the words of a command fit the script's schema?
//!
//! Called by the arguments gate, by `!explain`, and for defaults by the configuration. It trusts the schema, which was
//! checked when it was read, and none of the words. The result is what the script will get: every value checked,
//! defaults filled in, in the schema's order, so that a script's `$2` is always the same argument:
//!
//! | not given | the script gets |
//! |---|---|
//! | and there is a default | the default |
//! | a boolean | `false` |
//! | something optional, and a later argument is given | an empty text |
//! | something optional, and nothing after it is given | nothing |

use crate::command::parse::Word;
use crate::config::{Argument, Kind, Script, nearest};
use crate::oddity::{self, Oddity};
use bartizan_proto::limits::MAX_ARGUMENT;
use bartizan_proto::text::shown;
use regex::Regex;
use std::fmt;

/// One value for a script.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The argument's name.
    pub name: String,
    /// What the script gets.
    pub text: String,
    /// Whether log and audit may only show a keyed hash of it.
    pub sensitive: bool,
}

/// Why the words do not fit. Its text is for the person who typed them, and may repeat what they typed (never a
/// sensitive value): it goes to chat as [`bartizan_proto::text::code`], with [`usage`] under it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// More values than arguments.
    #[error("too many arguments: {given} given, and it takes {}", most(*.taken))]
    TooMany {
        /// How many it takes.
        taken: usize,
        /// How many there were.
        given: usize,
    },
    /// A required one is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// One was given more than once.
    #[error("{0} is given twice")]
    Twice(String),
    /// `key=value` or `--key` with a key that the schema does not have.
    #[error("there is no argument {key}{}", suggestion(.near.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The one that was probably meant.
        near: Option<String>,
    },
    /// `--key` at the end.
    #[error("--{0} needs a value")]
    NoValue(String),
    /// A value that the script could take for an option.
    #[error("{0} may not begin with -; if that is meant, put it last, after --")]
    LeadingDash(String),
    /// A value that the schema does not allow.
    #[error("{name}: {}{mismatch}", quoted(.given.as_deref()))]
    Mismatch {
        /// The argument.
        name: String,
        /// What was given; absent where it is sensitive.
        given: Option<String>,
        /// What is wrong with it.
        mismatch: Mismatch,
    },
}

/// What is wrong with one value, as the second half of a sentence about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// It is empty, and no regex allows that.
    #[error("is empty")]
    Empty,
    /// It has a control character or a line break, which no schema allows.
    #[error("has the invisible character {}", shown(*.0))]
    Hidden(char),
    /// It has a character that is read as something else, which this schema does not allow.
    #[error("{0}")]
    Odd(Oddity),
    /// It is longer than the schema allows.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// The regex does not match all of it.
    #[error("does not have the form {0}")]
    Form(String),
    /// It is not a number as we take them.
    #[error("is not a plain number like 7 or 0.25, of at most 15 digits")]
    NotANumber,
    /// A minus sign where `min` is not negative.
    #[error("may not be negative")]
    Negative,
    /// Less than `min`.
    #[error("is less than {0}")]
    Less(f64),
    /// More than `max`.
    #[error("is more than {0}")]
    More(f64),
    /// Not a boolean.
    #[error("is not true or false (yes, no, on and off do too)")]
    NotABoolean,
    /// Not one of an enum's values.
    #[error("is not one of {}{}", listed(.values, ", "), suggestion(.near.as_deref()))]
    NotOneOf {
        /// The values.
        values: Vec<String>,
        /// The one that was probably meant.
        near: Option<String>,
    },
}

/// Binds the words to the schema: positional, `key=value`, `--key value` and `--key=value`, in any mixture. After a
/// bare `--` everything is positional, and may begin with `-`. What was quoted is never a key.
///
/// # Errors
/// [`ArgumentError`] for the first thing that does not fit.
pub fn bind(schema: &[Argument], words: &[Word]) -> Result<Vec<Value>, ArgumentError> {
    let given = assign(schema, words)?;
    let mut texts = Vec::with_capacity(schema.len());
    for (argument, given) in schema.iter().zip(given) {
        texts.push(match given {
            Some(given) => Some(fitting(argument, &given)?),
            None => absent(argument)?,
        });
    }
    let end = texts.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let values = schema.iter().zip(texts).take(end).map(|(argument, text)| Value {
        name: argument.name.clone(),
        text: text.unwrap_or_default(),
        sensitive: argument.sensitive,
    });
    Ok(values.collect())
}

/// How a script is called: `deploy <service: api-server|web-app> [tag: text = latest]`.
pub fn usage(script: &Script) -> String {
    let mut line = script.name.to_string();
    for argument in &script.arguments {
        let kind = match &argument.kind {
            Kind::Text { .. } => "text".to_owned(),
            Kind::Number { min: Some(min), max: Some(max) } => format!("{min} to {max}"),
            Kind::Number { .. } => "number".to_owned(),
            Kind::Boolean => "true|false".to_owned(),
            Kind::Enum(values) => listed(values, "|"),
        };
        let name = &argument.name;
        line += &match &argument.default {
            _ if argument.required => format!(" <{name}: {kind}>"),
            Some(default) if !argument.sensitive && !default.is_empty() => format!(" [{name}: {kind} = {default}]"),
            Some(_) | None => format!(" [{name}: {kind}]"),
        };
    }
    line
}

/// Checks one value, and gives it as the script will get it.
///
/// # Errors
/// [`Mismatch`]: the first thing that is wrong with it.
pub fn check(argument: &Argument, text: &str) -> Result<String, Mismatch> {
    if let Some(c) = text.chars().find(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Mismatch::Hidden(c));
    }
    if text.len() > MAX_ARGUMENT {
        return Err(Mismatch::TooLong(MAX_ARGUMENT));
    }
    // What the schema names is what it means, whatever it looks like.
    let named = matches!(&argument.kind, Kind::Enum(values) if values.iter().any(|value| value == text));
    if let Some(odd) = oddity::find(text, argument.allow).filter(|_| !named) {
        return Err(Mismatch::Odd(odd));
    }
    match &argument.kind {
        Kind::Text { regex, length } => check_text(text, regex.as_ref(), *length),
        Kind::Number { min, max } => check_number(text, *min, *max),
        Kind::Boolean => boolean(text).map(|value| value.to_string()).ok_or(Mismatch::NotABoolean),
        Kind::Enum(values) if values.iter().any(|value| value == text) => Ok(text.to_owned()),
        Kind::Enum(values) => {
            let near = nearest(text, values.iter().map(String::as_str)).map(str::to_owned);
            Err(Mismatch::NotOneOf { values: values.clone(), near })
        }
    }
}

/// A value as it was typed.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) text: String,
    /// It stood after `--`.
    pub(crate) after_dashes: bool,
    /// In which word, and from which byte of it on.
    pub(crate) at: (usize, usize),
}

/// Which word is for which argument. Nothing is checked yet but the keys.
pub(crate) fn assign(schema: &[Argument], words: &[Word]) -> Result<Vec<Option<Given>>, ArgumentError> {
    let mut given: Vec<Option<Given>> = vec![None; schema.len()];
    let mut positional = Vec::new();
    let mut words = words.iter().enumerate().peekable();
    let whole = |(at, word): (usize, &Word), after_dashes| Given { text: word.text.clone(), after_dashes, at: (at, 0) };
    while let Some((at, word)) = words.next() {
        let bare = word.text.get(..word.bare).unwrap_or_default();
        if bare == "--" && word.text == "--" {
            positional.extend(words.by_ref().map(|word| whole(word, true)));
            break;
        }
        let Some((key, value)) = keyed(word, bare) else {
            positional.push(whole((at, word), false));
            continue;
        };
        let index = known(schema, key)?;
        let value = match value {
            Some(value) => {
                Given { text: value.to_owned(), after_dashes: false, at: (at, word.text.len() - value.len()) }
            }
            None if matches!(schema[index].kind, Kind::Boolean) => {
                let next = words.next_if(|(_, next)| next.bare == next.text.len() && boolean(&next.text).is_some());
                let yes = Given { text: "true".to_owned(), after_dashes: false, at: (at, word.text.len()) };
                next.map_or(yes, |word| whole(word, false))
            }
            None => whole(words.next().ok_or_else(|| ArgumentError::NoValue(key.to_owned()))?, false),
        };
        if given[index].replace(value).is_some() {
            return Err(ArgumentError::Twice(key.to_owned()));
        }
    }
    let count = positional.len() + given.iter().flatten().count();
    let mut positional = positional.into_iter();
    for place in given.iter_mut().filter(|place| place.is_none()) {
        *place = positional.next();
    }
    match positional.next() {
        Some(_) => Err(ArgumentError::TooMany { taken: schema.len(), given: count }),
        None => Ok(given),
    }
}

/// The key of a word, and the value where the word has it too; none for a positional word. Only what was typed bare
/// can be a key. Whatever is not ASCII counts as part of one: `sеrvice=x` with a Cyrillic letter is a
/// mistake, not a value.
fn keyed<'a>(word: &'a Word, bare: &str) -> Option<(&'a str, Option<&'a str>)> {
    let dashes = if bare.starts_with("--") { 2 } else { 0 };
    let end = match bare.find('=') {
        Some(equals) => equals,
        None if dashes == 2 && bare.len() == word.text.len() => bare.len(),
        None => return None,
    };
    let key = word.text.get(dashes..end)?;
    let like_a_key = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.is_empty() || key.starts_with('-') || !key.chars().all(like_a_key) {
        return None;
    }
    Some((key, word.text.get(end + 1..)))
}

fn known(schema: &[Argument], key: &str) -> Result<usize, ArgumentError> {
    schema.iter().position(|argument| argument.name == key).ok_or_else(|| ArgumentError::UnknownKey {
        key: cut(key),
        near: nearest(key, schema.iter().map(|argument| argument.name.as_str())).map(str::to_owned),
    })
}

fn fitting(argument: &Argument, given: &Given) -> Result<String, ArgumentError> {
    // A negative number is refused by its own check, where it is one at all.
    let digit_after = given.text.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_digit));
    let number = matches!(argument.kind, Kind::Number { .. }) && digit_after;
    if given.text.starts_with('-') && !given.after_dashes && !number && !argument.allow.leading_dash {
        return Err(ArgumentError::LeadingDash(argument.name.clone()));
    }
    check(argument, &given.text).map_err(|mismatch| ArgumentError::Mismatch {
        name: argument.name.clone(),
        given: Some(cut(&given.text)).filter(|_| !argument.sensitive),
        mismatch,
    })
}

fn absent(argument: &Argument) -> Result<Option<String>, ArgumentError> {
    match (&argument.default, &argument.kind) {
        (Some(default), _) => Ok(Some(default.clone())),
        (None, _) if argument.required => Err(ArgumentError::Missing(argument.name.clone())),
        (None, Kind::Boolean) => Ok(Some("false".to_owned())),
        (None, Kind::Text { .. } | Kind::Number { .. } | Kind::Enum(_)) => Ok(None),
    }
}

fn check_text(text: &str, regex: Option<&Regex>, length: Option<usize>) -> Result<String, Mismatch> {
    if let Some(length) = length.filter(|length| text.chars().count() > *length) {
        return Err(Mismatch::TooLong(length));
    }
    match regex {
        Some(regex) if !regex.is_match(text) => Err(Mismatch::Form(written(regex).to_owned())),
        None if text.is_empty() => Err(Mismatch::Empty),
        Some(_) | None => Ok(text.to_owned()),
    }
}

/// Takes `-?(0|[1-9][0-9]*)(\.[0-9]+)?` as it was typed. No exponent, no `+`, no hexadecimal, no leading zero (a shell
/// would take `010` for 8). With at most 15 digits a number is exact enough as `f64` that comparing is exact too.
fn check_number(text: &str, min: Option<f64>, max: Option<f64>) -> Result<String, Mismatch> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let plain = |digits: &str| !digits.is_empty() && digits.chars().all(is_digit);
    let bounded = whole.len() + part.map_or(0, str::len) <= 15;
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !plain(whole) || !part.is_none_or(plain) || !bounded || leading_zero {
        return Err(Mismatch::NotANumber);
    }
    let number: f64 = text.parse().map_err(|_| Mismatch::NotANumber)?;
    if text.starts_with('-') && !min.is_some_and(|min| min < 0.0) {
        return Err(Mismatch::Negative);
    }
    match (min, max) {
        (Some(min), _) if number < min => Err(Mismatch::Less(min)),
        (_, Some(max)) if number > max => Err(Mismatch::More(max)),
        _ => Ok(text.to_owned()),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// A regex without the anchors that were put around it.
fn written(regex: &Regex) -> &str {
    regex.as_str().strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(regex.as_str())
}

fn listed(values: &[String], between: &str) -> String {
    const SHOWN: usize = 20;
    let more = if values.len() > SHOWN { format!("{between}… ({} in all)", values.len()) } else { String::new() };
    let first: Vec<&str> = values.iter().take(SHOWN).map(String::as_str).collect();
    first.join(between) + &more
}

fn most(taken: usize) -> String {
    match taken {
        0 => "none".to_owned(),
        1 => "only 1".to_owned(),
        more => format!("at most {more}"),
    }
}

fn suggestion(near: Option<&str>) -> String {
    near.map_or(String::new(), |near| format!("; did you mean {near}?"))
}

fn quoted(given: Option<&str>) -> String {
    given.map_or("the value ".to_owned(), |given| format!("\"{given}\" "))
}

/// As much of a word as belongs into an error.
fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Debug for Value {
    /// Without the text where it is sensitive: what is formatted can end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.sensitive { "(sensitive)" } else { &self.text };
        write!(f, "{}={text:?}", self.name)
    }
}

#[cfg(test)]
#[path = "argument_tests.rs"]
mod tests;
