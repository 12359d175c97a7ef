//! Never as root: started by root, this process becomes a user without a name and without any right, for good.
//!
//! Before that, what this user could not reach, or Bartizan would not believe (files of a third user), is copied to a
//! directory of root's; a small process that stays root removes it when this one ends.

use super::config::script_directories;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::collections::BTreeMap;
use std::fs::{Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user and group; nobody has to know them by name. Below 65,536, so that it exists in a container's user namespace.
const USER: u32 = 64_101;

/// Most files beside a script that are copied with it.
const MAX_BESIDE: usize = 200;

/// Most bytes of a file beside a script.
const MAX_SIZE: u64 = 1024 * 1024;

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// A copy failed.
    #[error("cannot copy {path} to where an unprivileged user reaches it: {source}")]
    Copy {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process that cleans up.
    #[error("cannot start the process that removes the copies: {0}")]
    Janitor(io::Error),
    /// The kernel refused.
    #[error("cannot become user {USER}: {0}")]
    Drop(nix::Error),
}

/// A configuration and what belongs to it, as the service can read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where the configuration can be read.
    pub config: PathBuf,
    /// Where it was written: what its relative paths are relative to.
    pub written_at: PathBuf,
    /// Where the allowlist can be read.
    pub allowlist: PathBuf,
    /// Where relative script paths are looked for, in order.
    pub directories: Vec<PathBuf>,
}

/// Everything that the service needs, where it can read it.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The directory of the programs.
    pub programs: PathBuf,
    /// By configuration and allowlist as they were named.
    pub sources: BTreeMap<(PathBuf, PathBuf), Source>,
    /// One line about what was given up, if anything.
    pub note: Option<String>,
}

/// Whether this process is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Makes sure that nothing below runs as root. Call it before there is a second thread.
///
/// # Errors
/// [`PrivilegeError`]; then nothing may be started.
pub fn stage_and_drop(programs: &Path, pairs: &[(PathBuf, PathBuf)]) -> Result<Staged, PrivilegeError> {
    let mut staged = Staged { programs: programs.to_owned(), sources: BTreeMap::new(), note: None };
    if !is_root() {
        return stage_shared(staged, pairs);
    }
    let mut stage = None;
    if !PROGRAMS.iter().all(|name| reachable(&programs.join(name), |_| true) || !programs.join(name).exists()) {
        let folder = folder(&mut stage, "programs")?;
        for name in PROGRAMS.iter().filter(|name| programs.join(name).exists()) {
            copy(&programs.join(name), &folder.join(name), 0o777)?;
        }
        staged.programs = folder;
    }
    for (number, (config, allowlist)) in pairs.iter().enumerate() {
        let mut source = in_place(config, allowlist);
        let scripts = scripts_of(allowlist, &source.directories);
        let mut files = [config, allowlist].into_iter().chain(scripts.iter().map(|(_, script)| script));
        // What is not there cannot be copied; whoever wants to read it says so.
        let in_reach = files.all(|file| !file.exists() || reachable(file, believed));
        if !in_reach && config.exists() && allowlist.exists() {
            let root = folder(&mut stage, &format!("tree{number}"))?;
            copy_tree(&mut source, config, allowlist, &scripts, &root, 0o777)?;
        }
        staged.sources.insert((config.clone(), allowlist.clone()), source);
    }
    if let Some(stage) = stage {
        start_janitor(&stage)?;
        // From here on the janitor's.
        let _path = stage.keep();
    }
    drop_for_good()?;
    staged.note = Some(format!("started as root: everything runs as user {USER}, which has no rights"));
    Ok(staged)
}

/// As an ordinary user, in a checkout made with umask 002: git left everything writable for the group, which Bartizan does
/// not believe. What belongs to such a configuration is copied and closed to the group; a mode that only one file has stays as it is.
fn stage_shared(mut staged: Staged, pairs: &[(PathBuf, PathBuf)]) -> Result<Staged, PrivilegeError> {
    let mut stage = None;
    for (number, (config, allowlist)) in pairs.iter().enumerate() {
        let mut source = in_place(config, allowlist);
        let own = nix::unistd::geteuid().as_raw();
        let shared = |path: &Path| path.metadata().is_ok_and(|meta| meta.uid() == own && meta.mode() & 0o022 == 0o020);
        if config.parent().is_some_and(shared) && shared(config) {
            let scripts = scripts_of(allowlist, &source.directories);
            let root = folder(&mut stage, &format!("tree{number}"))?;
            copy_tree(&mut source, config, allowlist, &scripts, &root, 0o757)?;
            staged.note =
                Some("this checkout is writable for its group: a copy closed to the group is used".to_owned());
        }
        staged.sources.insert((config.clone(), allowlist.clone()), source);
    }
    if let Some(stage) = stage {
        start_janitor(&stage)?;
        let _path = stage.keep();
    }
    Ok(staged)
}

/// Copies a configuration, its allowlist and its scripts, with no more than `mode`.
fn copy_tree(
    source: &mut Source,
    config: &Path,
    allowlist: &Path,
    scripts: &[(PathBuf, PathBuf)],
    root: &Path,
    mode: u32,
) -> Result<(), PrivilegeError> {
    source.config = root.join("config/bartizan.toml");
    source.allowlist = root.join("config").join(allowlist.file_name().unwrap_or_default());
    source.directories = vec![root.to_owned()];
    copy(config, &source.config, mode)?;
    copy(allowlist, &source.allowlist, mode)?;
    for name in super::config::BESIDE {
        let from = config.with_file_name(name);
        if from.exists() {
            copy(&from, &source.config.with_file_name(name), mode)?;
        }
    }
    for (relative, script) in scripts {
        copy_with_neighbours(script, &root.join(relative), mode)?;
    }
    for folder in [root.join("config"), root.join("config/scripts")].iter().filter(|folder| folder.exists()) {
        let closed = std::fs::set_permissions(folder, Permissions::from_mode(0o755));
        closed.map_err(|source| PrivilegeError::Copy { path: folder.clone(), source })?;
    }
    Ok(())
}

const PROGRAMS: [&str; 9] = [
    "bartizan",
    "bartizan-broker",
    "bartizan-launcher",
    "bartizan-egress",
    "bartizan-connector",
    "bartizan-worker",
    "bartizan-remote",
    "bartizan-driver",
    "bz",
];

fn in_place(config: &Path, allowlist: &Path) -> Source {
    Source {
        config: config.to_owned(),
        written_at: config.to_owned(),
        allowlist: allowlist.to_owned(),
        directories: script_directories(config, allowlist),
    }
}

fn drop_for_good() -> Result<(), PrivilegeError> {
    let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    setgroups(&[]).map_err(PrivilegeError::Drop)?;
    setresgid(group, group, group).map_err(PrivilegeError::Drop)?;
    setresuid(user, user, user).map_err(PrivilegeError::Drop)
}

/// Whether the user without rights can read this file, and each directory above it and the file are `good`.
fn reachable(path: &Path, good: impl Fn(&Metadata) -> bool) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let allows = |path: &Path, bits: u32| path.metadata().is_ok_and(|meta| meta.mode() & bits == bits && good(&meta));
    allows(&path, 0o004) && path.ancestors().skip(1).all(|folder| allows(folder, 0o001))
}

/// Whether Bartizan believes it: root's, and writable for nobody else.
fn believed(meta: &Metadata) -> bool {
    let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
    meta.uid() == 0 && (meta.mode() & 0o022 == 0 || sticky)
}

/// The allowlist's scripts: each relative path with the file that it stands for. Absolute ones stay where they are.
fn scripts_of(allowlist: &Path, directories: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    let text = std::fs::read_to_string(allowlist).unwrap_or_default();
    let mut paths = Vec::new();
    if let Ok(json) = serde_json::from_str(&text) {
        collect_json(&json, &mut paths);
    } else if let Ok(document) = text.parse::<toml_edit::DocumentMut>() {
        let scripts = ["scripts", "authorizers"].into_iter().filter_map(|kind| document.get(kind));
        let scripts = scripts.filter_map(toml_edit::Item::as_array_of_tables).flat_map(|scripts| scripts.iter());
        paths.extend(scripts.filter_map(|script| Some(script.get("path")?.as_str()?.to_owned())));
    }
    let inside = |path: &PathBuf| {
        path.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
    };
    let find = |path: PathBuf| {
        let file = directories.iter().map(|directory| directory.join(&path)).find(|file| file.is_file())?;
        Some((path, file))
    };
    paths.into_iter().map(PathBuf::from).filter(inside).filter_map(find).collect()
}

fn collect_json(value: &serde_json::Value, paths: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            paths.extend(object.get("path").and_then(|path| Some(path.as_str()?.to_owned())));
            object.values().for_each(|value| collect_json(value, paths));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| collect_json(value, paths)),
        _ => {}
    }
}

fn folder(stage: &mut Option<tempfile::TempDir>, name: &str) -> Result<PathBuf, PrivilegeError> {
    let fail = |source| PrivilegeError::Copy { path: PathBuf::from(name), source };
    let all = |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(0o755));
    if stage.is_none() {
        let new = tempfile::Builder::new().prefix("bartizan-").tempdir_in("/tmp").map_err(fail)?;
        all(new.path()).map_err(fail)?;
        *stage = Some(new);
    }
    let path = stage.as_ref().map(|stage| stage.path().join(name)).unwrap_or_default();
    std::fs::create_dir_all(&path).map_err(fail)?;
    all(&path).map_err(fail)?;
    Ok(path)
}

/// A copy of root's with the same mode, but for set-id bits: a mode that is not safe stays as visible as it was.
fn copy(from: &Path, to: &Path, most: u32) -> Result<(), PrivilegeError> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    let done = std::fs::create_dir_all(parent).and_then(|()| std::fs::copy(from, to)).and_then(|_| {
        let mode = (from.metadata()?.mode() & 0o777 | 0o444) & most;
        std::fs::set_permissions(to, Permissions::from_mode(mode))
    });
    done.map_err(|source| PrivilegeError::Copy { path: from.to_owned(), source })
}

/// A script may need the files beside it.
fn copy_with_neighbours(script: &Path, to: &Path, most: u32) -> Result<(), PrivilegeError> {
    let (from_folder, to_folder) = (script.parent().unwrap_or(script), to.parent().unwrap_or(to));
    let entries = std::fs::read_dir(from_folder).into_iter().flatten().flatten().take(MAX_BESIDE);
    for entry in entries {
        let small = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_SIZE);
        let target = to_folder.join(entry.file_name());
        if small && !target.exists() {
            copy(&entry.path(), &target, most)?;
        }
    }
    if to.exists() { Ok(()) } else { copy(script, to, most) }
}

/// Starts `bartizan-playground janitor STAGE` as root, in a group of its own so that Ctrl-C does not end it first.
fn start_janitor(stage: &tempfile::TempDir) -> Result<(), PrivilegeError> {
    let program = std::env::current_exe().map_err(PrivilegeError::Janitor)?;
    let mut command = Command::new(program);
    command.arg("janitor").arg(stage.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_clear().current_dir("/").process_group(0);
    let mut child = command.spawn().map_err(PrivilegeError::Janitor)?;
    // The pipe closes with this process, however it ends; its other end must live as long as that.
    std::mem::forget(child.stdin.take());
    Ok(())
}

/// Waits until standard input ends, then removes a directory that [`stage_and_drop`] made.
pub fn janitor(stage: &Path) {
    let _ended = io::stdin().read_to_end(&mut Vec::new());
    let ours = stage.starts_with("/tmp")
        && stage.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"bartizan-"));
    if ours {
        let _left_behind = std::fs::remove_dir_all(stage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_in_both_forms_of_the_allowlist_and_never_outside() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join("scripts")).expect("made");
        std::fs::write(home.path().join("scripts/a"), "#!/bin/sh\n").expect("written");
        let directories = [home.path().to_owned()];
        let file = home.path().join("allowlist");
        let expected = vec![(PathBuf::from("scripts/a"), home.path().join("scripts/a"))];
        for text in [
            "[[scripts]]\nname = \"a\"\npath = \"scripts/a\"\n[[scripts]]\npath = \"../../etc/passwd\"\n",
            "{\"scripts\": {\"a\": {\"path\": \"scripts/a\"}, \"b\": {\"path\": \"/etc/passwd\"}}}",
        ] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(scripts_of(&file, &directories), expected);
        }
    }

    #[test]
    fn a_private_folder_is_not_reachable() {
        let private = Permissions::from_mode(0o700);
        let home = tempfile::Builder::new().permissions(private).tempdir().expect("a directory");
        let file = home.path().join("x");
        std::fs::write(&file, "x").expect("written");
        assert!(!reachable(&file, |_| true));
        assert!(reachable(Path::new("/etc/passwd"), |_| true));
    }
}
