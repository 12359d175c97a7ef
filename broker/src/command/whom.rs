//! Whom a command means, and what is wanted of them. A name becomes an id by egress's look-up and by nothing else.

use crate::people::change::Deed;
use crate::people::duration::BanTime;
use bartizan_proto::ids::UserId;
use std::time::Duration;

/// A person as somebody named them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// By their id.
    Id(UserId),
    /// By the name that they have now, in lower case and without `@`.
    Name(String),
}

impl Whom {
    /// From `@name`, a name, or an id; none where it can be none of them.
    pub fn read(text: &str) -> Option<Whom> {
        let name = text.strip_prefix('@');
        if name.is_none()
            && let Ok(id) = text.parse()
        {
            return Some(Whom::Id(id));
        }
        let name = name.unwrap_or(text).to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(Whom::Name(name))
    }

    /// As it is shown.
    pub fn shown(&self) -> String {
        match self {
            Whom::Id(id) => id.to_string(),
            Whom::Name(name) => format!("@{name}"),
        }
    }
}

/// What is wanted of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// To see them.
    Show,
    /// To see what the audit log has about them.
    Recorded {
        /// How far back.
        back: Duration,
        /// The same, as it was said.
        age: String,
    },
    /// To change something.
    Change(Deed),
    /// To ban them for a time that begins when it is decided.
    Ban {
        /// Why.
        reason: String,
        /// How long.
        time: BanTime,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_an_id_and_nothing_else_mean_somebody() {
        let id = "abcdefghijklmnopqrstuvwxyz";
        assert_eq!(Whom::read(id), Some(Whom::Id(id.parse().expect("an id"))));
        assert_eq!(Whom::read(&format!("@{id}")), Some(Whom::Name(id.to_owned())), "a name can look like an id");
        assert_eq!(Whom::read("@Bob"), Some(Whom::Name("bob".into())));
        assert_eq!(Whom::read("bob.smith-2_x"), Some(Whom::Name("bob.smith-2_x".into())));
        for bad in ["", "@", "@@bob", "a/b", "b\u{43e}b", "a b", "@bob:", "x".repeat(65).as_str()] {
            assert_eq!(Whom::read(bad), None, "{bad:?}");
        }
    }
}
