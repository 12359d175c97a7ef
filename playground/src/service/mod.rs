//! The real Bartizan processes, started against a server and looked after as a service manager would.
//!
//! A [`Service`] has a directory of its own under the temporary directory: a copy of the configuration that names this
//! server, the token, the state, the control socket and the log. It trusts the transcript that it is used by, and nothing
//! is left running when it is dropped.

pub mod cluster;
mod command;
mod config;
pub mod hosts;
mod manager;
mod privilege;
mod processes;
mod role;

pub use command::{Finished, run_within};
pub use config::{ConfigError, demo_files, script_directories};
pub use privilege::{PrivilegeError, Source, Staged, is_root, janitor, stage_and_drop};
pub use role::Role;

use crate::cast::ServerFile;
use cluster::Cluster;
use hosts::Hosts;
use manager::Manager;
use nix::sys::signal::Signal;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the service may take until it is connected.
const START: Duration = Duration::from_secs(30);

/// How long it may take to end in order before it is killed. Its own `shutdown-grace` is 10 s.
const STOP: Duration = Duration::from_secs(15);

/// What to start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where Bartizan is to work.
    pub server: ServerFile,
    /// The configuration, its allowlist, and where its scripts are.
    pub source: Source,
    /// The directory of the `bartizan-*` programs.
    pub programs: PathBuf,
    /// What stands in the main process's environment beside `PATH` and `LANG`, as a service manager sets it.
    pub environment: Vec<(String, String)>,
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its directory.
    #[error("cannot make the service's directory: {0}")]
    Directory(io::Error),
    /// The copy of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machines that its targets are.
    #[error("cannot start the targets' machines: {0}")]
    Hosts(io::Error),
    /// The cluster that its scripts run on.
    #[error("cannot start the cluster: {0}")]
    Cluster(io::Error),
    /// The program.
    #[error("cannot start {path}: {source}; build it with `cargo build` first")]
    Spawn {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended, or never became healthy.
    #[error("{what}\n{log}")]
    Unhealthy {
        /// What was waited for.
        what: String,
        /// The end of the log.
        log: String,
    },
    /// There is no such process.
    #[error("no {0} runs")]
    NoProcess(Role),
}

/// A running service. Dropping it ends everything in it.
#[derive(Debug)]
pub struct Service {
    /// They end before their files go.
    hosts: Option<Hosts>,
    cluster: Option<Cluster>,
    home: TempDir,
    programs: PathBuf,
    config: PathBuf,
    environment: Vec<(String, String)>,
    /// Nobody where it was there before, and is not ours to end.
    manager: Option<Manager>,
}

impl Service {
    /// Starts the service and waits until it is connected to the server.
    ///
    /// # Errors
    /// [`ServiceError`], with the end of the log.
    pub async fn start(settings: &Settings) -> Result<Self, ServiceError> {
        let home = home().map_err(ServiceError::Directory)?;
        let targets = config::machines(&settings.source)?;
        let hosts = match targets.is_empty() {
            true => None,
            false => Some(Hosts::start(home.path(), &settings.programs, &targets).map_err(ServiceError::Hosts)?),
        };
        let cluster = match config::has_cluster(&settings.source)? {
            true => Some(Cluster::start(home.path()).map_err(ServiceError::Cluster)?),
            false => None,
        };
        let config = config::write(home.path(), &settings.server, &settings.source, hosts.as_ref(), cluster.as_ref())?;
        let manager = Manager::start(&settings.programs, home.path(), &config, &settings.environment)?;
        let (programs, environment) = (settings.programs.clone(), settings.environment.clone());
        let service = Self { home, programs, config, environment, manager: Some(manager), hosts, cluster };
        service.connected().await?;
        Ok(service)
    }

    /// One that is installed and runs: only talked to, over the server.
    ///
    /// # Errors
    /// [`ServiceError::Directory`].
    pub fn installed() -> Result<Self, ServiceError> {
        let home = home().map_err(ServiceError::Directory)?;
        Ok(Self {
            home,
            programs: PathBuf::from("/usr/bin"),
            config: PathBuf::new(),
            environment: Vec::new(),
            manager: None,
            hosts: None,
            cluster: None,
        })
    }

    fn processes(&self, role: Role) -> Vec<processes::Process> {
        self.manager.as_ref().map(|manager| manager.processes(role)).unwrap_or_default()
    }

    /// The machines that its targets are, where it has such.
    pub fn hosts(&self) -> Option<&Hosts> {
        self.hosts.as_ref()
    }

    /// The cluster that its scripts run on, where it has one.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Waits until the service is connected.
    ///
    /// # Errors
    /// [`ServiceError::Unhealthy`] when that takes too long or the service has given up.
    pub async fn connected(&self) -> Result<(), ServiceError> {
        let end = Instant::now() + START;
        let mut pause = Duration::from_millis(20);
        loop {
            if let Some(why) = self.manager.as_ref().and_then(Manager::given_up) {
                return Err(self.unhealthy(format!("Bartizan does not start: {why}")));
            }
            if self.status().await.is_some_and(|status| status["connected"] == true) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(self.unhealthy(format!("Bartizan was not connected after {} s", START.as_secs())));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(200));
        }
    }

    /// What `bartizan status --json` says, if it says anything.
    pub async fn status(&self) -> Option<serde_json::Value> {
        let finished = self.operator(vec!["status".to_owned(), "--json".to_owned()]).await.ok()?;
        serde_json::from_str(&finished.output).ok()
    }

    /// Runs `bartizan` with these arguments as the operator.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn operator(&self, arguments: Vec<String>) -> io::Result<Finished> {
        let mut command = Command::new(self.programs.join("bartizan"));
        command.args(arguments);
        self.run(command).await
    }

    /// Runs a whole command line as the operator: `bartizan` and the other programs are found first.
    ///
    /// # Errors
    /// When no shell can be started.
    pub async fn operator_line(&self, line: &str) -> io::Result<Finished> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line);
        self.run(command).await
    }

    async fn run(&self, mut command: Command) -> io::Result<Finished> {
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.programs.display()))
            .env("BARTIZAN_SOCKET", self.socket())
            .current_dir(self.home.path());
        run_within(command, Duration::from_secs(10)).await
    }

    /// Ends one process politely and waits until the service is connected again.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn restart(&self, role: Role) -> Result<(), ServiceError> {
        self.signal(role, Signal::SIGTERM, STOP).await?;
        match role {
            Role::Worker => Ok(()),
            Role::Core | Role::Launcher | Role::Connector | Role::Egress => self.replaced(role).await,
        }
    }

    /// Kills one process and waits until it is gone, but not for what the service does about it.
    ///
    /// # Errors
    /// [`ServiceError::NoProcess`].
    pub async fn kill(&self, role: Role) -> Result<(), ServiceError> {
        self.signal(role, Signal::SIGKILL, Duration::from_secs(2)).await
    }

    /// Sends a signal to every process of a role that runs, and waits for nothing.
    pub fn send(&self, role: Role, signal: Signal) {
        for process in self.processes(role) {
            process.signal(signal);
        }
    }

    async fn signal(&self, role: Role, signal: Signal, patience: Duration) -> Result<(), ServiceError> {
        // Between two lives of a process there is none to kill.
        let end = Instant::now() + Duration::from_secs(5);
        let found = loop {
            let found = self.processes(role);
            if !found.is_empty() || Instant::now() > end {
                break found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if found.is_empty() {
            return Err(ServiceError::NoProcess(role));
        }
        for process in &found {
            process.signal(signal);
        }
        let end = Instant::now() + patience;
        while found.iter().any(processes::Process::is_alive) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn replaced(&self, role: Role) -> Result<(), ServiceError> {
        let end = Instant::now() + START;
        while self.processes(role).is_empty() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.connected().await
    }

    /// Whether a process of this role runs.
    pub fn runs(&self, role: Role) -> bool {
        !self.processes(role).is_empty()
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join("run/control.sock")
    }

    /// Where its state is.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.log_end(lines, |_| true)
    }

    /// The last warnings and errors in its log.
    pub fn complaints(&self, lines: usize) -> String {
        self.log_end(lines, |line| line.contains("ERROR") || line.contains("WARN") || line.contains("panicked"))
    }

    fn log_end(&self, lines: usize, wanted: impl Fn(&str) -> bool) -> String {
        let log = std::fs::read(self.home.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let all: Vec<&str> = log.lines().filter(|line| wanted(line)).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn unhealthy(&self, what: String) -> ServiceError {
        ServiceError::Unhealthy { what, log: self.log_tail(15) }
    }

    /// Ends the service in order, and keeps everything that it has: [`Service::begin_again`]. Blocks.
    pub fn pause(&mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(manager) = &mut self.manager {
            manager.stop(STOP);
        }
    }

    /// Starts a service that was paused, with what it had. It is not waited for: [`Service::connected`].
    ///
    /// # Errors
    /// [`ServiceError::Spawn`].
    pub fn begin_again(&mut self) -> Result<(), ServiceError> {
        self.manager = Some(Manager::start(&self.programs, self.home.path(), &self.config, &self.environment)?);
        Ok(())
    }

    /// Ends the service in order and waits for it.
    pub async fn stop(self) {
        // Joining the manager blocks; nothing else on this thread has to go on meanwhile.
        let ended = tokio::task::spawn_blocking(move || drop(self));
        let _panicked = ended.await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// A private directory with a short path: a Unix socket's path has at most 107 bytes (`unix(7)`).
fn home() -> io::Result<TempDir> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("bartizan-").permissions(Permissions::from_mode(0o700));
        builder
    };
    let usual = std::env::temp_dir();
    let usual = (usual.as_os_str().len() <= 60).then(|| builder().tempdir_in(usual).ok()).flatten();
    usual.map_or_else(|| builder().tempdir_in(Path::new("/tmp")), Ok)
}
