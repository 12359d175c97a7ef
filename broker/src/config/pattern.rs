//! An operator's regular expression, compiled so that it must match a whole value, in linear time and bounded memory.
//!
//! `\d`, `\w`, `\s` and `\b` mean ASCII, as in JavaScript (where the seed's expressions come from) and in grep: with
//! the crate's own meaning `\d` would also take the digits of every other script (attack row 67).

use super::error::Wrong;
use regex::{Regex, RegexBuilder};

/// Most memory of a compiled expression, in bytes. Enough for long lists of words and for `{1,500}`.
const MAX_COMPILED: usize = 256 * 1024;

/// Compiles `written` to match from the first character to the last.
pub(super) fn compile(written: &str) -> Result<Regex, Wrong> {
    let ascii = in_ascii(written);
    // By itself first: `a)|(b` must not end the group that anchors it.
    build(&ascii)?;
    build(&format!("^(?:{ascii})$"))
}

fn build(expression: &str) -> Result<Regex, Wrong> {
    RegexBuilder::new(expression).size_limit(MAX_COMPILED).nest_limit(50).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Wrong::new(
            format!("the regex needs more than {} KiB when compiled", MAX_COMPILED / 1024),
            "use shorter repetitions, or `length` for the length",
        ),
        // The crate draws the expression with a caret under it; the last line says what is wrong.
        other => {
            let text = other.to_string();
            let why = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            Wrong::new(format!("the regex is not valid: {why}"), "correct it (syntax: docs.rs/regex)")
        }
    })
}

/// Replaces Perl's classes by their ASCII meaning. All of them may also stand inside `[…]`, except `\b`, which
/// nothing allows there.
fn in_ascii(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    let mut chars = written.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[\t\n\v\f\r ]"),
            Some('S') => out.push_str(r"[^\t\n\v\f\r ]"),
            Some('b') => out.push_str(r"(?-u:\b)"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_has_to_match() {
        for (pattern, good, bad) in [
            ("a|b", "a", "ab"),
            ("a|ab", "ab", "abc"),
            (r"^v\d+\.\d+$", "v1.20", "v1.2\n"),
            (r"[\w-]{1,8}", "api-1", "api 1"),
            (r"[\d.]+", "1.2", "x"),
            ("(?m)a$", "a", "a\nb"),
            (r"\w+\b", "word", "wörd"),
        ] {
            let regex = compile(pattern).unwrap();
            assert!(regex.is_match(good), "{pattern} {good}");
            assert!(!regex.is_match(bad), "{pattern} {bad}");
        }
    }

    #[test]
    fn a_digit_is_an_ascii_digit() {
        assert!(!compile(r"\d").unwrap().is_match("\u{663}"));
        assert!(!compile(r"\w").unwrap().is_match("\u{430}"));
        assert!(compile(r"\\d").unwrap().is_match(r"\d"));
    }

    #[test]
    fn what_would_break_out_of_its_anchors_is_refused() {
        for bad in ["a)|(b", "(", "[", "*", "\\", "(?x)a #", r"(?<=a)b", r"(a)\1"] {
            assert!(compile(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_grows_when_compiled_is_refused() {
        let error = compile(r"(?:\pL{1,100}){1,100}").unwrap_err().placed("f".into(), None).to_string();
        assert!(error.contains("256 KiB"), "{error}");
        assert!(compile("[a-z0-9-]{1,63}").is_ok());
    }

    #[test]
    fn the_seeds_classic_evil_expression_is_harmless() {
        let regex = compile("(a+)+b").unwrap();
        let start = std::time::Instant::now();
        assert!(!regex.is_match(&"a".repeat(16_000)));
        assert!(start.elapsed().as_secs() < 5);
    }
}
