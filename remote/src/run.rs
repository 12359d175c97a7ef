//! The near side: what a job of the backend `ssh` is. It runs inside the worker's sandbox, with network to its targets alone, and
//! has from the core a plan (a descriptor) and keys (the job's secrets).
//!
//! Exit 0: all targets did it. 1: not all did. 2: nothing was begun.

use crate::agent::{Agent, AgentKey, Users};
use crate::fleet::{self, Rules};
use crate::host::visit;
use crate::report::Printer;
use crate::ssh::Place;
use crate::system;
use bartizan_proto::frame::{self, FrameError, HEADER};
use bartizan_proto::ids::SecretName;
use bartizan_proto::remote::{Plan, PlannedTarget};
use bartizan_proto::worker::PLAN_VARIABLE;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Where the worker says that a job's secrets are.
const SECRETS_VARIABLE: &str = "BARTIZAN_SECRETS";

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Started by hand.
    #[error("this is for jobs of the backend ssh: ${0} is not set")]
    NoJob(&'static str),
    /// The descriptor.
    #[error("the plan cannot be read: {0}")]
    Plan(#[from] FrameError),
    /// A secret that is no key.
    #[error("the secret {name} {why}")]
    Key {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// The job's directory, the agent.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// The whole of it.
pub fn run() -> ExitCode {
    match roll_out() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("bartizan-remote: {error}");
            ExitCode::from(2)
        }
    }
}

fn roll_out() -> Result<bool, RunError> {
    let failed = |what| move |source| RunError::Io { what, source };
    // 1. The plan's beginning; its targets are read as they are due.
    let plan = system::inherited(PLAN_VARIABLE).ok_or(RunError::NoJob(PLAN_VARIABLE))?;
    let mut reader = PlanReader(BufReader::new(File::from(plan)));
    let plan: Plan = reader.next()?.ok_or(FrameError::Truncated)?;

    // 2. The keys, out of the job's secrets into this process's memory and nowhere else.
    let home = std::env::current_dir().map_err(failed("the job's directory"))?;
    let place = Place::new(&home);
    let secrets = std::env::var_os(SECRETS_VARIABLE).ok_or(RunError::NoJob(SECRETS_VARIABLE))?;
    let keys = take_keys(Path::new(&secrets), &place)?;

    // 3. The agent, before the first client could ask it.
    let users = Users::default();
    let agent = Agent::bind(&place.agent, keys, users.clone()).map_err(failed("the agent's socket"))?;
    std::thread::Builder::new()
        .spawn(move || {
            if let Err(error) = agent.serve() {
                println!("bartizan-remote: the agent ended: {error}");
            }
        })
        .map_err(failed("the agent's thread"))?;

    // 4. Everybody.
    let all = usize::try_from(plan.targets).unwrap_or(usize::MAX);
    let targets = (0..all).map(|_| {
        let target: PlannedTarget = reader.next()?.ok_or(FrameError::Truncated)?;
        users.allow(&target.user);
        Ok::<_, FrameError>(target)
    });
    let mut printer = Printer::new(system::script_api());
    let visit = |target: PlannedTarget, tell: &_| visit(&place, target, &plan.script, plan.max_output, tell);
    let results = fleet::roll_out(Rules::from(&plan), all, targets, &visit, &mut printer)?;
    Ok(printer.conclude(&results))
}

/// Reads every key, takes its file away, and writes down its public half, by which clients ask for it.
fn take_keys(secrets: &Path, place: &Place) -> Result<Vec<AgentKey>, RunError> {
    let failed = |source| RunError::Io { what: "the job's secrets", source };
    let mut keys = Vec::new();
    for space in sorted(secrets).map_err(failed)? {
        for path in sorted(&space).map_err(failed)? {
            let shown = |path: &Path| path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned();
            let name = format!("{}/{}", shown(&space), shown(&path));
            let text = Zeroizing::new(fs::read(&path).map_err(failed)?);
            fs::remove_file(&path).map_err(failed)?;
            let wrong = |why: String| RunError::Key { name: name.clone(), why };
            let parsed: SecretName = name.parse().map_err(|error| wrong(format!("has no such name: {error}")))?;
            let key = AgentKey::parse(&text).map_err(|error| wrong(error.to_string()))?;
            fs::write(place.public_key(&parsed), key.public_line()).map_err(failed)?;
            keys.push(key);
        }
    }
    Ok(keys)
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Frames of a file, one after the other.
struct PlanReader<R>(R);

impl<R: Read> PlanReader<R> {
    /// `None` at the file's end.
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let mut header = [0; HEADER];
        match self.0.read(&mut header[..1])? {
            0 => return Ok(None),
            _one => self.0.read_exact(&mut header[1..])?,
        }
        let mut payload = vec![0; frame::announced(header)?];
        self.0.read_exact(&mut payload)?;
        Ok(Some(frame::decode(&payload)?))
    }
}
