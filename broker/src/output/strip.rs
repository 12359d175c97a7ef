//! Removes from a script's output everything that would act on a terminal or reorder text: all ECMA-48 escape sequences
//! (CSI, OSC, DCS, SOS, PM, APC, two-character ones, and their 8-bit C1 forms), control characters, bidirectional
//! controls. What remains is plain text with line breaks and tabs.
//!
//! A carriage return inside a line starts the line again, as on a terminal: of a progress bar the last state remains.

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte (0x20–0x2F): one final byte follows.
    Intermediate,
    /// In a CSI sequence, until a final byte (0x40–0x7E).
    Csi,
    /// In an OSC, DCS, SOS, PM or APC string, until ST or BEL.
    String,
    /// In such a string, after ESC.
    StringEscape,
}

/// Strips raw output. Bytes that are not UTF-8 become U+FFFD.
pub fn strip(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut out = String::with_capacity(text.len());
    let mut line = 0;
    let mut returned = false;
    let mut state = State::Ground;
    for c in text.chars() {
        state = match (state, c) {
            // CAN and SUB end any sequence; a line break ends an unfinished one, so that it cannot eat the rest.
            (_, '\u{18}' | '\u{1a}') => State::Ground,
            (State::Ground, '\u{1b}') => State::Escape,
            (State::Ground, '\u{9b}') => State::Csi,
            (State::Ground, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => State::String,
            (State::Ground, '\r') => {
                returned = true;
                State::Ground
            }
            (_, '\n') => {
                out.push('\n');
                line = out.len();
                returned = false;
                State::Ground
            }
            (State::Ground, c) => {
                if let Some(c) = visible(c) {
                    if returned {
                        out.truncate(line);
                        returned = false;
                    }
                    out.push(c);
                }
                State::Ground
            }
            (State::Escape, '[') => State::Csi,
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::String,
            (State::Escape, ' '..='/') | (State::Intermediate, ' '..='/') => State::Intermediate,
            (State::Escape, '\u{1b}') => State::Escape,
            (State::Escape | State::Intermediate, _) => State::Ground,
            (State::Csi, '@'..='~') => State::Ground,
            (State::Csi, '\u{1b}') => State::Escape,
            (State::Csi, _) => State::Csi,
            (State::String, '\u{7}' | '\u{9c}') => State::Ground,
            (State::String, '\u{1b}') => State::StringEscape,
            (State::String, _) => State::String,
            (State::StringEscape, '\\') => State::Ground,
            (State::StringEscape, '\u{1b}') => State::StringEscape,
            (State::StringEscape, _) => State::String,
        };
    }
    out
}

/// The character, unless it is a control or reorders others.
fn visible(c: char) -> Option<char> {
    match c {
        '\t' => Some('\t'),
        c if c.is_control() => None,
        // Bidirectional controls, line and paragraph separators, byte-order mark, tags.
        '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_escape_sequence_goes() {
        for (raw, plain) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[38;2;1;2;3mx", "x"),
            ("a\u{1b}]8;;http://evil/\u{7}link\u{1b}]8;;\u{1b}\\b", "alinkb"),
            ("\u{1b}]52;c;aGk=\u{7}x", "x"),
            ("\u{1b}Pq#0\u{1b}\\x", "x"),
            ("\u{1b}_apc\u{1b}\\x\u{1b}^pm\u{1b}\\y\u{1b}Xsos\u{1b}\\z", "xyz"),
            ("\u{9b}31mx\u{9d}0;title\u{9c}y", "xy"),
            ("\u{1b}(Bx\u{1b}7y\u{1b}=z", "xyz"),
            ("a\u{8}b\u{0}c\u{7f}d", "abcd"),
            ("\u{1b}]0;never ended\nnext line", "\nnext line"),
            ("\u{202e}evil\u{2066}", "evil"),
        ] {
            assert_eq!(strip(raw.as_bytes()), plain, "{raw:?}");
        }
    }

    #[test]
    fn a_progress_bar_leaves_its_last_state_and_dos_line_ends_are_line_ends() {
        assert_eq!(strip(b"10%\r50%\r100%\ndone\r\nend\r"), "100%\ndone\nend");
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(strip(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_on_a_terminal_is_left(raw in prop::collection::vec(any::<u8>(), 0..400)) {
            let plain = strip(&raw);
            prop_assert!(plain.chars().all(|c| c == '\n' || c == '\t' || visible(c) == Some(c)));
        }
    }
}
