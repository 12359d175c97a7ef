//! Ids and tokens as a Mattermost server makes them: 26 characters of its base-32 alphabet.
//! They stay plain strings in this server: most of what it is asked about comes from clients and may be
//! anything, and telling a well-formed id from a bad one is part of what it has to answer.

use rand::Rng;

/// Mattermost's encoding alphabet (`model/utils.go`).
const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// The length of every id and token.
const LENGTH: usize = 26;

/// A new random id; tokens have the same form.
pub(crate) fn new_id() -> String {
    let mut random = rand::rng();
    (0..LENGTH).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// Whether the text has the form of an id, as the real server checks it.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_26_characters_and_differ() {
        let (first, second) = (new_id(), new_id());
        assert!(is_id(&first) && is_id(&second));
        assert_ne!(first, second);
        assert!(!is_id("me"));
    }
}
