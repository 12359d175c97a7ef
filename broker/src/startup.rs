//! From whatever the caller left us to a running service, in one ordered list.
//!
//! Called by `main` alone, before anything else happens in the process. It trusts nothing that is inherited: not the
//! descriptors, environment, limits, signals or directory, and of the arguments only what [`arguments`] takes. After it,
//! three processes run: the core, the launcher of the service (the entry process itself, which stays the service's main
//! process) and the launcher of egress. Under setuid, which is read from the program's own file and the ids, the first and
//! the last are the file's owner and everything else is the caller, each for good. Under systemd all three are the unit's one
//! user, and what the launchers start are units of other users.

mod arguments;
mod directories;
mod identity;
mod inherited;
mod installation;
mod limits;
mod manager;
mod names;
mod processes;
mod units;

pub use directories::Lock;
pub use names::Groups;

use crate::config::trust::Trust;
use crate::config::{Checked, Config, ConfigError, check_config, trial};
use crate::launcher::Starter;
use crate::system;
use arguments::{Arguments, Task};
use bartizan_confine::{ConfineError, daemon::enter_domain};
use bartizan_proto::channel::Channel;
use bartizan_proto::control::Mode;
use processes::Users;
use rustix::process::Uid;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the core is started with. Everything in it was checked here.
#[derive(Debug)]
pub struct CoreStart {
    /// The configuration; a reload reads [`Config::path`] again.
    pub config: Config,
    /// How the users are separated.
    pub mode: Mode,
    /// The user that workers run as: nothing of theirs is believed, and they may not use the control socket.
    pub workers: Uid,
    /// The groups of those who may use the control sockets beside root.
    pub groups: Groups,
    /// Whose files are believed; for a reload, and for scripts.
    pub trust: Trust,
    /// Held as long as the core lives: no second core opens this state.
    pub lock: Lock,
    /// The channel of the service's main process, which starts the connector and the workers. Nothing was said yet:
    /// both sides begin with their version.
    pub launcher: Channel,
    /// The channel of the process that starts egress. Nothing was said yet.
    pub egress_launcher: Channel,
    /// `$CREDENTIALS_DIRECTORY`, of a unit of systemd's; of a caller that is not trusted never.
    pub credentials: Option<PathBuf>,
    /// Where a service manager listens to the main process.
    pub managed: Option<Managed>,
}

/// What a service manager expects.
#[derive(Debug, Clone, Copy)]
pub struct Managed {
    /// It ends a service of which it has heard nothing for so long.
    pub watchdog: Option<Duration>,
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
    /// The installation cannot be believed.
    #[error(transparent)]
    Installation(#[from] installation::InstallationError),
    /// A name that the configuration has and this machine has not.
    #[error(transparent)]
    Names(#[from] names::NameError),
    /// A configuration for separate users.
    #[error(
        "{0}: says `production = true`, and this would run everything as one user; install it with `make install` and start the \
         installed bartizan-broker, or take that line out for a trial"
    )]
    Production(PathBuf),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A directory is not private, or is in use.
    #[error(transparent)]
    Directories(#[from] directories::DirectoryError),
    /// The kernel has it, and it did not come into force.
    #[error("cannot confine the service: {0}")]
    Confine(#[from] ConfineError),
    /// Rights that were laid down for a moment did not come back, or were not laid down.
    #[error("cannot change the user for a moment: {0}")]
    Rights(io::Error),
    /// systemd does not listen as it should.
    #[error(transparent)]
    Units(#[from] units::UnitsError),
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
            | Self::Installation(_)
            | Self::Names(_)
            | Self::Production(_)
            | Self::Directories(_)
            | Self::Confine(_)
            | Self::Rights(_)
            | Self::Units(_)
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
    let credentials = inherited::credentials();
    let manager = manager::Asked::read();
    let callers_directory = inherited::surroundings()?;
    limits::settle()?;

    // 4. An ordinary user, without a capability, who can gain none.
    let identity = identity::settle()?;

    // 5. How the users are separated; a setuid program must be the one that root installed.
    let own = installation::OwnFile::find()?;
    let units = arguments::units(arguments)?;
    let mode = match units {
        Some(_) => identity.one_alone()?,
        None => identity.mode(&own)?,
    };
    let installed = match mode {
        Mode::Setuid => Some(own.installation()?),
        Mode::SingleUser | Mode::Systemd => None,
    };

    let credentials = match mode {
        Mode::Systemd | Mode::SingleUser => credentials,
        Mode::Setuid => None,
    };

    // 6. What the caller asks for. Whose rights it has not, it does not choose the configuration of.
    let task = match Arguments::parse(arguments, mode)? {
        Arguments::Help => return say(arguments::help(mode)),
        Arguments::Version => return say(concat!("bartizan-broker ", env!("CARGO_PKG_VERSION"), "\n")),
        Arguments::Task(task) => task,
    };

    // 7. The configuration, whole or not at all.
    let path = match installed {
        Some(installed) => installed.config,
        None => task.config(callers_directory.as_deref())?,
    };
    let trust = identity.trust(mode);
    let mut config = match task {
        Task::Check(_) => return tell(check_config(&path, &trust)),
        Task::Trial(_, words) => return tell(trial(&path, &trust, &words)),
        Task::Serve(_) => Config::load(&path, &trust)?,
    };
    config.warnings.extend(identity.kept_groups().filter(|_| mode != Mode::SingleUser));
    match mode {
        Mode::SingleUser if config.production => return Err(StartError::Production(path)),
        Mode::SingleUser | Mode::Setuid | Mode::Systemd => {}
    }
    let groups = names::resolve(&mut config, mode, &identity)?;
    let starter = match units {
        Some(folder) => units::find(folder)?,
        None => Starter::Own,
    };

    // 8. Private directories, and nobody else at work in them.
    let lock = directories::prepare(&config, mode, groups)?;

    // 9. Whoever started us, where they want to hear how it goes: reached with their rights, not with ours.
    let connected = match manager.is_there() {
        true => {
            system::process::with_rights_of(identity.invoker(), || manager.connect()).map_err(StartError::Rights)?
        }
        false => Ok(None),
    };
    let manager = connected.unwrap_or_else(|why| {
        config.warnings.push(format!("the service manager is told nothing: {why}"));
        None
    });
    let (notify, managed) = match manager {
        Some(manager) => (Some(manager.socket), Some(Managed { watchdog: manager.watchdog })),
        None => (None, None),
    };

    // 10. One Landlock domain around all processes of the service, so that they can be ended from inside it; each takes more
    //    from itself later.
    enter_domain()?;

    // 11. Three processes and two channels, each one user for good; from here on each is on its own.
    let users = Users { service: identity.service(), invoker: identity.invoker() };
    let become_core = |launcher, egress_launcher| {
        let workers = users.invoker;
        core(CoreStart { config, mode, workers, groups, trust, lock, launcher, egress_launcher, credentials, managed })
    };
    processes::split(users, &starter, notify, become_core).map_err(StartError::from)
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
