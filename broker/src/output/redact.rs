//! Masks a job's secrets in what it printed, as they are, and in the forms that programs give them: base64 in both
//! alphabets and at every alignment, percent-encoded, as a form field, as a JSON string, in hexadecimal digits.
//!
//! White space is not compared, so that a line break which `base64` or `fold` put into a secret hides nothing. This keeps
//! secrets out of the chat by mistake. A script that wants to give one away can always write it in another form.

use crate::brain::job::JobSecrets;
use crate::output::strip::strip;
use bartizan_secret::Zeroizing;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use std::ops::Range;

/// What stands in a secret's place.
pub const MASK: &str = "[redacted]";

/// A line of a secret that has several is one by itself from so many bytes on.
const LINE: usize = 16;

/// From so many bytes on a secret is found also where white space stands in the middle of it.
const LOOSE: usize = 8;

/// A piece of a secret that is shorter says nothing, at an edge where the output was cut.
const PIECE: usize = 4;

/// Where the output was cut, so that half a secret may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere.
    None,
    /// It goes on.
    End,
    /// It goes on at both sides.
    Both,
}

/// Masks every secret in stripped output.
pub fn redact(text: String, secrets: Option<&JobSecrets>, cut: Cut) -> String {
    let Some(secrets) = secrets else { return text };
    let mut found: Vec<Range<usize>> = Vec::new();
    for reading in [Reading::Plain, Reading::Percent, Reading::Form, Reading::Json] {
        let view = View::of(&text, reading);
        for value in secrets.values() {
            for needle in needles(value, reading) {
                view.search(&needle, &mut found);
                if reading == Reading::Plain {
                    view.search_edges(&needle, cut, &mut found);
                }
            }
        }
    }
    masked(&text, found)
}

fn masked(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_unstable_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        // Ranges begin and end at bytes that were compared; a character that is only half in one goes whole.
        let (start, end) = (text.floor_char_boundary(range.start), text.ceil_char_boundary(range.end));
        if start >= at {
            out.push_str(&text[at..start]);
            out.push_str(MASK);
        }
        at = at.max(end);
    }
    out.push_str(&text[at..]);
    out
}

/// How the output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As it stands.
    Plain,
    /// `%41` is `A`.
    Percent,
    /// `%41` is `A`, and `+` is a space.
    Form,
    /// `\n`, `\"` and `\u0041` are what they mean in JSON.
    Json,
}

/// White space is not; in a form, neither is what stands for a space.
fn is_compared(byte: u8, reading: Reading) -> bool {
    !byte.is_ascii_whitespace() && (reading != Reading::Form || byte != b'+')
}

/// Something to look for, without white space.
struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    /// Only where no white space stands in the middle.
    tight: bool,
    /// Characters before and after that have some of its bits, too.
    around: (usize, usize),
}

fn needles(value: &[u8], reading: Reading) -> Vec<Needle> {
    let mut all = Vec::new();
    let mut add = |bytes: Zeroizing<Vec<u8>>, around| {
        let tight = bytes.len() < LOOSE;
        if !bytes.is_empty() {
            all.push(Needle { bytes, tight, around });
        }
    };
    let squeezed = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
        // Made at its full size: nothing of it is left behind by growing.
        let mut kept = Zeroizing::new(Vec::with_capacity(bytes.len()));
        kept.extend(bytes.iter().filter(|byte| is_compared(**byte, reading)));
        kept
    };
    // The output lost what `strip` takes away, so the secret loses it, too; where it was encoded it is still there.
    let plain = Zeroizing::new(strip(value));
    if reading == Reading::Plain {
        add(squeezed(plain.as_bytes()), (0, 0));
    }
    if reading != Reading::Plain || plain.as_bytes() != value {
        add(squeezed(value), (0, 0));
    }
    if value.contains(&b'\n') {
        for line in value.split(|byte| *byte == b'\n').map(&squeezed).filter(|line| line.len() >= LINE) {
            add(line, (0, 0));
        }
    }
    if matches!(reading, Reading::Plain | Reading::Percent) && value.len() >= PIECE - 1 {
        for offset in 0..3 {
            for url_safe in [false, true] {
                let (bytes, around) = base64(value, offset, url_safe);
                add(bytes, around);
            }
        }
        for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
            let mut hex = Zeroizing::new(Vec::with_capacity(2 * value.len()));
            hex.extend(value.iter().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]));
            add(hex, (0, 0));
        }
    }
    all
}

/// What is always the same of a secret's base64 when so many bytes stand before it; and how many characters on both sides
/// have some of its bits and some of its neighbours'.
fn base64(value: &[u8], offset: usize, url_safe: bool) -> (Zeroizing<Vec<u8>>, (usize, usize)) {
    let mut whole = Zeroizing::new(Vec::with_capacity(offset + value.len()));
    whole.resize(offset, 0);
    whole.extend_from_slice(value);
    let engine = if url_safe { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };
    let text = Zeroizing::new(engine.encode(&*whole));
    let (first, last) = ((offset * 8).div_ceil(6), whole.len() * 8 / 6);
    let bytes = text.as_bytes().get(first..last).unwrap_or_default();
    (Zeroizing::new(bytes.to_vec()), (usize::from(offset > 0), text.len() - last))
}

/// The output without white space, read in one way, and where each byte of that came from.
struct View {
    bytes: Vec<u8>,
    places: Vec<Range<u32>>,
}

impl View {
    fn of(text: &str, reading: Reading) -> Self {
        let raw = text.as_bytes();
        let mut view = Self { bytes: Vec::with_capacity(raw.len()), places: Vec::with_capacity(raw.len()) };
        let mut at = 0;
        while let Some(&first) = raw.get(at) {
            let (bytes, used) = match (reading, first) {
                (Reading::Percent | Reading::Form, b'%') => match raw.get(at + 1..at + 3).and_then(hex) {
                    Some(value) => (Decoded::of(&[u8::try_from(value).unwrap_or(0)]), 3),
                    None => (Decoded::of(&[first]), 1),
                },
                (Reading::Form, b'+') => (Decoded::of(&[]), 1),
                (Reading::Json, b'\\') => json(&raw[at..]),
                (_, first) => (Decoded::of(&[first]), 1),
            };
            let place = u32::try_from(at).unwrap_or(u32::MAX)..u32::try_from(at + used).unwrap_or(u32::MAX);
            for byte in bytes.bytes().iter().filter(|byte| is_compared(**byte, reading)) {
                view.bytes.push(*byte);
                view.places.push(place.clone());
            }
            at += used;
        }
        view
    }

    /// Where a piece of this view stands in the output.
    fn place(&self, piece: Range<usize>) -> Option<Range<usize>> {
        let (first, last) = (self.places.get(piece.start)?, self.places.get(piece.end.checked_sub(1)?)?);
        Some(usize::try_from(first.start).ok()?..usize::try_from(last.end).ok()?)
    }

    fn search(&self, needle: &Needle, found: &mut Vec<Range<usize>>) {
        let (size, (before, after)) = (needle.bytes.len(), needle.around);
        let finder = memmem::Finder::new(&*needle.bytes);
        let mut from = 0;
        while let Some(at) = self.bytes.get(from..).and_then(|rest| finder.find(rest)) {
            let start = from + at;
            let together = || self.places[start..start + size].windows(2).all(|pair| pair[0].end >= pair[1].start);
            if !needle.tight || together() {
                let end = (start + size + after).min(self.bytes.len());
                found.extend(self.place(start.saturating_sub(before)..end));
                from = start + size;
            } else {
                from = start + 1;
            }
        }
    }

    /// Pieces of a secret where the output was cut.
    fn search_edges(&self, needle: &Needle, cut: Cut, found: &mut Vec<Range<usize>>) {
        let (own, all) = (&*needle.bytes, &self.bytes);
        let sizes = || (PIECE..own.len().min(all.len() + 1)).rev();
        if matches!(cut, Cut::End | Cut::Both) {
            // A character that was cut in two has become U+FFFD.
            let mut end = all.len();
            while all[..end].ends_with("\u{fffd}".as_bytes()) {
                end -= "\u{fffd}".len();
            }
            if let Some(size) = sizes().find(|size| all[..end].ends_with(&own[..*size])) {
                found.extend(self.place(end - size..end));
            }
        }
        if cut == Cut::Both {
            let mut start = 0;
            while all[start..].starts_with("\u{fffd}".as_bytes()) {
                start += "\u{fffd}".len();
            }
            if let Some(size) = sizes().find(|size| all[start..].starts_with(&own[own.len() - size..])) {
                found.extend(self.place(start..start + size));
            }
        }
    }
}

/// What an escape means: at most four bytes.
struct Decoded([u8; 4], usize);

impl Decoded {
    fn of(bytes: &[u8]) -> Self {
        let mut decoded = Self([0; 4], bytes.len().min(4));
        decoded.0[..decoded.1].copy_from_slice(&bytes[..decoded.1]);
        decoded
    }

    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// A JSON escape at the beginning of this, and how long it is.
fn json(raw: &[u8]) -> (Decoded, usize) {
    match raw.get(1) {
        Some(b'n' | b't' | b'r' | b'f') => (Decoded::of(b" "), 2),
        Some(b'b') => (Decoded::of(b"\x08"), 2),
        Some(b'u') => match raw.get(2..6).and_then(hex).and_then(char::from_u32) {
            Some(c) => (Decoded::of(c.encode_utf8(&mut [0; 4]).as_bytes()), 6),
            None => (Decoded::of(b"\\"), 1),
        },
        Some(other) if other.is_ascii() => (Decoded::of(&[*other]), 2),
        Some(_) | None => (Decoded::of(b"\\"), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::job::secrets;
    use proptest::prelude::*;

    const SECRET: &[u8] = b"hunter2/+ \"correct\" horse?";

    fn shown(text: &str) -> String {
        redact(text.to_owned(), Some(&secrets(&[SECRET])), Cut::None)
    }

    fn percent(bytes: &[u8], kept: &str) -> String {
        let kept = |b: u8| b.is_ascii_alphanumeric() || kept.contains(char::from(b));
        bytes.iter().map(|b| if kept(*b) { char::from(*b).to_string() } else { format!("%{b:02x}") }).collect()
    }

    #[test]
    fn row_77_a_secret_is_masked_as_it_is_and_wherever_a_line_is_broken() {
        let secret = String::from_utf8_lossy(SECRET);
        assert_eq!(shown(&format!("a {secret} b {secret}.")), "a [redacted] b [redacted].");
        assert_eq!(shown(&format!("a {}\n{} b", &secret[..9], &secret[9..])), "a [redacted] b");
        assert_eq!(shown("a hunter2/+ b"), "a hunter2/+ b");
    }

    #[test]
    fn row_77_base64_is_masked_at_every_alignment_in_both_alphabets_and_wrapped() {
        for before in ["", "u", "us", "user:", "user:x"] {
            for after in ["", "\n", "@host"] {
                let whole = [before.as_bytes(), SECRET, after.as_bytes()].concat();
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let text = engine.encode(&whole);
                    for text in
                        [text.clone(), text.as_bytes().chunks(7).map(|c| String::from_utf8_lossy(c) + "\n").collect()]
                    {
                        let shown = shown(&format!("<{text}>"));
                        let left = shown.replace(MASK, "").replace('\n', "").len() - 2;
                        assert!(shown.contains(MASK), "{before} {after} {text}: {shown}");
                        // What is left are its neighbours' characters.
                        assert!(
                            left <= (before.len() + after.len()).div_ceil(3) * 4,
                            "{before} {after} {text}: {shown}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn row_77_url_forms_json_and_hexadecimal_digits_are_masked() {
        let secret = String::from_utf8_lossy(SECRET);
        for text in [
            percent(SECRET, ""),
            percent(SECRET, "-._~"),
            percent(SECRET, "/+ ?"),
            percent(SECRET, "")
                .to_uppercase()
                .replace("HUNTER", "hunter")
                .replace("CORRECT", "correct")
                .replace("HORSE", "horse"),
            percent(SECRET, " ").replace(' ', "+"),
            serde_json::to_string(&*secret).expect("text"),
            SECRET.iter().map(|b| format!("{b:02x}")).collect(),
            SECRET.iter().map(|b| format!("{b:02X}")).collect(),
            percent(STANDARD_NO_PAD.encode(SECRET).as_bytes(), ""),
        ] {
            let shown = shown(&format!("key={text}&x=1"));
            assert!(shown.starts_with("key=") && shown.ends_with("&x=1") && shown.contains(MASK), "{text}: {shown}");
            assert!(shown.len() <= "key=\"\"&x=1".len() + MASK.len() + 1, "{text}: {shown}");
        }
    }

    #[test]
    fn a_line_of_a_key_is_masked_by_itself_and_a_short_secret_only_where_it_is_whole() {
        let key = secrets(&[b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nEFAASCBKcwggSj\n", b"pin7"]);
        let shown = |text: &str| redact(text.to_owned(), Some(&key), Cut::None);
        assert_eq!(shown("line: MIIEvQIBADANBgkqhkiG9w0BAQ"), "line: [redacted]");
        assert_eq!(shown("pin7 and pi\nn7"), "[redacted] and pi\nn7");
    }

    #[test]
    fn half_a_secret_is_masked_where_the_output_was_cut() {
        let one = secrets(&[b"canary-of-a-secret"]);
        let shown = |text: &str, cut| redact(text.to_owned(), Some(&one), cut);
        assert_eq!(shown("x canary-of", Cut::End), "x [redacted]");
        assert_eq!(shown("x canary-of", Cut::None), "x canary-of");
        assert_eq!(shown("a-secret and canary-", Cut::Both), "[redacted] and [redacted]");
        assert_eq!(shown("x can", Cut::End), "x can");
    }

    #[test]
    fn escapes_inside_a_secret_do_not_hide_it() {
        assert_eq!(shown(&strip(b"hunter2/\x1b[31m+ \"correct\" \x1b[0mhorse?")), "[redacted]");
        let odd = secrets(&[b"abcd\x01efgh\xffijkl"]);
        assert_eq!(redact(strip(b"abcd\x01efgh\xffijkl"), Some(&odd), Cut::None), MASK);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_secret_is_left(text in "\\PC{0,80}", secret in "[a-zA-Z0-9%+/é\\\\]{4,20}", at in 0usize..80) {
            let at = text.floor_char_boundary(at);
            let whole = format!("{}{secret}{}", &text[..at], &text[at..]);
            for cut in [Cut::None, Cut::End, Cut::Both] {
                let shown = redact(whole.clone(), Some(&secrets(&[secret.as_bytes()])), cut);
                prop_assert!(!shown.contains(&secret), "{shown}");
            }
        }
    }
}
