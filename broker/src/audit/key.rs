//! The signing key of the audit log: 32 bytes in a file of mode 0400, made once. Its successor is made beside it and takes
//! its place when the log has the line that names it.

use super::AuditError;
use crate::brain::seal::new_key;
use bartizan_audit::{PublicKey, SealingKey};
use bartizan_secret::{SecretBytes, SecretMemoryError};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where the key is, and where its successor waits.
#[derive(Debug, Clone)]
pub(super) struct KeyFiles {
    path: PathBuf,
    next: PathBuf,
}

impl KeyFiles {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join("audit.key"), next: folder.join("audit.key.new") }
    }

    /// Reads the key that signs after a line which says that this one does; `None` where there is no line. A crash may
    /// have come before the successor took its place.
    pub(super) fn load(&self, signs: Option<&PublicKey>) -> Result<SealingKey, AuditError> {
        let key = match open(&self.path)? {
            Some(file) => read(file, &self.path)?,
            None => make(&self.path)?,
        };
        let is_it = |key: &SealingKey| signs.is_none_or(|signs| key.public_key() == signs);
        if !is_it(&key)
            && let Some(file) = open(&self.next)?
        {
            let next = read(file, &self.next)?;
            if is_it(&next) {
                self.replace()?;
                return Ok(next);
            }
        }
        Ok(key)
    }

    /// Makes a successor. It signs nothing before [`KeyFiles::replace`] or a restart.
    pub(super) fn make_next(&self) -> Result<SealingKey, AuditError> {
        match std::fs::remove_file(&self.next) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&self.next, error.to_string())),
            Ok(()) | Err(_) => make(&self.next),
        }
    }

    /// The successor takes the key's place; the old key is gone.
    pub(super) fn replace(&self) -> Result<(), AuditError> {
        std::fs::rename(&self.next, &self.path).map_err(|error| failed(&self.path, error.to_string()))
    }
}

fn open(path: &Path) -> Result<Option<File>, AuditError> {
    match rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(failed(path, error.to_string())),
    }
}

fn read(mut file: File, path: &Path) -> Result<SealingKey, AuditError> {
    let metadata = file.metadata().map_err(|error| failed(path, error.to_string()))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(failed(path, "must belong to the service's user and be closed to others: chmod 400".to_owned()));
    }
    let mut whole = Ok(());
    let seed = SecretBytes::build(SealingKey::LENGTH, |memory| whole = file.read_exact(memory));
    whole.map_err(|_| failed(path, "is not 32 bytes long; restore it from a backup".to_owned()))?;
    sealing(path, &seed.map_err(|error| failed(path, error.to_string()))?)
}

fn sealing(path: &Path, seed: &SecretBytes) -> Result<SealingKey, AuditError> {
    SealingKey::of(seed).map_err(|error: SecretMemoryError| failed(path, error.to_string()))
}

fn make(path: &Path) -> Result<SealingKey, AuditError> {
    let failed = |why: String| failed(path, why);
    let seed = new_key().map_err(|error| failed(error.to_string()))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::RUSR).map_err(|error| failed(error.to_string()))?;
    let mut file = File::from(fd);
    file.write_all(seed.expose()).and_then(|()| file.sync_all()).map_err(|error| failed(error.to_string()))?;
    sealing(path, &seed)
}

fn failed(path: &Path, why: String) -> AuditError {
    AuditError::Key { path: path.to_owned(), why }
}
