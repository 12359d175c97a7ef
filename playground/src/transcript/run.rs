//! Many transcripts: played one after another or some at a time, a line of verdict for each.
//!
//! Files that stand next to each other and want the same configuration share one server and service; whatever disturbs
//! them, or counts on new ones, gets its own. What shares nothing can be played at the same time.

use super::load::Script;
use super::model::{Act, Transcript};
use super::play::{Outcome, Player, Stop};
use super::report::{Failure, Paint};
use super::stage::{Host, Stage};
use crate::service::{Source, Staged};
use futures_util::stream::{self, StreamExt as _};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How transcripts are played.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Whether the program was started by root, who some transcripts need.
    pub was_root: bool,
    /// How many stages there may be at once.
    pub at_once: usize,
    /// How verdicts look.
    pub paint: Paint,
}

/// Plays the transcripts and prints a verdict for each, in their order: exit code 1 when one failed.
pub async fn run(scripts: &[Script], host: &Host, staged: &Staged, manner: Manner) -> ExitCode {
    let (verdicts, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut shares = companies(scripts);
    if manner.at_once > 1 {
        // Those that may take long begin first, so that none of them is alone at the end.
        shares.sort_by_key(|share| Reverse(scripts[share.clone()].iter().map(Script::patience).sum::<Duration>()));
    }
    let played = stream::iter(shares).for_each_concurrent(manner.at_once, |share| {
        let verdicts = verdicts.clone();
        async move {
            let mut company = Company { host, staged, stage: None };
            for number in share {
                let script = &scripts[number];
                let outcome =
                    match own_service(script, host).or_else(|| missing(&script.transcript, manner.was_root, host)) {
                        Some(reason) => Err(Stop::Skipped(reason)),
                        None => company.play(script).await,
                    };
                // Whoever reads them is here as long as one can come.
                let _heard = verdicts.send((number, outcome));
            }
            company.leave().await;
        }
    });
    let mut tally = Tally::default();
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut told_all = async || {
        while next < scripts.len() {
            let Some((number, outcome)) = told.recv().await else { break };
            early.insert(number, outcome);
            while let Some(outcome) = early.remove(&next) {
                print(&tally.verdict(&scripts[next], outcome, manner.paint));
                next += 1;
            }
        }
    };
    tokio::join!(played, told_all());
    let Tally { passed, failed, skipped } = tally;
    print(&format!("{passed} passed, {failed} failed, {skipped} skipped\n"));
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The transcripts in shares that have no stage in common.
fn companies(scripts: &[Script]) -> Vec<Range<usize>> {
    let mut shares: Vec<Range<usize>> = Vec::new();
    for (number, script) in scripts.iter().enumerate() {
        let goes_on = |before: &Script| !script.wants_new() && !before.disturbs() && before.files == script.files;
        match shares.last_mut() {
            Some(share) if goes_on(&scripts[number - 1]) => share.end = number + 1,
            _ => shares.push(number..number + 1),
        }
    }
    shares
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Tally {
    /// Counts, and gives what is shown.
    fn verdict(&mut self, script: &Script, outcome: Outcome, paint: Paint) -> String {
        let path = script.path.display();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                format!("{} {path}\n", paint.text("32", "ok  "))
            }
            Err(Stop::Skipped(reason)) => {
                self.skipped += 1;
                format!("{} {path}: {reason}\n", paint.text("33", "skip"))
            }
            Err(Stop::Failed(failure)) => {
                self.failed += 1;
                let details = failure.shown(&path.to_string(), &script.text, paint);
                format!("{} {path}\n{details}", paint.text("31", "FAIL"))
            }
        }
    }
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
        if script.wants_new() || self.stage.as_ref().is_some_and(|(_, files)| *files != script.files) {
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
        if outcome.is_err() || script.disturbs() {
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

/// What the transcript wants of a service, and cannot have where one is installed.
fn own_service(script: &Script, host: &Host) -> Option<String> {
    let wants_own = script.wants_new() || script.has_own_files();
    (wants_own && matches!(host, Host::Installed(_))).then(|| "wants a service of its own".to_owned())
}

/// What the transcript needs and cannot have here.
fn missing(transcript: &Transcript, was_root: bool, host: &Host) -> Option<String> {
    let foreign = matches!(host, Host::Foreign(_) | Host::Installed(_));
    if foreign {
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
        "embedded-server" => foreign.then(|| "needs something that only the embedded server has".to_owned()),
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
    use super::super::parse::parse;
    use super::*;
    use crate::cast::ServerFile;

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
    fn what_shares_a_stage_stays_together_and_in_order() {
        let script = |name: &str, config: &str, text: &str| Script {
            path: name.into(),
            text: text.to_owned(),
            transcript: parsed(text),
            files: (config.into(), "allowlist".into()),
        };
        let talk = "alice #ops> !ping\n  bartizan> Pong!\n";
        let scripts = [
            script("a", "one", talk),
            script("b", "one", talk),
            script("c", "two", talk),
            script("d", "two", "restart broker\n"),
            script("e", "two", talk),
            script("f", "two", talk),
            script("g", "two", "$ bartizan status\n"),
            script("h", "two", talk),
        ];
        assert_eq!(companies(&scripts), [0..2, 2..3, 3..4, 4..6, 6..8]);
        assert_eq!(companies(&[]), Vec::<Range<usize>>::new());
    }
}
