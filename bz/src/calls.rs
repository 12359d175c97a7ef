//! From the command line to a call's words. A call that would be refused for its form is refused here, in the same words.

use crate::BzError;
use crate::arguments::{Command, Task};
use bartizan_proto::card::Colour;
use bartizan_proto::limits::MAX_CALL;
use bartizan_proto::script::{Call, Misread, frame};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The whole message.
pub(crate) fn message(command: Command) -> Result<Vec<u8>, BzError> {
    let words = words(command)?;
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let message = frame(&words);
    match message.get(4..).map(Call::parse) {
        Some(Ok(_)) => Ok(message),
        Some(Err(error)) => Err(BzError::Usage(error.to_string())),
        None => Err(BzError::Usage("nothing to send".to_owned())),
    }
}

fn words(command: Command) -> Result<Vec<Vec<u8>>, BzError> {
    Ok(match command {
        Command::Say { code, text } => of("say", [("text", text_of(text)?), ("code", flag(code))]),
        Command::Reply { code, text } => of("reply", [("text", text_of(text)?), ("code", flag(code))]),
        Command::Progress { done, text } => match percent(&done)? {
            Some(percent) => of("progress", [("percent", percent.to_string().into()), ("text", text.join(" ").into())]),
            None => of("progress", [("text", text.join(" ").into())]),
        },
        Command::Param { name } => of("param", [("name", name.into())]),
        // Read where it is; never sent.
        Command::Secret { .. } => Vec::new(),
        Command::Log { text } => of("log", [("text", text_of(text)?)]),
        Command::Remember { shared, lasting, key, value } => {
            let value = text_of(vec![value])?;
            of("remember", [("key", key.into()), ("value", value), ("scope", scope(shared, lasting))])
        }
        Command::Recall { shared, lasting, key } => {
            of("recall", [("key", key.into()), ("scope", scope(shared, lasting))])
        }
        Command::Checkout { release, key } => of("checkout", [("key", key.into()), ("back", flag(release))]),
        Command::File { name, path, text } => {
            let name = match name {
                Some(name) => name,
                None => name_of(&path),
            };
            let content = content(&path)?;
            of("file", [("name", name.into()), ("text", text.join(" ").into()), ("content", content)])
        }
        Command::Table { title, separator } => {
            let rows = rows(separator)?;
            of("table", [("title", title.unwrap_or_default().into()), ("rows", rows)])
        }
        Command::Attach { at_end, colour, title, fields, table, separator, text } => {
            let mut pairs = String::new();
            for field in fields {
                let wrong = || BzError::Usage(format!("{field:?} is no field: write NAME=VALUE"));
                let (name, value) = field.split_once('=').ok_or_else(wrong)?;
                let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                pairs.push_str(&format!("{}\t{}\n", plain(name), plain(value)));
            }
            if table && text == ["-"] {
                return Err(BzError::Usage("the standard input is the table already".to_owned()));
            }
            let rows = if table { rows(separator)? } else { Vec::new() };
            let text = text_of(text)?;
            card(colour, title, [("text", text), ("fields", pairs.into()), ("rows", rows), ("at-end", flag(at_end))])
        }
        Command::Diff { at_end, colour, title, text } => {
            let text = text.join(" ");
            card(colour, title, [("text", text.into()), ("diff", as_text(&input()?)), ("at-end", flag(at_end))])
        }
        Command::Chart { kind, colour, title } => {
            let title = title.unwrap_or_default();
            let lines = String::from_utf8_lossy(&input()?).into_owned();
            // Nothing can be masked in a picture.
            if crate::secret::is_in(&format!("{title}\n{lines}")) {
                return Err(BzError::Usage("a secret of this job is in the chart".to_owned()));
            }
            let colour = colour.as_deref().map_or(Some(Colour::Plain), Colour::named).ok_or(Misread::Colour)?;
            let content = crate::chart::png(&lines, kind, &title, colour)?;
            of("file", [("name", "chart.png".into()), ("text", title.into()), ("content", content)])
        }
        Command::Ask { anybody, user, direct, channel, choices, pattern, default, timeout, question } => {
            let mut all = of(
                "ask",
                [
                    ("question", question.join(" ").into()),
                    ("anybody", flag(anybody)),
                    ("choices", choices.join("\n").into()),
                    ("pattern", pattern.unwrap_or_default().into()),
                    ("seconds", timeout.to_string().into()),
                ],
            );
            for (name, value) in [("default", default), ("user", user), ("channel", channel)] {
                all.extend(value.into_iter().flat_map(|value| [name.into(), value.into_bytes()]));
            }
            if direct {
                all.extend([b"direct".to_vec(), flag(true)]);
            }
            all
        }
        Command::Subscribe { end: true, .. } => of("subscribe", [("end", flag(true))]),
        Command::Subscribe { anybody, seconds, end: false } => {
            of("subscribe", [("anybody", flag(anybody)), ("seconds", seconds.to_string().into())])
        }
        Command::AddTask(task) => of("add-task", [("command", line(&task))]),
        Command::AddJob(task) => of("add-job", [("command", line(&task))]),
        Command::AddLine { command } => of("add-command", [("command", command.into())]),
        Command::FinalTask(task) => of("final-task", [("command", line(&task))]),
        Command::FailTask(task) => of("fail-task", [("command", line(&task))]),
        Command::SpawnJob(task) => of("spawn-job", [("command", line(&task))]),
        Command::Exclusive { wait, tag } => of("exclusive", [("tag", tag.into()), ("wait", flag(wait))]),
    })
}

/// The command that runs a script with these arguments: each one stays one word, and `NAME=` at its beginning names one.
fn line(task: &Task) -> Vec<u8> {
    let mut line = task.name.clone();
    for argument in &task.arguments {
        let plain =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) if plain(name) => (format!("{name}="), value),
            _ => (String::new(), argument.as_str()),
        };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        line.push_str(&format!(" {name}\"{value}\""));
    }
    line.into()
}

fn of<const N: usize>(verb: &str, fields: [(&str, Vec<u8>); N]) -> Vec<Vec<u8>> {
    let fields = fields.into_iter().flat_map(|(name, value)| [name.into(), value]);
    [verb.into()].into_iter().chain(fields).collect()
}

/// A card with what is given.
fn card<const N: usize>(colour: Option<String>, title: Option<String>, fields: [(&str, Vec<u8>); N]) -> Vec<Vec<u8>> {
    let mut all = of("attach", fields);
    for (name, value) in [("colour", colour), ("title", title)] {
        if let Some(value) = value {
            all.extend([name.into(), value.into()]);
        }
    }
    all
}

/// A table's rows from the standard input.
fn rows(separator: Option<String>) -> Result<Vec<u8>, BzError> {
    let rows = input()?;
    Ok(match separator.filter(|separator| !separator.is_empty()) {
        Some(separator) => String::from_utf8_lossy(&rows).replace(&separator, "\t").into(),
        None => rows,
    })
}

/// Bytes that are no text are shown as such.
fn as_text(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}").into()
}

fn flag(on: bool) -> Vec<u8> {
    if on { "yes" } else { "no" }.into()
}

fn scope(shared: bool, lasting: bool) -> Vec<u8> {
    match (shared, lasting) {
        (_, true) => "lasting",
        (true, false) => "shared",
        (false, false) => "mine",
    }
    .into()
}

/// The words with spaces between them, or the standard input.
fn text_of(words: Vec<String>) -> Result<Vec<u8>, BzError> {
    if words == ["-"] { input() } else { Ok(words.join(" ").into()) }
}

fn input() -> Result<Vec<u8>, BzError> {
    let mut bytes = Vec::new();
    // One byte more than a call can have is enough to be refused.
    std::io::stdin().lock().take(MAX_CALL as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn content(path: &Path) -> Result<Vec<u8>, BzError> {
    let shown = |error: std::io::Error| BzError::Usage(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path).map_err(shown)?.take(MAX_CALL as u64 + 1).read_to_end(&mut bytes).map_err(shown)?;
    Ok(bytes)
}

/// The file's own name, in the characters that a name may have.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.trim_start_matches('.').chars().map(plain).take(64).collect()
}

/// `40`, `40%`, `3/8`; `-` for none.
fn percent(done: &str) -> Result<Option<u8>, BzError> {
    let wrong = || BzError::Usage(format!("{done:?} is no progress: write 40, 40%, 3/8 or -"));
    if done == "-" {
        return Ok(None);
    }
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let percent = match done.split_once('/') {
        Some((part, whole)) => {
            let (part, whole) = (number(part)?, number(whole)?);
            part.saturating_mul(100).checked_div(whole).ok_or_else(wrong)?
        }
        None => number(done.strip_suffix('%').unwrap_or(done))?,
    };
    Ok(Some(u8::try_from(percent.min(100)).unwrap_or(100)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::Parser as _;

    fn call(line: &str) -> Result<Call, String> {
        let arguments = Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let message = message(arguments.command).map_err(|error| error.to_string())?;
        Call::parse(&message[4..]).map_err(|error| error.to_string())
    }

    #[test]
    fn progress_is_a_percentage_a_part_or_nothing() {
        for (written, expected) in
            [("40", Some(40)), ("40%", Some(40)), ("3/8", Some(37)), ("9/3", Some(100)), ("-", None)]
        {
            match call(&format!("bz progress {written} copying files")) {
                Ok(Call::Progress { percent, text }) => {
                    assert_eq!((percent, text.as_str()), (expected, "copying files"));
                }
                other => panic!("{written}: {other:?}"),
            }
        }
        for bad in ["x", "1/0", "-3", "4/"] {
            assert!(call(&format!("bz progress {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_worker_would_refuse_for_its_form_is_refused_before_it_is_sent() {
        assert!(call("bz recall ../x").unwrap_err().contains("key"));
        assert!(call(&format!("bz say {}", "x".repeat(20_000))).unwrap_err().contains("too long"));
        assert!(call("bz shout x").is_err());
    }

    #[test]
    fn an_argument_of_a_task_stays_one_word() {
        match call("bz add-task deploy api --to=x a\"b service=web\\1 -f") {
            Ok(Call::Add { command, .. }) => {
                assert_eq!(command.as_str(), "deploy \"api\" --to=\"x\" \"a\\\"b\" service=\"web\\\\1\" \"-f\"");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(call("bz exclusive --wait web"), Ok(Call::Exclusive { wait: true, .. })));
    }

    #[test]
    fn a_card_has_its_colour_and_its_fields() {
        match call("bz attach --colour danger --title Disks --field host=web=1 --field free= it is full") {
            Ok(Call::Attach { colour, title, text, fields, diff: None, .. }) => {
                assert_eq!((colour, title.as_str(), text.as_str()), (Some(Colour::Danger), "Disks", "it is full"));
                assert_eq!(fields.as_str(), "host\tweb=1\nfree\t\n");
            }
            other => panic!("{other:?}"),
        }
        assert!(call("bz attach --colour pink x").unwrap_err().contains("good"));
        assert!(call("bz attach --field x y").unwrap_err().contains("NAME=VALUE"));
        assert!(call("bz attach --table -").is_err());
    }

    #[test]
    fn a_question_has_choices_or_a_pattern_and_its_time() {
        let asked = call("bz ask --choice yes --choice no --default no --timeout 9 really?");
        match asked {
            Ok(Call::Ask { choices, default, seconds, anybody, .. }) => {
                assert_eq!((choices.as_str(), seconds, anybody), ("yes\nno", 9, false));
                assert_eq!(default.expect("a default").as_str(), "no");
            }
            other => panic!("{other:?}"),
        }
        assert!(call("bz ask --choice yes --pattern x really?").is_err());
    }
}
