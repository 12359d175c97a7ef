//! `context` of an argument: as what its value is remembered, so that "it" can stand for it.

use super::error::Wrong;
use super::{Argument, raw};
use crate::context::IT;
use bartizan_proto::ids::MemoryKey;

/// Checks what is written.
pub(super) fn check(raw: &raw::Argument) -> Result<Option<MemoryKey>, Wrong> {
    let Some(name) = &raw.context else { return Ok(None) };
    let name = name.parse().map_err(|_| {
        Wrong::new(format!("\"{name}\" is not the name of a context"), "use 1 to 64 letters, digits, - _ and .")
    })?;
    if raw.sensitive {
        return Err(Wrong::new("what is sensitive is not remembered", "remove context or sensitive"));
    }
    if raw.kind == "boolean" {
        return Err(Wrong::new("context means nothing for a boolean", "remove it"));
    }
    if raw.values.iter().flatten().any(|value| value == IT) {
        return Err(Wrong::new("\"it\" is one of its values, and stands for another one", "remove one of the two"));
    }
    Ok(Some(name))
}

/// Two arguments of one script cannot both be the last one that was named.
pub(super) fn once_each(arguments: &[Argument]) -> Result<(), Wrong> {
    for (i, argument) in arguments.iter().enumerate() {
        let Some(context) = &argument.context else { continue };
        if arguments[..i].iter().any(|other| other.context.as_ref() == Some(context)) {
            let what = format!("two arguments have the context \"{context}\"");
            return Err(Wrong::new(what, "give one of them another context").within(argument.name.as_str()));
        }
    }
    Ok(())
}
