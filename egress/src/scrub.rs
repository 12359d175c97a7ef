//! Takes the token out of what the server says, before anybody else sees it.
//!
//! Mattermost repeats a refused token in some error texts. Each byte of it is overwritten with `*`, so that lengths
//! and JSON stay as they were. A server that wants to give the token away in another form can: it knows it.

use bartizan_secret::SecretBytes;
use std::sync::Arc;

/// Overwrites every occurrence of `secret`.
pub fn overwrite(bytes: &mut [u8], secret: &[u8]) {
    let Some(first) = secret.first() else { return };
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| byte == first) {
        at += found;
        if bytes[at..].starts_with(secret) {
            bytes[at..at + secret.len()].fill(b'*');
            at += secret.len();
        } else {
            at += 1;
        }
    }
}

/// The same for a stream that is cut anywhere. Bytes that may be the beginning of the token are held until more come;
/// a websocket message of Mattermost ends in `}`, which no token contains, so no whole message is ever held.
#[derive(Debug)]
pub struct StreamScrubber {
    token: Arc<SecretBytes>,
    held: Vec<u8>,
}

impl StreamScrubber {
    pub(crate) fn new(token: Arc<SecretBytes>) -> Self {
        Self { token, held: Vec::new() }
    }

    /// Takes the next bytes of the stream, gives those that can be handed on.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let secret = self.token.expose();
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        overwrite(&mut all, secret);
        let longest = all.len().min(secret.len() - 1);
        let keep = (1..=longest).rev().find(|&n| all.ends_with(&secret[..n])).unwrap_or(0);
        self.held = all.split_off(all.len() - keep);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn token(text: &str) -> Token {
        Token::keep(Zeroizing::new(text.as_bytes().to_vec())).expect("a token")
    }

    #[test]
    fn every_occurrence_is_overwritten_in_place() {
        let mut text = b"{\"message\":\"token=abcabcabd, abcabcabcabd\"}".to_vec();
        overwrite(&mut text, b"abcabcabd");
        assert_eq!(text, b"{\"message\":\"token=*********, abc*********\"}");
    }

    #[test]
    fn an_ordinary_message_is_not_held_back() {
        let mut scrubber = token("abcabcabd").stream_scrubber();
        assert_eq!(scrubber.push(b"{\"event\":\"hello\"}"), b"{\"event\":\"hello\"}");
        assert_eq!(scrubber.push(b"\x89\x00"), b"\x89\x00");
    }

    proptest! {
        #[test]
        fn the_token_never_leaves_a_stream_however_it_is_cut(
            pieces in prop::collection::vec("[abc]{0,6}|abcabcabd", 0..20),
            cut in 1usize..12,
        ) {
            let stream = pieces.concat() + "}";
            let mut scrubber = token("abcabcabd").stream_scrubber();
            let out: Vec<u8> = stream.as_bytes().chunks(cut).flat_map(|piece| scrubber.push(piece)).collect();
            let mut whole = stream.into_bytes();
            overwrite(&mut whole, b"abcabcabd");
            prop_assert_eq!(out, whole);
        }
    }
}
