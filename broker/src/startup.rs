//! From whatever the caller left us to a running service, in one ordered list.
//!
//! Called by `main` alone, before anything else happens in the process. It trusts nothing that is inherited: not the
//! descriptors, environment, limits, signals or directory, and of the arguments only what [`arguments`] takes. After it,
//! three processes run: the core, the launcher of the service (the entry process itself, which stays the service's main
//! process) and the launcher of egress.

mod arguments;
mod directories;
mod identity;
mod inherited;
mod limits;
mod names;
mod processes;

pub use directories::Lock;

use crate::config::trust::Trust;
use crate::config::{Checked, Config, ConfigError, check_config};
use arguments::{Arguments, Task};
use bartizan_confine::{ConfineError, Confinement, confine};
use bartizan_proto::Role;
use bartizan_proto::channel::Channel;
use bartizan_proto::control::Mode;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

/// What the core is started with. Everything in it was checked here.
#[derive(Debug)]
pub struct CoreStart {
    /// The configuration; a reload reads [`Config::path`] again.
    pub config: Config,
    /// How the users are separated.
    pub mode: Mode,
    /// Whose files are believed; for a reload, and for scripts.
    pub trust: Trust,
    /// Held as long as the core lives: no second core opens this state.
    pub lock: Lock,
    /// The channel of the service's main process, which starts the connector and the workers. Nothing was said yet:
    /// both sides begin with their version.
    pub launcher: Channel,
    /// The channel of the process that starts egress. Nothing was said yet.
    pub egress_launcher: Channel,
}

/// Why the service does not start. One line each; the last part says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The caller gave no `argv[0]` (CVE-2021-4034).
    #[error("started with an empty argument list; start it as `bartizan-broker --config FILE`")]
    NoArguments,
    /// The arguments are not ours.
    #[error(transparent)]
    Usage(#[from] arguments::UsageError),
    /// Something inherited could not be put right.
    #[error(transparent)]
    Inherited(#[from] inherited::InheritedError),
    /// A limit is too small to work with.
    #[error(transparent)]
    Limits(#[from] limits::LimitsError),
    /// Not a user that the service may run as.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A directory is not private, or is in use.
    #[error(transparent)]
    Directories(#[from] directories::DirectoryError),
    /// The kernel has it, and it did not come into force.
    #[error("cannot confine the service: {0}")]
    Confine(#[from] ConfineError),
    /// A process could not be started.
    #[error(transparent)]
    Processes(#[from] processes::ProcessError),
    /// Standard output is gone.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl StartError {
    /// 2 for what a change of the command line or of the configuration mends, else 1.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoArguments | Self::Usage(_) | Self::Config(_) => ExitCode::from(2),
            Self::Inherited(_)
            | Self::Limits(_)
            | Self::Identity(_)
            | Self::Directories(_)
            | Self::Confine(_)
            | Self::Processes(_)
            | Self::Output(_) => ExitCode::FAILURE,
        }
    }
}

/// Starts the service. Returns in the child that becomes the core, when `core` returns; in the entry process only
/// when nothing was started.
pub fn run(arguments: impl Iterator<Item = OsString>, core: fn(CoreStart) -> ExitCode) -> ExitCode {
    match start(arguments.collect(), core) {
        Ok(code) => code,
        Err(error) => {
            // A closed standard error leaves only the exit code to say it with.
            let _nobody_reads = writeln!(io::stderr(), "bartizan-broker: {error}");
            error.exit_code()
        }
    }
}

/// The steps, in the order in which they must happen.
fn start(arguments: Vec<OsString>, core: fn(CoreStart) -> ExitCode) -> Result<ExitCode, StartError> {
    // 1. No argv, no start.
    let [own_name, arguments @ ..] = arguments.as_slice() else { return Err(StartError::NoArguments) };
    if own_name.is_empty() {
        // What Linux makes of an empty list since 5.18.
        return Err(StartError::NoArguments);
    }

    // 2. Descriptors: 0 to 2 open, nothing else.
    inherited::descriptors()?;

    // 3. Environment, umask, directory, signals and timers as if nobody had called us; then limits.
    let callers_directory = inherited::surroundings()?;
    limits::settle()?;

    // 4. An ordinary user, without a capability, who can gain none.
    let identity = identity::settle()?;

    // 5. How the users are separated.
    let mode = identity.mode()?;

    // 6. What the caller asks for.
    let task = match Arguments::parse(arguments, mode)? {
        Arguments::Help => return say(arguments::HELP),
        Arguments::Version => return say(concat!("bartizan-broker ", env!("CARGO_PKG_VERSION"), "\n")),
        Arguments::Task(task) => task,
    };

    // 7. The configuration, whole or not at all.
    let path = task.config(callers_directory.as_deref())?;
    let trust = identity.trust(mode);
    let mut config = match task {
        Task::Check(_) => return tell(check_config(&path, &trust)),
        Task::Serve(_) => Config::load(&path, &trust)?,
    };
    names::resolve(&mut config);

    // 8. Private directories, and nobody else at work in them.
    let lock = directories::prepare(&config)?;

    // 9. What no process of the service may ever do; each takes more from itself later. Before the fork, so that all are
    //    in one Landlock domain: the launcher could not end a core that is outside of its own.
    confine(&Confinement { role: Role::Launcher, read: &[], write: &[], connect_ports: &[] })?;

    // 10. Three processes and two channels; from here on each is on its own.
    let become_core =
        |launcher, egress_launcher| core(CoreStart { config, mode, trust, lock, launcher, egress_launcher });
    processes::split(become_core).map_err(StartError::from)
}

/// Says what a check of the configuration came to.
fn tell(checked: Checked) -> Result<ExitCode, StartError> {
    let text: String = checked.lines.iter().flat_map(|line| [line, "\n"]).collect();
    if checked.code == 0 {
        io::stdout().write_all(text.as_bytes())?
    } else {
        io::stderr().write_all(text.as_bytes())?
    }
    Ok(ExitCode::from(checked.code))
}

fn say(text: &str) -> Result<ExitCode, StartError> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
