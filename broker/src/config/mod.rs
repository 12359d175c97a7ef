//! The configuration: read once, checked whole, and from then on a type that cannot be wrong.
//!
//! Called by start-up, by a reload and by `--check-config`. It trusts the files only as far as [`trust`] says, and
//! nothing in them until everything has been checked: a file with one mistake is refused whole, with one line that
//! names the file, the line, what is wrong and what to do. Every key is documented in `docs/configuration.md`.

mod allowlist;
mod level;
mod nearest;
mod url;

pub use allowlist::{Allowlist, Argument, Kind, RemoteConfig, Script};
pub use level::Level;
pub use nearest::nearest;
pub use url::{InvalidUrl, ServerUrl};

use bartizan_proto::worker::{Guarantee, Profile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that `bartizan.toml` and the allowlist it names say. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file this was read from.
    pub path: PathBuf,
    /// `[server]`.
    pub server: Server,
    /// `[bot]`.
    pub bot: Bot,
    /// `[state] directory`: database, audit log, and what else the core keeps.
    pub state: PathBuf,
    /// `[control] directory`: where `control.sock` is made. `STATE/run` unless the file says otherwise.
    pub control: PathBuf,
    /// `[people]`: levels by user name, in lower case and without `@`. Who is not here is a [`Level::User`].
    pub people: BTreeMap<String, Level>,
    /// `[limits]`.
    pub limits: Limits,
    /// `[sandbox] require`: guarantees without which nothing runs. All of them unless the file says otherwise.
    pub require: Vec<Guarantee>,
    /// `[sandbox] scratch-directory`: where the scratch directories of jobs are made.
    pub scratch: Option<PathBuf>,
    /// `[profiles.NAME]`, before the limits of single scripts.
    pub profiles: BTreeMap<String, Profile>,
    /// The file that `[scripts] allowlist` names.
    pub allowlist_path: PathBuf,
    /// What is in it.
    pub allowlist: Allowlist,
    /// What is allowed and still worth a line in the log.
    pub warnings: Vec<String>,
}

/// The Mattermost server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `url`: its base address.
    pub url: ServerUrl,
    /// `team`: the name of the team that the bot works in, as in the address of its channels.
    pub team: String,
    /// `ca-file`: PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `channels`: names of the channels where commands are taken; every channel of the team when absent.
    pub channels: Option<Vec<String>>,
}

/// The bot's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// `token-file`: a file of mode 0600 or 0400 with the access token and nothing else.
    pub token_file: PathBuf,
    /// `prefix`: what a command begins with; `!` unless the file says otherwise.
    pub prefix: String,
}

/// The service's own limits; those of a job are in its [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `output`: most characters of a script's output in a post.
    pub output: usize,
    /// `attachment`: most bytes of output attached as a file.
    pub attachment: usize,
    /// `jobs`: most jobs that run at once.
    pub jobs: usize,
    /// `stale-after`: a command older than this, by the server's clock, is asked for again and not run.
    pub stale_after: Duration,
    /// `shutdown-grace`: how long running jobs may go on after SIGTERM.
    pub shutdown_grace: Duration,
}
