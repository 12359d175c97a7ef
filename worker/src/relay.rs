//! A network grant, outside: the supervisor accepts what the script connects to and connects, from the host's network, to
//! exactly that address and port. Then it copies bytes, both ways.
//!
//! The listeners are the job's own (`confine/network.rs`); what they listen on is the kernel's word, checked against the
//! order. Nothing here blocks, looks names up, or reads what it copies. Called by the supervisor's loop, a bounded turn at a
//! time.

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Most connections at a time; more wait until one ends.
const MAX_CONNECTIONS: usize = 64;

/// How long what the script sent may take to be handed on once the script has ended.
pub(crate) const LAST_DELIVERY: Duration = Duration::from_secs(1);

/// Most bytes of one direction that are held here.
const BUFFER: usize = 64 * 1024;

/// A listener that no grant asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// It listens somewhere else.
    #[error("a listener on {0}, which is not granted")]
    NotGranted(SocketAddr),
    /// The kernel does not say where it listens.
    #[error("a listener: {0}")]
    Listener(#[from] io::Error),
}

/// All connections of one job.
#[derive(Debug)]
pub(crate) struct Relay {
    granted: Vec<SocketAddr>,
    listeners: Vec<(TcpListener, SocketAddr)>,
    connections: Vec<Connection>,
    /// The script is gone: what it sent is handed on, and nothing else.
    settling: bool,
}

/// What is waited for, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Listener(usize),
    Connection(usize),
}

impl Relay {
    pub(crate) fn new(granted: Vec<SocketAddr>) -> Self {
        Self { granted, listeners: Vec::new(), connections: Vec::new(), settling: false }
    }

    /// Takes listeners over, if they are what was granted.
    pub(crate) fn adopt(&mut self, listeners: Vec<OwnedFd>) -> Result<(), RelayError> {
        for listener in listeners.into_iter().map(TcpListener::from) {
            let address = listener.local_addr()?;
            if !self.granted.contains(&address) {
                return Err(RelayError::NotGranted(address));
            }
            listener.set_nonblocking(true)?;
            self.listeners.push((listener, address));
        }
        Ok(())
    }

    /// What the next turn waits for.
    pub(crate) fn watched(&self) -> Vec<(Place, BorrowedFd<'_>, PollFlags)> {
        let mut watched = Vec::new();
        for (index, connection) in self.connections.iter().enumerate() {
            watched.extend(connection.watched(self.settling).map(|(fd, flags)| (Place::Connection(index), fd, flags)));
        }
        if self.connections.len() < MAX_CONNECTIONS {
            let listeners = self.listeners.iter().enumerate();
            watched.extend(listeners.map(|(index, (fd, _))| (Place::Listener(index), fd.as_fd(), PollFlags::IN)));
        }
        watched
    }

    /// One turn, for those places where something happened.
    pub(crate) fn turn(&mut self, places: &[Place]) {
        let settling = self.settling;
        for place in places {
            if let Place::Connection(index) = place
                && let Some(connection) = self.connections.get_mut(*index)
            {
                connection.turn(settling);
            }
        }
        let mut failed = Vec::new();
        for place in places {
            if let Place::Listener(index) = place
                && self.accept(*index).is_err()
            {
                failed.push(*index);
            }
        }
        // Such an error (no descriptors, no memory) would come again at once and for ever.
        let mut index = 0;
        self.listeners.retain(|_| {
            index += 1;
            !failed.contains(&(index - 1))
        });
        self.connections.retain(|connection| !connection.over(settling));
    }

    /// Takes what has arrived at one listener, as far as there is room.
    fn accept(&mut self, index: usize) -> io::Result<()> {
        let Some((listener, destination)) = self.listeners.get(index) else { return Ok(()) };
        while self.connections.len() < MAX_CONNECTIONS {
            match listener.accept() {
                Ok((inner, _)) => self.connections.extend(Connection::begin(inner, *destination)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// The script is gone. What it connected and sent before is still handed on, and no more than that.
    pub(crate) fn settle(&mut self) {
        for index in 0..self.listeners.len() {
            // What cannot be accepted now is lost with its listener.
            let _last = self.accept(index);
        }
        self.listeners.clear();
        self.settling = true;
        let all: Vec<Place> = (0..self.connections.len()).map(Place::Connection).collect();
        self.turn(&all);
    }

    /// Whether something is left to be handed on.
    pub(crate) fn busy(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Ends everything at once.
    pub(crate) fn close(&mut self) {
        self.listeners.clear();
        for connection in self.connections.drain(..) {
            connection.reset();
        }
    }
}

/// One connection of the script's, and ours for it.
#[derive(Debug)]
struct Connection {
    inner: TcpStream,
    outer: TcpStream,
    state: State,
    /// What the script sends.
    up: Flow,
    /// What it is sent.
    down: Flow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The outer side is not there yet. What the script sends meanwhile waits in its kernel buffers.
    Connecting,
    Connected,
    /// Both sides were reset.
    Broken,
}

impl Connection {
    /// Nothing when there is no way to the destination; the inner side is reset then.
    fn begin(inner: TcpStream, destination: SocketAddr) -> Option<Self> {
        let outer = inner.set_nonblocking(true).and_then(|()| connect(destination));
        let Ok(outer) = outer else {
            reset(&inner);
            return None;
        };
        // Whoever sent little sent it on purpose: neither side waits for more.
        let _slower_without = (inner.set_nodelay(true), outer.set_nodelay(true));
        Some(Self { inner, outer, state: State::Connecting, up: Flow::default(), down: Flow::default() })
    }

    fn watched(&self, settling: bool) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let wanted = |read: bool, write: bool| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, read);
            flags.set(PollFlags::OUT, write);
            flags
        };
        let (inner, outer) = match self.state {
            State::Connecting => (PollFlags::empty(), PollFlags::OUT),
            State::Connected => {
                let (read, write) = (!settling && self.down.hungry(), !settling && self.down.pending());
                (wanted(self.up.hungry(), write), wanted(read, self.up.pending()))
            }
            State::Broken => (PollFlags::empty(), PollFlags::empty()),
        };
        // A descriptor of which nothing is wanted is left out: its hang-up would be reported for ever.
        [(self.inner.as_fd(), inner), (self.outer.as_fd(), outer)].into_iter().filter(|(_, flags)| !flags.is_empty())
    }

    /// Moves what can be moved now. An error on one side is a reset on both.
    fn turn(&mut self, settling: bool) {
        if self.state != State::Broken && self.step(settling).is_err() {
            reset(&self.inner);
            reset(&self.outer);
            self.state = State::Broken;
        }
    }

    fn step(&mut self, settling: bool) -> io::Result<()> {
        if self.state == State::Connecting {
            if let Some(error) = self.outer.take_error()? {
                return Err(error);
            }
            if self.outer.peer_addr().is_err() {
                return Ok(());
            }
            self.state = State::Connected;
        }
        self.up.pump(&self.inner, &self.outer)?;
        if !settling {
            self.down.pump(&self.outer, &self.inner)?;
        }
        Ok(())
    }

    fn over(&self, settling: bool) -> bool {
        self.state == State::Broken || self.up.closed && (self.down.closed || settling)
    }

    fn reset(self) {
        reset(&self.inner);
        reset(&self.outer);
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    /// Read and not written yet, from `written` on.
    buffer: Vec<u8>,
    written: usize,
    /// Nothing more will be read.
    ended: bool,
    /// The other side has been told so.
    closed: bool,
}

impl Flow {
    fn pending(&self) -> bool {
        self.written < self.buffer.len()
    }

    fn hungry(&self) -> bool {
        !self.ended && !self.pending()
    }

    /// At most one buffer: the others, and the core, have their turns too.
    fn pump(&mut self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        if self.hungry() {
            self.buffer.resize(BUFFER, 0);
            self.written = 0;
            let read = from.read(&mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            self.ended = unless_blocked(read)? == Some(0);
        }
        while self.pending() {
            match unless_blocked(to.write(&self.buffer[self.written..]))? {
                Some(written) => self.written += written,
                None => return Ok(()),
            }
        }
        if self.ended && !self.closed {
            to.shutdown(Shutdown::Write)?;
            self.closed = true;
        }
        Ok(())
    }
}

/// Nothing where the socket has nothing, or takes nothing, now.
fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(moved) => Ok(Some(moved)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins to connect.
fn connect(destination: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = if destination.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &destination) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

/// When this socket is closed, its peer sees a reset and nothing is sent any more (`SO_LINGER` of zero, `tcp(7)`).
fn reset(socket: &TcpStream) {
    // Without it the peer sees an ordinary end.
    let _or_an_end = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
