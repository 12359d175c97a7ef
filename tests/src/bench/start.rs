//! From the start of the program to the first `Pong!`: as soon as the bot's websocket is there, somebody asks.
//!
//! Bartizan is started as its service manager would, again and again with the same state directory.

use super::numbers::median;
use super::progress::Progress;
use super::side::{LeastBot, Programs, serve};
use super::table::{Goal, Table};
use super::user::People;
use super::{BenchError, Effort, io};
use bartizan_playground::server::{Server, ServiceTimes};
use bartizan_playground::service::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both sides in turns, each at a server of its own.
pub(super) async fn measure(
    effort: Effort,
    programs: &Programs,
    table: &mut Table,
    progress: &mut Progress,
) -> Result<(), BenchError> {
    let (with_bartizan, with_least) = (serve(Some(ServiceTimes::real()))?, serve(Some(ServiceTimes::real()))?);
    let home = Home::new(programs, &with_bartizan).await?;
    let (here, there) = (People::arrive(&with_bartizan).await?, People::arrive(&with_least).await?);
    let (mut bartizan, mut least) = (Vec::new(), Vec::new());
    // The first start makes the database; it is not counted.
    for number in 0..=effort.starts {
        progress.say("starts", number, effort.starts);
        let begun = Instant::now();
        let broker = Broker::start(programs, &home)?;
        let took = until_pong(begun, &with_bartizan, &here).await?;
        broker.stop()?;
        if number > 0 {
            bartizan.push(took);
        }
        let begun = Instant::now();
        let bot = LeastBot::start(&with_least.file(), &programs.script)?;
        least.push(until_pong(begun, &with_least, &there).await?);
        drop(bot);
        gone(&with_least);
    }
    table.times("start to first Pong!", median(&bartizan), median(&least), Goal::AtMost(1.5));
    Ok(())
}

async fn until_pong(begun: Instant, server: &Server, people: &People) -> Result<Duration, BenchError> {
    let bot = server.file().bot.name;
    while server.sockets(&bot) == 0 {
        if begun.elapsed() > PATIENCE {
            return Err(BenchError::Missing("the bot did not connect".to_owned()));
        }
        // The runtime's own timer is no finer than a millisecond, and nobody else needs this thread now.
        std::thread::sleep(Duration::from_micros(100));
    }
    people.ask_surely("!ping").await?;
    Ok(begun.elapsed())
}

/// Waits until the server has noticed that its bot is gone.
fn gone(server: &Server) {
    let bot = server.file().bot.name;
    let end = Instant::now() + PATIENCE;
    while server.sockets(&bot) > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A service's directory with a configuration for one server.
#[derive(Debug)]
struct Home {
    directory: TempDir,
}

impl Home {
    /// Takes the configuration of a service that was started for this server.
    async fn new(programs: &Programs, server: &Server) -> Result<Self, BenchError> {
        let service = Service::start(&programs.settings(server.file())).await?;
        let theirs = service.state().parent().map(PathBuf::from).unwrap_or_default();
        let builder = tempfile::Builder::new().prefix("bartizan-").permissions(Permissions::from_mode(0o700)).tempdir();
        let directory = builder.map_err(io("a directory"))?;
        let read = |name: &str| std::fs::read_to_string(theirs.join(name)).map_err(io(name));
        let config = read("bartizan.toml")?;
        let ours = directory.path().to_string_lossy().into_owned();
        let config = config.replace(&*theirs.to_string_lossy(), &ours);
        for (name, content) in [("bartizan.toml", config), ("token", read("token")?)] {
            let path = directory.path().join(name);
            std::fs::write(&path, content).map_err(io(name))?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(io(name))?;
        }
        for name in ["state", "run"] {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).map_err(io(name))?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(io(name))?;
        }
        service.stop().await;
        gone(server);
        Ok(Self { directory })
    }
}

/// A running `bartizan-broker`.
#[derive(Debug)]
struct Broker {
    child: Child,
}

impl Broker {
    fn start(programs: &Programs, home: &Home) -> Result<Self, BenchError> {
        let log = std::fs::File::create(home.directory.path().join("log")).map_err(io("the log"))?;
        let mut command = Command::new(programs.folder.join("bartizan-broker"));
        command.arg("--config").arg(home.directory.path().join("bartizan.toml")).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Self { child: command.spawn().map_err(io("bartizan-broker"))? })
    }

    fn stop(mut self) -> Result<(), BenchError> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        kill(pid, Signal::SIGTERM).map_err(|error| io("bartizan-broker")(error.into()))?;
        self.child.wait().map_err(io("bartizan-broker"))?;
        Ok(())
    }
}
