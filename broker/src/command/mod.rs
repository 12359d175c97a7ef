//! Commands that the core answers itself, one file each, and the reading of command lines.

pub mod about;
pub mod adduser;
pub mod approve;
pub mod audit;
pub mod ban;
pub mod banlist;
mod builtin;
pub mod chattr;
pub mod deluser;
pub mod elevate;
pub mod explain;
pub mod help;
pub mod history;
pub mod jobs;
pub mod lockdown;
pub mod parse;
#[cfg(test)]
mod people_tests;
pub mod schedule;
pub mod secret;
pub mod unban;
pub mod users;
pub mod whoami;
pub mod whois;
pub mod whom;

pub use builtin::Builtin;
use whom::Whom;

/// What stands for a line in log and audit where something in it is a secret, or was probably meant to be one.
pub fn withheld(line: &str) -> Option<String> {
    secret::withheld(line).or_else(|| elevate::withheld(line))
}

/// Whether a line is a command that hands over a secret or a code.
pub fn is_confiding(line: &str) -> bool {
    secret::is_set(line) || elevate::is_it(line)
}

/// A user name as people write it, `@` or not, as the server has it; `None` for what cannot be one.
pub fn user_name(word: &str) -> Option<String> {
    let name = word.strip_prefix('@').unwrap_or(word).to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(name)
}

/// The command that the words after the name make: of `run deploy x`, `deploy x`.
pub fn inner(command: &parse::Command) -> Option<parse::Command> {
    let (name, words) = command.words.split_first()?;
    Some(parse::Command { name: name.text.clone(), words: words.to_vec(), dry: false })
}

/// The command that is given with a broken glass, and why: of `breakglass deploy x "fire"`, `deploy x` and `fire`.
pub fn glass(command: &parse::Command) -> Option<(parse::Command, &str)> {
    let (reason, words) = command.words.split_last()?;
    let (name, words) = words.split_first()?;
    Some((parse::Command { name: name.text.clone(), words: words.to_vec(), dry: false }, &reason.text))
}

/// The command of which only is to be said what it would do: of `dry-run deploy x`, `deploy x`.
pub fn dry(command: &parse::Command) -> Option<parse::Command> {
    inner(command).map(|command| parse::Command { dry: true, ..command })
}

/// Whether a stored line is one that only says what would be done.
pub fn is_dry(line: &str) -> bool {
    parse::command(line).ok().flatten().is_some_and(|command| without_run(command).dry)
}

/// The command itself, without a `run` or `dry-run` before it, or `breakglass` before it and a reason after it.
pub fn without_run(command: parse::Command) -> parse::Command {
    let inside = match command.name.as_str() {
        name if name == Builtin::Run.name() => inner(&command),
        name if name == Builtin::DryRun.name() => dry(&command),
        name if name == Builtin::Breakglass.name() => glass(&command).map(|(command, _)| command),
        _script => None,
    };
    inside.unwrap_or(command)
}

/// The person that a word names.
fn person(word: &parse::Word) -> Result<Whom, String> {
    Whom::read(&word.text).ok_or_else(|| format!("{} is not the name of a person; write @name", word.text))
}
