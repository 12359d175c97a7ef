//! `bz secret`: the secrets that the allowlist attaches to the script are files in its scratch directory; this reads one.

use crate::BzError;
use bartizan_proto::Text;
use bartizan_proto::ids::{MemoryKey, SecretName};
use bartizan_proto::limits::MAX_SAID;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that a secret has at least to be looked for.
const LEAST: usize = 4;

/// Its value. `NAME` alone is enough where only one namespace has such a secret.
pub(crate) fn read(name: &str) -> Result<Text<MAX_SAID>, BzError> {
    let none = || {
        BzError::Usage("this job has no secrets; attach them in its entry: secrets = [\"NAMESPACE/NAME\"]".to_owned())
    };
    let folder = std::env::var_os("BARTIZAN_SECRETS").map(PathBuf::from).ok_or_else(none)?;
    let path = find(&folder, name)?;
    let value = fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => BzError::Usage(format!(
            "the secret {name} is not attached to this script; its entry can: secrets = [\"{name}\"]"
        )),
        std::io::ErrorKind::InvalidData => {
            BzError::Usage(format!("the secret {name} is no text; read it from {}", path.display()))
        }
        _ => BzError::Io(error),
    })?;
    Text::new(value).map_err(|error| BzError::Usage(error.to_string()))
}

/// Whether a secret of this job is in a text. Ones too short to be masked anywhere are not looked for.
pub(crate) fn is_in(text: &str) -> bool {
    let Some(folder) = std::env::var_os("BARTIZAN_SECRETS").map(PathBuf::from) else { return false };
    let under =
        |folder: &Path| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    under(&folder).collect::<Vec<_>>().iter().flat_map(|space| under(space).collect::<Vec<_>>()).any(|path| {
        let secret = fs::read_to_string(path).unwrap_or_default();
        let secret = secret.trim();
        secret.len() >= LEAST && text.contains(secret)
    })
}

fn find(folder: &Path, name: &str) -> Result<PathBuf, BzError> {
    if name.contains('/') {
        let full: SecretName = name.parse().map_err(|error| BzError::Usage(format!("not a {error}")))?;
        return Ok(folder.join(full.namespace.as_str()).join(full.key.as_str()));
    }
    let key: MemoryKey = name.parse().map_err(|_| BzError::Usage(format!("{name:?} is not a secret's name")))?;
    let spaces = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path().join(key.as_str()));
    let found: Vec<PathBuf> = spaces.filter(|path| path.is_file()).collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Ok(folder.join("NAMESPACE").join(key.as_str())),
        _ => Err(BzError::Usage(format!("more than one namespace has a secret {name}: write NAMESPACE/{name}"))),
    }
}
