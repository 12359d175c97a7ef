//! `elevate …`: the second factor, by direct message only.
//!
//! A code is a secret for a minute, a recovery code for as long as it is not used: what was typed after the name is never
//! written down or repeated ([`withheld`]).

use super::parse::Word;
use crate::elevation::{recovery, totp};
use bartizan_proto::ids::ScriptName;

/// The command's name; [`OTHER_NAME`] is another.
pub const NAME: &str = "elevate";
/// See [`NAME`].
pub const OTHER_NAME: &str = "totp";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// How do I stand?
    Status,
    /// Give me a second factor.
    Enrol,
    /// End my window.
    End,
    /// This is my code, for the command of that name.
    Code(String, Option<ScriptName>),
    /// This is one of my recovery codes, for the command of that name.
    Recovery(String, Option<ScriptName>),
    /// Give me new recovery codes; this is my code.
    NewRecovery(String),
}

/// What the words ask for.
///
/// # Errors
/// What is wrong, for who typed them; nothing of what may be a code.
pub fn read(words: &[Word]) -> Result<Wish, String> {
    let words: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let code = |parts: &[&str]| Some(parts.concat()).filter(|code| is_code(code));
    // Digits alone are a part of a code, and no name.
    let name = |word: &str| word.parse().ok().filter(|_| word.bytes().any(|b| b.is_ascii_alphabetic()));
    Ok(match words[..] {
        [] | ["status"] => Wish::Status,
        ["enroll" | "enrol"] => Wish::Enrol,
        ["end" | "off"] => Wish::End,
        ["recovery", ref parts @ ..] => match code(parts) {
            Some(code) => Wish::NewRecovery(code),
            None => return Err("new recovery codes are made with a code: recovery 123456".to_owned()),
        },
        [one] if recovery::is_one(one) => Wish::Recovery(one.to_owned(), None),
        [one, of] if recovery::is_one(one) && name(of).is_some() => Wish::Recovery(one.to_owned(), name(of)),
        [ref parts @ .., of] if code(parts).is_some() && name(of).is_some() => Wish::Code(parts.concat(), name(of)),
        ref parts => match code(parts) {
            Some(code) => Wish::Code(code, None),
            None => return Err("that is neither a code of 6 digits nor a word that I know here".to_owned()),
        },
    })
}

/// Whether a text may be a code.
pub fn is_code(text: &str) -> bool {
    text.len() == totp::DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

/// What stands for a line in log and audit where it is, or was probably meant to be, this command, or is a code by itself.
pub fn withheld(line: &str) -> Option<String> {
    let digits = line.bytes().filter(u8::is_ascii_digit).count();
    let bare =
        digits >= totp::DIGITS && line.chars().all(|c| c.is_ascii_digit() || c.is_ascii_punctuation() || c == ' ');
    if bare {
        return Some("(a number, withheld)".to_owned());
    }
    let name = name(line)?;
    // Of ordinary words nothing is to be hidden.
    let after = line.split_once(name).map_or("", |(_, after)| after);
    let plain = |word: &str| matches!(word, "status" | "enroll" | "enrol" | "end" | "off");
    if after.split_whitespace().all(plain) {
        return None;
    }
    let shown: String = name.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    Some(format!("{shown} (arguments withheld)"))
}

/// The word that is, or was probably meant to be, the command's name: the first, but for what may stand before it.
pub fn name(line: &str) -> Option<&str> {
    let letters = |word: &str| -> String {
        word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let before = |word: &&str| word.starts_with('@') || matches!(letters(word).as_str(), "" | "run" | "explain");
    let first = line.split_whitespace().find(|word| !before(word))?;
    let plain = letters(first);
    (plain == OTHER_NAME || plain == NAME || crate::config::nearest(&plain, [NAME]).is_some()).then_some(first)
}

/// Whether a line is this command, or was probably meant to be and has what may be a code.
pub fn is_it(line: &str) -> bool {
    let has_code = || !codes(line).is_empty() || line.split_whitespace().any(recovery::is_one);
    name(line).is_some_and(|name| matches!(name, NAME | OTHER_NAME) || has_code())
}

/// Every code that a line which is withheld may have in it.
pub fn codes(line: &str) -> Vec<String> {
    let digits = |word: &str| word.chars().filter(char::is_ascii_digit).collect::<String>();
    let words: Vec<String> = line.split_whitespace().map(digits).collect();
    let pairs = words.windows(2).map(<[String]>::concat);
    let mut codes: Vec<String> = words.iter().cloned().chain(pairs).filter(|code| is_code(code)).collect();
    codes.dedup();
    codes.truncate(8);
    codes
}

#[cfg(test)]
mod tests {
    use super::super::parse::split;
    use super::*;

    #[test]
    fn words_a_code_and_a_recovery_code_are_told_apart() {
        for (line, wish) in [
            ("", Wish::Status),
            ("enroll", Wish::Enrol),
            ("123456", Wish::Code("123456".into(), None)),
            ("123 456", Wish::Code("123456".into(), None)),
            ("123456 deploy", Wish::Code("123456".into(), "deploy".parse().ok())),
            ("123 456 deploy", Wish::Code("123456".into(), "deploy".parse().ok())),
            ("recovery 123 456", Wish::NewRecovery("123456".into())),
            ("abcd-efgh-ijkl-mnop", Wish::Recovery("abcd-efgh-ijkl-mnop".into(), None)),
            ("abcd-efgh-ijkl-mnop deploy", Wish::Recovery("abcd-efgh-ijkl-mnop".into(), "deploy".parse().ok())),
        ] {
            assert_eq!(read(&split(line).expect("words")), Ok(wish), "{line}");
        }
        for wrong in ["12345", "1234567", "123456 7", "recovery", "canary", "canary 123456", "123456 a b"] {
            let error = read(&split(wrong).expect("words")).expect_err(wrong);
            assert!(!error.contains("canary") && !error.contains("12345 "), "{error}");
        }
    }

    #[test]
    fn row_23_no_code_is_written_down_however_the_command_is_written() {
        for line in [
            "elevate 135790",
            "!elevate 135790",
            "@bartizan: elevate 135 790",
            "run elevate 135790",
            "run '' ele'vate' 135790",
            "!explain elevate 135790",
            "!Elevate 135790",
            "!elevte 135790",
            "!totp 135790",
            "elevate recovery 135790",
            "elevate 135790 deploy",
            "135790",
            "!135790",
            "135 790",
        ] {
            let shown = withheld(line).unwrap_or_else(|| line.to_owned());
            assert!(!shown.contains("135") && !shown.contains("790"), "{line:?}: {shown}");
            assert_eq!(codes(line), ["135790"], "{line}");
        }
        assert_eq!(withheld("elevate enroll"), None);
        assert_eq!(withheld("deploy api-server staging"), None);
        assert_eq!(withheld("12 monkeys"), None);
        assert_eq!(withheld("deploy total 123456"), None);
    }
}
