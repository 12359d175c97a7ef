//! `ban @USER "REASON" DURATION`: nothing of theirs runs from then on.

use super::parse::Word;
use super::whom::{Whom, Wish};
use crate::config::Allow;
use crate::oddity;
use crate::people::duration::InvalidTime;

/// Longest reason, in bytes.
pub const MAX_BAN_REASON: usize = 500;

/// What the words ask for. A reason of several words may also be typed without quotes.
///
/// # Errors
/// What is wrong with them, for who typed them.
pub fn read(words: &[Word]) -> Result<(Whom, Wish), String> {
    let [who, reason @ .., time] = words else {
        return Err("a person, a reason and a duration are wanted".to_owned());
    };
    let whom = super::person(who)?;
    let time = time.text.parse().map_err(|error: InvalidTime| format!("{}: {error}", time.text))?;
    let reason = reason.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if reason.trim().is_empty() {
        return Err("the reason is missing".to_owned());
    }
    if let Some(odd) = oddity::find(&reason, Allow { look_alikes: true, ..Allow::default() }) {
        return Err(format!("the reason {odd}"));
    }
    if reason.len() > MAX_BAN_REASON {
        return Err(format!("the reason is longer than {MAX_BAN_REASON} bytes"));
    }
    Ok((whom, Wish::Ban { reason, time }))
}
