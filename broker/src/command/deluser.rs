//! `deluser @USER`: takes a person off the list; they count as `user` from then on.

use super::parse::Word;
use super::whom::{Whom, Wish};
use crate::people::change::Deed;

/// What the words ask for.
///
/// # Errors
/// What is wrong with them, for who typed them.
pub fn read(words: &[Word]) -> Result<(Whom, Wish), String> {
    let [who] = words else { return Err("one person is wanted".to_owned()) };
    Ok((super::person(who)?, Wish::Change(Deed::Remove)))
}
