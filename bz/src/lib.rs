//! `bz`: what a job's script may ask of Bartizan, as a command on its PATH. It runs inside the sandbox, with the script's rights
//! and none besides: what it sends, any program of the script could send (proto/src/script.rs).
//!
//! Exit 0: done. 1: refused, or it cannot be had. 2: not used as it must be. 3: there is nothing (not
//! remembered, cancelled, no answer in time).

mod arguments;
mod calls;
mod chart;
mod secret;
mod system;

use arguments::{Arguments, Command};
use bartizan_proto::script::{Answer, AskError, Misread, VARIABLE};
use clap::Parser as _;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

/// Nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum BzError {
    /// The job has no descriptor.
    #[error(
        "this job may use no verb of the script API; its entry in the allowlist can allow some: api = [\"say\", \"progress\"]"
    )]
    NoApi,
    /// The variable is there and the descriptor is not.
    #[error("descriptor {0} of the script API was closed before bz was started; pass it on (in Python: pass_fds)")]
    Closed(String),
    /// It does not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What was to be read or printed cannot be.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What would be sent is no call.
    #[error("{0}")]
    Misread(#[from] Misread),
    /// What was given cannot be sent.
    #[error("{0}")]
    Usage(String),
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Secret { name } => secret::read(&name).map(Answer::Value),
        other => calls::message(other).and_then(|message| ask(&message)),
    };
    match result {
        Ok(Answer::Done) => ExitCode::SUCCESS,
        Ok(Answer::Value(value)) => match print(&value) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&BzError::Io(error), 1),
        },
        Ok(Answer::Nothing(why)) if why.is_empty() => ExitCode::from(3),
        Ok(Answer::Nothing(why)) => fail(&why, 3),
        Ok(Answer::Refused(why)) => fail(&why, 1),
        Err(error @ BzError::Usage(_)) => fail(&error, 2),
        Err(error) => fail(&error, 1),
    }
}

fn fail(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("bz: {why}");
    ExitCode::from(code)
}

/// Values as they are, with a line end where they have none.
fn print(value: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(value.as_bytes())?;
    if !value.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// One call and its answer.
fn ask(message: &[u8]) -> Result<Answer, BzError> {
    Ok(bartizan_proto::script::ask(inherited()?.as_fd(), message)?)
}

fn inherited() -> Result<OwnedFd, BzError> {
    let Ok(number) = std::env::var(VARIABLE) else { return Err(BzError::NoApi) };
    system::inherited(&number).ok_or(BzError::Closed(number))
}
