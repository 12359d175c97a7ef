//! `secret set NAMESPACE/NAME VALUE`, by direct message, where the configuration allows it.
//!
//! The value passes through the connector and stays on the server until its post is deleted: the host is the better way.
//! What was typed after the name is never written down or repeated ([`withheld`]).

use super::parse::Word;
use bartizan_proto::ids::SecretName;

/// The command's name.
pub const NAME: &str = "secret";

/// Among so many first words of a line the name is looked for: `@bartizan`, `run`, `explain` may stand before it.
const WORDS: usize = 4;

/// What the words ask for: which secret, and its value.
///
/// # Errors
/// What is wrong, for who typed them; nothing of the value.
pub fn read(words: &[Word]) -> Result<(SecretName, &str), String> {
    let [verb, name, value] = words else {
        return Err("a name and a value are wanted; a value with spaces stands in quotes".to_owned());
    };
    if verb.text != "set" {
        return Err("here a secret can only be set; the rest is done on the host".to_owned());
    }
    let name = name.text.parse().map_err(|_| "the name is NAMESPACE/NAME, of letters, digits, - and _".to_owned())?;
    if value.text.is_empty() {
        return Err("the value is empty".to_owned());
    }
    Ok((name, &value.text))
}

/// What stands for a line in log and audit where it is, or was probably meant to be, this command.
pub fn withheld(line: &str) -> Option<String> {
    let is_it = |word: &&str| {
        let name: String = word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        name == NAME || crate::config::nearest(&name, [NAME]).is_some()
    };
    let name = line.split_whitespace().take(WORDS).find(is_it)?;
    let shown: String = name.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    Some(format!("{shown} (arguments withheld)"))
}

/// Whether a line is this command with a value, or was probably meant to be: as [`withheld`], but not for any talk of secrets.
pub fn is_set(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(WORDS + 1).collect();
    words.windows(2).any(|pair| withheld(pair[0]).is_some() && pair[1].eq_ignore_ascii_case("set"))
}

#[cfg(test)]
mod tests {
    use super::super::parse::split;
    use super::*;

    #[test]
    fn a_name_and_a_value_are_read_and_nothing_else() {
        let words = split("set deploy/key \"a b\"").expect("words");
        let (name, value) = read(&words).expect("read");
        assert_eq!((name.to_string().as_str(), value), ("deploy/key", "a b"));
        for wrong in [
            "",
            "set",
            "set deploy/key",
            "set deploy/key canary canary",
            "get deploy/key canary",
            "set canary canary",
            "set a/b ''",
        ] {
            let error = read(&split(wrong).expect("words")).expect_err(wrong);
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn nothing_of_a_value_is_written_down_however_the_command_is_written() {
        for line in [
            "secret set deploy/key canary",
            "!secret set deploy/key canary",
            "@bartizan: secret set deploy/key canary",
            "run secret set deploy/key canary",
            "!explain secret set deploy/key canary",
            "!Secret set deploy/key canary",
            "!secert set deploy/key canary",
            "!secrets set deploy/key canary",
            "!secret: set canary",
            "secret\nset deploy/key canary",
        ] {
            let shown = withheld(line).unwrap_or_else(|| line.to_owned());
            assert!(!shown.contains("canary"), "{line:?}: {shown}");
        }
        assert_eq!(withheld("deploy api-server staging"), None);
        assert_eq!(withheld("hello to a world with a secret in it"), None);
    }
}
