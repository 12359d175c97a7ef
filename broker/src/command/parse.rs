//! From attested text to a command: is it meant for us, and which words does it have?
//!
//! Called with text that egress attested, for nothing else. There is no shell here and none later: quotes and
//! backslashes group characters into words, and nothing is ever expanded. What could look like one thing and be
//! another (invisible characters, typographic quotes, a dash that is not `-`) is refused with its code point.

/// One word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word, with its quotes and backslashes taken away.
    pub text: String,
    /// How many bytes at its start were typed bare, without quote or backslash. Only those can mean something:
    /// `--`, `--key`, `key=`.
    pub bare: usize,
}

/// A name and the words after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The first word, as it was typed: names are compared with case.
    pub name: String,
    /// The others.
    pub words: Vec<Word>,
}
