//! The programs beside this one that know what the control socket cannot tell.

use crate::exit::CtlError;
use bartizan_proto::text::printable;
use bartizan_proto::worker::{Given, InForce};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The kernel's overflow user.
const NOBODY: u32 = 65_534;

/// What the sandbox can do on this kernel, for this user: the answer of `bartizan-worker --probe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Each layer, read back from the kernel.
    pub layers: Vec<InForce>,
    /// Each guarantee.
    pub given: Vec<Given>,
}

/// Builds the whole sandbox once around nothing, and reports what came into force.
///
/// # Errors
/// [`CtlError`].
pub fn probe() -> Result<Probe, CtlError> {
    let (program, output) = run("bartizan-worker", ["--probe".as_ref()], unprivileged())?;
    if !output.status.success() {
        return Err(CtlError::SiblingFailed { program, why: first_line(&output.stderr, output.status) });
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| CtlError::SiblingFailed { program, why: format!("an answer that is not understood: {error}") })
}

/// `bartizan-broker --check-config` on one file: whether it is right, and what it said.
///
/// # Errors
/// [`CtlError`] when it does not run; a wrong configuration is an answer.
pub fn check_config(config: &Path) -> Result<Output, CtlError> {
    let words = ["--check-config".as_ref(), "--config".as_ref(), config.as_os_str()];
    run("bartizan-broker", words, None).map(|(_, output)| output)
}

/// The same on the configuration of the installation that both programs are of. Only those who may start the service can.
///
/// # Errors
/// As [`check_config`].
pub fn check_own_config() -> Result<Output, CtlError> {
    run("bartizan-broker", ["--check-config".as_ref()], None).map(|(_, output)| output)
}

/// The broker with other words, for one of its answers.
///
/// # Errors
/// [`CtlError`] when it does not run.
pub(crate) fn broker<'a>(words: impl Iterator<Item = &'a OsString>) -> Result<Output, CtlError> {
    let program =
        beside("bartizan-broker").map_err(|error| CtlError::Sibling { program: "bartizan-broker".into(), error })?;
    let output = Command::new(&program).args(words).env_clear().stdin(Stdio::null()).output();
    output.map_err(|error| CtlError::Sibling { program, error })
}

/// Whom a program becomes that root starts and that must not be root: the installation's own user, else nobody. Root's further
/// groups go with it.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    rustix::process::geteuid().is_root().then(|| {
        let broker = beside("bartizan-broker").and_then(std::fs::symlink_metadata).ok();
        broker.filter(|of| of.uid() != 0).map_or((NOBODY, NOBODY), |of| (of.uid(), of.uid()))
    })
}

fn run<const N: usize>(
    name: &str,
    arguments: [&OsStr; N],
    user: Option<(u32, u32)>,
) -> Result<(PathBuf, Output), CtlError> {
    let program = beside(name).map_err(|error| CtlError::Sibling { program: name.into(), error })?;
    let mut command = Command::new(&program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    match command.args(arguments).env_clear().stdin(Stdio::null()).output() {
        Ok(output) => Ok((program, output)),
        Err(error) => Err(CtlError::Sibling { program, error }),
    }
}

/// A program in the directory of this one; never one that a search path finds.
pub(crate) fn beside(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.parent().map(|directory| directory.join(name)).ok_or_else(|| io::Error::other("this program has no directory"))
}

fn first_line(stderr: &[u8], status: std::process::ExitStatus) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.lines().next() {
        Some(line) => printable(line),
        None => format!("ended with {status} and said nothing"),
    }
}
