//! Where the paths of a configuration are.

use super::raw;
use std::path::{Component, Path, PathBuf};

/// Where a script's relative path is looked for. The seed's paths are relative to the parent of `config/`.
pub(super) fn script_directories(raw: &raw::Scripts, folder: &Path, allowlist: &Path) -> Vec<PathBuf> {
    if let Some(named) = &raw.directories {
        return named.iter().map(|directory| absolute(folder, directory)).collect();
    }
    let mut directories = Vec::new();
    for directory in [folder.parent(), Some(folder), allowlist.parent()].into_iter().flatten() {
        if !directories.iter().any(|known| known == directory) {
            directories.push(directory.to_owned());
        }
    }
    directories
}

/// `path` as seen from `folder`, without `.` and `..`. Only words are looked at, not the file system: what a link
/// would make of `..` is not what an operator reads.
pub(super) fn absolute(folder: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in folder.join(path).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}
