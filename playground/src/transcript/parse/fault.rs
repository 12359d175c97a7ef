//! Why a text is not a transcript.

use crate::transcript::pattern::PatternError;

/// Where and why a text is not a transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {fault}")]
pub struct ParseError {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not an act.
    #[error(
        "this is no act: `NAME #CHANNEL> text`, `NAME DM> text`, `NAME in LABEL> text`, `NAME edits> text`, \
         `NAME reacts [LABEL]> emoji`, `webhook OWNER #CHANNEL> text`, `$ bartizan …`, wait, clock, fault, restart, kill -9"
    )]
    Act,
    /// Not an expectation.
    #[error(
        "this is no expectation: `bartizan [LABEL]> text`, `updates> text`, `updates…> text`, `reacts> emoji`, \
         `file> NAME text`, `notifies> none`, `within 30s`, `(silence)`, `...`"
    )]
    Expectation,
    /// An indented line before the first act.
    #[error("this is indented, but there is no act above it")]
    Orphan,
    /// Further lines where none belong.
    #[error("this is indented further, but what stands above it has no further lines")]
    Further,
    /// Indented less than its siblings.
    #[error("this is indented less than the first line under the act")]
    Indent,
    /// `| ` without a message.
    #[error("`| ` goes on with a message, but there is none directly above it")]
    Continuation,
    /// `config:` and the like below the first act.
    #[error("`{0}:` belongs above the first act")]
    Header(String),
    /// A header without a value.
    #[error("`{0}:` says nothing")]
    EmptyHeader(String),
    /// Not a span of time.
    #[error("{0:?} is not a time like 2s, 500ms or 15m")]
    Time(String),
    /// Not a process.
    #[error("{0:?} is not core, launcher, connector, egress or worker")]
    Role(String),
    /// `within` with nothing after it.
    #[error("`within` speaks of the line after it, and there is none")]
    Dangling,
    /// A bad capture.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}
