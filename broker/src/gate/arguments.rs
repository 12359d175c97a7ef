//! Do the arguments fit the script's schema?

use super::{Cause, Refusal, Verdict};
use crate::argument::{self, ArgumentError, Value};
use crate::command::parse::Command;
use crate::config::Script;

/// Binds the words to the schema.
pub fn check(script: &Script, command: &Command) -> Verdict<Vec<Value>> {
    match argument::bind(&script.arguments, &command.words) {
        Ok(values) => Verdict::Pass(values),
        Err(error) => {
            let cause = Cause(format!("arguments of {}: {error}", script.name));
            let (told, usage) = (error.to_string(), argument::usage(script));
            let missing = if let ArgumentError::Missing(name) = error { Some(name) } else { None };
            Verdict::Refuse(Refusal::Arguments { error: told, usage, missing }, cause)
        }
    }
}
