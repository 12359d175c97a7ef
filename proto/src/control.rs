//! `bartizan` ↔ core: the control socket. One request, one answer, then the connection is closed.
//!
//! All answers serialise to JSON as they are: `bartizan --json` prints them, so a field's name is part of the interface.
//!
//! Over 400 lines: every request of the socket and its answer, in one place.

pub use crate::checks::{Check, CheckVerdict, ConfigReport, Doctor};

use crate::bounded::{List, Text};
use crate::brain::{BrainAnswer, BrainRequest, BrainStatus};
use crate::history::{PastJob, PastRow};
use crate::ids::{JobId, PostId, ScriptName, UserId};
use crate::limits::{MAX_BODY, MAX_MESSAGE, MAX_NAME, MAX_PATH, MAX_REASON, MAX_ROWS};
use crate::people::{PeopleAnswer, PeopleRequest};
use crate::schedule::ScheduleRow;
use crate::targets::{TargetsAnswer, TargetsRequest};
use crate::version::Role;
use crate::worker::{Ending, Given, InForce, Limits, Usage};
use serde::{Deserialize, Serialize};

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Health on one screen.
    Status,
    /// The jobs that wait or run.
    Ps,
    /// Everything about one job.
    Inspect {
        /// Which.
        job: JobId,
    },
    /// Stop a job.
    Kill {
        /// Which.
        job: JobId,
    },
    /// The jobs that have ended, as far as they are kept.
    History {
        /// Of this script only.
        script: Option<ScriptName>,
    },
    /// What is scheduled.
    Schedule,
    /// One of them with what it printed.
    Log {
        /// Which.
        job: JobId,
    },
    /// The receipt of one of them.
    Receipt {
        /// Which.
        job: JobId,
    },
    /// End in order and be started again.
    Restart {
        /// Without waiting for what runs.
        now: bool,
    },
    /// Read the configuration from disk and say what a reload would change. Changes nothing.
    CheckConfig,
    /// Read the configuration again; a wrong one changes nothing.
    Reload,
    /// What is in force in the running service.
    Doctor,
    /// Something about people, bans or rights.
    People(PeopleRequest),
    /// Where the audit log is, and how far.
    AuditHead,
    /// One of the audit log's files, open for reading.
    AuditFile {
        /// Which, from 0, the oldest first.
        number: u32,
    },
    /// Take lines of the audit log away that are older than this.
    AuditPrune {
        /// In seconds.
        older_than_s: u64,
    },
    /// Sign the audit log with another key from now on.
    AuditRotateKey,
    /// Keys, secrets, the token.
    Brain(Box<BrainRequest>),
    /// Something about the machines that scripts may run on.
    Targets(TargetsRequest),
    /// Start nothing any more.
    Lockdown {
        /// Why.
        reason: Text<MAX_REASON>,
        /// Also stop what runs.
        kill: bool,
    },
    /// Start things again.
    EndLockdown,
    /// Let what is asked for wait; what runs goes on.
    Pause {
        /// Why; may be empty.
        reason: Text<MAX_REASON>,
    },
    /// Start what waits, and what is asked for.
    Resume,
    /// What is counted, for monitoring.
    Metrics,
}

/// What the core answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Ps`].
    Ps(List<JobRow, MAX_ROWS>),
    /// To [`Request::Inspect`].
    Inspect(Box<Inspection>),
    /// To [`Request::Kill`]: it is being stopped.
    Killing {
        /// Which.
        job: JobId,
    },
    /// To [`Request::History`], the newest first.
    History(List<PastRow, MAX_ROWS>),
    /// To [`Request::Schedule`], by name.
    Schedule(List<ScheduleRow, MAX_ROWS>),
    /// To [`Request::Log`].
    Log(Box<PastJob>),
    /// To [`Request::Receipt`]: one line of JSON.
    Receipt(Box<Text<MAX_MESSAGE>>),
    /// To [`Request::Restart`].
    Restarting {
        /// Jobs that run.
        running: u64,
        /// So long they may go on.
        drain_ms: u64,
    },
    /// To [`Request::CheckConfig`] and [`Request::Reload`].
    Config(ConfigReport),
    /// To [`Request::Doctor`].
    Doctor(Box<Doctor>),
    /// To [`Request::People`].
    People(PeopleAnswer),
    /// To [`Request::AuditHead`] and [`Request::AuditRotateKey`].
    AuditHead(Box<AuditHead>),
    /// To [`Request::AuditFile`]; the descriptor goes with it.
    AuditFile {
        /// Its path, which the asker may not be able to open.
        path: Text<MAX_PATH>,
        /// Whether there is another after it.
        more: bool,
    },
    /// To [`Request::AuditPrune`].
    AuditPruned(AuditPruned),
    /// To [`Request::Brain`].
    Brain(BrainAnswer),
    /// To [`Request::Targets`].
    Targets(Box<TargetsAnswer>),
    /// To [`Request::Metrics`], in Prometheus' text format.
    Metrics(Text<MAX_BODY>),
    /// To [`Request::Pause`] and [`Request::Resume`]: how it is now.
    Pause {
        /// The one that holds.
        pause: Option<PauseState>,
        /// Jobs that run.
        running: u64,
        /// Jobs that wait.
        queued: u64,
    },
    /// To [`Request::Lockdown`] and [`Request::EndLockdown`]: how it is now.
    Lockdown {
        /// The one that holds.
        lockdown: Option<LockdownState>,
        /// Jobs that run.
        running: u64,
    },
    /// It cannot be answered.
    Refused {
        /// In what way.
        refusal: Refusal,
        /// What was wrong and what to do.
        why: Text<MAX_REASON>,
    },
}

/// The audit log, as the core knows it: a witness for whoever reads its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AuditHead {
    /// The file that is written.
    pub path: Text<MAX_PATH>,
    /// Who signs, in base64.
    pub public_key: Text<64>,
    /// The number of the last line.
    pub sequence: u64,
    /// Its hash; empty while another line is being written.
    pub hash: Text<64>,
    /// Why the file takes no more, if so.
    pub behind: Text<MAX_REASON>,
}

/// What a prune took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AuditPruned {
    /// How many lines.
    pub lines: u64,
    /// The last of them; 0 when there was nothing so old.
    pub through: u64,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// This user may not ask that.
    Forbidden,
    /// There is no such job, or no such person.
    NotFound,
    /// The service cannot do it now.
    Unavailable,
    /// What was asked makes no sense: a word, a duration, a name.
    Usage,
}

/// Health on one screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The program's version.
    pub version: Text<64>,
    /// How it runs.
    pub mode: Mode,
    /// Whether everything works.
    pub health: Health,
    /// What does not work, one line each.
    pub problems: List<Text<MAX_REASON>, 32>,
    /// Since the start, in seconds.
    pub uptime_s: u64,
    /// Each process.
    pub processes: List<ProcessRow, 64>,
    /// The server's address.
    pub server: Text<MAX_NAME>,
    /// The server's version; empty until it answered.
    pub server_version: Text<MAX_NAME>,
    /// Whether the websocket is up.
    pub connected: bool,
    /// The bot's name; empty until the server answered.
    pub bot: Text<MAX_NAME>,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that wait.
    pub queued: u64,
    /// Commands taken in, and not yet decided.
    pub undecided: u64,
    /// Deliveries that the server does not have yet.
    pub undelivered: u64,
    /// Jobs started since the start.
    pub started: u64,
    /// Commands refused since the start.
    pub refused: u64,
    /// Scripts on the allowlist.
    pub scripts: u64,
    /// Keys, secrets and the token.
    pub brain: BrainStatus,
    /// The emergency stop, while it holds.
    pub lockdown: Option<LockdownState>,
    /// A pause, while it holds.
    pub paused: Option<PauseState>,
    /// Pipelines that have begun and are not over.
    pub pipelines: u64,
    /// Jobs that wait, and start during a pause as well: they belong to something that has begun.
    pub due: u64,
    /// What admins were warned of in the last day, the newest first.
    pub alerts: List<AlertRow, MAX_ROWS>,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlertRow {
    /// How long ago, in seconds.
    pub age_s: u64,
    /// What.
    pub what: Text<MAX_REASON>,
}

/// An emergency stop that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LockdownState {
    /// Who began it.
    pub by: Text<MAX_NAME>,
    /// Why.
    pub reason: Text<MAX_REASON>,
    /// When, in ms since 1970.
    pub since_ms: u64,
}

/// A pause that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PauseState {
    /// Who began it.
    pub by: Text<MAX_NAME>,
    /// Why; may be empty.
    pub reason: Text<MAX_REASON>,
    /// When, in ms since 1970.
    pub since_ms: u64,
}

/// How the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything under one user: development only.
    SingleUser,
    /// A setuid broker.
    Setuid,
    /// Units of systemd.
    Systemd,
}

/// Whether everything works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It starts.
    Starting,
    /// It works.
    Ok,
    /// It works in part; `problems` says what does not.
    Degraded,
    /// It ends.
    Stopping,
}

/// One process of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessRow {
    /// Its role.
    pub role: Role,
    /// Its process id; 0 while it does not run.
    pub pid: u32,
    /// Since its start, in seconds.
    pub uptime_s: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// What it waits for or how it ended last; empty when it just runs.
    pub note: Text<MAX_REASON>,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It waits for a place.
    Queued,
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It ended.
    Done,
}

/// One job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobRow {
    /// Its number.
    pub job: JobId,
    /// The script.
    pub script: ScriptName,
    /// Where it is.
    pub state: JobState,
    /// Who asked.
    pub user: UserId,
    /// Their name when they asked.
    pub user_name: Text<MAX_NAME>,
    /// The channel's name, empty for a direct message.
    pub channel: Text<MAX_NAME>,
    /// The worker's process id; 0 while there is none.
    pub pid: u32,
    /// Since it was asked for, in ms.
    pub age_ms: u64,
    /// Its command line, escaped for a terminal.
    pub command: Text<MAX_MESSAGE>,
}

/// Everything about one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inspection {
    /// Its row.
    pub row: JobRow,
    /// The post that asked for it.
    pub post: PostId,
    /// The script's file.
    pub path: Text<MAX_PATH>,
    /// SHA-256 of what was opened, in hexadecimal.
    pub sha256: Text<64>,
    /// Its backend and targets, in words; empty for what runs here.
    pub place: Text<MAX_REASON>,
    /// The uid that it runs as; `None` where that is known only while it runs.
    pub uid: Option<u32>,
    /// Its limits.
    pub limits: Limits,
    /// Its time-out in ms.
    pub timeout_ms: u64,
    /// Each layer, read back from the kernel.
    pub layers: List<InForce, 32>,
    /// Each guarantee.
    pub given: List<Given, 32>,
    /// Its processes.
    pub pids: List<u32, 64>,
    /// What it has used.
    pub usage: Usage,
    /// How it ended, if it did.
    pub ending: Option<Ending>,
    /// The end of what it printed.
    pub tail: Text<MAX_MESSAGE>,
}
