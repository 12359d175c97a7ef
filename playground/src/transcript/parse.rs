//! Text to transcript. Never panics; an error names the line and what would be right there.
//!
//! What stands at the left edge is an act, what is indented under it an expectation, what is indented further belongs to
//! the expectation above it.

mod fault;

pub use fault::{Fault, ParseError};

use super::model::{Act, Content, Expectation, Place, Step, Transcript, What};
use super::pattern::Pattern;
use crate::service::Role;
use std::path::PathBuf;
use std::time::Duration;

/// How long an expectation may take unless the line before it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a transcript.
///
/// # Errors
/// [`ParseError`] for the first line that is not right.
pub fn parse(text: &str) -> Result<Transcript, ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = text.lines().enumerate().map(|(at, line)| Row::new(at + 1, line));
    // A comment at the left edge may stand anywhere, also between an act and what must follow it.
    let lines: Vec<Row<'_>> = rows.filter(|row| row.indent > 0 || !row.text.starts_with('#')).collect();
    let mut transcript = Transcript::default();
    let mut rest = &lines[..];
    while let Some((row, later)) = rest.split_first() {
        let comment = row.text.starts_with('#') && transcript.steps.is_empty();
        if row.is_empty() || comment {
            rest = later;
        } else if row.indent > 0 {
            return Err(row.fault(Fault::Orphan));
        } else if let Some((key, value)) = header(row.text) {
            take_header(&mut transcript, key, value).map_err(|fault| row.fault(fault))?;
            rest = later;
        } else {
            let (step, remains) = step(row, later)?;
            transcript.steps.push(step);
            rest = remains;
        }
    }
    Ok(transcript)
}

/// One line of the file.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    line: usize,
    /// Blanks before the text.
    indent: usize,
    text: &'a str,
    /// The line as it is.
    whole: &'a str,
}

impl<'a> Row<'a> {
    fn new(line: usize, whole: &'a str) -> Self {
        let text = whole.trim_start_matches([' ', '\t']);
        Self { line, indent: whole.len() - text.len(), text: text.trim_end(), whole }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn fault(&self, fault: Fault) -> ParseError {
        ParseError { line: self.line, fault }
    }
}

fn header(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(':')?;
    ["config", "allowlist", "needs"].contains(&key).then(|| (key, value.trim()))
}

fn take_header(transcript: &mut Transcript, key: &str, value: &str) -> Result<(), Fault> {
    if !transcript.steps.is_empty() {
        return Err(Fault::Header(key.to_owned()));
    }
    if value.is_empty() {
        return Err(Fault::EmptyHeader(key.to_owned()));
    }
    match key {
        "config" => transcript.config = Some(PathBuf::from(value)),
        "allowlist" => transcript.allowlist = Some(PathBuf::from(value)),
        _ => {
            let words = value.split([' ', ',', '|']).filter(|word| !word.is_empty());
            transcript.needs.extend(words.map(str::to_owned));
        }
    }
    Ok(())
}

/// An act with all that is indented under it, and the rows after that.
fn step<'a, 'b>(row: &Row<'a>, later: &'b [Row<'a>]) -> Result<(Step, &'b [Row<'a>]), ParseError> {
    let mut act = act(row.text, message_of(row.whole)).map_err(|fault| row.fault(fault))?;
    let more = later.iter().take_while(|row| row.text == "|" || row.text.starts_with("| ")).count();
    for row in &later[..more] {
        let text = act_text(&mut act).ok_or_else(|| row.fault(Fault::Continuation))?;
        if !text.is_empty() || row.line != later[0].line {
            text.push('\n');
        }
        text.push_str(row.whole.trim_start_matches([' ', '\t']).strip_prefix("| ").unwrap_or(""));
    }
    let later = &later[more..];
    let under = later.iter().take_while(|row| row.is_empty() || row.indent > 0).count();
    let (mut block, rest) = later.split_at(under);
    while let [start @ .., last] = block
        && last.is_empty()
    {
        block = start;
    }
    if let Act::Operator { output, .. } = &mut act {
        (*output, block) = printed(block)?;
    }
    Ok((Step { line: row.line, act, expectations: expectations(block)? }, rest))
}

/// What follows the first `>`, without the one blank after it: the rest of the line as it is.
fn message_of(whole: &str) -> &str {
    let after = whole.split_once('>').map_or("", |(_, after)| after);
    after.strip_prefix(' ').unwrap_or(after)
}

fn act_text(act: &mut Act) -> Option<&mut String> {
    match act {
        Act::Say { text, .. } | Act::Edit { text, .. } | Act::Webhook { text, .. } => Some(text),
        Act::React { .. }
        | Act::Operator { .. }
        | Act::Code { .. }
        | Act::Wait(_)
        | Act::Clock(_)
        | Act::Fault(_)
        | Act::Restart(_)
        | Act::Kill(_) => None,
    }
}

fn act(line: &str, message: &str) -> Result<Act, Fault> {
    if let Some(command) = line.strip_prefix("$ ") {
        let program = command.split_whitespace().next().unwrap_or("");
        let ours = program == "bartizan"
            || program.starts_with("bartizan-")
            || ["hosts/host", "cluster/cluster"].contains(&program);
        return if ours {
            Ok(Act::Operator { command: command.trim().to_owned(), output: None })
        } else {
            Err(Fault::Act)
        };
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["wait", time] => return Ok(Act::Wait(time_of(time)?)),
        ["code", name, "=", secret, ref ahead @ ..] if is_name(name) && ahead.len() <= 1 => {
            let ahead = ahead.first().map_or(Some(0), |ahead| ahead.strip_prefix('+')?.parse().ok());
            let (name, secret) = (name.to_owned(), secret.to_owned());
            return Ok(Act::Code { name, secret, ahead: ahead.ok_or(Fault::Act)? });
        }
        ["clock", time] => return Ok(Act::Clock(time_of(time.strip_prefix('+').unwrap_or(time))?)),
        ["fault", _, ..] => return Ok(Act::Fault(words[1..].join(" "))),
        ["restart", role] => return Ok(Act::Restart(role_of(role)?)),
        ["kill", "-9", role] => return Ok(Act::Kill(role_of(role)?)),
        _ => {}
    }
    let (head, _) = line.split_once('>').ok_or(Fault::Act)?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let text = message.to_owned();
    let name = |word: &str| if is_name(word) { Ok(word.to_owned()) } else { Err(Fault::Act) };
    match words[..] {
        ["webhook", owner, channel] => {
            let channel = channel.strip_prefix('#').ok_or(Fault::Act)?;
            Ok(Act::Webhook { owner: name(owner)?, channel: name(channel)?, text })
        }
        [who, "edits"] => Ok(Act::Edit { who: name(who)?, text }),
        [who, "reacts", ref label @ ..] if label.len() <= 1 => {
            let label = label.first().copied().map(name).transpose()?;
            Ok(Act::React { who: name(who)?, label, emoji: emoji(&text).ok_or(Fault::Act)? })
        }
        [who, "in", thread] => Ok(Act::Say { who: name(who)?, place: Place::Thread(name(thread)?), label: None, text }),
        [who, place, ref label @ ..] if label.len() <= 1 => {
            let place = match (place, place.strip_prefix('#')) {
                ("DM", _) => Place::Direct,
                (_, Some(channel)) => Place::Channel(name(channel)?),
                (_, None) => return Err(Fault::Act),
            };
            Ok(Act::Say { who: name(who)?, place, label: label.first().copied().map(name).transpose()?, text })
        }
        _ => Err(Fault::Act),
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// An emoji's name, with or without colons; those that Bartizan uses may stand for themselves.
fn emoji(text: &str) -> Option<String> {
    let name = match text.trim().trim_matches(':').trim_end_matches('\u{fe0f}') {
        "⏳" => "hourglass_flowing_sand",
        "✅" => "white_check_mark",
        "❌" => "x",
        "⛔" => "no_entry",
        other => other,
    };
    is_name(&name.replace('+', "_")).then(|| name.to_owned())
}

fn time_of(text: &str) -> Result<Duration, Fault> {
    let time: Option<jiff::SignedDuration> = text.parse().ok();
    time.and_then(|time| Duration::try_from(time).ok()).ok_or_else(|| Fault::Time(text.to_owned()))
}

fn role_of(text: &str) -> Result<Role, Fault> {
    Role::named(text).ok_or_else(|| Fault::Role(text.to_owned()))
}

/// What a command must print: all lines up to the first that is an expectation of chat.
fn printed<'a, 'b>(block: &'b [Row<'a>]) -> Result<(Option<Pattern>, &'b [Row<'a>]), ParseError> {
    let base = block.first().map_or(0, |row| row.indent);
    let chat = |row: &Row<'_>| row.indent == base && is_chat(row.text);
    let end = block.iter().position(chat).unwrap_or(block.len());
    let (output, chat) = block.split_at(end);
    let Some(first) = output.first() else { return Ok((None, chat)) };
    let nothing = matches!(output, [only] if only.text == "(silence)");
    let lines = if nothing { vec![""] } else { dedented(output) };
    let pattern = Pattern::parse(&lines).map_err(|error| first.fault(error.into()))?;
    Ok((Some(pattern), chat))
}

fn is_chat(text: &str) -> bool {
    within(text).is_some()
        || text
            .split_once('>')
            .and_then(|(head, _)| head.split_whitespace().next())
            .is_some_and(|word| ["bartizan", "updates", "updates…", "reacts", "file", "notifies"].contains(&word))
}

fn within(text: &str) -> Option<&str> {
    text.strip_prefix("within ").map(str::trim)
}

/// The rows without the blanks that all of them begin with.
fn dedented<'a>(rows: &[Row<'a>]) -> Vec<&'a str> {
    let indent = rows.iter().filter(|row| !row.is_empty()).map(|row| row.indent).min().unwrap_or(0);
    rows.iter().map(|row| if row.is_empty() { "" } else { &row.whole[indent..] }).collect()
}

fn expectations(block: &[Row<'_>]) -> Result<Vec<Expectation>, ParseError> {
    let mut all = Vec::new();
    let mut rest = block;
    let (mut patience, mut skipping) = (None, None);
    while let Some((row, later)) = rest.split_first() {
        if row.is_empty() {
            rest = later;
            continue;
        }
        if row.indent < block[0].indent {
            return Err(row.fault(Fault::Indent));
        }
        let further = later.iter().take_while(|next| next.is_empty() || next.indent > row.indent).count();
        let (mut further, remains) = later.split_at(further);
        while let [start @ .., last] = further
            && last.is_empty()
        {
            further = start;
        }
        rest = remains;
        if row.text.starts_with('#') && further.is_empty() {
            continue;
        }
        let alone = || further.first().map_or(Ok(()), |row| Err(row.fault(Fault::Further)));
        if let Some(time) = within(row.text) {
            alone()?;
            patience = Some((row, time_of(time).map_err(|fault| row.fault(fault))?));
            continue;
        }
        if row.text == "..." {
            alone()?;
            skipping = Some(row.line);
            continue;
        }
        let what = what(row, further)?;
        let follows = matches!(what, What::Post { .. } | What::Update { .. });
        all.push(Expectation {
            line: row.line,
            within: patience.take().map_or(PATIENCE, |(_, time)| time),
            skipping: skipping.is_some(),
            what,
        });
        // A reaction or a file between `...` and the post that it waits for leaves the dots in force.
        skipping = skipping.filter(|_| !follows);
    }
    if let Some((row, _)) = patience {
        return Err(row.fault(Fault::Dangling));
    }
    if let Some(line) = skipping {
        all.push(Expectation { line, within: PATIENCE, skipping: true, what: What::Anything });
    }
    Ok(all)
}

fn what(row: &Row<'_>, further: &[Row<'_>]) -> Result<What, ParseError> {
    let no_further = |what| further.first().map_or(Ok(what), |row| Err(row.fault(Fault::Further)));
    if row.text == "(silence)" {
        return no_further(What::Silence);
    }
    let (head, text) = row.text.split_once('>').ok_or_else(|| row.fault(Fault::Expectation))?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    let pattern = |first: &str| {
        let mut lines = dedented(further);
        if !first.is_empty() || lines.is_empty() {
            lines.insert(0, first);
        }
        Pattern::parse(&lines).map_err(|error| row.fault(error.into()))
    };
    match head.split_whitespace().collect::<Vec<_>>()[..] {
        ["bartizan"] => Ok(What::Post { label: None, pattern: pattern(text)? }),
        ["bartizan", label] if is_name(label) => {
            Ok(What::Post { label: Some(label.to_owned()), pattern: pattern(text)? })
        }
        ["updates"] => Ok(What::Update { later: false, pattern: pattern(text)? }),
        ["updates…" | "updates..."] => Ok(What::Update { later: true, pattern: pattern(text)? }),
        ["reacts"] => {
            let emoji = emoji(text).ok_or_else(|| row.fault(Fault::Expectation))?;
            no_further(What::Reaction(emoji))
        }
        ["file"] if !text.trim().is_empty() => {
            let (name, content) = file_name(text.trim());
            let name = Pattern::parse(&[name]).map_err(|error| row.fault(error.into()))?;
            let content = match (content.is_empty(), further.is_empty()) {
                (true, true) => None,
                (false, true) => Some(Content::Line(pattern(content)?)),
                (_, false) => Some(Content::Whole(pattern(content)?)),
            };
            Ok(What::File { name, content })
        }
        ["notifies"] if !text.trim().is_empty() => {
            let names = text.split([' ', ',']).filter(|name| !name.is_empty() && *name != "none");
            no_further(What::Notifies(names.map(|name| name.trim_start_matches('@').to_owned()).collect()))
        }
        _ => Err(row.fault(Fault::Expectation)),
    }
}

/// A file's name ends at the first blank that no bracket holds.
fn file_name(text: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => return (&text[..at], text[at..].trim_start()),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests;
