//! `api` of a script: the verbs of the script API that it may use.

use super::error::{Wrong, not_one_of};
use bartizan_proto::script::Verb;

/// The verbs of the script API that it may use, each once.
pub(super) fn check(words: &[String]) -> Result<Vec<Verb>, Wrong> {
    let mut verbs = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let verb = Verb::named(word)
            .ok_or_else(|| not_one_of("there is no verb", word, &Verb::ALL.map(Verb::as_str)).within(i))?;
        if verbs.contains(&verb) {
            return Err(Wrong::new(format!("the verb \"{word}\" is there twice"), "remove one").within(i));
        }
        verbs.push(verb);
    }
    Ok(verbs)
}
