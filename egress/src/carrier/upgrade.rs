//! Opens the websocket: one GET with the token, answered with 101 and the proof that a websocket server answered.

use crate::http::{Http, HttpError, Request, StatusCode, retry_after_ms};
use bartizan_proto::carrier::Resume;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Upgraded;
use reqwest::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use sha1::{Digest, Sha1};

/// Why there is no websocket.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The server answered something else than 101.
    #[error("the server answered {status} instead of opening a websocket")]
    Status {
        /// What it answered.
        status: StatusCode,
        /// From `Retry-After`.
        retry_after_ms: Option<u32>,
    },
    /// 101, but not to this request.
    #[error("the server's 101 is not the answer to this request (Sec-WebSocket-Accept)")]
    Accept,
    /// 101 with something that was not asked for.
    #[error("the server chose {0}, which was not asked for")]
    Unasked(HeaderName),
    /// No randomness for the key.
    #[error("the kernel gives no randomness: {0}")]
    Random(#[from] rustix::io::Errno),
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Refusal {
    /// The HTTP status, 0 where there was none.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Status { status, .. } => status.as_u16(),
            Refusal::Accept | Refusal::Unasked(_) => StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            Refusal::Random(_) | Refusal::Http(_) => 0,
        }
    }

    /// From `Retry-After`.
    pub fn retry_after_ms(&self) -> Option<u32> {
        match self {
            Refusal::Status { retry_after_ms, .. } => *retry_after_ms,
            Refusal::Accept | Refusal::Unasked(_) | Refusal::Random(_) | Refusal::Http(_) => None,
        }
    }
}

/// Connects, authenticates and upgrades.
///
/// # Errors
/// [`Refusal`].
pub async fn open(http: &Http, resume: Option<&Resume>) -> Result<Upgraded, Refusal> {
    let key = random_key()?;
    let sequence = resume.map(|resume| resume.sequence.to_string()).unwrap_or_default();
    let query = resume.map(|resume| [("connection_id", &*resume.connection), ("sequence_number", &*sequence)]);
    let request = Request { query: query.as_ref().map_or(&[], |pairs| &pairs[..]), ..Request::get(&["websocket"]) };
    let response = http.send(request, upgrade_headers(&key)).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::Status { status: response.status(), retry_after_ms: retry_after_ms(response.headers()) });
    }
    if response.headers().get(SEC_WEBSOCKET_ACCEPT).is_none_or(|accept| accept.as_bytes() != accept_of(&key).as_bytes())
    {
        return Err(Refusal::Accept);
    }
    for unasked in [SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL] {
        if response.headers().contains_key(&unasked) {
            return Err(Refusal::Unasked(unasked));
        }
    }
    response.upgrade().await.map_err(|error| http.error(error).into())
}

/// 16 random bytes in base64 (RFC 6455 §4.1).
fn random_key() -> Result<String, rustix::io::Errno> {
    let mut nonce = [0; 16];
    let mut filled = 0;
    while filled < nonce.len() {
        filled += rustix::rand::getrandom(&mut nonce[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(STANDARD.encode(nonce))
}

fn upgrade_headers(key: &str) -> HeaderMap {
    let key = HeaderValue::from_str(key).expect("base64 has only characters that a header may have");
    HeaderMap::from_iter([
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (SEC_WEBSOCKET_KEY, key),
    ])
}

/// What a websocket server answers to a key (RFC 6455 §4.2.2).
fn accept_of(key: &str) -> String {
    let mut digest = Sha1::new();
    digest.update(key.as_bytes());
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_the_one_of_the_rfc() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn two_keys_differ() {
        assert_ne!(random_key().expect("random"), random_key().expect("random"));
    }
}
