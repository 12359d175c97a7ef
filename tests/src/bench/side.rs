//! The two that are compared: each bot with a server of its own and the same people at it.

use super::meter::{children, own_pid};
use super::user::People;
use super::{BenchError, io};
use bartizan_playground::cast::ServerFile;
use bartizan_playground::server::{Options, Server, ServiceTimes};
use bartizan_playground::service::{Service, Settings, Source};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What is started.
#[derive(Debug)]
pub(super) struct Programs {
    /// Bartizan's programs.
    pub(super) folder: PathBuf,
    /// The demo's configuration.
    pub(super) source: Source,
    /// What jobs are queued with, and many run at once.
    pub(super) jobs: Source,
    pub(super) many: Source,
    /// What `!run hello` runs on both sides.
    pub(super) script: PathBuf,
}

impl Programs {
    /// Finds the script.
    pub(super) fn new(folder: PathBuf, [source, jobs, many]: [Source; 3]) -> Result<Self, BenchError> {
        let places = source.directories.iter().map(|directory| directory.join("config/scripts/hello"));
        let script = places.into_iter().find(|place| place.is_file());
        let script = script.ok_or_else(|| BenchError::Missing("config/scripts/hello".to_owned()))?;
        Ok(Self { folder, source, jobs, many, script })
    }

    /// Settings of a service at this server.
    pub(super) fn settings(&self, server: ServerFile) -> Settings {
        self.settings_of(&self.source, server)
    }

    /// The same with another configuration.
    pub(super) fn settings_of(&self, source: &Source, server: ServerFile) -> Settings {
        Settings { server, source: source.clone(), programs: self.folder.clone(), environment: Vec::new() }
    }
}

/// Both sides.
#[derive(Debug)]
pub(super) struct Pair {
    /// The service.
    pub(super) bartizan: Side,
    /// What it is compared with.
    pub(super) least: Side,
}

impl Pair {
    /// Starts both.
    pub(super) async fn start(programs: &Programs, times: Option<ServiceTimes>) -> Result<Self, BenchError> {
        let server = serve(times)?;
        let before = children(own_pid());
        let service = Service::start(&programs.settings(server.file())).await?;
        let root = children(own_pid()).into_iter().find(|pid| !before.contains(pid));
        let root = root.ok_or_else(|| BenchError::Missing("the service's main process".to_owned()))?;
        let people = People::arrive(&server).await?;
        let bartizan = Side { server, people, root, service: Some(service), _least: None };

        let server = serve(times)?;
        let least = LeastBot::start(&server.file(), &programs.script)?;
        if !server.wait_for_socket(&server.file().bot.name, Duration::from_secs(10)) {
            return Err(BenchError::Missing("the least bot does not connect".to_owned()));
        }
        let people = People::arrive(&server).await?;
        let least = Side { server, people, root: least.pid(), service: None, _least: Some(least) };
        Ok(Self { bartizan, least })
    }

    /// In turns: who began the last round comes second in the next.
    pub(super) fn in_turns(&self, round: usize) -> [&Side; 2] {
        if round.is_multiple_of(2) { [&self.bartizan, &self.least] } else { [&self.least, &self.bartizan] }
    }

    /// Ends both in order.
    pub(super) async fn stop(self) {
        if let Some(service) = self.bartizan.service {
            service.stop().await;
        }
    }
}

/// A server with these service times.
pub(super) fn serve(times: Option<ServiceTimes>) -> Result<Server, BenchError> {
    Server::start(Options { service_times: times, ..Options::default() }).map_err(io("the embedded server"))
}

/// One of the two.
#[derive(Debug)]
pub(super) struct Side {
    /// Whom it works for.
    pub(super) people: People,
    /// The bot's uppermost process.
    pub(super) root: i32,
    service: Option<Service>,
    _least: Option<LeastBot>,
    /// Ends after those who are connected to it.
    #[allow(dead_code, reason = "it serves as long as it lives")]
    server: Server,
}

impl Side {
    /// Whether this is Bartizan.
    pub(super) fn is_bartizan(&self) -> bool {
        self.service.is_some()
    }
}

/// The least-possible bot's process.
#[derive(Debug)]
pub(super) struct LeastBot {
    child: Child,
}

impl LeastBot {
    /// Starts this program as that bot.
    pub(super) fn start(server: &ServerFile, script: &std::path::Path) -> Result<Self, BenchError> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("bot").env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().map_err(io("the least bot"))?;
        let mut bot = Self { child };
        let address = server.url.trim_start_matches("http://");
        let told = json!({ "address": address, "token": server.bot.token, "script": script });
        let told = format!("{told}\n");
        if let Some(stdin) = &mut bot.child.stdin {
            stdin.write_all(told.as_bytes()).map_err(io("the least bot's standard input"))?;
        }
        Ok(bot)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }
}

impl Drop for LeastBot {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}
