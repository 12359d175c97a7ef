//! `chattr @USER +FLAG -FLAG`: gives and takes flags.

use super::parse::Word;
use super::whom::{Whom, Wish};
use crate::people::change::Deed;
use bartizan_proto::ids::FlagName;
use std::collections::BTreeSet;

/// What the words ask for.
///
/// # Errors
/// What is wrong with them, for who typed them.
pub fn read(words: &[Word]) -> Result<(Whom, Wish), String> {
    let [who, flags @ ..] = words else { return Err("a person and flags are wanted".to_owned()) };
    let whom = super::person(who)?;
    if flags.is_empty() {
        return Err("no flag is given".to_owned());
    }
    let (mut add, mut remove) = (BTreeSet::new(), BTreeSet::new());
    for flag in flags {
        let wrong = || format!("{} is not +FLAG or -FLAG with letters, digits, - and _", flag.text);
        let (sign, name) = flag.text.split_at_checked(1).ok_or_else(wrong)?;
        let name: FlagName = name.parse().map_err(|_| wrong())?;
        match sign {
            "+" => add.insert(name),
            "-" => remove.insert(name),
            _ => return Err(wrong()),
        };
    }
    if let Some(both) = add.intersection(&remove).next() {
        return Err(format!("{both} is given and taken away"));
    }
    Ok((whom, Wish::Change(Deed::Flags { add, remove })))
}
