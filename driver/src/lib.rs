//! Drivers: what runs in the place of a script where a backend has other programs do the work. It is started by the worker inside the
//! job's sandbox, with the plan that the core made (proto/src/driver.rs), the job's secrets and network to its targets alone. It reports
//! over the script API and prints what people read.
//!
//! | step | file |
//! |---|---|
//! | the plan; the secrets, out of their files into this process's memory | `lib.rs` |
//! | keys, addresses, variables as files for `ansible-playbook`; its command line and environment | `prepare.rs` |
//! | from its first event to its end | `play.rs` |
//! | its events (`driver/ansible/bartizan_events.py` writes them) | `event.rs` |
//! | what people read of them | `account.rs` |
//! | or of a cluster: submission, output, end | `batch.rs` |
//!
//! Exit: that of `ansible-playbook`, or of the job on the cluster (251 where nobody knows); 250 where it could not be started.

mod account;
mod batch;
mod event;
mod play;
mod prepare;
mod report;
mod system;

use bartizan_proto::driver::Work;
use bartizan_proto::frame::{self, FrameError, HEADER};
use bartizan_proto::ids::SecretName;
use bartizan_proto::worker::PLAN_VARIABLE;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Where the worker says that a job's secrets are.
const SECRETS_VARIABLE: &str = "BARTIZAN_SECRETS";

/// Nothing was begun.
const NOT_BEGUN: u8 = 250;

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Started by hand.
    #[error("this is for jobs of Bartizan's: ${0} is not set")]
    NoJob(&'static str),
    /// The descriptor.
    #[error("the plan cannot be read: {0}")]
    Plan(#[from] FrameError),
    /// A secret that is not there, or is no key.
    #[error("the secret {name} {why}")]
    Secret {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// The playbook is another file than the one that was let through.
    #[error("{0} is not the file that was let through: it was changed meanwhile; give the command again")]
    Changed(String),
    /// A program, a file, the agent.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// Says what was tried.
fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> DriverError {
    move |source| DriverError::Io { what: what.into(), source }
}

/// The program.
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            println!("bartizan-driver: {error}");
            ExitCode::from(NOT_BEGUN)
        }
    }
}

fn run() -> Result<u8, DriverError> {
    // 1. Nobody in the sandbox looks into this process, and no program that it starts has its descriptors.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| failed("this process's memory")(error.into()))?;
    let plan = system::given(PLAN_VARIABLE).ok_or(DriverError::NoJob(PLAN_VARIABLE))?;
    system::keep_from_programs();

    // 2. What to do.
    let work = read(File::from(plan))?;

    // 3. The secrets: from here on they are nowhere but here.
    let home = std::env::current_dir().map_err(failed("the job's directory"))?;
    let secrets = Secrets::take(std::env::var_os(SECRETS_VARIABLE).map(PathBuf::from).as_deref())?;
    match work {
        Work::Play(work) => play::play(&work, &secrets, &home),
        Work::Batch(work) => batch::follow(&work, &home),
    }
}

/// The one frame in it.
fn read(mut plan: File) -> Result<Work, FrameError> {
    let mut header = [0; HEADER];
    plan.read_exact(&mut header)?;
    let mut payload = vec![0; frame::announced(header)?];
    plan.read_exact(&mut payload)?;
    frame::decode(&payload)
}

/// The job's secrets by name.
struct Secrets(Vec<(String, Zeroizing<Vec<u8>>)>);

impl Secrets {
    /// Reads each file and takes it away.
    fn take(folder: Option<&Path>) -> Result<Self, DriverError> {
        let mut all = Vec::new();
        let Some(folder) = folder else { return Ok(Self(all)) };
        let entries =
            |path: &Path| -> io::Result<Vec<PathBuf>> { fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
        let lost = |source| DriverError::Io { what: "the job's secrets".to_owned(), source };
        for space in entries(folder).map_err(lost)? {
            for path in entries(&space).map_err(lost)? {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                all.push((name, Zeroizing::new(fs::read(&path).map_err(lost)?)));
                fs::remove_file(&path).map_err(lost)?;
            }
            fs::remove_dir(&space).map_err(lost)?;
        }
        Ok(Self(all))
    }

    fn get(&self, name: &SecretName) -> Result<&Zeroizing<Vec<u8>>, DriverError> {
        let name = name.to_string();
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value).ok_or(DriverError::Secret { name, why: "did not come with the job".to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_once_and_leave_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("ssh")).expect("a folder");
        fs::write(folder.path().join("ssh/deploy"), "key").expect("written");
        let secrets = Secrets::take(Some(folder.path())).expect("taken");
        assert_eq!(secrets.get(&"ssh/deploy".parse().expect("a name")).expect("there").as_slice(), b"key");
        assert!(secrets.get(&"ssh/other".parse().expect("a name")).is_err());
        assert!(!folder.path().join("ssh/deploy").exists());
    }

    #[test]
    fn a_plan_that_is_cut_or_no_plan_is_an_error() {
        use std::io::{Seek, Write};
        for bytes in [&[][..], &[1, 0], &[255; 8], &[4, 0, 0, 0, 9, 9, 9, 9]] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(bytes).and_then(|()| file.rewind()).expect("written");
            assert!(read(file).is_err(), "{bytes:?}");
        }
    }
}
