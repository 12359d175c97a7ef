//! Do the words of a command fit the script's schema?
//!
//! Called by the arguments gate and by `!explain`. The result is what the script will get: every value checked,
//! defaults filled in, in the schema's order.

/// One value for a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The argument's name.
    pub name: String,
    /// What the script gets.
    pub text: String,
    /// Whether log and audit may only show a keyed hash of it.
    pub sensitive: bool,
}
