//! Characters that are read as something else than they are: invisible ones, accents apart from their letters, letters of
//! other scripts that look like Latin ones.
//!
//! Called for every word that could reach a script or the record: an argument is refused for one unless its schema allows
//! that kind (attack rows 67 and 68). Control characters and line breaks are refused before, and always.

use crate::config::Allow;
use bartizan_proto::text::{is_hidden, shown};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

/// One that was found. Its text is the second half of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// It cannot be seen, or changes the direction of what follows.
    #[error("has the invisible character {}", shown(*.0))]
    Invisible(char),
    /// Another spelling of what has a shorter one: an accent of its own after its letter, the Kelvin sign.
    #[error("has the character {0} {code} as it is not written in NFC; write it by keyboard", code = shown(*.0))]
    NotComposed(char),
    /// It looks like something from an English keyboard.
    #[error("has the character {0} {code}, which looks like {1} and is not", code = shown(*.0))]
    LookAlike(char, String),
}

/// The first one that is not allowed.
pub fn find(text: &str, allow: Allow) -> Option<Oddity> {
    if text.is_ascii() {
        return None;
    }
    let invisible = text.chars().find(|c| is_hidden(*c)).filter(|_| !allow.invisible).map(Oddity::Invisible);
    invisible
        .or_else(|| not_composed(text).filter(|_| !allow.decomposed).map(Oddity::NotComposed))
        .or_else(|| if allow.look_alikes { None } else { look_alike(text) })
}

/// The first character for which a text is not in NFC, the form that keyboards write: two words that look the same would
/// be different ones for a script.
fn not_composed(text: &str) -> Option<char> {
    let mut composed = text.nfc();
    let mut typed = text.chars().peekable();
    while let Some(c) = typed.next() {
        if composed.next() != Some(c) {
            // Where a letter and its accent are two, the accent is the one to name.
            return Some(typed.next_if(|accent| canonical_combining_class(*accent) != 0).unwrap_or(c));
        }
    }
    None
}

/// The first character that Unicode calls confusable with plain ASCII (UTS 39, `confusables.txt`).
fn look_alike(text: &str) -> Option<Oddity> {
    let mut buffer = [0; 4];
    text.chars().filter(|c| !c.is_ascii()).find_map(|c| {
        let like: String = unicode_security::skeleton(c.encode_utf8(&mut buffer)).collect();
        // What is left out of the skeleton cannot be seen: that is another oddity.
        (!like.is_empty() && like.is_ascii()).then_some(Oddity::LookAlike(c, like))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Option<Oddity> {
        find(text, Allow::default())
    }

    #[test]
    fn what_looks_like_something_else_is_found_with_its_code_point() {
        for (text, code) in [
            ("\u{430}pi", "<U+0430>"),
            ("deplo\u{443}", "<U+0443>"),
            ("\u{3bf}ps", "<U+03BF>"),
            ("\u{ff48}ello", "<U+FF48>"),
            ("\u{1d41a}", "<U+1D41A>"),
            ("x\u{2212}1", "<U+2212>"),
            ("a\u{200b}b", "<U+200B>"),
            ("a\u{202e}b", "<U+202E>"),
            ("cafe\u{301}", "<U+0301>"),
            ("\u{212a}", "<U+212A>"),
        ] {
            let oddity = found(text).unwrap_or_else(|| panic!("{text:?}"));
            assert!(oddity.to_string().contains(code), "{text:?}: {oddity}");
        }
    }

    #[test]
    fn what_looks_like_itself_is_no_oddity() {
        for text in
            ["caf\u{e9}", "M\u{fc}ller", "Stra\u{df}e", "\u{65e5}\u{672c}", "\u{1f600}", "na\u{ef}ve", "\u{142}"]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn each_kind_is_allowed_by_itself() {
        let none = Allow::default();
        for (text, allow) in [
            ("a\u{200b}b", Allow { invisible: true, ..none }),
            ("e\u{301}", Allow { decomposed: true, ..none }),
            ("\u{430}", Allow { look_alikes: true, ..none }),
        ] {
            assert_eq!(find(text, allow), None, "{text:?}");
            for other in [
                Allow { invisible: !allow.invisible, ..none },
                Allow { decomposed: !allow.decomposed, ..none },
                Allow { look_alikes: !allow.look_alikes, ..none },
            ] {
                assert!(other == allow || find(text, other).is_some(), "{text:?} {other:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_of_ascii_is_odd_and_no_text_panics(ascii in "[ -~]{0,40}", any: String) {
            prop_assert_eq!(found(&ascii), None);
            let _whatever = found(&any);
        }
    }
}
