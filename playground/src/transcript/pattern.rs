//! Does a text match an expectation, and what does it capture? Pure functions.
//!
//! A text matches when all its lines do: `[..]` is anything within a line, a line `...` any lines, `[name=REGEX]`
//! captures, `$name` repeats what was captured, `\` takes the next character as it is. Blanks at the end of a line do not
//! count. One case is looser: an expectation of one line that begins and ends with `[..]` asks only for a line like
//! that, anywhere in the text. A text is tried as the server has it, then as a person sees it ([`seen`]).

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// What was captured so far, by name.
pub type Captures = BTreeMap<String, String>;

/// Why an expectation cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `[name=` without a valid regular expression and its `]`.
    #[error("[{0}=…] holds no regular expression that is valid and closed by ]")]
    Capture(String),
    /// One name twice in one expectation.
    #[error("[{0}=…] stands twice in one expectation; write ${0} the second time")]
    Twice(String),
}

/// What a text must look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    lines: Vec<Line>,
    /// As it stands in the transcript, for the diff.
    written: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Line {
    Any,
    Like(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Any,
    Capture { name: String, regex: String },
    Repeat(String),
}

impl Pattern {
    /// Reads the lines of an expectation.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(lines: &[&str]) -> Result<Self, PatternError> {
        let mut lines: Vec<&str> = lines.iter().map(|line| without_blanks(line)).collect();
        while lines.len() > 1 && lines.last() == Some(&"") {
            lines.pop();
        }
        let parsed = lines.iter().map(|line| parse_line(line)).collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        for token in parsed.iter().filter_map(Line::tokens).flatten() {
            if let Token::Capture { name, .. } = token
                && !names.insert(name.as_str())
            {
                return Err(PatternError::Twice(name.clone()));
            }
        }
        Ok(Self { lines: parsed, written: lines.into_iter().map(str::to_owned).collect() })
    }

    /// The lines as they stand in the transcript.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// What `text` gives to the names in this pattern, or `None` when it does not match.
    pub fn captures(&self, text: &str, known: &Captures) -> Option<Captures> {
        let lines = lines_of(text);
        if let [only] = &self.lines[..]
            && only.is_contained()
        {
            return lines.iter().find_map(|line| only.captures(line, known));
        }
        follow(&self.lines, &lines, known, &mut BTreeSet::new())
    }

    /// [`Pattern::captures`] of a post: as it is, else as a person sees it.
    pub fn captures_post(&self, message: &str, known: &Captures) -> Option<Captures> {
        self.captures(message, known).or_else(|| self.captures(&seen(message), known))
    }

    /// Where the first line that matches `line` on its own stands, from `from` on. For the diff.
    pub fn line_like(&self, line: &str, from: usize, known: &Captures) -> Option<usize> {
        let line = line.trim_end();
        (from..self.lines.len()).find(|&at| {
            self.lines[at].tokens().is_some()
                && (self.lines[at].captures(line, known).is_some()
                    || self.lines[at].captures(&seen(line), known).is_some())
        })
    }
}

/// A text's lines without blanks at their ends, and without empty lines at the end.
pub fn lines_of(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    while lines.len() > 1 && lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

/// An expectation's line without blanks at its end, escaped ones included.
fn without_blanks(line: &str) -> &str {
    let trimmed = line.trim_end();
    let backslashes = trimmed.len() - trimmed.trim_end_matches('\\').len();
    if trimmed.len() < line.len() && backslashes % 2 == 1 {
        without_blanks(&trimmed[..trimmed.len() - 1])
    } else {
        trimmed
    }
}

/// A post as a person sees it: outside of code, a backslash before punctuation is gone, and so are the invisible
/// spaces that keep mentions from being mentions.
pub fn seen(message: &str) -> String {
    let mut out = Vec::new();
    let mut fence: Option<&str> = None;
    for line in message.split('\n') {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            None if ticks.len() >= 3 => fence = Some(ticks),
            Some(open) if ticks.len() >= open.len() && line.trim_end() == ticks => fence = None,
            None => {
                out.push(seen_line(line));
                continue;
            }
            Some(_) => {}
        }
        out.push(line.to_owned());
    }
    out.join("\n")
}

fn seen_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    let mut code = false;
    while let Some(c) = chars.next() {
        match c {
            '`' => {
                code = !code;
                out.push(c);
            }
            '\\' if !code && chars.peek().is_some_and(char::is_ascii_punctuation) => out.extend(chars.next()),
            '\u{200b}' if !code => {}
            c => out.push(c),
        }
    }
    out
}

/// A message as it is sent: `$name` stands for what was captured under that name. Anything else is as it is; `\$name`
/// is a literal `$name` where the name is known.
pub fn fill_in(text: &str, known: &Captures) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let name = identifier(after);
        match known.get(name) {
            Some(_) if before.ends_with('\\') => {
                out.push_str(&before[..before.len() - 1]);
                out.push('$');
                out.push_str(name);
            }
            Some(value) => {
                out.push_str(before);
                out.push_str(value);
            }
            None => {
                out.push_str(before);
                out.push('$');
                out.push_str(name);
            }
        }
        rest = &after[name.len()..];
    }
    out.push_str(rest);
    out
}

/// The letters, digits and underscores that `text` begins with, unless the first is a digit.
fn identifier(text: &str) -> &str {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn parse_line(line: &str) -> Result<Line, PatternError> {
    if line == "..." {
        return Ok(Line::Any);
    }
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        if c == '\\' {
            let taken = after.chars().next();
            text.push(taken.unwrap_or('\\'));
            rest = &after[taken.map_or(0, char::len_utf8)..];
            continue;
        }
        let (token, remains) = if let Some(remains) = rest.strip_prefix("[..]") {
            (Token::Any, remains)
        } else if c == '[' && !identifier(after).is_empty() && after[identifier(after).len()..].starts_with('=') {
            let name = identifier(after);
            let (regex, remains) = capture(name, &after[name.len() + 1..])?;
            (Token::Capture { name: name.to_owned(), regex }, remains)
        } else if c == '$' && !identifier(after).is_empty() {
            (Token::Repeat(identifier(after).to_owned()), &after[identifier(after).len()..])
        } else {
            text.push(c);
            rest = after;
            continue;
        };
        if !text.is_empty() {
            tokens.push(Token::Text(std::mem::take(&mut text)));
        }
        tokens.push(token);
        rest = remains;
    }
    if !text.is_empty() {
        tokens.push(Token::Text(text));
    }
    Ok(Line::Like(tokens))
}

/// The shortest valid regular expression that a `]` follows: brackets inside it need no escapes.
fn capture<'a>(name: &str, rest: &'a str) -> Result<(String, &'a str), PatternError> {
    rest.match_indices(']')
        .map(|(at, _)| (&rest[..at], &rest[at + 1..]))
        .find(|(regex, _)| !regex.is_empty() && !regex.ends_with('\\') && Regex::new(regex).is_ok())
        .map(|(regex, remains)| (regex.to_owned(), remains))
        .ok_or_else(|| PatternError::Capture(name.to_owned()))
}

/// Matches lines one after another; `failed` remembers which pairs of positions lead nowhere.
fn follow(
    pattern: &[Line],
    text: &[&str],
    known: &Captures,
    failed: &mut BTreeSet<(usize, usize)>,
) -> Option<Captures> {
    if failed.contains(&(pattern.len(), text.len())) {
        return None;
    }
    let found = match (pattern.split_first(), text.split_first()) {
        (None, None) => Some(Captures::new()),
        (None, Some(_)) | (Some((Line::Like(_), _)), None) => None,
        (Some((Line::Any, rest)), None) => follow(rest, text, known, failed),
        (Some((Line::Any, rest)), Some((_, later))) => {
            follow(rest, text, known, failed).or_else(|| follow(pattern, later, known, failed))
        }
        (Some((line, rest)), Some((first, later))) => line.captures(first, known).and_then(|mut captured| {
            let mut all = known.clone();
            all.extend(captured.clone());
            captured.extend(follow(rest, later, &all, failed)?);
            Some(captured)
        }),
    };
    if found.is_none() {
        failed.insert((pattern.len(), text.len()));
    }
    found
}

impl Line {
    fn tokens(&self) -> Option<&[Token]> {
        match self {
            Line::Any => None,
            Line::Like(tokens) => Some(tokens),
        }
    }

    /// `[..]…[..]`: asks for a line anywhere.
    fn is_contained(&self) -> bool {
        matches!(self.tokens(), Some([Token::Any, .., Token::Any] | [Token::Any]))
    }

    /// What this line captures from `line`. A `$name` of the same line is first taken for anything, then checked.
    fn captures(&self, line: &str, known: &Captures) -> Option<Captures> {
        let tokens = self.tokens()?;
        let first = capture_line(tokens, line, known, None)?;
        if tokens.iter().any(|token| matches!(token, Token::Repeat(name) if first.contains_key(name))) {
            capture_line(tokens, line, known, Some(&first))
        } else {
            Some(first)
        }
    }
}

fn capture_line(tokens: &[Token], line: &str, known: &Captures, here: Option<&Captures>) -> Option<Captures> {
    let mut regex = String::from(r"\A");
    let mut captured_before = BTreeSet::new();
    for token in tokens {
        match token {
            Token::Text(text) => regex.push_str(&regex::escape(text)),
            Token::Any => regex.push_str(".*?"),
            Token::Capture { name, regex: inner } => {
                captured_before.insert(name.as_str());
                regex.push_str(&format!("(?P<capture_{name}>{inner})"));
            }
            Token::Repeat(name) if captured_before.contains(name.as_str()) => match here {
                Some(here) => regex.push_str(&regex::escape(here.get(name)?)),
                None => regex.push_str(".+?"),
            },
            Token::Repeat(name) => match known.get(name) {
                Some(value) => regex.push_str(&regex::escape(value)),
                // Nothing was captured under that name: a dollar sign and a word, as it stands.
                None => regex.push_str(&regex::escape(&format!("${name}"))),
            },
        }
    }
    regex.push_str(r"\z");
    let found = Regex::new(&regex).ok()?;
    let found = found.captures(line)?;
    let mut captures = Captures::new();
    for token in tokens {
        if let Token::Capture { name, .. } = token {
            captures.insert(name.clone(), found.name(&format!("capture_{name}"))?.as_str().to_owned());
        }
    }
    Some(captures)
}

#[cfg(test)]
mod tests;
