//! The connector: reads what strangers wrote, so it gets the least. No file can be opened or even looked for, no socket
//! made; what it was given at its start is all it ever has.

use super::parts;
use crate::filter::Rule;

pub(super) fn list() -> Vec<Rule> {
    let mut rules = parts::runtime();
    rules.push(parts::socket_pairs());
    rules.push(parts::send_without_address());
    rules
}
