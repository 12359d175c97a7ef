//! The gates for what nobody asked for: what has to do with a person is not asked, and where something of the script would ask
//! one, nothing starts.

use super::{Automatic, Cause, Cleared, Refusal, approval, arguments, channel, dry_run, file, lockdown, pass};
use crate::argument::Value;
use crate::command::parse::Command;
use crate::config::Script;
use crate::policy::{Place, Policy};

/// Asks the gates, in their order. Nothing is opened or changed.
///
/// # Errors
/// The refusal and its cause.
pub fn decide<'p>(
    command: &Command,
    place: &Place,
    policy: &'p Policy,
) -> Result<(&'p Script, Vec<Value>), (Refusal, Cause)> {
    let unknown = || {
        let refusal = Refusal::Unknown { name: command.name.clone(), near: None };
        (refusal, Cause(format!("{} is not on the allowlist", command.name)))
    };
    let mut gates = Vec::new();
    pass("lockdown", lockdown::check(policy), &mut gates)?;
    let script = command.name.parse().ok().and_then(|name| policy.config.allowlist.get(&name)).ok_or_else(unknown)?;
    pass("channel", channel::check(script, place, policy), &mut gates)?;
    let values = pass("arguments", arguments::check(script, command), &mut gates)?;
    if command.dry {
        pass("dry-run", dry_run::check(script), &mut gates)?;
    }
    let asks = script.authorizer.is_some() || script.elevate.is_some() || script.elevator.is_some();
    if asks || approval::wanted(script, &values).is_some() {
        let cause = Cause(format!("{} asks a person, and nobody asked for it", script.name));
        return Err((Refusal::Denied("this script cannot run by itself".to_owned()), cause));
    }
    Ok((script, values))
}

/// Asks them again and opens the script: the last thing before a job starts.
///
/// # Errors
/// The refusal and its cause.
pub fn clear(
    command: &Command,
    place: &Place,
    policy: &Policy,
    opener: &file::Opener,
) -> Result<Box<Cleared<Automatic>>, (Refusal, Cause)> {
    let (script, values) = decide(command, place, policy)?;
    let file = pass("file", file::check(script, opener), &mut Vec::new())?;
    Ok(Box::new(Cleared::of(script, values, file, command.dry, policy)))
}
