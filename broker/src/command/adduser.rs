//! `adduser @USER LEVEL`: gives a level.

use super::parse::Word;
use super::whom::{Whom, Wish};
use crate::config::{Level, nearest};
use crate::people::change::Deed;
use crate::people::duration::BanTime;

/// What the words ask for.
///
/// # Errors
/// What is wrong with them, for who typed them.
pub fn read(words: &[Word]) -> Result<(Whom, Wish), String> {
    let [who, level] = words else { return Err("a person and a level are wanted".to_owned()) };
    let whom = super::person(who)?;
    let known = Level::ALL.map(Level::as_str);
    match level.text.parse() {
        Ok(Level::Banned) => Ok((whom, Wish::Ban { reason: "banned as a level".to_owned(), time: BanTime::Permanent })),
        Ok(level) => Ok((whom, Wish::Change(Deed::Level(level)))),
        Err(_) => Err(match nearest(&level.text, known) {
            Some(near) => format!("there is no level {}; did you mean {near}?", level.text),
            None => format!("there is no level {}; there are {}", level.text, known.join(", ")),
        }),
    }
}
