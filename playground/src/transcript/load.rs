//! Transcripts found and read, all of them before anything is started.

use super::model::{Act, Step, Transcript};
use super::parse::parse;
use crate::service::demo_files;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Instead of the demo's.
    pub config: Option<PathBuf>,
    /// Instead of the demo's.
    pub allowlist: Option<PathBuf>,
}

/// Why nothing is run: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not there.
    #[error("{path}: {source}")]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory without a transcript.
    #[error("{0}: there is no .txt file in it")]
    Empty(PathBuf),
    /// Transcripts that do not parse, each `file:line: what`.
    #[error("{}", .0.join("\n"))]
    Parse(Vec<String>),
}

/// A transcript that has been read.
#[derive(Debug, Clone)]
pub struct Script {
    /// As it was named.
    pub path: PathBuf,
    pub(super) text: String,
    pub(super) transcript: Transcript,
    /// Its configuration and allowlist, absolute.
    pub files: (PathBuf, PathBuf),
}

impl Script {
    /// How long it waits at most.
    pub(super) fn patience(&self) -> Duration {
        let steps = self.transcript.steps.iter();
        let of_step = |step: &Step| {
            let act = if let Act::Wait(time) = &step.act { *time } else { Duration::ZERO };
            act + step.expectations.iter().map(|expected| expected.within).sum::<Duration>()
        };
        steps.map(of_step).sum()
    }

    /// Whether it brings a configuration or an allowlist.
    pub(super) fn has_own_files(&self) -> bool {
        self.transcript.config.is_some() || self.transcript.allowlist.is_some()
    }

    /// Whether it leaves a stage on which nothing else can be played.
    pub(super) fn disturbs(&self) -> bool {
        self.transcript.steps.iter().any(|step| step.act.disturbs())
    }

    /// Whether it cannot be played on a stage on which something was played before.
    pub(super) fn wants_new(&self) -> bool {
        // Job numbers and counters begin anew for who asks the operator's command.
        self.disturbs() || self.transcript.steps.iter().any(|step| matches!(step.act, Act::Operator { .. }))
    }
}

/// Reads all transcripts, before anything is started or privileges are given up.
///
/// # Errors
/// [`LoadError`].
pub fn load(request: &Request) -> Result<Vec<Script>, LoadError> {
    let (config, allowlist) = demo_files();
    let config = absolute(request.config.as_deref().unwrap_or(&config));
    let allowlist = absolute(request.allowlist.as_deref().unwrap_or(&allowlist));
    let mut scripts = Vec::new();
    let mut faults = Vec::new();
    for path in request.paths.iter().map(|path| find(path)).collect::<Result<Vec<_>, _>>()?.concat() {
        let bytes = std::fs::read(&path).map_err(|source| LoadError::Read { path: path.clone(), source })?;
        let Ok(text) = String::from_utf8(bytes) else {
            faults.push(format!("{}:1: this is not UTF-8", path.display()));
            continue;
        };
        match parse(&text) {
            Err(error) => faults.push(format!("{}:{error}", path.display())),
            Ok(transcript) => {
                let folder = absolute(path.parent().unwrap_or(Path::new(".")));
                let relative = |own: &Option<PathBuf>, usual: &Path| {
                    own.as_ref().map_or_else(|| usual.to_owned(), |own| clean(&folder.join(own)))
                };
                let files = (relative(&transcript.config, &config), relative(&transcript.allowlist, &allowlist));
                scripts.push(Script { path, text, transcript, files });
            }
        }
    }
    if faults.is_empty() { Ok(scripts) } else { Err(LoadError::Parse(faults)) }
}

/// A file, or every `.txt` file below a directory in the order of their names.
fn find(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let fail = |source| LoadError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "txt") {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() { Err(LoadError::Empty(path.to_owned())) } else { Ok(found) }
}

fn absolute(path: &Path) -> PathBuf {
    let whole = std::env::current_dir().unwrap_or_default().join(path);
    clean(&whole)
}

/// Without `..` and links, where it exists.
fn clean(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_all_files_are_named_before_anything_runs() {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join("sub")).expect("made");
        std::fs::write(home.path().join("b.txt"), "nonsense\n").expect("written");
        std::fs::write(home.path().join("sub/a.txt"), "\nmore nonsense\n").expect("written");
        std::fs::write(home.path().join("c.md"), "no transcript\n").expect("written");
        let request = Request { paths: vec![home.path().to_owned()], ..Request::default() };
        let Err(LoadError::Parse(faults)) = load(&request) else { panic!("it does not parse") };
        assert_eq!(faults.len(), 2);
        assert!(faults[0].contains("b.txt:1: ") && faults[1].contains("sub/a.txt:2: "), "{faults:?}");
    }

    #[test]
    fn files_are_named_relative_to_the_transcript() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("a.txt");
        std::fs::write(&file, "config: x/b.toml\nallowlist: a.json\nwait 1s\n").expect("written");
        let scripts = load(&Request { paths: vec![file], ..Request::default() }).expect("it parses");
        let folder = home.path().canonicalize().expect("it exists");
        assert_eq!(scripts[0].files, (folder.join("x/b.toml"), folder.join("a.json")));
    }
}
