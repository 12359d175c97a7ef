//! Recovery codes: ten, each good once, shown once, kept as hashes.

use crate::audit::hex;
use crate::brain::seal::{SealError, random};
use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

/// How many there are at first.
pub const CODES: usize = 10;

/// Random bytes of one: 80 bits are not to be guessed, also by who has the hash.
const BYTES: usize = 10;

/// New ones, as they are shown: `abcd-efgh-ijkl-mnop`.
///
/// # Errors
/// [`SealError::Random`].
pub fn make() -> Result<Vec<String>, SealError> {
    let one = || {
        let text = BASE32_NOPAD.encode(&random::<BYTES>()?).to_ascii_lowercase();
        let parts: Vec<&str> = (0..4).filter_map(|part| text.get(part * 4..part * 4 + 4)).collect();
        Ok(parts.join("-"))
    };
    (0..CODES).map(|_| one()).collect()
}

/// Whether somebody may have meant such a code, however it was typed.
pub fn is_one(text: &str) -> bool {
    normal(text).len() == BYTES * 8 / 5
}

/// What is kept of one.
pub fn hash(user: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"bartizan recovery code 1\0");
    hash.update(user.as_bytes());
    hash.update(normal(text).as_bytes());
    hex(&hash.finalize())
}

fn normal(text: &str) -> String {
    let letters = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_uppercase());
    let code: String = letters.collect();
    if code.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)) { code } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_however_it_is_typed_and_is_one_persons() {
        let codes = make().expect("random");
        assert_eq!(codes.len(), CODES);
        let code = &codes[0];
        assert_eq!(code.len(), 19);
        assert!(is_one(code) && is_one(&code.to_uppercase()) && is_one(&code.replace('-', "")));
        assert_eq!(hash("u", code), hash("u", &code.to_uppercase().replace('-', "")));
        assert_ne!(hash("u", code), hash("v", code));
        assert_ne!(hash("u", code), hash("u", &codes[1]));
        assert!(!is_one("123456") && !is_one("") && !is_one("enroll"));
    }
}
