//! `lockdown "REASON" [--kill]`: the emergency stop. Nothing new is started from then on; with `--kill`, what runs is stopped.

use super::ban::MAX_BAN_REASON;
use super::parse::Word;
use crate::config::Allow;
use crate::oddity;

/// Stops what runs.
const KILL: &str = "--kill";

/// Why, and whether what runs is stopped. A reason of several words may also be typed without quotes.
///
/// # Errors
/// What is wrong with the words, for who typed them.
pub fn read(words: &[Word]) -> Result<(String, bool), String> {
    let is_option = |word: &&Word| word.bare >= 2 && word.text.starts_with("--");
    if let Some(other) = words.iter().filter(is_option).find(|word| word.text != KILL) {
        return Err(format!("there is no option {}; {KILL} is the only one", other.text));
    }
    let kill = words.iter().any(|word| is_option(&word));
    let reason: Vec<&str> = words.iter().filter(|word| !is_option(word)).map(|word| word.text.as_str()).collect();
    Ok((reason_of(&reason.join(" "))?, kill))
}

/// A reason as people may read it, from chat or from the host.
///
/// # Errors
/// What is wrong with it.
pub fn reason_of(reason: &str) -> Result<String, String> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err("the reason is missing".to_owned());
    }
    if let Some(odd) = oddity::find(reason, Allow { look_alikes: true, ..Allow::default() }) {
        return Err(format!("the reason {odd}"));
    }
    if reason.len() > MAX_BAN_REASON {
        return Err(format!("the reason is longer than {MAX_BAN_REASON} bytes"));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse::split;

    #[test]
    fn a_reason_is_wanted_and_an_option_that_is_not_known_is_no_part_of_it() {
        let read = |line: &str| read(&split(line).expect("readable"));
        assert_eq!(read("\"bad deploy\""), Ok(("bad deploy".into(), false)));
        assert_eq!(read("bad deploy --kill"), Ok(("bad deploy".into(), true)));
        assert_eq!(read("--kill \"--kill\" all"), Ok(("--kill all".into(), true)), "quoted it is a word");
        for (line, why) in [("", "missing"), ("--kill", "missing"), ("' '", "missing"), ("x --kil", "no option --kil")]
        {
            assert!(read(line).is_err_and(|error| error.contains(why)), "{line}");
        }
        assert!(read(&"x".repeat(501)).is_err_and(|error| error.contains("longer")));
    }
}
