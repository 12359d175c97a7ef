//! Receipts: one line of JSON for one run of a script, signed with the log's key, and verified with nothing but its public half.
//!
//! docs/receipts.md describes the format. A receipt begins with [`BEGINNING`], which no line of a log does, and what is signed
//! has [`PURPOSE`] before it, which nothing else that this key signs begins with.

use crate::{Fields, PublicKey, SealingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signature;
use serde_json::Value;

/// How each receipt of this version begins.
const BEGINNING: &str = "{\"receipt\":1,";

/// What stands before it where it is signed.
const PURPOSE: &[u8] = b"bartizan receipt 1\n";

/// How it ends: this, 64 bytes in base64, and [`END`].
const SEAL: &str = ",\"signature\":\"";
const END: &str = "\"}";
const SIGNATURE_LENGTH: usize = 88;

/// Longest receipt, in bytes.
pub const MAX_RECEIPT: usize = 64 * 1024;

/// A receipt that was signed by the key it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Everything in it.
    pub fields: Fields,
    /// Who signed it.
    pub key: PublicKey,
}

/// Why a text is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// Not in this form.
    #[error("it is no receipt: {0}")]
    Unreadable(&'static str),
    /// Signed by another key than the one that is known.
    #[error("it is signed by another key: {0}")]
    OtherKey(String),
    /// Something in it was changed.
    #[error("its signature is wrong: it is not as it was written")]
    Signature,
}

/// Signs these fields as a receipt. `receipt`, `publicKey` and `signature` are put around them.
pub fn seal_receipt(key: &SealingKey, fields: Fields) -> String {
    let mut line = Fields::new();
    line.insert("receipt".into(), 1.into());
    line.extend(fields);
    line.insert("publicKey".into(), key.public_key().as_str().into());
    let mut line = Value::Object(line).to_string();
    line.truncate(line.len() - 1);
    let signature = key.sign(&[PURPOSE, line.as_bytes()].concat());
    line.push_str(SEAL);
    line.push_str(&signature);
    line.push_str(END);
    line
}

/// Reads and verifies a receipt. `known` is the key that must have signed it; without one, the key that it names is believed.
///
/// # Errors
/// [`BadReceipt`].
pub fn verify_receipt(bytes: &[u8], known: Option<&PublicKey>) -> Result<Receipt, BadReceipt> {
    let bad = BadReceipt::Unreadable;
    if bytes.len() > MAX_RECEIPT {
        return Err(bad("it is too long"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?.trim_end_matches(['\r', '\n']);
    if !text.starts_with(BEGINNING) {
        return Err(bad("it does not begin as receipts of this version do"));
    }
    let sealed = text.strip_suffix(END).ok_or(bad("it does not end with its signature"))?;
    let at = sealed.len().checked_sub(SIGNATURE_LENGTH).filter(|at| sealed.is_char_boundary(*at));
    let (rest, signature) = sealed.split_at(at.ok_or(bad("it has no signature"))?);
    let signed = rest.strip_suffix(SEAL).ok_or(bad("it does not end with its signature"))?;
    let value: Value = serde_json::from_str(text).map_err(|_| bad("it is not JSON"))?;
    // One way to write it: no name twice, no blanks, nothing that two readers could read as two things.
    let written = value.to_string();
    if written != text {
        return Err(bad("it is not written as receipts are"));
    }
    let Value::Object(fields) = value else { return Err(bad("it is not an object")) };
    let named = fields.get("publicKey").and_then(Value::as_str).ok_or(bad("it names no key"))?;
    let key: PublicKey = named.parse().map_err(|_| bad("it names no key that could be one"))?;
    if known.is_some_and(|known| *known != key) {
        return Err(BadReceipt::OtherKey(key.as_str().to_owned()));
    }
    let signature = BASE64.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or(bad("its signature has another form"))?;
    let message = [PURPOSE, signed.as_bytes()].concat();
    match key.key.verify_strict(&message, &signature) {
        Ok(()) => Ok(Receipt { fields, key }),
        Err(_) => Err(BadReceipt::Signature),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_secret::SecretBytes;
    use serde_json::json;

    fn key(fill: u8) -> SealingKey {
        let seed = SecretBytes::build(SealingKey::LENGTH, |memory| memory.fill(fill)).expect("memory");
        SealingKey::of(&seed).expect("a key")
    }

    fn fields() -> Fields {
        json!({ "job": 7, "script": "deploy", "error": null }).as_object().cloned().expect("an object")
    }

    #[test]
    fn a_receipt_is_verified_by_the_public_key_and_by_no_other() {
        let text = seal_receipt(&key(1), fields());
        let receipt = verify_receipt(text.as_bytes(), Some(key(1).public_key())).expect("as it was written");
        assert_eq!(receipt.fields.get("script"), Some(&json!("deploy")));
        assert!(verify_receipt(format!("{text}\n").as_bytes(), None).is_ok(), "as a file has it");
        let other = verify_receipt(text.as_bytes(), Some(key(2).public_key()));
        assert!(matches!(other, Err(BadReceipt::OtherKey(_))), "{other:?}");
        let forged = seal_receipt(&key(2), fields());
        assert!(verify_receipt(forged.as_bytes(), Some(key(1).public_key())).is_err());
    }

    #[test]
    fn no_byte_of_a_receipt_can_be_changed() {
        let text = seal_receipt(&key(1), fields());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(verify_receipt(&bytes, Some(key(1).public_key())).is_err(), "byte {at}");
        }
        for cut in 0..text.len() {
            assert!(verify_receipt(&text.as_bytes()[..cut], None).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_receipt_is_written_in_one_way_only() {
        let text = seal_receipt(&key(1), fields());
        for other in [
            text.replacen(',', ", ", 1),
            text.replacen("\"job\":7", "\"job\":7,\"job\":7", 1),
            text.replacen("deploy", "\\u0064eploy", 1),
            format!(" {text}"),
        ] {
            assert!(verify_receipt(other.as_bytes(), None).is_err(), "{other}");
        }
    }

    /// Made by another program (Python's `cryptography`) from docs/receipts.md.
    #[test]
    fn a_receipt_of_the_first_version_verifies_for_ever() {
        let receipt = verify_receipt(include_bytes!("../tests/receipt-1.json"), Some(key(1).public_key()));
        assert_eq!(receipt.expect("as it was written").fields.get("job"), Some(&json!(7)));
    }

    #[test]
    fn a_line_of_the_log_is_no_receipt_and_a_receipt_no_line() {
        let mut chain = crate::Chain::after(key(1), None);
        let line = chain.seal("2026-01-01T00:00:00.000Z", fields());
        assert!(verify_receipt(line.as_bytes(), None).is_err());
        assert!(crate::Entry::read(seal_receipt(&key(1), fields()).as_bytes()).is_err());
    }
}
