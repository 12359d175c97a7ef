//! The command line of `bartizan-playground`: the chat prompt, the transcript runner, and the server alone.
//!
//! Everything that only root could read is read first; then privileges are given up, and only then is anything started.

use crate::cast::ServerFile;
use crate::prompt;
use crate::server::{Options, Server};
use crate::service::{PrivilegeError, Staged, demo_files, is_root, janitor, stage_and_drop};
use crate::transcript::load::{LoadError, Request, load};
use crate::transcript::report::Paint;
use crate::transcript::run::{Manner, run};
use crate::transcript::stage::Host;
use clap::{Parser, Subcommand};
use serde_json::Value;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// A chat server to try Bartizan with, and the runner of its transcripts. Never installed.
#[derive(Debug, Parser)]
#[command(name = "bartizan-playground", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The form of a transcript, for whoever writes one.
const FORM: &str = "\
A transcript is what a person sees, written down:

  # a comment; first lines may be `config: PATH`, `allowlist: PATH`, `needs: root`
  alice #ops> !ping                   also `NAME DM>`, `NAME in LABEL>`, `NAME edits>`,
    bartizan> Pong!                   `NAME reacts [LABEL]> emoji`, `webhook OWNER #CHANNEL>`
  bob #ops> a message
  | goes on like this
    bartizan LABEL> first line        a post by the bot in that thread or channel, with a
      and what follows it             name for later if there is one
    updates> text                     the next edit of its last post; `updates…>` a later one
    reacts> white_check_mark          the bot's reaction on the message, order-free
    file> NAME some line of it        a file; further lines are the whole of it
    notifies> none                    nobody is mentioned
    within 30s                        for the next line, instead of 10 s
    (silence)                         nothing for a second
  $ bartizan ps                       the operator's command
    what it prints                    with nothing here it has only to succeed
  wait 2s | clock +15m | fault 429 | restart core | kill -9 worker

In what is expected, [..] is anything within a line, a line ... any lines, [name=REGEX]
captures, $name repeats it (in messages, too), \\ takes the next character as it is. One line
between two [..] is looked for anywhere in the post. A line ... among the expectations lets
other posts come first, or at the end. A post that no line expects is a failure.

alice is an admin, bob an operator, carol a user, dave not listed, mallory banned. Channels:
ops, deployments, random, town-square.";

#[derive(Debug, Subcommand)]
enum Command {
    /// A chat prompt in front of the real processes and an embedded server
    Demo {
        /// Instead of config/bartizan.toml
        #[arg(long)]
        config: Option<PathBuf>,
        /// Instead of config/allowlist.toml
        #[arg(long)]
        allowlist: Option<PathBuf>,
    },
    #[command(after_long_help = FORM)]
    /// Play transcripts: one line of verdict per file, exit code 1 when one fails, 2 when one does not parse
    Transcript {
        /// Files, and directories with .txt files
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Another Mattermost server: {"url", "team", "channels", "users", "bot"}
        #[arg(long)]
        server: Option<PathBuf>,
        /// The installed service works at that server: play with it, and skip what wants a service of its own
        #[arg(long, requires = "server")]
        installed: bool,
        /// For transcripts that name none; instead of config/bartizan.toml
        #[arg(long)]
        config: Option<PathBuf>,
        /// For transcripts that name none; instead of config/allowlist.toml
        #[arg(long)]
        allowlist: Option<PathBuf>,
        /// So many at a time, those that need a server and processes of their own anyway
        #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "server",
              value_parser = clap::value_parser!(u16).range(1..=64))]
        jobs: u16,
    },
    /// Only the server: prints its address, ids and tokens as JSON and runs until standard input or the process ends
    Serve {
        /// The port; 0 takes a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// With a certificate of a test CA
        #[arg(long)]
        tls: bool,
    },
    /// Used by this program itself: removes a directory when standard input ends
    #[command(hide = true)]
    Janitor {
        /// The directory
        stage: PathBuf,
    },
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    ServerFile { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error("cannot find my own program: {0}")]
    Program(io::Error),
    #[error("cannot start: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Prompt(#[from] prompt::PromptError),
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo { config, allowlist } => demo(config, allowlist),
        Command::Transcript { paths, server, installed, config, allowlist, jobs } => {
            transcript(&Request { paths, config, allowlist }, server.as_deref(), installed, jobs)
        }
        Command::Serve { port, tls } => serve(port, tls),
        Command::Janitor { stage } => {
            janitor(&stage);
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}

fn transcript(request: &Request, server: Option<&Path>, installed: bool, jobs: u16) -> Result<ExitCode, CommandError> {
    let server = server.map(server_file).transpose()?;
    let host = match server.map(Box::new) {
        None => Host::Embedded,
        Some(file) if installed => Host::Installed(file),
        Some(file) => Host::Foreign(file),
    };
    let scripts = load(request)?;
    let pairs: BTreeSet<_> = scripts.iter().map(|script| script.files.clone()).collect();
    let manner = Manner { was_root: is_root(), at_once: jobs.into(), paint: paint() };
    let staged = stage_and_drop(&programs()?, &pairs.into_iter().collect::<Vec<_>>())?;
    if let Some(note) = &staged.note {
        eprintln!("{note}");
    }
    block_on(async {
        let mut stop = signal(SignalKind::terminate()).map_err(CommandError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Start)?;
        // Whatever was started ends with the future that is dropped here.
        tokio::select! {
            code = run(&scripts, &host, &staged, manner) => Ok(code),
            _ = stop.recv() => Ok(ExitCode::from(143)),
            _ = interrupt.recv() => Ok(ExitCode::from(130)),
        }
    })?
}

fn demo(config: Option<PathBuf>, allowlist: Option<PathBuf>) -> Result<ExitCode, CommandError> {
    let (usual_config, usual_allowlist) = demo_files();
    let named = |path: Option<PathBuf>, usual: PathBuf| {
        let path = path.unwrap_or(usual);
        path.canonicalize().map_err(|source| CommandError::Read { path, source })
    };
    let pair = (named(config, usual_config)?, named(allowlist, usual_allowlist)?);
    let staged: Staged = stage_and_drop(&programs()?, std::slice::from_ref(&pair))?;
    Ok(block_on(prompt::run(pair, staged, paint()))??)
}

fn serve(port: u16, tls: bool) -> Result<ExitCode, CommandError> {
    let listen = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let server = Server::start(Options { listen, tls, ..Options::default() }).map_err(CommandError::Start)?;
    let json = serde_json::to_string_pretty(&server.file()).map_err(|error| CommandError::Start(error.into()))?;
    println!("{json}");
    let mut line = String::new();
    while io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {
        line.clear();
    }
    Ok(ExitCode::SUCCESS)
}

fn server_file(path: &Path) -> Result<ServerFile, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|source| CommandError::Read { path: path.to_owned(), source })?;
    known_fields(&text).map_err(|source| CommandError::ServerFile { path: path.to_owned(), source })
}

/// Whoever writes such a file for another server may have put more into it than is asked for.
fn known_fields(text: &str) -> Result<ServerFile, serde_json::Error> {
    fn keep(value: Option<&mut Value>, keys: &[&str]) {
        if let Some(object) = value.and_then(Value::as_object_mut) {
            object.retain(|key, _| keys.contains(&key.as_str()));
        }
    }
    let mut file: Value = serde_json::from_str(text)?;
    keep(Some(&mut file), &["url", "team", "channels", "users", "bot", "ca_pem"]);
    keep(file.get_mut("team"), &["name", "id"]);
    keep(file.get_mut("bot"), &["name", "id", "token"]);
    let users = file.get_mut("users").and_then(Value::as_object_mut);
    users.into_iter().flatten().for_each(|(_, user)| keep(Some(user), &["id", "token"]));
    serde_json::from_value(file)
}

/// All programs are built into the directory of this one.
fn programs() -> Result<PathBuf, CommandError> {
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).map_err(CommandError::Program)?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}

fn paint() -> Paint {
    let wanted = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { Paint::Colours } else { Paint::Plain }
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_file_may_hold_more_than_is_asked_for_but_not_less() {
        let text = r#"{"version": "5.37", "url": "http://x", "team": {"name": "t", "id": "i", "open": true},
            "channels": {"ops": "c"}, "users": {"alice": {"id": "u", "token": "s", "email": "a@example.com"}},
            "bot": {"name": "bartizan", "id": "b", "token": "s", "owner": "u"}}"#;
        let file = known_fields(text).expect("all that is needed");
        assert_eq!((file.users["alice"].id.as_str(), file.bot.name.as_str(), file.ca_pem), ("u", "bartizan", None));
        assert!(known_fields(&text.replace("\"url\"", "\"address\"")).is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
