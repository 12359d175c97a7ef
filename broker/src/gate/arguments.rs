//! Do the arguments fit the script's schema?

use super::{Cause, Refusal, Verdict};
use crate::argument::{self, Value};
use crate::command::parse::Command;
use crate::config::Script;

/// Binds the words to the schema. A script that runs elsewhere is refused here: it has no local arguments to give.
pub fn check(script: &Script, command: &Command) -> Verdict<Vec<Value>> {
    if script.remote.is_some() {
        return Verdict::Refuse(Refusal::Remote, Cause(format!("{} has a remoteConfig", script.name)));
    }
    match argument::bind(&script.arguments, &command.words) {
        Ok(values) => Verdict::Pass(values),
        Err(error) => Verdict::Refuse(
            Refusal::Arguments { error: error.to_string(), usage: argument::usage(script) },
            Cause(format!("arguments of {}: {error}", script.name)),
        ),
    }
}
