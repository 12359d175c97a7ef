//! The chat prompt of `make demo`: you are a person in a channel, and Bartizan's real processes answer.
//!
//! On a terminal with line editing, history and completion; otherwise standard input is a script whose lines are done one
//! after another, each when the one before has been answered. What arrives is shown in the form of a transcript.

mod complete;
mod input;
mod session;
mod show;
mod terminal;

use crate::service::Staged;
use crate::transcript::report::Paint;
use crate::transcript::stage::{Host, Stage, StageError};
use session::{Next, Session};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use terminal::{Keyboard, Line};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// Why there is no prompt.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Server or service.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The terminal.
    #[error("the terminal cannot be used: {0}")]
    Terminal(io::Error),
    /// The configuration was not read.
    #[error("{0} was not read")]
    Source(PathBuf),
}

/// Runs the prompt until the person leaves or standard input ends.
///
/// # Errors
/// [`PromptError`].
pub async fn run(pair: (PathBuf, PathBuf), staged: Staged, paint: Paint) -> Result<ExitCode, PromptError> {
    let source = staged.sources.get(&pair).ok_or_else(|| PromptError::Source(pair.0.clone()))?;
    let mut stop = signal(SignalKind::terminate()).map_err(PromptError::Terminal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(PromptError::Terminal)?;
    let stage = tokio::select! {
        stage = Stage::set(&Host::Embedded, source, &staged.programs) => stage?,
        _ = stop.recv() => return Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => return Ok(ExitCode::FAILURE),
    };
    let scripts = complete::script_names(&source.allowlist);
    let keyboard = terminal::open(complete::words(&scripts)).map_err(PromptError::Terminal)?;
    let mut session = Session::new(stage, paint, keyboard.is_terminal());
    session.banner(&pair.0, staged.note.as_deref());
    tokio::select! {
        () = converse(&mut session, keyboard) => {}
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
    }
    session.leave().await;
    Ok(ExitCode::SUCCESS)
}

async fn converse(session: &mut Session, mut keyboard: Keyboard) {
    session.print_with(keyboard.printer());
    keyboard.ask(session.prompt());
    loop {
        let tick = Instant::now() + Duration::from_millis(500);
        let line = tokio::select! {
            line = keyboard.line() => line,
            _ = session.watch(tick) => continue,
        };
        match line {
            Line::Entered(text) => {
                if session.enter(&text).await == Next::Leave {
                    return;
                }
                session.settle(Duration::from_millis(700)).await;
                keyboard.ask(session.prompt());
            }
            Line::Interrupted => {
                session.note("/quit or Ctrl-D leaves");
                keyboard.ask(session.prompt());
            }
            Line::Ended => {
                session.settle(Duration::from_millis(1500)).await;
                return;
            }
        }
    }
}
