//! From attested text to a command: is it meant for us, and which words does it have?
//!
//! Called with text that egress attested, for nothing else. There is no shell here and none later: quotes and
//! backslashes group characters into words, and nothing is ever expanded. Control characters, line breaks, odd spaces,
//! typographic quotes and a dash that is not `-` are refused with their code point; other characters that are read as
//! something else ([`crate::oddity`]) are for the schema of each argument to allow, and refused in a name.
//!
//! | typed | word |
//! |---|---|
//! | `'a b'` | `a b`, nothing in it means anything |
//! | `"a \"b\" \\"` | `a "b" \`, every other backslash in it stays |
//! | `a\ b` | `a b` |
//! | `a"b c"d` | `ab cd`, one word |
//! | `""` | an empty word |

use crate::config::Allow;
use crate::oddity::{self, Oddity};
use bartizan_proto::limits::{MAX_ARGUMENT, MAX_ARGUMENTS, MAX_MESSAGE};
use bartizan_proto::text::shown;

/// Most words of one command: every argument as `--key value`, and the name.
const MAX_WORDS: usize = 2 * MAX_ARGUMENTS + 3;

/// A name and the words after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The first word, as it was typed: names are compared with case.
    pub name: String,
    /// The others.
    pub words: Vec<Word>,
    /// Whether only what would be done is to be said: after `dry-run`.
    pub dry: bool,
}

/// One word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word, with its quotes and backslashes taken away.
    pub text: String,
    /// How many bytes at its start were typed bare, without quote or backslash. Only those can mean something:
    /// `--`, `--key`, `key=`.
    pub bare: usize,
}

/// Why a text is no command. Its text is for the person who typed it, and repeats nothing but single characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A quote that is never closed.
    #[error("a quote {0} is opened and never closed; write \\{0} for the character itself")]
    Unbalanced(char),
    /// A backslash at the end.
    #[error("a backslash stands at the end; write \\\\ for the character itself")]
    LoneBackslash,
    /// A line break, a control character, or a space that is not a plain one.
    #[error("it has the character {} ({}), which is not accepted; write the command on one line, by keyboard", shown(*.0), named(*.0))]
    Hidden(char),
    /// A quotation mark as word processors and telephones write it.
    #[error("it has the typographic quote {0} {code}; use \" or '", code = shown(*.0))]
    SmartQuote(char),
    /// A long dash where an option begins.
    #[error("a word begins with the long dash {0} {code}; write - or --, or put the word in quotes", code = shown(*.0))]
    LongDash(char),
    /// A name with a character that is read as something else.
    #[error("the name {0}")]
    Odd(Oddity),
    /// The whole text, or one word.
    #[error("it is too long: at most {MAX_ARGUMENT} bytes a word")]
    TooLong,
    /// More words than any script takes.
    #[error("it has more than {MAX_WORDS} words")]
    TooManyWords,
}

/// Takes a command's text apart; none where there is no word in it.
///
/// # Errors
/// [`ParseError`] for the first thing that is wrong.
pub fn command(line: &str) -> Result<Option<Command>, ParseError> {
    let mut words = split(line)?.into_iter();
    let Some(name) = words.next() else { return Ok(None) };
    // One that only looks like a known name is an unknown one.
    match oddity::find(&name.text, Allow { look_alikes: true, ..Allow::default() }) {
        Some(odd) => Err(ParseError::Odd(odd)),
        None => Ok(Some(Command { name: name.text, words: words.collect(), dry: false })),
    }
}

/// The part of a post that is a command for us, if it is one: after the prefix, after our name at the start
/// (`@bartizan deploy`, `@bartizan: deploy`), or all of it in a direct message. It is empty where only our name stands.
pub fn addressed<'a>(text: &'a str, prefix: &str, bot_name: &str, direct: bool) -> Option<&'a str> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let after_name = after_mention(text, bot_name);
    let rest = after_name.unwrap_or(text);
    match rest.strip_prefix(prefix) {
        // `! x` and a lone `!` are talk.
        Some(command) if !command.is_empty() && !command.starts_with(char::is_whitespace) => Some(command),
        _ if after_name.is_some() || (direct && !text.is_empty()) => Some(rest),
        _ => None,
    }
}

/// Takes a line apart into words. Nothing is expanded: no variables, no globs, no `~`, no comments.
///
/// # Errors
/// [`ParseError`] for the first thing that is wrong.
pub fn split(line: &str) -> Result<Vec<Word>, ParseError> {
    if line.len() > MAX_MESSAGE {
        return Err(ParseError::TooLong);
    }
    if let Some(c) = line.chars().find(|c| c.is_control() || (c.is_whitespace() && *c != ' ')) {
        return Err(ParseError::Hidden(c));
    }
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    let mut options_ended = false;
    loop {
        while chars.next_if_eq(&' ').is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        let word = next_word(&mut chars, options_ended)?;
        if words.len() == MAX_WORDS {
            return Err(ParseError::TooManyWords);
        }
        options_ended |= word.bare == 2 && word.text == "--";
        words.push(word);
    }
}

/// Reads one word; `chars` stands at its first character.
fn next_word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, options_ended: bool) -> Result<Word, ParseError> {
    let mut text = String::new();
    let mut bare = None;
    while let Some(c) = chars.next_if(|c| *c != ' ') {
        if matches!(c, '\'' | '"' | '\\') {
            bare.get_or_insert(text.len());
        }
        match c {
            '\'' => quoted(chars, '\'', &mut text)?,
            '"' => quoted(chars, '"', &mut text)?,
            '\\' => text.push(chars.next().ok_or(ParseError::LoneBackslash)?),
            '\u{2018}'..='\u{201f}' => return Err(ParseError::SmartQuote(c)),
            // The dashes from U+2010 on, the minus sign, and the small and wide forms.
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
                if !options_ended && text.trim_start_matches('-').is_empty() && bare.is_none() =>
            {
                return Err(ParseError::LongDash(c));
            }
            c => text.push(c),
        }
        if text.len() > MAX_ARGUMENT {
            return Err(ParseError::TooLong);
        }
    }
    Ok(Word { bare: bare.unwrap_or(text.len()), text })
}

/// Reads to the closing quote.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    quote: char,
    text: &mut String,
) -> Result<(), ParseError> {
    loop {
        match chars.next() {
            None => return Err(ParseError::Unbalanced(quote)),
            Some(c) if c == quote => return Ok(()),
            Some('\\') if quote == '"' => match chars.next_if(|c| matches!(c, '"' | '\\')) {
                Some(escaped) => text.push(escaped),
                None => text.push('\\'),
            },
            Some(c) => text.push(c),
        }
    }
}

/// The text after our name, where it begins with it. User names are in lower case; people may write them otherwise.
fn after_mention<'a>(text: &'a str, bot_name: &str) -> Option<&'a str> {
    let rest = text.strip_prefix('@')?;
    let name = rest.get(..bot_name.len()).filter(|name| name.eq_ignore_ascii_case(bot_name))?;
    let rest = &rest[name.len()..];
    let after = rest.strip_prefix([':', ',']).unwrap_or(rest);
    // `@bartizan-two` is somebody else, and so is `@bartizan.two`.
    let ends = after.is_empty() || after.starts_with(char::is_whitespace);
    (ends && !bot_name.is_empty()).then(|| after.trim_start())
}

/// What people call a character of [`ParseError::Hidden`].
fn named(c: char) -> &'static str {
    match c {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => "a line break",
        '\t' => "a tab",
        c if c.is_whitespace() => "a space that is not a plain one",
        _ => "a control character",
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
