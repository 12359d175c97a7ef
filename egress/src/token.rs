//! The bot's token: in protected memory, and out of it only as one request's `Authorization` header.
//!
//! There is no way to print it. While a request is on its way the HTTP library and the TLS library have copies of the
//! header in ordinary memory; ours is zeroed when the header is dropped, theirs cannot be.

use crate::scrub::{self, StreamScrubber};
use crate::system::secret_memory::{Protection, SecretBytes, SecretMemoryError};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

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

/// The token. Cloning shares the one protected copy.
#[derive(Clone)]
pub struct Token(Arc<SecretBytes>);

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
        Ok(Self(Arc::new(SecretBytes::new(token)?)))
    }

    /// The value of one request's `Authorization` header.
    pub fn header(&self) -> HeaderValue {
        let token = self.0.expose();
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
        scrub::overwrite(bytes, self.0.expose());
    }

    /// Overwrites the token in a stream, also where it is cut in two.
    pub fn stream_scrubber(&self) -> StreamScrubber {
        StreamScrubber::new(self.clone())
    }

    /// Which memory it is in.
    pub fn protection(&self) -> Protection {
        self.0.protection()
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
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
    fn what_cannot_be_a_token_is_refused_without_being_repeated() {
        for bad in [&b"short"[..], b"with\nline\r\nbreak: x", b"canary canary", "canär-canär".as_bytes()] {
            let error = Token::keep(Zeroizing::new(bad.to_vec())).expect_err("no token");
            assert!(!error.to_string().contains("canary"));
        }
    }
}
