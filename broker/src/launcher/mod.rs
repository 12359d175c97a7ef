//! `bartizan-launcher`: starts, kills and reaps the service's processes on the core's order, and nothing else.
//!
//! The service has two: one is its main process and starts the connector and the workers, the other starts egress. Which
//! it is stands in its first argument and is fixed for good. It chooses no program, no argument and no environment: a
//! role names a program beside its own, which gets one descriptor from the core, an empty environment and no argument. Under
//! systemd ([`Starter::Units`], fixed for good as well) a role names a socket, and root's unit file names the rest.
//!
//! It trusts the core's channel (descriptor 0) as far as [`table::permits`] says. It has one thread and never waits for
//! one child in particular, so that no child can hold up another one's end.

mod child;
mod notify;
mod orphans;
mod post;
mod service;
mod starter;
mod table;
mod unit;
mod watch;

pub use post::Post;
pub use starter::{Starter, socket};

use bartizan_confine::files::{self, Kept};
use bartizan_confine::process::{HardenError, close_from, harden, harden_entry};
use bartizan_proto::channel::Channel;
use bartizan_proto::frame::FrameError;
use bartizan_proto::text::printable;
use bartizan_proto::version::Role;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The name of its program.
pub const PROGRAM: &str = "bartizan-launcher";

/// Why the launcher ends.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// Not started by `bartizan-broker`.
    #[error("not meant to be started by hand; `bartizan-broker` does it")]
    Arguments,
    /// A first step failed.
    #[error("cannot start: {step}: {error}")]
    Start {
        /// Which step.
        step: &'static str,
        /// Why.
        error: io::Error,
    },
    /// A first step that every process takes failed.
    #[error("cannot start: {0}")]
    Harden(#[from] HardenError),
    /// The core's channel brought something that is not a message.
    #[error("the core's channel: {0}")]
    Channel(#[from] FrameError),
    /// The core asked for what this launcher may not do.
    #[error("the core asked for what this launcher does not do: {0}")]
    Denied(String),
    /// The kernel failed where it must not.
    #[error("{what}: {error}")]
    Kernel {
        /// In what.
        what: &'static str,
        /// Why.
        error: Errno,
    },
    /// The list of our own children is not there.
    #[error("cannot list own children: {0}; /proc must be mounted, and the kernel built with CONFIG_PROC_CHILDREN")]
    Children(io::Error),
}

/// Runs the launcher until its service has ended.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match start(arguments).and_then(service::Launcher::serve) {
        Ok(code) => code,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The steps, in the order in which they must happen.
fn start(mut arguments: impl Iterator<Item = OsString>) -> Result<service::Launcher, LauncherError> {
    let step = |step: &'static str| move |error: io::Error| LauncherError::Start { step, error };

    // 1. Which one it is.
    let _own_name = arguments.next();
    let (post, starter) = Post::parse(arguments).ok_or(LauncherError::Arguments)?;

    // 2. Not to be looked into, and nothing to be gained. The service's main process must survive the shell that it was
    //    started from; the other launcher ends with the main process.
    match post {
        Post::Service { .. } => harden_entry()?,
        Post::Egress { .. } => harden()?,
    }

    // 3. The core's channel, and no other descriptor but the standard ones.
    close_from(3)?;
    let mut channel = Channel::from_stdin().map_err(step("descriptor 0 as the core's channel"))?;

    // 4. Signals are read like messages, between two messages.
    let signals = hold(&post).map_err(|error| LauncherError::Start { step: "signals", error: error.into() })?;

    // 5. What a child leaves behind becomes our own child, and is found there.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| LauncherError::Start { step: "becoming the subreaper", error: error.into() })?;
    orphans::own_children().map_err(LauncherError::Children)?;
    post.check_children()?;
    let watch = match post {
        Post::Service { .. } => None,
        Post::Egress { main, core } => Some(watch::Watch::open(main, core)?),
    };

    // 6. The programs that the roles name.
    let programs = own_directory().map_err(step("finding the programs"))?;

    // 7. One that starts no program itself needs no file, either, but the list of its children and systemd's sockets.
    if let Starter::Units(folder) = &starter {
        let (read, sockets) = ([PathBuf::from("/proc")], [folder.clone()]);
        let kept = Kept { read: &read, write: &[], sockets: &sockets, connect_ports: &[], files: true, tcp: true };
        // A kernel without Landlock was told about by the core.
        files::restrict(kept).map_err(|error| step("Landlock")(io::Error::other(error)))?;
    }

    // 8. Who is there?
    channel.greet(Role::Launcher, Role::Core)?;

    Ok(service::Launcher::new(post, starter, watch, channel, signals, programs))
}

/// The directory of the program that runs, where all of Bartizan's programs are.
///
/// # Errors
/// When `/proc` is not there.
pub fn own_directory() -> io::Result<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe")?;
    own.parent().map(PathBuf::from).ok_or_else(|| io::Error::other("this program has no directory"))
}

/// Holds back the signals that this launcher answers, and no other one.
fn hold(post: &Post) -> nix::Result<SignalFd> {
    let held: SigSet = match post {
        Post::Service { .. } => service_signals(),
        Post::Egress { .. } => [Signal::SIGCHLD].into_iter().collect(),
    };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&held), None)?;
    SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// The signals that the service's main process answers. Start-up holds them from the beginning, so that none is lost.
pub fn service_signals() -> SigSet {
    [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect()
}

/// One line for the service's log.
fn say(line: &str) {
    let _nobody_reads = writeln!(io::stderr(), "{PROGRAM}: {}", printable(line));
}
