//! Is the script's file what it must be? Opened once, checked on the open descriptor, and that descriptor is what runs.
//!
//! Of a script with a pinned hash a sealed copy is made first, and the copy is hashed and run: writing to the file
//! afterwards changes nothing.

use super::{Cause, Refusal, Verdict};
use crate::audit::hex;
use crate::config::{Script, Trust};
use bartizan_proto::limits::{MAX_SECRET, MAX_TOKEN};
use rustix::fs::{MemfdFlags, SealFlags};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest script, in bytes: it is read whole to be hashed.
const MAX_SCRIPT: u64 = 16 * 1024 * 1024;

/// A script that was opened and checked.
#[derive(Debug)]
pub struct ScriptFile {
    /// The open file, or the sealed copy of it.
    pub fd: OwnedFd,
    /// SHA-256 of what is in it, in hexadecimal.
    pub sha256: String,
    /// Whether [`ScriptFile::fd`] is a sealed copy.
    pub sealed: bool,
}

/// What an open file is known by; changes with every write to it.
type Identity = (u64, u64, u64, i64, i64, i64, i64);

/// Opens scripts, and remembers the hashes of files that did not change.
#[derive(Debug)]
pub struct Opener {
    trust: Trust,
    programs: PathBuf,
    hashes: RefCell<HashMap<Identity, String>>,
}

impl Opener {
    /// What is accepted.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Opens what `trust` accepts.
    pub fn new(trust: Trust) -> Self {
        let own = std::env::current_exe().unwrap_or_default();
        let programs = own.parent().map(Path::to_owned).unwrap_or_default();
        Self { trust, programs, hashes: RefCell::new(HashMap::new()) }
    }

    /// Where Bartizan's own programs lie: beside the one that runs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }
}

impl Opener {
    /// A private key from its file, which only its owner may read.
    ///
    /// # Errors
    /// In words, with the file's name.
    pub fn read_key(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
        let (file, _) = self.trust.open_secret(path).map_err(|error| error.to_string())?;
        let mut key = Zeroizing::new(Vec::with_capacity(MAX_SECRET + 1));
        let limit = u64::try_from(MAX_SECRET + 1).unwrap_or(u64::MAX);
        std::io::Read::take(file, limit)
            .read_to_end(&mut key)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if key.is_empty() || key.len() > MAX_SECRET {
            return Err(format!("{}: is no private key", path.display()));
        }
        Ok(key)
    }

    /// The bot's token, from its file, without the line break that editors leave.
    ///
    /// # Errors
    /// In words, with the file's name.
    pub fn read_token(&self, path: &std::path::Path) -> Result<Vec<u8>, String> {
        let (file, _) = self.trust.open_secret(path).map_err(|error| error.to_string())?;
        let mut token = Vec::with_capacity(MAX_TOKEN + 1);
        let limit = u64::try_from(MAX_TOKEN + 1).unwrap_or(u64::MAX);
        std::io::Read::take(file, limit)
            .read_to_end(&mut token)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        while token.last().is_some_and(u8::is_ascii_whitespace) {
            token.pop();
        }
        if token.is_empty() || token.len() > MAX_TOKEN || !token.iter().all(u8::is_ascii_graphic) {
            return Err(format!("{}: must hold the bot's access token and nothing else", path.display()));
        }
        Ok(token)
    }
}

/// Opens the script.
pub fn check(script: &Script, opener: &Opener) -> Verdict<ScriptFile> {
    match open(script, opener) {
        Ok(file) => Verdict::Pass(file),
        Err(cause) => Verdict::Refuse(Refusal::Broken, Cause(cause)),
    }
}

fn open(script: &Script, opener: &Opener) -> Result<ScriptFile, String> {
    let opened = match script.backend.reads_its_file() {
        true => opener.trust.open_shared(&script.path),
        false => opener.trust.open_script(&script.path),
    };
    let (file, metadata) = opened.map_err(|error| error.to_string())?;
    let path = script.path.display();
    if metadata.len() > MAX_SCRIPT {
        return Err(format!("{path} is larger than {MAX_SCRIPT} bytes"));
    }
    let Some(pinned) = script.sha256 else {
        let sha256 = hash(&file, opener).map_err(|error| format!("{path}: {error}"))?;
        return Ok(ScriptFile { fd: file.into(), sha256, sealed: false });
    };
    let copy = sealed_copy(&file).map_err(|error| format!("{path}: {error}"))?;
    let sha256 = digest(&copy).map_err(|error| format!("{path}: {error}"))?;
    if sha256 != hex(&pinned) {
        return Err(format!("{path} has SHA-256 {sha256}, and the allowlist pins {}", hex(&pinned)));
    }
    Ok(ScriptFile { fd: copy.into(), sha256, sealed: true })
}

/// The hash of an open file, from memory when it is the same file with the same times.
fn hash(file: &File, opener: &Opener) -> std::io::Result<String> {
    let m = file.metadata()?;
    let identity = (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
    if let Some(known) = opener.hashes.borrow().get(&identity) {
        return Ok(known.clone());
    }
    let sha256 = digest(file)?;
    let mut hashes = opener.hashes.borrow_mut();
    if hashes.len() >= 4096 {
        hashes.clear();
    }
    hashes.insert(identity, sha256.clone());
    Ok(sha256)
}

fn digest(file: &File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while at <= MAX_SCRIPT {
        match file.read_at(&mut buffer, at)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                at += u64::try_from(read).unwrap_or(0);
            }
        }
    }
    Ok(hex(&hasher.finalize()))
}

fn sealed_copy(file: &File) -> std::io::Result<File> {
    let memory = rustix::fs::memfd_create("script", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(memory);
    std::io::copy(&mut std::io::Read::take(file, MAX_SCRIPT), &mut copy)?;
    copy.flush()?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(copy.as_fd(), seals)?;
    Ok(copy)
}
