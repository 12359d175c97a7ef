//! What can go wrong, and the exit code that says so.

use bartizan_proto::control::Refusal;
use bartizan_proto::frame::FrameError;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// How the command ends. The numbers are part of its interface and stand in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was answered, and all is well.
    Ok,
    /// It was answered, and something is not well.
    Bad,
    /// The command line or the configuration is wrong.
    Usage,
    /// The service cannot be reached.
    Unreachable,
    /// The service says no.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Bad => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Refused => 4,
        })
    }
}

/// Why there is no answer. One line each; the last part says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// Nobody listens.
    #[error(
        "{socket}: the service cannot be reached: {error}; start it, or name its socket with --socket or BARTIZAN_SOCKET"
    )]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file system says no.
    #[error(
        "{socket}: this user may not use the control socket; run it as root or as a member of the operators' group (in single-user mode: as the service's user)"
    )]
    Closed {
        /// The socket.
        socket: PathBuf,
    },
    /// There is something else at that path.
    #[error("{socket}: not a socket; name the service's socket with --socket or BARTIZAN_SOCKET")]
    NotASocket {
        /// What is there.
        socket: PathBuf,
    },
    /// Someone else listens at the service's socket.
    #[error("{socket}: belongs to uid {owner}, but uid {peer} answers there; nothing was asked")]
    Impostor {
        /// The socket.
        socket: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who listens.
        peer: u32,
    },
    /// The conversation broke off.
    #[error("{socket}: the service broke off: {error}; its log says why")]
    Conversation {
        /// The socket.
        socket: PathBuf,
        /// How.
        error: FrameError,
    },
    /// An answer to another question.
    #[error("the service answered something else than what was asked; are all programs of one version?")]
    WrongAnswer,
    /// The service says no.
    #[error("{why}")]
    Refused {
        /// In what way.
        refusal: Refusal,
        /// Its reason, printable.
        why: String,
    },
    /// A program beside this one does not run.
    #[error("{program}: cannot be run: {error}; all of Bartizan's programs belong into one directory")]
    Sibling {
        /// The program.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A program beside this one failed.
    #[error("{program}: {why}")]
    SiblingFailed {
        /// The program.
        program: PathBuf,
        /// What it said, printable.
        why: String,
    },
    /// What was to be typed, was not.
    #[error("{0}")]
    Typed(io::Error),
    /// A file of the caller's.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A script cannot be made or tried.
    #[error("{0}")]
    Script(String),
    /// A file of the audit log, or one that is read with it.
    #[error("{path}: {error}; name the log, or run it as a user who may read it")]
    AuditFile {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What was given as a public key is none.
    #[error("{path}: {error}")]
    AuditKey {
        /// What was given.
        path: PathBuf,
        /// Why.
        error: bartizan_audit::BadKey,
    },
    /// What was given as a witness is none.
    #[error(transparent)]
    Witness(#[from] bartizan_audit::BadWitness),
    /// Nothing can be served there.
    #[error("{place}: {error}")]
    Listen {
        /// Where.
        place: String,
        /// Why not.
        error: io::Error,
    },
    /// What would serve something cannot give up what it does not need.
    #[error("{what}: {why}")]
    Confine {
        /// What was to be served.
        what: String,
        /// Why not.
        why: String,
    },
    /// The first day is not over.
    #[error(transparent)]
    Setup(#[from] crate::setup::SetupError),
    /// Standard output is gone.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// An answer that JSON cannot hold.
    #[error("cannot write the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CtlError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } | Self::NotASocket { .. } | Self::Impostor { .. } | Self::Conversation { .. } => {
                Exit::Unreachable
            }
            Self::Closed { .. } => Exit::Refused,
            Self::Refused { refusal: Refusal::Forbidden | Refusal::NotFound | Refusal::Unavailable, .. } => {
                Exit::Refused
            }
            Self::Refused { refusal: Refusal::Usage, .. } | Self::Typed(_) | Self::File { .. } | Self::Script(_) => {
                Exit::Usage
            }
            Self::Setup(_)
            | Self::Listen { .. }
            | Self::Confine { .. }
            | Self::AuditFile { .. }
            | Self::AuditKey { .. }
            | Self::Witness(_) => Exit::Usage,
            Self::WrongAnswer | Self::Sibling { .. } | Self::SiblingFailed { .. } | Self::Output(_) | Self::Json(_) => {
                Exit::Bad
            }
        }
    }
}
