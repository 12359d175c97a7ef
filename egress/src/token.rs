//! The bot's token: in protected memory, and out of it only as one request's `Authorization` header.
//!
//! There is no way to print it. While a request is on its way the HTTP library and the TLS library have copies of the
//! header in ordinary memory; ours is zeroed when the header is dropped, theirs cannot be.

use crate::scrub::{self, StreamScrubber};
use bartizan_secret::{Protection, SecretBytes, SecretMemoryError, Zeroizing};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// Shortest token taken, in bytes (Mattermost's have 26): a shorter one could not be told from ordinary text when
/// answers are scrubbed.
pub const MIN_TOKEN: usize = 8;

/// Why what the core sent cannot be a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Too short.
    #[error("the token has under {MIN_TOKEN} characters")]
    Short,
    /// It could not stand in a header.
    #[error("the token has characters that no token has (a line break, a space, or not ASCII)")]
    Characters,
    /// It cannot be kept safely.
    #[error("the token cannot be kept: {0}")]
    Memory(#[from] SecretMemoryError),
}

/// The token in use. Cloning shares it: when it is exchanged, it is for all.
#[derive(Clone)]
pub struct Token(Arc<Shared>);

struct Shared {
    kept: RwLock<Kept>,
    changed: watch::Sender<u64>,
}

struct Kept {
    current: Arc<SecretBytes>,
    /// The one before, which may still stand in an answer that is on its way.
    before: Option<Arc<SecretBytes>>,
}

impl Token {
    /// Puts the token into protected memory; the given copy is zeroed.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn keep(token: Zeroizing<Vec<u8>>) -> Result<Self, TokenError> {
        if token.len() < MIN_TOKEN {
            return Err(TokenError::Short);
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::Characters);
        }
        let kept = Kept { current: Arc::new(SecretBytes::new(token)?), before: None };
        Ok(Self(Arc::new(Shared { kept: RwLock::new(kept), changed: watch::Sender::new(0) })))
    }

    /// From now on the other one's token is in use. The one before is only kept to be scrubbed out of what is on its way:
    /// [`Token::forget_before`].
    pub fn exchange(&self, other: &Token) {
        let current = other.current();
        let mut kept = self.0.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.before = Some(std::mem::replace(&mut kept.current, current));
        drop(kept);
        self.0.changed.send_modify(|times| *times += 1);
    }

    /// Nothing that was sent with the token before the last exchange is still to be answered.
    pub fn forget_before(&self) {
        self.0.kept.write().unwrap_or_else(PoisonError::into_inner).before = None;
    }

    /// Tells of every exchange from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn current(&self) -> Arc<SecretBytes> {
        Arc::clone(&self.0.kept.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// The value of one request's `Authorization` header.
    pub fn header(&self) -> HeaderValue {
        let current = self.current();
        let token = current.expose();
        let mut value = Zeroizing::new(Vec::with_capacity(b"Bearer ".len() + token.len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(token);
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
            .expect("`keep` took only characters that a header may have");
        header.set_sensitive(true);
        header
    }

    /// Overwrites the token wherever it stands in something the server said.
    pub fn scrub(&self, bytes: &mut [u8]) {
        let kept = self.0.kept.read().unwrap_or_else(PoisonError::into_inner);
        for token in [Some(&kept.current), kept.before.as_ref()].into_iter().flatten() {
            scrub::overwrite(bytes, token.expose());
        }
    }

    /// Overwrites the token in a stream, also where it is cut in two.
    pub fn stream_scrubber(&self) -> StreamScrubber {
        StreamScrubber::new(self.current())
    }

    /// Which memory it is in.
    pub fn protection(&self) -> Protection {
        self.current().protection()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &[u8] = b"canarytokencanarytokencana";

    #[test]
    fn a_token_is_in_no_debug_text() {
        let token = Token::keep(Zeroizing::new(CANARY.to_vec())).expect("a token");
        let shown = format!("{token:?} {:?}", token.header());
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(token.header().as_bytes(), b"Bearer canarytokencanarytokencana");
    }

    #[test]
    fn after_an_exchange_the_new_token_is_sent_and_both_are_scrubbed() {
        let token = Token::keep(Zeroizing::new(CANARY.to_vec())).expect("a token");
        let (shared, mut changes) = (token.clone(), token.changes());
        shared.exchange(&Token::keep(Zeroizing::new(b"newtokennewtoken".to_vec())).expect("a token"));
        assert_eq!(token.header().as_bytes(), b"Bearer newtokennewtoken");
        assert!(changes.has_changed().expect("there"));
        let mut text = [CANARY, b"newtokennewtoken"].concat();
        token.scrub(&mut text);
        assert!(text.iter().all(|byte| *byte == b'*'));
        token.forget_before();
        let mut text = CANARY.to_vec();
        token.scrub(&mut text);
        assert_eq!(text, CANARY);
        changes.mark_unchanged();
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_without_being_repeated() {
        for bad in [&b"short"[..], b"with\nline\r\nbreak: x", b"canary canary", "canär-canär".as_bytes()] {
            let error = Token::keep(Zeroizing::new(bad.to_vec())).expect_err("no token");
            assert!(!error.to_string().contains("canary"));
        }
    }
}
