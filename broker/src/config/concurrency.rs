//! What a script says of running beside others, and of taking long.

use super::error::{Wrong, not_one_of};
use super::raw;
use super::script::is_word;
use std::time::Duration;

/// When operators are told that it takes long: before its time is over.
pub(super) fn warn_after(raw: &raw::Script, timeout: Duration) -> Result<Option<Duration>, Wrong> {
    let Some(amount) = &raw.warn_after else { return Ok(None) };
    let after = amount.time(Some(Duration::from_millis(1))).map_err(|wrong| wrong.within("warn-after"))?;
    if after < Duration::from_millis(1) || after >= timeout {
        let what = "warn-after is nothing, or not before the timeout";
        return Err(Wrong::new(what, "give a shorter time than its timeout, or remove it").within("warn-after"));
    }
    Ok(Some(after))
}

/// How many of it may run at once, and what its keys about that say besides.
pub(super) fn check(raw: &raw::Script) -> Result<Option<usize>, Wrong> {
    if let Some(tag) = raw.exclusive.as_deref().filter(|tag| !is_word(tag)) {
        let what = format!("\"{tag}\" cannot be a tag");
        return Err(Wrong::new(what, "use 1 to 64 letters, digits, - and _").within("exclusive"));
    }
    match raw.when_busy.as_deref() {
        None => {}
        Some("queue" | "refuse") if raw.exclusive.is_some() || raw.concurrency.is_some() => {}
        Some("queue" | "refuse") => {
            let what = "when-busy without concurrency or exclusive";
            return Err(Wrong::new(what, "give one of them, or remove it").within("when-busy"));
        }
        Some(other) => {
            return Err(not_one_of("when-busy cannot be", other, &["queue", "refuse"]).within("when-busy"));
        }
    }
    match raw.concurrency.map(usize::try_from) {
        None => Ok(None),
        Some(Ok(most)) if (1..=1000).contains(&most) => Ok(Some(most)),
        Some(_) => Err(Wrong::new("concurrency is out of range", "give a number from 1 to 1000").within("concurrency")),
    }
}
