//! Serving a few pages over HTTP on this host, for what `bartizan` serves: one small server, and nothing of it per page.
//!
//! It listens on loopback or on a Unix socket and nowhere else. A connection is one request and one answer: its head has at most
//! [`request::MOST`] bytes and comes within [`PATIENCE`], no body is taken, nothing is kept open. Whoever sends more is answered with
//! what is wrong, and closed. At most [`MOST_CONNECTIONS`] are served at a time; others wait in the kernel's queue.

pub mod listen;
pub(crate) mod reply;
pub(crate) mod request;

pub(crate) use listen::{Listener, Place};
pub(crate) use reply::Reply;
pub(crate) use request::{Hosts, Request};

use listen::Stream;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a request may take to come, and how long an answer may take to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long is waited for the other side to have seen the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Connections that are served at the same time.
const MOST_CONNECTIONS: usize = 16;

/// A thread's stack. Pages are built on the heap.
const STACK: usize = 512 * 1024;

/// Answers requests until the process is ended. A request for a host that is not in `hosts` is not for us: that is how a page of
/// somebody else's in a browser here would ask, by a name of theirs that stands for this address.
pub(crate) fn serve<A>(listener: &Listener, hosts: Hosts, answer: A) -> !
where
    A: Fn(&Request) -> Reply + Send + Sync + 'static,
{
    let shared = Arc::new((hosts, answer));
    let places = Arc::new(Places::default());
    loop {
        let place = Places::take(&places);
        let Ok(mut stream) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let shared = Arc::clone(&shared);
        let served = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let (hosts, answer) = &*shared;
            // Whoever has gone does not hear of it.
            let _gone = one(&mut stream, hosts, answer);
            drop(place);
        });
        if served.is_err() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// One request, one answer.
fn one(stream: &mut Stream, hosts: &Hosts, answer: &impl Fn(&Request) -> Reply) -> io::Result<()> {
    let (reply, with_body) = match request::read(&mut Timed::new(stream, PATIENCE), hosts)? {
        Ok(request) => (answer(&request), !request.is_head),
        // Nobody asked anything: browsers connect in advance.
        Err(request::Fault::Nothing) => return Ok(()),
        Err(fault) => (fault.reply(), true),
    };
    let mut timed = Timed::new(stream, PATIENCE);
    timed.write_all(&reply.bytes(with_body))?;
    timed.flush()?;
    // Closing while something is still unread would take the answer away from a peer that has not read it yet.
    stream.end_writing()?;
    let (mut rest, mut piece) = (Timed::new(stream, LINGER), [0; 4096]);
    for _ in 0..16 {
        if rest.read(&mut piece)? == 0 {
            break;
        }
    }
    Ok(())
}

/// A stream that ends at a time, however little comes at once.
struct Timed<'s> {
    stream: &'s mut Stream,
    end: Instant,
}

impl<'s> Timed<'s> {
    fn new(stream: &'s mut Stream, patience: Duration) -> Self {
        Self { stream, end: Instant::now() + patience }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read_within(self.left()?, into)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write_within(self.left()?, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many are served.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Places {
    /// Waits for a free one.
    fn take(places: &Arc<Self>) -> Taken {
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            places.freed.wait_while(taken, |taken| *taken >= MOST_CONNECTIONS).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Taken(Arc::clone(places))
    }
}

/// One of them; free again when it is dropped.
#[derive(Debug)]
struct Taken(Arc<Places>);

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}
