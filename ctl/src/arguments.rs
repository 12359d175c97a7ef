//! The command line: one list of every word that `bartizan` takes, hence its more than 400 lines.

mod people;
mod remote;

pub use people::{Admin, Bans, Key, People, Totp};
pub use remote::{Enrol, Remote};

use crate::installation;
use bartizan_proto::ids::{JobId, ScriptName, SecretName};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Where the service listens unless something else is said, for a program that `make install` did not put where it is.
const DEFAULT_SOCKET: &str = "/run/bartizan/control.sock";

/// The configuration of such a service.
pub const DEFAULT_CONFIG: &str = "/etc/bartizan/bartizan.toml";

/// Looks after a Bartizan service: its health, its jobs, its configuration.
#[derive(Debug, Parser)]
#[command(name = "bartizan", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The service's control socket, or the one for reading [default: the installation's, else /run/bartizan/control.sock]
    #[arg(long, global = true, value_name = "PATH", env = "BARTIZAN_SOCKET")]
    socket: Option<PathBuf>,

    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// The socket that was named, or that of the installation which this program is of: the one that takes commands, or,
    /// for who may not use that one, the one that is for reading.
    pub fn socket(&self) -> PathBuf {
        let Some(socket) = &self.socket else {
            let Sockets { command, read } = Sockets::find();
            return if !is_open(&command) && is_open(&read) { read } else { command };
        };
        socket.clone()
    }

    /// The same for what only ever reads: it takes no more authority than it needs.
    pub fn reading_socket(&self) -> PathBuf {
        let Some(socket) = &self.socket else {
            let Sockets { command, read } = Sockets::find();
            return if is_open(&read) { read } else { command };
        };
        socket.clone()
    }
}

/// Where the two sockets are.
struct Sockets {
    command: PathBuf,
    read: PathBuf,
}

impl Sockets {
    /// The installation's, else those of [`DEFAULT_SOCKET`]. Without readers of its own the one stands beside the other.
    fn find() -> Self {
        let (control, read) = match installation::own() {
            Some(found) => (found.control, found.read),
            None => (Path::new(DEFAULT_SOCKET).with_file_name(""), Path::new(DEFAULT_SOCKET).with_file_name("")),
        };
        let (apart, beside) = (read.join("read.sock"), control.join("read.sock"));
        Self { command: control.join("control.sock"), read: if is_open(&apart) { apart } else { beside } }
    }
}

/// Whether this user could connect to it.
fn is_open(socket: &Path) -> bool {
    rustix::fs::access(socket, rustix::fs::Access::WRITE_OK).is_ok()
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  the answer is bad: the service is not healthy, a check failed
  2  the command line or the configuration is wrong
  3  the service cannot be reached
  4  the service says no: not allowed, or no such job or person";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up a fresh installation: asks, checks each answer against the server, writes the configuration
    #[command(after_help = "Example: bartizan setup --url https://chat.example.com --team crew --admin alice < token")]
    Setup(crate::setup::SetupArguments),
    /// Show the health of the service on one screen
    Status,
    /// Show health, processes, jobs and errors on a screen that keeps itself up to date; q leaves, k stops a job
    #[command(after_help = "Example: bartizan top --every 5")]
    Top {
        /// Seconds between two looks
        #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=60))]
        every: u8,
    },
    /// Say in one line whether the service works, and by the exit code
    Health,
    /// End the service in order and have it started again: running jobs may finish, new commands wait
    #[command(after_help = "Example: bartizan restart    after `make install` has put newer programs there")]
    Restart {
        /// Do not wait for running jobs: they are stopped within `shutdown-grace`
        #[arg(long)]
        now: bool,
        /// Do not wait until the service is back
        #[arg(long)]
        no_wait: bool,
    },
    /// Emergency stop: start nothing any more, also after a restart, until `bartizan end-lockdown`
    #[command(after_help = "Example: bartizan lockdown \"bad deploy in production\" --kill")]
    Lockdown {
        /// Why: everybody who asks for a script is told
        #[arg(value_name = "REASON")]
        reason: String,
        /// Stop the jobs that run, too
        #[arg(long)]
        kill: bool,
    },
    /// Lift the emergency stop
    EndLockdown,
    /// Start nothing new: what is asked for waits, also after a restart, until `bartizan resume`; what runs goes on
    #[command(after_help = "Example: bartizan pause \"database maintenance\"")]
    Pause {
        /// Why: everybody who asks for a script is told
        #[arg(value_name = "REASON", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Pause, and wait until nothing runs any more: before an upgrade or a reboot. It stays paused until `bartizan resume`
    #[command(after_help = "Example: bartizan drain \"upgrade\" --timeout 10m && apt upgrade && bartizan resume")]
    Drain {
        /// Why: everybody who asks for a script is told
        #[arg(value_name = "REASON", default_value = "", hide_default_value = true)]
        reason: String,
        /// Wait so long at most, as in 30s, 10m or 2h: then the exit code is 1, and what runs still runs
        #[arg(long, value_name = "TIME")]
        timeout: Option<crate::audit::arguments::Age>,
    },
    /// End a pause: what waits is started, in its order
    Resume,
    /// Print what is counted, in Prometheus' text format, or serve it to a Prometheus on this host
    #[command(after_help = "Example: bartizan metrics --listen 127.0.0.1:9464")]
    Metrics {
        /// Serve it over HTTP at this loopback address, or at a Unix socket of this path, until it is ended
        #[arg(long, value_name = "ADDRESS:PORT|PATH")]
        listen: Option<crate::http::listen::Place>,
    },
    /// Read the configuration again, as on SIGHUP: what changed, or why nothing did
    Reload,
    /// Open the brain, as `bartizan brain unlock` does
    Unlock {
        /// Its key
        #[command(flatten)]
        key: KeyChoice,
    },
    /// List the jobs that wait or run
    Ps,
    /// Show the end of what a job prints
    #[command(after_help = "Example: bartizan tail -f 17    ends when the job does")]
    Tail {
        /// Its number
        #[arg(value_name = "JOB")]
        job: JobId,
        /// Go on until it ends
        #[arg(short, long)]
        follow: bool,
    },
    /// Show everything about one job: limits, layers in force, the end of its output
    Inspect {
        /// Its number
        #[arg(value_name = "JOB")]
        job: JobId,
    },
    /// Stop a job
    Kill {
        /// Its number
        #[arg(value_name = "JOB")]
        job: JobId,
    },
    /// List the jobs that have ended, as far as they are kept
    History {
        /// Of this script only
        #[arg(value_name = "SCRIPT")]
        script: Option<ScriptName>,
    },
    /// List what is scheduled, and when it is due next
    Schedule,
    /// Show what a job printed that has ended
    Log {
        /// Its number
        #[arg(value_name = "JOB")]
        job: JobId,
    },
    /// Print the signed receipt of a job that has ended, or verify one
    #[command(args_conflicts_with_subcommands = true)]
    Receipt {
        /// Its number
        #[arg(value_name = "JOB", required = true)]
        job: Option<JobId>,
        /// What to do instead
        #[command(subcommand)]
        what: Option<ReceiptCommand>,
    },
    /// Sign a request for approval with your SSH key: needs no service, and runs on any machine
    #[command(
        after_help = "Example: bartizan approve a3 --key ~/.ssh/id_ed25519    then paste the block of the request's post\n\
                      It prints what you send to the bot. A key with a passphrase, or in an agent, is used by ssh-keygen."
    )]
    Approve {
        /// The number of the request, like a3: another one's block is not signed
        #[arg(value_name = "NUMBER")]
        number: String,
        /// Your private ed25519 key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Say what is wrong with the configuration, or what a reload would change
    CheckConfig {
        /// Check this file instead of asking the service
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,
        /// Only what a reload of the running service would change, from the service itself
        #[arg(long, conflicts_with = "path")]
        diff: bool,
    },
    /// Write what somebody needs who is to help: health, checks, counts; no secret, no token, no command's words, no output
    #[command(after_help = "Example: bartizan support-bundle bartizan.json    read it before you hand it on")]
    SupportBundle {
        /// The new file; standard output without it
        #[arg(value_name = "FILE")]
        path: Option<PathBuf>,
    },
    /// Print the completions for a shell
    Completions {
        /// Which
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print this command's manual page, or write one for each command into a directory
    Manual {
        /// Where to
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Make a script, or try one in the sandbox, on this host and without chat
    Script {
        /// What to do
        #[command(subcommand)]
        what: crate::script::ScriptCommand,
    },
    /// Verify, show, export, prune and hand on the audit log
    #[command(subcommand)]
    Audit(crate::audit::AuditCommand),
    /// Say what this machine and the running service can guarantee
    Doctor,
    /// List people, show one, give and take levels and flags
    People {
        /// What to do
        #[command(subcommand)]
        what: People,
    },
    /// List bans, give and end them
    Bans {
        /// What to do
        #[command(subcommand)]
        what: Bans,
    },
    /// Make the first admin
    Admin {
        /// What to do
        #[command(subcommand)]
        what: Admin,
    },
    /// Second factors: enroll somebody, take one away, look
    Totp {
        /// What to do
        #[command(subcommand)]
        what: Totp,
    },
    /// Ask every gate about a command, and run nothing
    Explain {
        /// As whom: name, @name or id
        #[arg(long = "as", value_name = "USER")]
        who: String,
        /// In which channel, by name or id; without it, in a direct message
        #[arg(long, value_name = "CHANNEL")]
        channel: Option<String>,
        /// The command, as it would be typed
        #[arg(value_name = "COMMAND")]
        command: String,
    },
    /// Keys and everything that is kept under them
    Brain {
        /// What to do
        #[command(subcommand)]
        command: BrainCommand,
    },
    /// The machines that scripts may run on by SSH: list them, and say what to install on one
    Remote {
        /// What to do
        #[command(subcommand)]
        what: Remote,
    },
    /// Secrets of scripts
    Secret {
        /// What to do
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// The bot's access token
    Token {
        /// What to do
        #[command(subcommand)]
        command: TokenCommand,
    },
}

/// About receipts.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Say whether a receipt is as it was written: needs no service, only the public key
    Verify {
        /// The receipt
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The public key that must have signed it: base64, or a file with it
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

/// What opens the brain, where it is not what the configuration names.
#[derive(Debug, Args)]
pub struct KeyChoice {
    /// Ask for a passphrase (or read it from standard input)
    #[arg(long, conflicts_with = "key_file")]
    pub passphrase: bool,
    /// Use the key in this file
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// What to do with the brain.
#[derive(Debug, Subcommand)]
pub enum BrainCommand {
    /// Say whether it is open, and what to do if it is not
    Status,
    /// Make a key file (needs no service)
    Key {
        /// The new file
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Make a brain; with a key file the service does that by itself
    Init {
        /// Its key
        #[command(flatten)]
        key: KeyChoice,
        /// Throw away the one that is there, with everything in it
        #[arg(long)]
        discard: bool,
    },
    /// Open it
    Unlock {
        /// Its key
        #[command(flatten)]
        key: KeyChoice,
    },
    /// Encrypt everything under a new key, and erase what was there before
    Rekey {
        /// Its key from now on
        #[command(flatten)]
        key: KeyChoice,
    },
    /// Take the brain as it is, although it is older than the audit log says
    Accept,
    /// Write everything, encrypted as it is, into a new file
    Backup {
        /// The new file
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Replace the brain by a backup
    Restore {
        /// The backup
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// The backup's key
        #[command(flatten)]
        key: KeyChoice,
    },
    /// Print every secret and memory, one line of JSON each
    Export {
        /// Yes, in clear
        #[arg(long, required = true)]
        in_clear: bool,
    },
    /// List what is in it: names, never values
    List,
    /// Show one long-term memory
    Show {
        /// Which
        #[arg(value_name = "NAMESPACE/NAME")]
        memory: SecretName,
    },
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Keep a secret: asked for, or from standard input
    Set {
        /// Which
        #[arg(value_name = "NAMESPACE/NAME")]
        name: SecretName,
    },
    /// List the names of all secrets
    List,
    /// Remove a secret
    Remove {
        /// Which
        #[arg(value_name = "NAMESPACE/NAME")]
        name: SecretName,
    },
}

/// What to do with the token.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum TokenCommand {
    /// Keep a token: asked for, or from standard input; also while the server cannot be asked about it
    Set,
    /// Exchange the token while the service runs, once the server knows the new one as the same bot's
    Rotate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_exit_code() {
        let help = Arguments::command().render_help().to_string();
        for code in 0..=4 {
            assert!(help.contains(&format!("\n  {code}  ")), "{help}");
        }
    }

    #[test]
    fn the_manual_and_the_completions_know_every_command() {
        let (mut manual, mut bash) = (Vec::new(), Vec::new());
        clap_mangen::Man::new(Arguments::command()).render(&mut manual).expect("a page");
        clap_complete::generate(clap_complete::Shell::Bash, &mut Arguments::command(), "bartizan", &mut bash);
        let manual = String::from_utf8(manual).expect("text").replace("\\-", "-");
        let bash = String::from_utf8(bash).expect("text");
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            assert!(manual.contains(&format!("bartizan-{name}(1)")), "{name} is not in the manual");
            assert!(bash.contains(&format!(" {name} ")), "{name} is not completed");
        }
    }

    #[test]
    fn a_job_is_a_number() {
        assert!(Arguments::try_parse_from(["bartizan", "kill", "7"]).is_ok());
        assert!(Arguments::try_parse_from(["bartizan", "kill", "-1"]).is_err());
        assert!(Arguments::try_parse_from(["bartizan", "kill", "all"]).is_err());
    }
}
