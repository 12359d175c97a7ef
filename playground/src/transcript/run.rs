//! Many transcripts: files found, played one after another, a line of verdict for each.
//!
//! Files that stand next to each other and want the same configuration share one server and service; whatever disturbs
//! them, or counts on new ones, gets its own.

use super::model::{Act, Transcript};
use super::parse::parse;
use super::play::{Outcome, Player, Stop};
use super::report::{Failure, Paint};
use super::stage::{Host, Stage};
use crate::cast::ServerFile;
use crate::service::{Source, Staged, demo_files};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Another server.
    pub server: Option<ServerFile>,
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
    text: String,
    transcript: Transcript,
    /// Its configuration and allowlist, absolute.
    pub files: (PathBuf, PathBuf),
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

/// Plays the transcripts and prints a verdict for each: exit code 1 when one failed.
pub async fn run(scripts: &[Script], host: &Host, staged: &Staged, was_root: bool, paint: Paint) -> ExitCode {
    let mut company = Company { host, staged, stage: None };
    let (mut passed, mut failed, mut skipped) = (0_usize, 0_usize, 0_usize);
    for script in scripts {
        let path = script.path.display();
        let outcome = match missing(&script.transcript, was_root, host) {
            Some(reason) => Err(Stop::Skipped(reason)),
            None => company.play(script).await,
        };
        let shown = match outcome {
            Ok(()) => {
                passed += 1;
                format!("{} {path}\n", paint.text("32", "ok  "))
            }
            Err(Stop::Skipped(reason)) => {
                skipped += 1;
                format!("{} {path}: {reason}\n", paint.text("33", "skip"))
            }
            Err(Stop::Failed(failure)) => {
                failed += 1;
                let details = failure.shown(&path.to_string(), &script.text, paint);
                format!("{} {path}\n{details}", paint.text("31", "FAIL"))
            }
        };
        print(&shown);
    }
    company.leave().await;
    print(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A reader that has gone away is no reason to stop.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _reader_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

struct Company<'a> {
    host: &'a Host,
    staged: &'a Staged,
    stage: Option<(Stage, (PathBuf, PathBuf))>,
}

impl Company<'_> {
    async fn play(&mut self, script: &Script) -> Outcome {
        let steps = &script.transcript.steps;
        // Job numbers and counters begin anew for who asks the operator's command.
        let wants_new = steps.iter().any(|step| step.act.disturbs() || matches!(step.act, Act::Operator { .. }));
        if wants_new || self.stage.as_ref().is_some_and(|(_, files)| *files != script.files) {
            self.leave().await;
        }
        let mut stage = match self.stage.take() {
            Some((stage, _)) => stage,
            None => {
                let source: &Source = self
                    .staged
                    .sources
                    .get(&script.files)
                    .ok_or_else(|| Failure::new(1, format!("{} was not read", script.files.0.display())).stop())?;
                let stage = Stage::set(self.host, source, &self.staged.programs).await;
                stage.map_err(|error| Failure::new(1, error.to_string()).stop())?
            }
        };
        let outcome = match Player::new(&mut stage).play(&script.transcript).await {
            Err(Stop::Failed(failure)) => Err(failure.log(&stage.service.complaints(6)).stop()),
            other => other,
        };
        self.stage = Some((stage, script.files.clone()));
        if outcome.is_err() || steps.iter().any(|step| step.act.disturbs()) {
            self.leave().await;
        }
        outcome
    }

    async fn leave(&mut self) {
        if let Some((stage, _)) = self.stage.take() {
            stage.strike().await;
        }
    }
}

/// What the transcript needs and cannot have here.
fn missing(transcript: &Transcript, was_root: bool, host: &Host) -> Option<String> {
    if matches!(host, Host::Foreign(_)) {
        let cannot = transcript.steps.iter().find_map(|step| match &step.act {
            Act::Clock(_) => Some((step.line, "`clock`")),
            Act::Fault(_) => Some((step.line, "`fault`")),
            _ => None,
        });
        if let Some((line, act)) = cannot {
            return Some(format!("line {line}: {act} cannot be done to another server"));
        }
    }
    transcript.needs.iter().find_map(|need| match need.as_str() {
        "root" => (!was_root).then(|| "needs root".to_owned()),
        "embedded-server" => {
            matches!(host, Host::Foreign(_)).then(|| "needs something that only the embedded server has".to_owned())
        }
        "hosts" => crate::service::hosts::missing(),
        "cluster" => crate::service::cluster::missing(),
        "landlock" => (!has_landlock()).then(|| "needs Landlock".to_owned()),
        program => (!on_path(program)).then(|| format!("needs {program}, which is not on the PATH")),
    })
}

fn has_landlock() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|list| list.split(',').any(|lsm| lsm == "landlock"))
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Transcript {
        parse(text).expect("a good transcript")
    }

    #[test]
    fn what_a_foreign_server_cannot_do_is_said() {
        let foreign = Host::Foreign(Box::new(ServerFile {
            url: String::new(),
            team: crate::cast::Named { name: String::new(), id: String::new() },
            channels: Default::default(),
            users: Default::default(),
            bot: crate::cast::Bot { name: String::new(), id: String::new(), token: String::new() },
            ca_pem: None,
        }));
        for text in ["wait 1s\nclock +15m\n", "wait 1s\nfault 429\n"] {
            assert!(missing(&parsed(text), false, &foreign).is_some_and(|reason| reason.starts_with("line 2: ")));
            assert_eq!(missing(&parsed(text), false, &Host::Embedded), None);
        }
        assert!(missing(&parsed("needs: embedded-server\n"), false, &foreign).is_some());
    }

    #[test]
    fn needs_that_the_machine_lacks_skip_a_transcript() {
        assert!(missing(&parsed("needs: root\n"), false, &Host::Embedded).is_some());
        assert!(missing(&parsed("needs: root\n"), true, &Host::Embedded).is_none());
        assert!(missing(&parsed("needs: no-such-program-here\n"), true, &Host::Embedded).is_some());
        assert!(missing(&parsed("needs: sh\n"), true, &Host::Embedded).is_none());
        assert!(missing(&parsed("needs: embedded-server\n"), true, &Host::Embedded).is_none());
    }

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
