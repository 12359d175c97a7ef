//! A card: what stands beside a coloured line in a post (Mattermost's message attachments, `props.attachments`).
//!
//! Only what can do no harm has a field here: no buttons, no pictures from elsewhere, no links of its own. The core makes
//! cards and escapes what is foreign in them ([`crate::text`]); egress makes the JSON.

use crate::bounded::{List, Text};
use crate::limits::{MAX_CARD_FIELDS, MAX_NAME, MAX_REASON, MAX_SAID};
use serde::{Deserialize, Serialize};

/// Most characters of JSON that a card may have, as [`Card::size`] counts: a server takes 8,000 of all props of a post.
pub const MOST: usize = 7_000;
/// What the server's own names for an attachment's parts take of it, with the other props.
const ENVELOPE: usize = 400;
/// The same for one field.
const FIELD: usize = 48;

/// What came of it, as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// Nothing to judge: grey.
    #[default]
    Plain,
    /// As it should be: green.
    Good,
    /// To be looked at: yellow.
    Warning,
    /// Not as it should be: red.
    Danger,
}

impl Colour {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "plain" => Some(Self::Plain),
            "good" => Some(Self::Good),
            "warning" => Some(Self::Warning),
            "danger" => Some(Self::Danger),
            _ => None,
        }
    }

    /// As every Mattermost client takes it.
    pub fn hex(self) -> &'static str {
        match self {
            Self::Plain => "#8b95a3",
            Self::Good => "#2e9e5b",
            Self::Warning => "#e0a800",
            Self::Danger => "#d1373a",
        }
    }
}

/// What stands beside the line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Card {
    /// The line's colour.
    pub colour: Colour,
    /// Above the text; clients show it with and without markup: [`crate::text::label`].
    pub title: Text<MAX_NAME>,
    /// Markdown that the core wrote.
    pub text: Text<MAX_SAID>,
    /// Names and values below the text.
    pub fields: List<Field, MAX_CARD_FIELDS>,
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Shown without markup by most clients: [`crate::text::label`].
    pub name: Text<MAX_NAME>,
    /// Markdown that the core wrote.
    pub value: Text<MAX_REASON>,
    /// Whether two of them stand side by side.
    pub short: bool,
}

impl Card {
    /// At most so many characters of JSON it becomes, as the server counts them.
    pub fn size(&self) -> usize {
        let fields = self.fields.iter().map(|field| FIELD + json_size(&field.name) + json_size(&field.value));
        // The title is there twice: also as what is shown where attachments are not.
        ENVELOPE + 2 * json_size(&self.title) + json_size(&self.text) + fields.sum::<usize>()
    }
}

/// Characters of a text inside a JSON string, as Go writes it.
pub fn json_size(text: &str) -> usize {
    let of = |c| match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        c if c < ' ' => 6,
        _ => 1,
    };
    text.chars().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_counted_as_the_server_writes_it() {
        assert_eq!(json_size("a<\"\n"), 1 + 6 + 2 + 2);
        let card = Card { title: Text::cut("&"), text: Text::cut("x"), ..Card::default() };
        assert_eq!(card.size(), ENVELOPE + 12 + 1);
    }

    #[test]
    fn colours_have_their_names() {
        for (name, colour) in [("plain", Colour::Plain), ("good", Colour::Good), ("danger", Colour::Danger)] {
            assert_eq!(Colour::named(name), Some(colour));
        }
        assert_eq!(Colour::named("#ff0000"), None);
    }
}
