//! core ↔ worker: one order, then output and a result.
//!
//! A worker is started without an order and waits for one. The first one of a service is asked what this machine can give
//! ([`ToWorker::Probe`]) before anything else is started. [`ToWorker::Order`] carries one descriptor: the script, opened and
//! checked by the core; what was opened is what runs. (After it come a plan, where the order has one, and the secrets' pipe.) When its channel closes, the worker ends everything of the job.
//! What it reports of output and exit is bounded and typed, and the launcher's reaping has the last word on its end. (More than 400 lines, because an
//! order and everything that it holds stand together.)

use crate::bounded::{Bytes, List, Text};
use crate::ids::{JobId, ScriptName, SecretName};
use crate::launcher::ExitStatus;
use crate::limits::{
    MAX_ARGUMENT, MAX_ARGUMENTS, MAX_ENDPOINTS, MAX_ENVIRONMENT, MAX_GRANTS, MAX_NAME, MAX_OUTPUT_CHUNK, MAX_PATH,
    MAX_REASON, MAX_SECRETS,
};
use crate::script;
use serde::{Deserialize, Serialize};

/// What the core orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Confine yourself and run this (descriptors: the script, and where there are secrets, a pipe). Once only.
    Order(Box<Order>),
    /// Instead of an order: make the sandbox around nothing, and say what is in force in it. Answered like a job that ends at once.
    Probe {
        /// As for a job that is granted some network.
        network: bool,
    },
    /// End the script: this signal to its process group now, everything killed after `grace_ms`.
    Stop {
        /// 0 kills at once.
        grace_ms: u32,
    },
    /// Say what is in force now, and how much has been used.
    Inspect,
    /// The answer to one of the script's calls.
    Answer {
        /// Which.
        call: CallId,
        /// What.
        answer: script::Answer,
    },
}

/// The variable that says the number of the plan's descriptor, in a program that is given one.
pub const PLAN_VARIABLE: &str = "BARTIZAN_PLAN";

/// That number, or the next free one after it.
pub const PLAN_DESCRIPTOR: i32 = 101;

/// One call of a script, numbered by its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallId(pub u32);

/// What to run, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The job.
    pub job: JobId,
    /// The script's name, for messages.
    pub name: ScriptName,
    /// Where the script was opened: its `argv[0]`, and where it is found inside the sandbox.
    pub path: Text<MAX_PATH>,
    /// Its arguments, in the schema's order. Never given to a shell by us.
    pub arguments: List<Text<MAX_ARGUMENT>, MAX_ARGUMENTS>,
    /// Additional environment variables; the worker sets PATH, HOME, TMPDIR, LANG, TZ, USER itself.
    pub environment: List<(Text<MAX_NAME>, Text<MAX_ARGUMENT>), MAX_ENVIRONMENT>,
    /// Its secrets, in the order in which the order's second descriptor, a pipe, has their values, one after the other.
    pub secrets: List<SecretSlot, MAX_SECRETS>,
    /// Show the script without the directory that it stands in: something of Bartizan's own lies there, too.
    pub alone: bool,
    /// Give the script the descriptor of the script API.
    pub api: bool,
    /// Run from a sealed copy instead of the opened file (its hash is pinned).
    pub sealed: bool,
    /// Let it make Unix stream sockets. What they reach is then a matter of its private root and network, which it must have: for
    /// programs of Bartizan's own, never for a script that somebody wrote.
    pub sockets: bool,
    /// A descriptor follows the script's: what the program is to do, its number in [`PLAN_VARIABLE`].
    pub plan: bool,
    /// A daemon of this host that the program may ask over its Unix socket; only beside `sockets`.
    pub daemon: Option<Daemon>,
    /// What it may reach and use.
    pub profile: Profile,
    /// Guarantees without which nothing may run.
    pub require: List<Guarantee, 32>,
    /// After this many ms the script is stopped.
    pub timeout_ms: u64,
    /// Between the polite signal and the kill at a time-out, in ms.
    pub grace_ms: u32,
    /// Most output handed on, in bytes; what is over it is read, counted and dropped.
    pub max_output: u64,
    /// Layers to leave off, to see what the others give. Empty outside tests; the core refuses it otherwise.
    pub without: List<Layer, 32>,
}

/// A daemon of this host's, for programs of Bartizan's own: what stands in its folder is seen in the sandbox, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// The folder of its socket.
    pub folder: Text<MAX_PATH>,
    /// A user that the job's `/etc/passwd` names beside the job's own, because the daemon's clients look it up.
    pub user: Text<64>,
    /// That user's number.
    pub id: u32,
}

/// One secret of a job, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSlot {
    /// Which.
    pub name: SecretName,
    /// Bytes of its value.
    pub size: u32,
    /// The environment variable that it goes into besides, where that was asked for.
    pub variable: Option<Text<MAX_NAME>>,
}

/// What a script may reach and use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Paths that may be read, besides the system's programs and libraries.
    pub read: List<Text<MAX_PATH>, MAX_GRANTS>,
    /// Paths that may be written.
    pub write: List<Text<MAX_PATH>, MAX_GRANTS>,
    /// Paths under which programs may be executed, besides the system's.
    pub exec: List<Text<MAX_PATH>, MAX_GRANTS>,
    /// Hosts and ports that may be connected to; empty for no network at all.
    pub network: List<Endpoint, MAX_ENDPOINTS>,
    /// Limits.
    pub limits: Limits,
}

/// A host and a port that a profile grants, with the addresses that the name had when the configuration was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its name, or its address.
    pub host: Text<MAX_NAME>,
    /// Its TCP port.
    pub port: u16,
    /// What the name stood for.
    pub addresses: List<std::net::IpAddr, 16>,
}

/// Limits of one job (`setrlimit(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// Address space of each process, in bytes (`RLIMIT_AS`).
    pub memory: u64,
    /// CPU time of each process, in seconds (`RLIMIT_CPU`).
    pub cpu: u64,
    /// Processes and threads of the job's user (`RLIMIT_NPROC`).
    pub processes: u64,
    /// Open files of each process (`RLIMIT_NOFILE`).
    pub files: u64,
    /// Largest file that can be written, in bytes (`RLIMIT_FSIZE`).
    pub file_size: u64,
    /// Room in the scratch directory, in bytes, where a layer can give that.
    pub scratch: u64,
}

impl Default for Limits {
    /// The seed's numbers: 1 GiB, 30 min, 50 processes, 256 files.
    fn default() -> Self {
        Self { memory: 1 << 30, cpu: 1800, processes: 50, files: 256, file_size: 64 << 20, scratch: 128 << 20 }
    }
}

/// One mechanism of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Only the documented descriptors are open.
    Descriptors,
    /// Its own environment, PATH and scratch directory.
    Environment,
    /// setrlimit.
    Limits,
    /// No capability in any set, and none to be had.
    Capabilities,
    /// `no_new_privs`.
    NoNewPrivileges,
    /// A user namespace of its own.
    UserNamespace,
    /// A process namespace of its own.
    PidNamespace,
    /// A mount namespace with a root of its own.
    MountNamespace,
    /// A network namespace of its own, with nothing in it.
    NetworkNamespace,
    /// An IPC namespace of its own.
    IpcNamespace,
    /// A host name of its own.
    UtsNamespace,
    /// Landlock: files.
    LandlockFiles,
    /// Landlock: TCP ports (ABI 4).
    LandlockNetwork,
    /// Landlock: signals and abstract sockets (ABI 6).
    LandlockScope,
    /// seccomp: the list of system calls.
    Seccomp,
    /// A user id of its own.
    OwnUser,
}

impl Layer {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Descriptors => "descriptors",
            Layer::Environment => "environment",
            Layer::Limits => "limits",
            Layer::Capabilities => "capabilities",
            Layer::NoNewPrivileges => "no-new-privileges",
            Layer::UserNamespace => "user-namespace",
            Layer::PidNamespace => "pid-namespace",
            Layer::MountNamespace => "mount-namespace",
            Layer::NetworkNamespace => "network-namespace",
            Layer::IpcNamespace => "ipc-namespace",
            Layer::UtsNamespace => "uts-namespace",
            Layer::LandlockFiles => "landlock-files",
            Layer::LandlockNetwork => "landlock-network",
            Layer::LandlockScope => "landlock-scope",
            Layer::Seccomp => "seccomp",
            Layer::OwnUser => "own-user",
        }
    }
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the sandbox promises; each can be given by more than one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantee {
    /// It can read no file but what its profile says.
    FilesRead,
    /// It can change no file but its scratch directory and what its profile says.
    FilesWrite,
    /// It can run no program but the system's and what its profile says.
    Programs,
    /// It can gain no privilege (setuid programs, capabilities, user namespaces).
    Privileges,
    /// It can signal nothing outside the job.
    Signals,
    /// It can trace, or read the memory of, nothing outside the job.
    Tracing,
    /// It can reach no network address but what its profile says.
    Network,
    /// It can connect to no Unix socket outside the job.
    UnixSockets,
    /// It can reach no kernel interface that a script has no use for.
    KernelSurface,
    /// It can use no more than its limits.
    Resources,
    /// Nothing that it started outlives it.
    Lifetime,
}

impl Guarantee {
    /// Every guarantee, in the order of reports.
    pub const ALL: [Guarantee; 11] = [
        Guarantee::FilesRead,
        Guarantee::FilesWrite,
        Guarantee::Programs,
        Guarantee::Privileges,
        Guarantee::Signals,
        Guarantee::Tracing,
        Guarantee::Network,
        Guarantee::UnixSockets,
        Guarantee::KernelSurface,
        Guarantee::Resources,
        Guarantee::Lifetime,
    ];

    /// Its name in configuration and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Guarantee::FilesRead => "files-read",
            Guarantee::FilesWrite => "files-write",
            Guarantee::Programs => "programs",
            Guarantee::Privileges => "privileges",
            Guarantee::Signals => "signals",
            Guarantee::Tracing => "tracing",
            Guarantee::Network => "network",
            Guarantee::UnixSockets => "unix-sockets",
            Guarantee::KernelSurface => "kernel-surface",
            Guarantee::Resources => "resources",
            Guarantee::Lifetime => "lifetime",
        }
    }
}

impl std::fmt::Display for Guarantee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A layer as it was read back from the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Which.
    pub layer: Layer,
    /// Whether it is in force.
    pub state: LayerState,
    /// What was read, for people: `ABI 7`, `Seccomp: 2`, `Max open files 256` …
    pub detail: Text<MAX_NAME>,
}

/// Whether a layer is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerState {
    /// Read back from the kernel.
    On,
    /// This kernel or this user cannot have it.
    Unavailable,
    /// Left off on purpose.
    Off,
}

/// Which layers give a guarantee now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The promise.
    pub guarantee: Guarantee,
    /// The layers in force that give it; empty where none does.
    pub by: List<Layer, 32>,
}

/// What a job used, as `getrusage(2)` and the supervisor's clock say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    /// From exec to the end, in microseconds.
    pub elapsed_us: u64,
    /// CPU time in user mode, in microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, in microseconds.
    pub system_us: u64,
    /// Largest resident set of any of its processes, in bytes.
    pub max_rss: u64,
    /// Bytes printed, also those that were dropped.
    pub output: u64,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself.
    Ended(ExitStatus),
    /// It ran out of time and was stopped.
    TimedOut,
    /// It was told to stop.
    Stopped,
}

/// What the worker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The script runs, inside this.
    Running {
        /// Its process id, as the worker's supervisor sees it.
        pid: u32,
        /// Each layer, read back from the kernel.
        layers: List<InForce, 32>,
        /// Each guarantee.
        given: List<Given, 32>,
    },
    /// What it printed: stdout and stderr in order.
    Output(Bytes<MAX_OUTPUT_CHUNK>),
    /// The script calls. At most [`crate::limits::MAX_CALLS`] wait for their answers.
    Call {
        /// By this number it is answered, once.
        call: CallId,
        /// What it wants.
        what: Box<script::Call>,
    },
    /// A call that was not answered yet: who made it is gone.
    Hangup(CallId),
    /// The script sent what is no call, and too much of it. Once; nothing more is read of it.
    Misused(Text<MAX_REASON>),
    /// The script ended, all of its output has been sent, and nothing of it is left.
    Finished {
        /// How.
        ending: Ending,
        /// What it used.
        usage: Usage,
    },
    /// Nothing was run.
    Refused {
        /// The step that failed.
        step: Text<64>,
        /// Why.
        why: Text<MAX_REASON>,
    },
    /// The answer to [`ToWorker::Inspect`].
    Inspected {
        /// Each layer, read back from the kernel now.
        layers: List<InForce, 32>,
        /// What it has used so far.
        usage: Usage,
        /// Its processes, as seen from outside the sandbox.
        pids: List<u32, 64>,
    },
}
