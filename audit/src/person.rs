//! Signatures that people make outside of chat, with the ed25519 key that they use for SSH.
//!
//! The form is OpenSSH's (PROTOCOL.sshsig), in base64: what `ssh-keygen -Y sign -n bartizan-approval` prints, with or without its
//! first and last line, and what `bartizan approve` prints. The namespace is part of what is signed: no signature that was made for
//! anything else is one of these.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256, Sha512};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, LineEnding, PrivateKey, SshSig};
use std::fmt;
use std::str::FromStr;

/// What the signatures are made for.
pub const NAMESPACE: &str = "bartizan-approval";

/// Longest signature in base64, in bytes: one of an ed25519 key has about 300.
pub const MAX_SIGNATURE: usize = 2048;

const BEGINNING: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// A person's public key, as `ssh-ed25519 AAAA…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonKey(String);

/// A text that is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an ed25519 public key: the line of a file like id_ed25519.pub (ssh-ed25519 AAAA…), or 32 bytes in base64"
)]
pub struct BadPersonKey;

impl FromStr for PersonKey {
    type Err = BadPersonKey;

    fn from_str(text: &str) -> Result<Self, BadPersonKey> {
        let text = text.trim();
        let bytes = match text.strip_prefix("ssh-ed25519 ") {
            Some(_) => match ssh_key::PublicKey::from_openssh(text).map_err(|_| BadPersonKey)?.key_data() {
                KeyData::Ed25519(key) => key.0,
                _other_algorithm => return Err(BadPersonKey),
            },
            None => BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadPersonKey)?,
        };
        Self::of(&bytes)
    }
}

impl PersonKey {
    /// A key under which everything could be signed is none.
    fn of(bytes: &[u8; 32]) -> Result<Self, BadPersonKey> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadPersonKey)?;
        if key.is_weak() {
            return Err(BadPersonKey);
        }
        let public = ssh_key::PublicKey::new(KeyData::Ed25519(ssh_key::public::Ed25519PublicKey(*bytes)), "");
        public.to_openssh().map(|text| Self(text.trim().to_owned())).map_err(|_| BadPersonKey)
    }

    /// As a file for SSH has it, without a comment.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As `ssh-keygen -l` prints it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        ssh_key::PublicKey::from_openssh(&self.0)
            .map(|key| key.fingerprint(ssh_key::HashAlg::Sha256).to_string())
            .unwrap_or_default()
    }
}

/// `SHA256:…` of any public key in OpenSSH's form (`KIND BASE64`), as `ssh-keygen -l` prints it; `None` where it is none: the kind
/// stands inside it, too (RFC 4253, section 6.6).
pub fn openssh_fingerprint(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (kind, blob) = (words.next()?, BASE64.decode(words.next()?).ok()?);
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let named = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (named == kind.as_bytes()).then(|| format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob))))
}

impl fmt::Display for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no signature of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// Not in this form.
    #[error("that is no signature: paste what bartizan approve or ssh-keygen -Y sign printed, all of it")]
    Unreadable,
    /// Made for something else.
    #[error("that signature was made for something else: sign with -n {NAMESPACE}")]
    Namespace,
    /// Of a key of another kind.
    #[error("only signatures of ed25519 keys count")]
    Algorithm,
}

/// A signature as somebody gave it: of which key, is not said yet of what.
#[derive(Debug, Clone)]
pub struct PersonSignature {
    key: PersonKey,
    parsed: SshSig,
    text: String,
}

impl PersonSignature {
    /// Reads one: base64 in one piece or in lines, with or without what stands around it.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn read(text: &str) -> Result<Self, BadSignature> {
        let text = text.trim();
        let inside = match text.strip_prefix(BEGINNING) {
            Some(rest) => rest.strip_suffix(END).ok_or(BadSignature::Unreadable)?,
            None => text,
        };
        let packed: String = inside.split_whitespace().collect();
        if packed.len() > MAX_SIGNATURE || !packed.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)) {
            return Err(BadSignature::Unreadable);
        }
        let lines: Vec<&str> = packed.as_bytes().chunks(70).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let armored = format!("{BEGINNING}\n{}\n{END}\n", lines.join("\n"));
        let parsed = SshSig::from_pem(armored).map_err(|_| BadSignature::Unreadable)?;
        if parsed.namespace() != NAMESPACE {
            return Err(BadSignature::Namespace);
        }
        let KeyData::Ed25519(key) = parsed.public_key() else { return Err(BadSignature::Algorithm) };
        let key = PersonKey::of(&key.0).map_err(|_| BadSignature::Algorithm)?;
        // What is reserved is part of what OpenSSH signs, and nothing is defined that could stand there.
        if parsed.version() != 1 || parsed.algorithm() != Algorithm::Ed25519 || !parsed.reserved().is_empty() {
            return Err(BadSignature::Unreadable);
        }
        // One way to write it.
        let written = parsed.to_pem(LineEnding::LF).map_err(|_| BadSignature::Unreadable)?;
        if !written.lines().filter(|line| !line.starts_with('-')).flat_map(str::chars).eq(packed.chars()) {
            return Err(BadSignature::Unreadable);
        }
        Ok(Self { key, parsed, text: packed })
    }

    /// Whose key it was made with, as it says itself: [`PersonSignature::signs`] says whether that is so.
    pub fn key(&self) -> &PersonKey {
        &self.key
    }

    /// In base64, in one piece.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this key signed this text: as it is, or with a line break at its end, as what is pasted into a terminal has.
    pub fn signs(&self, text: &str) -> bool {
        self.of(text).is_some()
    }

    /// What was signed, where that is this text as in [`PersonSignature::signs`].
    pub fn of(&self, text: &str) -> Option<String> {
        [text.to_owned(), format!("{text}\n")].into_iter().find(|text| self.signs_exactly(text.as_bytes()))
    }

    fn signs_exactly(&self, message: &[u8]) -> bool {
        let KeyData::Ed25519(key) = self.parsed.public_key() else { return false };
        let Ok(key) = VerifyingKey::from_bytes(&key.0) else { return false };
        let Ok(signature) = Signature::from_slice(self.parsed.signature_bytes()) else { return false };
        let signed = SshSig::signed_data(NAMESPACE, self.parsed.hash_alg(), message);
        signed.is_ok_and(|signed| key.verify_strict(&signed, &signature).is_ok())
    }
}

/// Why nothing was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    /// No private key in OpenSSH's form.
    #[error("is no private key in OpenSSH's form")]
    NoKey,
    /// It has a passphrase.
    #[error("has a passphrase")]
    Encrypted,
    /// Of another kind.
    #[error("is no ed25519 key")]
    Algorithm,
}

/// Signs a text with a private key as OpenSSH keeps it, and gives the signature in base64, in one piece.
///
/// # Errors
/// [`CannotSign`].
pub fn sign_as_person(private: &[u8], text: &str) -> Result<String, CannotSign> {
    let key = PrivateKey::from_openssh(private).map_err(|_| CannotSign::NoKey)?;
    if key.is_encrypted() {
        return Err(CannotSign::Encrypted);
    }
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(CannotSign::Algorithm);
    }
    let signature = key.sign(NAMESPACE, ssh_key::HashAlg::Sha512, text.as_bytes()).map_err(|_| CannotSign::NoKey)?;
    let armored = signature.to_pem(LineEnding::LF).map_err(|_| CannotSign::NoKey)?;
    PersonSignature::read(&armored).map(|signature| signature.text).map_err(|_| CannotSign::NoKey)
}

/// SHA-512 of a text, in hexadecimal: what such a signature has in it of the text, so that it can be verified without it.
pub fn sha512(text: &str) -> String {
    crate::hex(&Sha512::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by OpenSSH 9.2's ssh-keygen.
    const PRIVATE: &str = include_str!("../tests/person/id_ed25519");
    const PUBLIC: &str = include_str!("../tests/person/id_ed25519.pub");
    /// Of `statement.txt`, by `ssh-keygen -Y sign -n bartizan-approval`, with sha512 and with sha256.
    const STATEMENT: &str = include_str!("../tests/person/statement.txt");
    const SIGNATURES: [&str; 2] =
        [include_str!("../tests/person/sha512.sig"), include_str!("../tests/person/sha256.sig")];
    /// The same for another namespace.
    const FOR_A_FILE: &str = include_str!("../tests/person/file.sig");

    #[test]
    fn what_ssh_keygen_signed_is_read_and_verified_in_each_form_that_it_is_pasted_in() {
        let key: PersonKey = PUBLIC.parse().expect("a key");
        for armored in SIGNATURES {
            let inside = armored.replace(BEGINNING, "").replace(END, "");
            for form in [armored.to_owned(), armored.replace('\n', " "), inside.replace('\n', ""), inside] {
                let signature = PersonSignature::read(&form).expect("a signature");
                assert_eq!(*signature.key(), key);
                assert!(signature.signs(STATEMENT.trim_end()) && signature.signs(STATEMENT));
                assert!(!signature.signs("another text") && !signature.signs(&STATEMENT.replace("a3", "a4")));
            }
        }
    }

    #[test]
    fn a_signature_that_was_made_for_something_else_or_is_none_is_refused() {
        assert_eq!(PersonSignature::read(FOR_A_FILE).err(), Some(BadSignature::Namespace));
        for bad in ["", "x", "a3", BEGINNING, PUBLIC, &"A".repeat(MAX_SIGNATURE + 1), &SIGNATURES[0].replace(END, "")] {
            assert_eq!(PersonSignature::read(bad).err(), Some(BadSignature::Unreadable), "{bad}");
        }
    }

    #[test]
    fn no_byte_of_a_signature_can_be_changed() {
        let good = PersonSignature::read(SIGNATURES[0]).expect("a signature");
        let bytes = BASE64.decode(good.as_str()).expect("base64");
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let counts = PersonSignature::read(&BASE64.encode(other))
                .is_ok_and(|other| other.signs(STATEMENT) && other.key() == good.key());
            assert!(!counts, "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert!(PersonSignature::read(&BASE64.encode(&bytes[..cut])).is_err(), "cut at {cut}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(PersonSignature::read(&BASE64.encode(longer)).is_err(), "something after it");
    }

    #[test]
    fn what_is_signed_here_counts_as_what_ssh_keygen_signs() {
        let signature = sign_as_person(PRIVATE.as_bytes(), "a text").expect("signed");
        let read = PersonSignature::read(&signature).expect("a signature");
        assert!(read.signs("a text") && read.key() == &PUBLIC.parse::<PersonKey>().expect("a key"));
        assert!(!signature.contains(char::is_whitespace));
        assert_eq!(sign_as_person(PUBLIC.as_bytes(), "a text"), Err(CannotSign::NoKey));
        let locked = include_bytes!("../tests/person/locked");
        assert_eq!(sign_as_person(locked, "a text"), Err(CannotSign::Encrypted));
    }

    #[test]
    fn a_key_is_taken_in_both_forms_and_nothing_else_is_one() {
        let key: PersonKey = PUBLIC.parse().expect("a key");
        let bare =
            BASE64.encode(&BASE64.decode(key.as_str().rsplit(' ').next().expect("a word")).expect("base64")[19..]);
        assert_eq!(bare.parse(), Ok(key.clone()));
        assert_eq!(key.as_str().parse(), Ok(key.clone()), "without its comment");
        assert!(key.fingerprint().starts_with("SHA256:"));
        let weak = BASE64.encode([0; 32]);
        for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==", &weak, PRIVATE] {
            assert_eq!(bad.parse::<PersonKey>(), Err(BadPersonKey), "{bad}");
        }
    }
}
