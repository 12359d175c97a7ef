//! The cluster's own commands. Nothing of what somebody typed is an option of theirs: arguments stand behind the script's name, where
//! `sbatch` hands on every word as it is, and each option is one word with its value in it.

use super::seen::{self, Seen};
use crate::{DriverError, failed};
use bartizan_proto::driver::Batch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What runs on the node before the script.
const WRAPPER: &str = include_str!("../../slurm/wrapper.sh");

/// Where the script stands in it.
const PLACE: &str = "@SCRIPT@";

/// The commands themselves give up on a controller after some ten seconds.
const LONGEST: Duration = Duration::from_secs(25);

/// Most of what one says on its standard error that is kept, in bytes.
const MAX_WHY: u64 = 600;

/// Most of its answer that is read, in bytes: all jobs of a large cluster.
const MAX_ANSWER: u64 = 512 << 20;

/// A command did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It is not there, or cannot be run here.
    #[error("{program}: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It said no.
    #[error("{program}: {why}")]
    Refused {
        /// Which.
        program: &'static str,
        /// The last line that it said.
        why: String,
    },
    /// It said nothing, for too long.
    #[error("{0} did not answer in time")]
    Late(&'static str),
    /// Not what it should say.
    #[error("{program} says what is not understood: {why}")]
    Odd {
        /// Which.
        program: &'static str,
        /// What.
        why: String,
    },
}

/// One job's view of it.
pub(super) struct Cluster<'a> {
    work: &'a Batch,
    user: u32,
    script: PathBuf,
}

impl<'a> Cluster<'a> {
    /// With the script in the job's own directory.
    pub(super) fn new(work: &'a Batch, home: &Path) -> Result<Self, DriverError> {
        let folder = home.join(".driver");
        fs::create_dir_all(&folder).map_err(failed("the job's directory"))?;
        let script = folder.join("batch");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&script);
        file.and_then(|mut file| file.write_all(wrapped(&work.script).as_bytes()))
            .map_err(failed("the batch script"))?;
        Ok(Self { work, user: rustix::process::getuid().as_raw(), script })
    }

    /// The job of that name, of this user. Others' are not looked at, whatever they are called: names are seen by everybody on a
    /// cluster, and anybody may take one.
    pub(super) fn find(&self) -> Result<Option<Seen>, Trouble> {
        let named = |seen: &Seen| seen.name == self.work.name.as_str();
        let ours = |seen: &Seen| named(seen) && seen.user == Some(self.user);
        let (name, user) = (format!("--name={}", self.work.name), format!("--user={}", self.user));
        // Before 23.02 the filters mean nothing where JSON is asked for, and everything is told.
        let words = ["--json".to_owned(), "--states=all".to_owned(), name.clone(), user.clone()];
        if let Some(seen) = self.ask("squeue", &words, |answer| seen::first(answer, &ours))? {
            return Ok(Some(seen));
        }
        // What ended some minutes ago is known to the accounting, where there is one.
        let words = ["--json".to_owned(), "--starttime=now-30days".to_owned(), name, user];
        let theirs = |seen: &Seen| named(seen) && seen.user.is_none_or(|user| user == self.user);
        let told = self.ask("sacct", &words, |answer| seen::all(answer, &theirs)).unwrap_or_default();
        Ok(told.into_iter().find(|seen| seen.user.is_some() || self.is_ours(seen.id)))
    }

    /// Whose a job is, for the accounting that says it in JSON by name only. In columns it has always been asked by number.
    fn is_ours(&self, id: u64) -> bool {
        let words = ["--noheader", "--parsable2", "--allocations", "--format=UID"].map(str::to_owned);
        let words = [&words[..], &[format!("--jobs={id}")]].concat();
        let told = self.ask("sacct", &words, |answer| text_of(answer, MAX_WHY));
        // One line of every cluster that has such a number: all must be this user's.
        let own = self.user.to_string();
        told.is_ok_and(|told| told.lines().count() > 0 && told.lines().all(|line| line.trim() == own))
    }

    /// Submits it; gives its number.
    pub(super) fn submit(&self, folder: &Path) -> Result<u64, Trouble> {
        let mut words = self.options(folder);
        words.push(self.script.display().to_string());
        words.push(folder.display().to_string());
        words.extend(self.work.arguments.iter().map(ToString::to_string));
        self.ask("sbatch", &words, |answer| {
            let text = text_of(answer, MAX_WHY)?;
            seen::number(&text).ok_or_else(|| format!("{text:?}"))
        })
    }

    fn options(&self, folder: &Path) -> Vec<String> {
        let resources = &self.work.resources;
        let mut words: Vec<String> =
            ["--parsable", "--export=ALL", "--open-mode=append", "--chdir=/", "--mail-type=NONE"]
                .map(str::to_owned)
                .into();
        words.push(format!("--job-name={}", self.work.name));
        words.push(format!("--comment={}", self.work.comment));
        words.push(format!("--output={}", folder.join(super::output::OUTPUT).display()));
        words.push(if resources.requeue { "--requeue" } else { "--no-requeue" }.to_owned());
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name}={value}")));
        };
        option("partition", resources.partition.as_ref().map(ToString::to_string));
        option("account", resources.account.as_ref().map(ToString::to_string));
        option("qos", resources.qos.as_ref().map(ToString::to_string));
        option("constraint", resources.constraint.as_ref().map(ToString::to_string));
        option("nodes", resources.nodes.map(|count| count.to_string()));
        option("ntasks", resources.tasks.map(|count| count.to_string()));
        option("cpus-per-task", resources.cpus_per_task.map(|count| count.to_string()));
        option("mem", resources.memory_mib.map(|size| format!("{size}M")));
        option("time", resources.minutes.map(|minutes| minutes.to_string()));
        words
    }

    /// Cancels it: that number, if it has that name and is this user's.
    pub(super) fn cancel(&self, seen: &Seen) -> Result<(), Trouble> {
        let words = [format!("--user={}", self.user), format!("--name={}", self.work.name), seen.id.to_string()];
        self.ask("scancel", &words, |_| Ok(()))
    }

    /// How its nodes are, in words that can follow others; nothing where that cannot be said.
    pub(super) fn nodes(&self, nodes: &str) -> String {
        if nodes.is_empty() {
            return String::new();
        }
        let words =
            ["--noheader".to_owned(), "--Node".to_owned(), format!("--nodes={nodes}"), "--format=%N is %T".to_owned()];
        let told = self.ask("sinfo", &words, |answer| text_of(answer, MAX_WHY));
        let mut told: Vec<String> = told.unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect();
        told.dedup();
        if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
    }

    /// Runs one of them, for so long at most.
    fn ask<T: Send>(
        &self,
        program: &'static str,
        words: &[String],
        read: impl FnOnce(&mut dyn Read) -> Result<T, String> + Send,
    ) -> Result<T, Trouble> {
        let path = Path::new(self.work.programs.as_str()).join(program);
        let failed = |source| Trouble::Start { program: path.display().to_string(), source };
        let mut child = Command::new(&path)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            // What `sbatch` finds in its environment is the job's.
            .envs(self.work.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .env("SLURM_CONF", self.work.config.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (answer, why, status) = std::thread::scope(|scope| {
            let answer = scope.spawn(move || {
                let mut stdout = BufReader::new(stdout.ok_or("no output")?).take(MAX_ANSWER);
                let answer = read(&mut stdout);
                // Else it would be stopped by its own output.
                let _rest = io::copy(&mut stdout, &mut io::sink());
                answer
            });
            let why = scope.spawn(move || {
                let mut text = Vec::new();
                if let Some(mut stderr) = stderr {
                    let _best_effort = Read::by_ref(&mut stderr).take(MAX_WHY).read_to_end(&mut text);
                    let _rest = io::copy(&mut stderr, &mut io::sink());
                }
                String::from_utf8_lossy(&text).into_owned()
            });
            let status = waited(&mut child);
            let answer = answer.join().unwrap_or_else(|_| Err("it cannot be read".to_owned()));
            (answer, why.join().unwrap_or_default(), status)
        });
        match status.map_err(failed)? {
            None => Err(Trouble::Late(program)),
            Some(status) if !status.success() => {
                let last = why.lines().rev().map(str::trim).find(|line| !line.is_empty());
                Err(Trouble::Refused { program, why: last.map_or_else(|| status.to_string(), str::to_owned) })
            }
            Some(_) => answer.map_err(|why| Trouble::Odd { program, why }),
        }
    }
}

/// A short answer that is not JSON.
fn text_of(answer: &mut dyn Read, most: u64) -> Result<String, String> {
    let mut text = String::new();
    answer.take(most).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Its end; `None` where it took too long and was ended.
fn waited(child: &mut std::process::Child) -> io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + LONGEST;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The batch script: the same for all, with the script in it as letters and digits.
fn wrapped(script: &[u8]) -> String {
    let text = STANDARD.encode(script);
    let lines: Vec<&str> =
        (0..text.len()).step_by(1024).filter_map(|at| text.get(at..(at + 1024).min(text.len()))).collect();
    WRAPPER.replacen(PLACE, &lines.join("\n"), 1)
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
