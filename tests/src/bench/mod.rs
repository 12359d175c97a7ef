//! `make bench`: Bartizan beside a least-possible bot, on one machine, in one run. Every goal is a ratio.
//!
//! Each bot has an embedded server of its own with the same service times, and they take turns in small rounds, so that
//! what else the machine does hits both. The durable inbox, the audit log, the sandbox and attestation are on: it is the
//! service as `make demo` configures it but for rate limits (`tests/bench.toml`), in release builds. The least bot is this
//! same program in another mode.
//!
//! Started as root, everything but one helper that reads memory figures (Bartizan's processes are not dumpable, so
//! nobody else may) runs as a user without rights.

mod audit;
mod bot;
mod command;
mod crowd;
mod gates;
mod http;
mod jobs;
mod latency;
mod memory;
mod meter;
mod numbers;
mod outage;
mod progress;
mod remote;
mod sandbox;
mod side;
mod start;
mod table;
mod user;

pub use command::main;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Rounds of latency for each side.
    rounds: usize,
    /// Commands of one round.
    per_round: usize,
    /// Seconds of each side's turns with eight users.
    crowd_seconds: u64,
    /// Commands until memory is looked at again.
    commands: usize,
    /// Starts of each side.
    starts: usize,
    /// Runs of each sandbox.
    sandboxes: usize,
    /// Jobs that wait in the queue together.
    jobs: usize,
    /// Jobs that run at once.
    at_once: usize,
    /// Lines of a long audit log.
    audit_lines: u64,
}

impl Effort {
    const FULL: Effort = Effort {
        rounds: 60,
        per_round: 12,
        crowd_seconds: 4,
        commands: 10_000,
        starts: 7,
        sandboxes: 60,
        jobs: 1_000,
        at_once: 200,
        audit_lines: 1_000_000,
    };
    /// The same figures, less certain: to see whether a change made anything much slower.
    const QUICK: Effort = Effort {
        rounds: 15,
        per_round: 8,
        crowd_seconds: 2,
        commands: 1_000,
        starts: 3,
        sandboxes: 12,
        jobs: 200,
        at_once: 40,
        audit_lines: 100_000,
    };
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    /// The command line.
    #[error(
        "usage: bartizan-bench [--quick | --soak SECONDS [COMMAND] | WHICH [--quick]]; WHICH: --audit --jobs --memory --outage --remote --sandbox --start"
    )]
    Usage,
    /// Giving up root's rights.
    #[error(transparent)]
    Privilege(#[from] bartizan_playground::service::PrivilegeError),
    /// Bartizan does not start.
    #[error(transparent)]
    Service(#[from] bartizan_playground::service::ServiceError),
    /// A user of the load could not post.
    #[error(transparent)]
    Client(#[from] bartizan_playground::client::ClientError),
    /// A file, socket or process.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Something was expected and did not come.
    #[error("{0}")]
    Missing(String),
}

/// Says what was tried when something of the system failed.
fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
    let what = what.into();
    move |source| BenchError::Io { what, source }
}
