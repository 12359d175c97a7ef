//! The signing key of the audit log: 32 bytes in a file of mode 0400, made once.

use super::AuditError;
use ed25519_dalek::SigningKey;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Reads the key, or makes one where there is none.
pub(super) fn load_or_make(path: &Path) -> Result<SigningKey, AuditError> {
    let failed = |why: String| AuditError::Key { path: path.to_owned(), why };
    match rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => read(File::from(fd), path),
        Err(rustix::io::Errno::NOENT) => make(path),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn read(mut file: File, path: &Path) -> Result<SigningKey, AuditError> {
    let failed = |why: String| AuditError::Key { path: path.to_owned(), why };
    let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(failed("must belong to the service's user and be closed to others: chmod 400".to_owned()));
    }
    let mut bytes = [0; 32];
    file.read_exact(&mut bytes).map_err(|_| failed("is not 32 bytes long; restore it from a backup".to_owned()))?;
    Ok(SigningKey::from_bytes(&bytes))
}

fn make(path: &Path) -> Result<SigningKey, AuditError> {
    let failed = |why: String| AuditError::Key { path: path.to_owned(), why };
    let mut bytes = [0; 32];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| failed(error.to_string()))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::RUSR).map_err(|error| failed(error.to_string()))?;
    let mut file = File::from(fd);
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|error| failed(error.to_string()))?;
    Ok(SigningKey::from_bytes(&bytes))
}
