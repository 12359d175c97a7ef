//! One line, taken apart without copying it.

use crate::PublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signature;
use serde::Deserialize;
use std::borrow::Cow;

/// How every line ends: this, the signature, and [`END`].
const SEAL: &str = ",\"signature\":\"";
const END: &str = "\"}";

/// 64 bytes in base64.
const SIGNATURE_LENGTH: usize = 88;

/// What every line has.
#[derive(Debug)]
pub struct Entry<'l> {
    /// Its number, from 1.
    pub sequence: u64,
    /// When, RFC 3339 in UTC.
    pub timestamp: Cow<'l, str>,
    /// What it tells of.
    pub event: Cow<'l, str>,
    /// The hash of the line before.
    pub previous_hash: Cow<'l, str>,
    /// Who signed, in base64.
    pub public_key: Cow<'l, str>,
    /// What is signed: the line up to its signature.
    pub signed: &'l [u8],
    pub(crate) signature: Signature,
    /// The whole line.
    pub line: &'l str,
}

/// A line that is not one of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Common<'l> {
    sequence: u64,
    #[serde(borrow)]
    timestamp: Cow<'l, str>,
    #[serde(borrow)]
    event: Cow<'l, str>,
    #[serde(borrow)]
    previous_hash: Cow<'l, str>,
    #[serde(borrow)]
    public_key: Cow<'l, str>,
}

impl<'l> Entry<'l> {
    /// Reads a line, given without its line break. Nothing is verified.
    ///
    /// # Errors
    /// [`Unreadable`]: why it cannot be a line of a log.
    pub fn read(line: &'l [u8]) -> Result<Self, Unreadable> {
        let bad = |why: &str| Unreadable(why.to_owned());
        let line = std::str::from_utf8(line).map_err(|_| bad("is not UTF-8"))?;
        let common: Common<'l> =
            serde_json::from_str(line).map_err(|error| Unreadable(format!("is not a record: {error}")))?;
        let sealed = line.strip_suffix(END).ok_or_else(|| bad("does not end with its signature"))?;
        let at = sealed.len().checked_sub(SIGNATURE_LENGTH).filter(|at| sealed.is_char_boundary(*at));
        let (rest, signature) = sealed.split_at(at.ok_or_else(|| bad("has no signature"))?);
        let signed = rest.strip_suffix(SEAL).ok_or_else(|| bad("does not end with its signature"))?;
        let bytes = BASE64.decode(signature).map_err(|_| bad("has a signature that is not base64"))?;
        let signature = Signature::from_slice(&bytes).map_err(|_| bad("has a signature of another length"))?;
        Ok(Self {
            sequence: common.sequence,
            timestamp: common.timestamp,
            event: common.event,
            previous_hash: common.previous_hash,
            public_key: common.public_key,
            signed: signed.as_bytes(),
            signature,
            line,
        })
    }

    /// All its fields.
    ///
    /// # Errors
    /// [`Unreadable`]: reading an entry passes over what is wrong inside fields that not every line has.
    pub fn fields(&self) -> Result<serde_json::Map<String, serde_json::Value>, Unreadable> {
        serde_json::from_str(self.line).map_err(|error| Unreadable(format!("is not a record: {error}")))
    }

    /// A field that is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.fields().ok()?.get(name)?.as_str().map(str::to_owned)
    }

    /// Whether it is signed by this key.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.key.verify_strict(self.signed, &self.signature).is_ok()
    }
}
