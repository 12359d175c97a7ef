//! Permission levels: `banned < user < operator < admin`.

use std::fmt;
use std::str::FromStr;

/// What a person may do, or what a script asks for. Greater is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing.
    Banned,
    /// Scripts that say so; what everybody who is not named is.
    User,
    /// Scripts, unless they say otherwise.
    Operator,
    /// Everything.
    Admin,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 4] = [Self::Banned, Self::User, Self::Operator, Self::Admin];

    /// The word for it, in the configuration and in chat.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not the word for a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a level")]
pub struct InvalidLevel;

impl FromStr for Level {
    type Err = InvalidLevel;
    fn from_str(text: &str) -> Result<Self, InvalidLevel> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(InvalidLevel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_their_words_are_exact() {
        assert!(Level::Banned < Level::User && Level::User < Level::Operator && Level::Operator < Level::Admin);
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        for bad in ["", "Admin", "root", "admin "] {
            assert_eq!(bad.parse::<Level>(), Err(InvalidLevel), "{bad}");
        }
    }
}
