//! From `main` to the first message, in this order. Nothing of the network is touched before the last step.

use crate::http::{Http, HttpError};
use crate::link::{self, LinkError};
use crate::permits::Permit;
use crate::permits::core::{Phase, kind, permits};
use crate::server::{self, Server, ServerError};
use crate::token::{Token, TokenError};
use bartizan_confine::daemon::{self, ConfineError, Confinement};
use bartizan_confine::process::{self, HardenError};
use bartizan_confine::unit::{self, UnitError};
use bartizan_proto::egress::{Setup, ToEgress};
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::limits::MAX_NAME;
use bartizan_proto::worker::{InForce, LayerState};
use bartizan_proto::{FrameError, Role, Text};
use std::io::{self, Read};
use std::net::ToSocketAddrs;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;
use zeroize::Zeroizing;

/// Threads that resolve the server's name, when it is one.
const RESOLVERS: usize = 2;

/// Why egress did not start or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// How it was started.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The core's socket, before it was set up.
    #[error("the core's socket: {0}")]
    Frame(#[from] FrameError),
    /// What the core said.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The server's address or certificates cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The HTTP library.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The first steps.
    #[error(transparent)]
    Harden(#[from] HardenError),
    /// The last steps.
    #[error("cannot confine itself: {0}")]
    Confine(#[from] ConfineError),
    /// No runtime.
    #[error("the event loop cannot be started: {0}")]
    Runtime(io::Error),
}

/// The whole program. 0 when the core closed its end, else 1 and a line in the log.
pub fn run() -> ExitCode {
    start_log();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), StartError> {
    // 1. Not dumpable, no core file, no new privileges, nothing inherited but the three standard descriptors.
    process::harden()?;
    process::close_from(3)?;
    // 2. The channel to the core, and who is at its other end.
    let mut core = unit::channel(Role::Egress, std::env::args_os().skip(1))?;
    core.greet(Role::Egress, Role::Core)?;
    // 3. Where the server is, and the token, which goes into protected memory at once.
    let mut core = core.into_socket();
    let Some(Given { server, tls, token, team }) = receive_setup(&mut core)? else { return Ok(()) };
    if !server.is_tls() && !server.is_loopback() {
        tracing::warn!("plain http to another machine: the token can be read on the way");
    }
    tracing::info!(memory = ?token.protection(), "the token is kept");
    // 4. No files but the resolver's, no connection but to the server's port, and only the system calls for that.
    give_up_the_rest(&server)?;
    // 5. The event loop: one thread, and few more that come and go where a name has to be resolved.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(RESOLVERS)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .map_err(StartError::Runtime)?;
    let http = Http::new(server, tls, token)?;
    // 6. Serve until the core closes. A resolver that still waits for an answer is not waited for.
    let ended = runtime.block_on(link::serve(core.into(), http, team));
    runtime.shutdown_background();
    Ok(ended?)
}

/// Confines the process, and says in the log what this kernel cannot do.
fn give_up_the_rest(server: &Server) -> Result<(), StartError> {
    let read = if server.is_named() { daemon::resolver_files() } else { Vec::new() };
    if server.is_named() {
        // The C library loads what `/etc/nsswitch.conf` names at its first look-up: later it could not.
        let _found = ("localhost", 0).to_socket_addrs();
    }
    let connect_ports = [server.port()];
    let own = Confinement { role: Role::Egress, read: &read, write: &[], connect_ports: &connect_ports };
    let mut on = Vec::new();
    for InForce { layer, state, detail } in daemon::confine(&own)? {
        match state {
            LayerState::On => on.push(layer),
            LayerState::Off | LayerState::Unavailable => tracing::warn!(?layer, ?state, ?detail, "not in force"),
        }
    }
    tracing::info!(layers = ?on, "confined");
    Ok(())
}

/// What the core gave, parsed.
struct Given {
    server: Server,
    tls: rustls::ClientConfig,
    token: Token,
    team: Text<MAX_NAME>,
}

/// Reads the one message of this phase, so that no copy of the token stays behind: neither in the frame nor in the
/// message. `None` when the core closed its end instead.
fn receive_setup(core: &mut UnixStream) -> Result<Option<Given>, StartError> {
    let mut header = [0; HEADER];
    match core.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other.map_err(FrameError::Io)?,
    }
    let mut frame = Zeroizing::new(vec![0; frame::announced(header)?]);
    core.read_exact(&mut frame).map_err(FrameError::Io)?;
    let message: ToEgress = frame::decode(&frame)?;
    let kind = kind(&message);
    let (Permit::Once, ToEgress::Setup(setup)) = (permits(Phase::Setup, kind), message) else {
        return Err(LinkError::Phase { kind, phase: Phase::Setup }.into());
    };
    let Setup { url, token, ca, team, proxy, client } = *setup;
    let token = Token::keep(token.into_inner())?;
    let server = Server::parse(&url)?;
    let server = match proxy {
        Some(proxy) => server.through(&proxy)?,
        None => server,
    };
    let tls = server::tls(&server, &ca, client)?;
    Ok(Some(Given { server, tls, token, team }))
}

/// Lines on stderr, from this package only: what libraries log may repeat what the server says.
fn start_log() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::prelude::*;
    let own = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines.with_filter(own)).init();
}
