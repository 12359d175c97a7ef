//! A signature or a public key that somebody pasted (`audit/src/person.rs`): read or refused, whatever it holds, and what counts as a
//! signature of a text is the one that was made.

use bartizan_audit::{PersonKey, PersonSignature};

const STATEMENT: &str = include_str!("../../../audit/tests/person/statement.txt");
const SIGNATURES: [&str; 2] =
    [include_str!("../../../audit/tests/person/sha512.sig"), include_str!("../../../audit/tests/person/sha256.sig")];
const KEY: &str = include_str!("../../../audit/tests/person/id_ed25519.pub");

/// # Panics
/// When something else than what was signed counts, or what was read is not read again.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(key) = text.parse::<PersonKey>() {
        assert_eq!(key.as_str().parse(), Ok(key.clone()), "one way to write it");
        assert!(key.fingerprint().starts_with("SHA256:"));
    }
    let Ok(signature) = PersonSignature::read(&text) else { return };
    let again = PersonSignature::read(signature.as_str()).map(|again| again.as_str().to_owned());
    assert_eq!(again.as_deref(), Ok(signature.as_str()));
    if Ok(signature.key()) == KEY.parse().as_ref() && signature.signs(STATEMENT) {
        let made = SIGNATURES.map(|made| PersonSignature::read(made).map(|made| made.as_str().to_owned()));
        assert!(made.iter().any(|made| made.as_deref() == Ok(signature.as_str())), "nobody has the key");
    }
}

/// Signatures of `ssh-keygen`, for this and for another namespace, and a key.
pub fn corpus() -> Vec<Vec<u8>> {
    let other = include_str!("../../../audit/tests/person/file.sig");
    SIGNATURES.into_iter().chain([other, KEY]).map(|text| text.as_bytes().to_vec()).collect()
}
