//! `api` of a script: the verbs of the script API that it may use.

use super::error::{Wrong, not_one_of};
use bartizan_proto::script::Verb;

/// The verbs of the script API that it may use, each once.
pub(super) fn check(words: &[String]) -> Result<Vec<Verb>, Wrong> {
    let mut verbs = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let known = Verb::ALL.into_iter().filter(|verb| !verb.is_drivers());
        let verb = Verb::named(word).filter(|verb| !verb.is_drivers()).ok_or_else(|| {
            not_one_of("there is no verb", word, &known.map(Verb::as_str).collect::<Vec<_>>()).within(i)
        })?;
        if verbs.contains(&verb) {
            return Err(Wrong::new(format!("the verb \"{word}\" is there twice"), "remove one").within(i));
        }
        verbs.push(verb);
    }
    Ok(verbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_drivers_tell_can_be_granted_to_no_script() {
        assert!(check(&["say".to_owned(), "table".to_owned()]).is_ok());
        let refused = check(&["say".to_owned(), "hosts".to_owned()]).expect_err("a driver's");
        assert!(!format!("{refused:?}").contains("exclusive, attach, hosts"), "nor is it named");
    }
}
