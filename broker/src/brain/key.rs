//! Where the master key comes from: a file, a systemd credential, or a passphrase. It unwraps the data key and is forgotten.

use super::seal::{Cipher, KEY, SealError, new_key, random};
use crate::audit::hex;
use crate::config::Trust;
use crate::config::trust::TrustError;
use argon2::{Algorithm, Argon2, Params, Version};
use bartizan_secret::{SecretBytes, Zeroizing, on_clean_stack};
use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Shortest passphrase, in characters.
pub const SHORTEST: usize = 12;

/// What opens the brain, as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that the operator made: `[brain] key-file`.
    File(PathBuf),
    /// `STATE/brain.key`, made at the first start, where the configuration names nothing.
    Own(PathBuf),
    /// A file in `$CREDENTIALS_DIRECTORY`: `[brain] key-credential`.
    Credential(String),
    /// Typed at run time: `[brain] passphrase = true`.
    Passphrase,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) | KeySource::Own(path) => write!(f, "file {}", path.display()),
            KeySource::Credential(name) => write!(f, "credential {name}"),
            KeySource::Passphrase => f.write_str("passphrase"),
        }
    }
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not what it must be.
    #[error(transparent)]
    File(#[from] TrustError),
    /// It cannot be read or made.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a key.
    #[error("{0}: must hold 64 hex digits and nothing else; `bartizan brain key` makes such a file")]
    NotAKey(PathBuf),
    /// No such credential.
    #[error("there is no credential {0}: give the unit LoadCredential={0}:FILE or LoadCredentialEncrypted={0}:FILE")]
    NoCredential(String),
    /// Somebody has to type it.
    #[error("it opens with a passphrase")]
    Typed,
    /// Too short.
    #[error("a passphrase has at least {SHORTEST} characters")]
    Short,
    /// What the brain says about its passphrase is not understood.
    #[error("the passphrase's parameters are not understood")]
    Parameters,
    /// Memory or randomness.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Reads the key that is configured.
///
/// # Errors
/// [`KeyError`].
pub fn configured(source: &KeySource, credentials: Option<&Path>, trust: &Trust) -> Result<SecretBytes, KeyError> {
    match source {
        KeySource::File(path) => read(path, trust),
        KeySource::Own(path) => {
            if !path.exists() {
                make(path)?;
            }
            read(path, trust)
        }
        KeySource::Credential(name) => {
            let folder = credentials.ok_or_else(|| KeyError::NoCredential(name.clone()))?;
            let path = folder.join(name);
            // systemd made that folder for this unit alone, in memory, and gives its files to the unit's user.
            let file = File::open(&path).map_err(|_| KeyError::NoCredential(name.clone()))?;
            parse(file, &path)
        }
        KeySource::Passphrase => Err(KeyError::Typed),
    }
}

/// A key from its file, of mode 0400 or 0600.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path, trust: &Trust) -> Result<SecretBytes, KeyError> {
    let (file, _) = trust.open_secret(path)?;
    parse(file, path)
}

fn parse(file: File, path: &Path) -> Result<SecretBytes, KeyError> {
    let mut text = Zeroizing::new(Vec::with_capacity(KEY * 2 + 2));
    file.take(KEY as u64 * 2 + 2)
        .read_to_end(&mut text)
        .map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    if digits.len() != KEY * 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(KeyError::NotAKey(path.to_owned()));
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok()).unwrap_or(0);
    let key = SecretBytes::build(KEY, |memory| {
        for (byte, pair) in memory.iter_mut().zip(digits.chunks(2)) {
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
    });
    Ok(key.map_err(SealError::from)?)
}

/// Makes a key file of mode 0400 where there is none.
fn make(path: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::Io { path: path.to_owned(), source };
    let key = new_key()?;
    let mut text = Zeroizing::new(hex(key.expose()));
    text.push('\n');
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR).map_err(|error| failed(error.into()))?);
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// How a passphrase becomes a key: Argon2id, with its own salt. Stored beside what it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kdf {
    memory_kib: u32,
    passes: u32,
    salt: [u8; 16],
}

impl Kdf {
    /// 64 MiB, 3 passes (RFC 9106's second choice), and a new salt.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn new() -> Result<Self, SealError> {
        Ok(Self { memory_kib: 64 * 1024, passes: 3, salt: random()? })
    }

    /// Reads what [`fmt::Display`] wrote; it may come from a backup of anybody's, so what it may cost is bounded.
    ///
    /// # Errors
    /// [`KeyError::Parameters`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split(' ');
        let mut next = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(KeyError::Parameters);
        next("argon2id")?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| KeyError::Parameters);
        let (memory_kib, passes, digits) = (number(next("m=")?)?, number(next("t=")?)?, next("salt=")?);
        let sane = (8..=256 * 1024).contains(&memory_kib) && (1..=16).contains(&passes);
        if !sane || digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) || parts.next().is_some() {
            return Err(KeyError::Parameters);
        }
        let mut salt = [0; 16];
        for (byte, at) in salt.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| KeyError::Parameters)?;
        }
        Ok(Self { memory_kib, passes, salt })
    }

    /// The key of a passphrase. Takes a fifth of a second, on purpose.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn key(&self, passphrase: &[u8]) -> Result<SecretBytes, KeyError> {
        let params = Params::new(self.memory_kib, self.passes, 1, Some(KEY)).map_err(|_| KeyError::Parameters)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut done = Ok(());
        let key = SecretBytes::build(KEY, |memory| {
            done = on_clean_stack(|| argon.hash_password_into(passphrase, &self.salt, memory));
        })
        .map_err(SealError::from)?;
        done.map(|()| key).map_err(|_| KeyError::Parameters)
    }
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argon2id m={} t={} salt={}", self.memory_kib, self.passes, hex(&self.salt))
    }
}

/// A master key, and how it was made of a passphrase where it was.
#[derive(Debug)]
pub struct Master {
    /// The key.
    pub key: SecretBytes,
    /// Of a passphrase.
    pub kdf: Option<Kdf>,
}

impl Master {
    /// A new master key of a passphrase.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_passphrase(passphrase: &[u8]) -> Result<Self, KeyError> {
        if String::from_utf8_lossy(passphrase).chars().count() < SHORTEST {
            return Err(KeyError::Short);
        }
        let kdf = Kdf::new()?;
        Ok(Self { key: kdf.key(passphrase)?, kdf: Some(kdf) })
    }

    /// A key that came as it is.
    pub fn of_key(key: SecretBytes) -> Self {
        Self { key, kdf: None }
    }

    fn about(key_id: &[u8], kdf: Option<&str>) -> Vec<u8> {
        [b"bartizan brain 1 data key\0", key_id, kdf.unwrap_or("").as_bytes()].concat()
    }

    /// The data key, under this one.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn wrap(&self, key_id: &[u8], data_key: &SecretBytes) -> Result<Vec<u8>, SealError> {
        let kdf = self.kdf.as_ref().map(Kdf::to_string);
        Cipher::new(&self.key)?.seal(&Self::about(key_id, kdf.as_deref()), data_key.expose())
    }

    /// The data key out of what [`Master::wrap`] made.
    ///
    /// # Errors
    /// [`SealError::Authentic`] when this is not its master key.
    pub fn unwrap(&self, key_id: &[u8], kdf: Option<&str>, wrapped: &[u8]) -> Result<SecretBytes, SealError> {
        Cipher::new(&self.key)?.open(&Self::about(key_id, kdf), wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().expect("temp dir");
        let source = KeySource::Own(folder.path().join("brain.key"));
        let trust = Trust::single_user();
        let first = configured(&source, None, &trust).expect("made");
        let second = configured(&source, None, &trust).expect("read");
        assert_eq!(first.expose(), second.expose());
        let mode = folder.path().join("brain.key").metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o400);
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_is_no_key_is_refused() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("brain.key");
        std::fs::write(&path, "a".repeat(64)).expect("write");
        for (mode, good) in [(0o644, false), (0o440, false), (0o400, true), (0o600, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(read(&path, &Trust::single_user()).is_ok(), good, "{mode:o}");
        }
        for bad in ["", "abc", &"g".repeat(64), &"a".repeat(66)] {
            std::fs::write(&path, bad).expect("write");
            assert!(matches!(read(&path, &Trust::single_user()), Err(KeyError::NotAKey(_))), "{bad}");
        }
    }

    #[test]
    fn a_passphrase_gives_the_same_key_with_the_same_salt_only() {
        let kdf = Kdf { memory_kib: 64, passes: 1, salt: [7; 16] };
        let again = Kdf::parse(&kdf.to_string()).expect("its own text");
        assert_eq!(kdf, again);
        let key = kdf.key(b"correct horse battery").expect("a key");
        assert_eq!(again.key(b"correct horse battery").expect("a key").expose(), key.expose());
        assert_ne!(Kdf { salt: [8; 16], ..kdf }.key(b"correct horse battery").expect("a key").expose(), key.expose());
        assert!(matches!(Master::of_passphrase("zu kurz".as_bytes()), Err(KeyError::Short)));
    }

    #[test]
    fn parameters_that_would_take_the_machine_down_are_refused() {
        let salt = "0".repeat(32);
        for bad in [
            format!("argon2id m=4294967295 t=3 salt={salt}"),
            format!("argon2id m=65536 t=1000000 salt={salt}"),
            format!("argon2id m=65536 t=3 salt={salt} more"),
            "argon2id m=65536 t=3 salt=00".to_owned(),
            "scrypt".to_owned(),
            String::new(),
        ] {
            assert!(Kdf::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrapped_key_opens_with_its_master_key_and_its_name_only() {
        let (master, other) = (Master::of_key(new_key().expect("key")), Master::of_key(new_key().expect("key")));
        let data = new_key().expect("key");
        let wrapped = master.wrap(b"id", &data).expect("wrapped");
        assert_eq!(master.unwrap(b"id", None, &wrapped).expect("opens").expose(), data.expose());
        assert!(master.unwrap(b"other", None, &wrapped).is_err());
        assert!(master.unwrap(b"id", Some("argon2id"), &wrapped).is_err());
        assert!(other.unwrap(b"id", None, &wrapped).is_err());
    }
}
