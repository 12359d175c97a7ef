//! The right to follow what goes on outside of the service, after the service was away. Everybody who had to agree did so when it was
//! begun, and nothing is begun now: asked is only whether it is still known what it is.

use super::{Cause, Cleared, Followed, arguments, file, pass};
use crate::command::parse::Command;
use crate::policy::Policy;

/// # Errors
/// Why it is not known any more.
pub fn clear(command: &Command, policy: &Policy, opener: &file::Opener) -> Result<Box<Cleared<Followed>>, Cause> {
    let known = command.name.parse().ok().and_then(|name| policy.config.allowlist.get(&name));
    let script = known.ok_or_else(|| Cause(format!("{} is not on the allowlist any more", command.name)))?;
    let mut gates = Vec::new();
    let values = pass("arguments", arguments::check(script, command), &mut gates).map_err(|(_, cause)| cause)?;
    let file = pass("file", file::check(script, opener), &mut gates).map_err(|(_, cause)| cause)?;
    Ok(Box::new(Cleared::of(script, values, file, command.dry, policy)))
}
