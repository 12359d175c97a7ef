//! Can the script's backend say what it would do, without doing it?

use super::{Cause, Refusal, Verdict};
use crate::config::Script;
use crate::words;

/// A backend without a check would do it all: it is refused.
pub fn check(script: &Script) -> Verdict {
    if script.backend.checks() {
        return Verdict::Pass(());
    }
    let cause = format!("the backend {} of {} has no dry run", script.backend.name(), script.name);
    Verdict::Refuse(Refusal::Denied(words::no_dry_run(script.name.as_str())), Cause(cause))
}
