//! The script API, outside the sandbox: takes in a script's calls, gives it the answers. Everything here comes from the script.
//!
//! What is no call is answered here and never reaches the core; what is one is bounded and typed. A script that calls faster
//! than its budget waits: it is not read. One that sends too much garbage is reported once, and not heard any more.

use bartizan_proto::Text;
use bartizan_proto::limits::MAX_CALLS;
use bartizan_proto::script::{self, Answer, Call, Knock, Misread, announced};
use bartizan_proto::worker::CallId;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// So many calls at once, then one in [`EVERY`].
const AT_ONCE: u32 = 40;
const EVERY: Duration = Duration::from_millis(50);

/// After so many messages that are no calls the script is not heard any more.
const MOST_GARBAGE: u32 = 32;

/// A call that is not whole after this time makes room for another one.
const TO_CALL: Duration = Duration::from_secs(5);

/// Both ends of the socket that a script inherits: the worker's, which does not block, and the script's.
/// # Errors
/// What `socketpair(2)` gives.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A call, to be answered.
    Call(CallId, Box<Call>),
    /// Who made a call that was not answered yet is gone.
    Hangup(CallId),
    /// Too much garbage; the last of it.
    Misused(String),
}

/// Where something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the inherited socket.
    Door,
    /// At a call.
    Call(usize),
}

/// All calls of one job.
#[derive(Debug)]
pub struct Api {
    door: Option<OwnedFd>,
    open: Vec<Option<Open>>,
    next: u32,
    garbage: u32,
    budget: u32,
    refilled: Instant,
}

#[derive(Debug)]
struct Open {
    socket: OwnedFd,
    since: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading(Vec<u8>),
    Waiting(CallId),
    Telling(Vec<u8>, usize),
}

impl Api {
    /// With the worker's end of [`pair`], where the job may call at all.
    pub fn new(door: Option<OwnedFd>) -> Self {
        Self { door, open: Vec::new(), next: 0, garbage: 0, budget: AT_ONCE, refilled: Instant::now() }
    }

    /// What to watch, and for what.
    pub fn watched(&self) -> Vec<(Place, BorrowedFd<'_>, PollFlags)> {
        let mut all = Vec::new();
        if let Some(door) = self.door.as_ref().filter(|_| self.has_room()) {
            all.push((Place::Door, door.as_fd(), PollFlags::IN));
        }
        for (at, open) in self.open.iter().enumerate() {
            if let Some(Open { socket, state, .. }) = open {
                let flags = match state {
                    State::Reading(_) => PollFlags::IN,
                    // Only its hang-up.
                    State::Waiting(_) => PollFlags::empty(),
                    State::Telling(..) => PollFlags::OUT,
                };
                all.push((Place::Call(at), socket.as_fd(), flags));
            }
        }
        all
    }

    /// When to look again although nothing happens: its budget has something in it then.
    pub fn wake(&self) -> Option<Instant> {
        (self.door.is_some() && self.budget == 0).then(|| self.refilled + EVERY)
    }

    fn has_room(&self) -> bool {
        let stale = |open: &Open| matches!(open.state, State::Reading(_)) && open.since.elapsed() > TO_CALL;
        self.budget > 0 && (self.open.iter().flatten().count() < MAX_CALLS || self.open.iter().flatten().any(stale))
    }

    /// Does what can be done without waiting.
    pub fn turn(&mut self, places: &[(Place, PollFlags)]) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.refill();
        for (place, flags) in places {
            match place {
                Place::Door => self.open_door(&mut heard),
                Place::Call(at) => self.go_on(*at, *flags, &mut heard),
            }
        }
        while self.open.last().is_some_and(Option::is_none) {
            self.open.pop();
        }
        heard
    }

    /// The core's answer. Who asked may be gone.
    pub fn answer(&mut self, call: CallId, answer: &Answer) {
        let at = self
            .open
            .iter()
            .position(|open| matches!(open, Some(Open { state: State::Waiting(waiting), .. }) if *waiting == call));
        if let Some(at) = at {
            self.tell(at, answer);
        }
    }

    /// Nobody is left to call.
    pub fn close(&mut self) {
        self.door = None;
        self.open.clear();
    }

    fn refill(&mut self) {
        let passed = self.refilled.elapsed().as_millis() / EVERY.as_millis();
        if passed > 0 {
            self.budget = self.budget.saturating_add(u32::try_from(passed).unwrap_or(AT_ONCE)).min(AT_ONCE);
            self.refilled = Instant::now();
        }
    }

    fn open_door(&mut self, heard: &mut Vec<Heard>) {
        let Some(door) = &self.door else { return };
        match script::receive_knock(door.as_fd()) {
            Knock::Nothing => {}
            Knock::End => self.door = None,
            Knock::Garbage => {
                self.budget = self.budget.saturating_sub(1);
                self.count("not one byte b with one descriptor", heard);
            }
            Knock::Call(socket) if !is_one_of_a_pair(&socket) => {
                self.budget = self.budget.saturating_sub(1);
                self.count("a descriptor that is no stream socket of a pair", heard);
            }
            Knock::Call(socket) => {
                self.budget = self.budget.saturating_sub(1);
                let state = State::Reading(Vec::new());
                let open = Open { socket, since: Instant::now(), state };
                match self.place() {
                    Some(at) => self.open[at] = Some(open),
                    None => self.open.push(Some(open)),
                }
            }
        }
    }

    /// A free place, or that of a call that did not come whole in time; `None` for one more.
    fn place(&mut self) -> Option<usize> {
        if let Some(at) = self.open.iter().position(Option::is_none) {
            return Some(at);
        }
        if self.open.len() < MAX_CALLS {
            return None;
        }
        self.open.iter().position(|open| {
            open.as_ref().is_some_and(|open| matches!(open.state, State::Reading(_)) && open.since.elapsed() > TO_CALL)
        })
    }

    fn go_on(&mut self, at: usize, flags: PollFlags, heard: &mut Vec<Heard>) {
        let Some(Some(open)) = self.open.get_mut(at) else { return };
        match &mut open.state {
            State::Waiting(call) => {
                if flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                    heard.push(Heard::Hangup(*call));
                    self.open[at] = None;
                }
            }
            State::Telling(bytes, sent) => {
                if told(&open.socket, bytes, sent) {
                    self.open[at] = None;
                }
            }
            State::Reading(bytes) => match read(&open.socket, bytes) {
                Ok(None) => {}
                Ok(Some(call)) => {
                    self.next = self.next.wrapping_add(1);
                    let id = CallId(self.next);
                    open.state = State::Waiting(id);
                    heard.push(Heard::Call(id, Box::new(call)));
                }
                Err(Unread::Gone) => self.open[at] = None,
                Err(Unread::Misread(why)) => {
                    let why = why.to_string();
                    self.tell(at, &Answer::Refused(Text::cut(format!("not a call: {why}"))));
                    self.count(&why, heard);
                }
            },
        }
    }

    fn tell(&mut self, at: usize, answer: &Answer) {
        let Some(Some(open)) = self.open.get_mut(at) else { return };
        let (bytes, mut sent) = (answer.encode(), 0);
        match told(&open.socket, &bytes, &mut sent) {
            true => self.open[at] = None,
            false => open.state = State::Telling(bytes, sent),
        }
    }

    fn count(&mut self, why: &str, heard: &mut Vec<Heard>) {
        self.garbage += 1;
        if self.garbage >= MOST_GARBAGE && self.door.is_some() {
            self.close();
            heard.push(Heard::Misused(format!("{MOST_GARBAGE} messages that are no calls; the last: {why}")));
        }
    }
}

/// Whether it is what a call comes over. Another socket may be ready for ever with nothing to read, as one of a network with
/// something in its error queue is.
fn is_one_of_a_pair(socket: &OwnedFd) -> bool {
    use rustix::net::sockopt::{socket_domain, socket_type};
    socket_domain(socket) == Ok(AddressFamily::UNIX) && socket_type(socket) == Ok(SocketType::STREAM)
}

/// Why nothing was read.
enum Unread {
    Gone,
    Misread(Misread),
}

/// What has come of a call; the whole of it once it is there.
fn read(socket: &OwnedFd, bytes: &mut Vec<u8>) -> Result<Option<Call>, Unread> {
    let mut piece = [0; 16 * 1024];
    // A few pieces at a time.
    for _ in 0..4 {
        match rustix::net::recv(socket, &mut piece, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Unread::Gone),
            Ok((received, _)) => bytes.extend_from_slice(&piece[..received.min(piece.len())]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(_) => return Err(Unread::Gone),
        }
        let Some((header, rest)) = bytes.split_first_chunk::<4>() else { continue };
        let length = announced(*header).map_err(Unread::Misread)?;
        if rest.len() > length {
            return Err(Unread::Misread(Misread::Lengths));
        }
        if rest.len() == length {
            return Call::parse(rest).map(Some).map_err(Unread::Misread);
        }
    }
    Ok(None)
}

/// Sends more of an answer; true when nothing is left to do.
fn told(socket: &OwnedFd, bytes: &[u8], sent: &mut usize) -> bool {
    while *sent < bytes.len() {
        match rustix::net::send(socket, &bytes[*sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(more) => *sent += more,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(_) => return true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(api: &mut Api) -> Vec<Heard> {
        let places: Vec<_> = api.watched().iter().map(|(place, _, _)| (*place, PollFlags::IN)).collect();
        api.turn(&places)
    }

    fn call(theirs: &OwnedFd, bytes: &[u8]) -> OwnedFd {
        let (own, end) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .expect("a pair");
        script::knock(theirs.as_fd(), end.as_fd()).expect("knocks");
        rustix::net::send(&own, bytes, SendFlags::NOSIGNAL).expect("sends");
        own
    }

    fn told_to(socket: &OwnedFd) -> Answer {
        let mut bytes = [0; 4096];
        let (read, _) = rustix::net::recv(socket, &mut bytes, RecvFlags::DONTWAIT).expect("an answer");
        Answer::parse(&bytes[4..read]).expect("well formed")
    }

    #[test]
    fn two_calls_at_once_each_get_their_own_answer() {
        let (ours, theirs) = pair().expect("a pair");
        let mut api = Api::new(Some(ours));
        let (first, second) = (
            call(&theirs, &script::frame(&[b"param", b"name", b"a"])),
            call(&theirs, &script::frame(&[b"param", b"name", b"b"])),
        );
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.extend(turn(&mut api));
        }
        let ids: Vec<CallId> = heard
            .iter()
            .map(|heard| match heard {
                Heard::Call(id, _) => *id,
                other => panic!("{other:?}"),
            })
            .collect();
        api.answer(ids[1], &Answer::Value(Text::cut("for b")));
        api.answer(ids[0], &Answer::Value(Text::cut("for a")));
        assert_eq!(told_to(&first), Answer::Value(Text::cut("for a")));
        assert_eq!(told_to(&second), Answer::Value(Text::cut("for b")));
    }

    #[test]
    fn garbage_is_told_and_a_script_that_sends_too_much_of_it_is_reported_once() {
        let (ours, theirs) = pair().expect("a pair");
        let mut api = Api::new(Some(ours));
        let told = call(&theirs, &script::frame(&[b"shout"]));
        assert_eq!((turn(&mut api), turn(&mut api)), (Vec::new(), Vec::new()));
        assert!(matches!(told_to(&told), Answer::Refused(why) if why.contains("shout")));
        let mut heard = Vec::new();
        for _ in 0..MOST_GARBAGE + 5 {
            let _door_closed = rustix::net::send(&theirs, b"xyz", SendFlags::NOSIGNAL);
            heard.extend(turn(&mut api));
        }
        assert!(matches!(heard.as_slice(), [Heard::Misused(_)]), "{heard:?}");
        assert_eq!(api.watched().len(), 0);
    }

    #[test]
    fn a_flood_is_not_read_before_its_time() {
        let (ours, theirs) = pair().expect("a pair");
        let mut api = Api::new(Some(ours));
        let begin = Instant::now();
        let mut calls = 0;
        while begin.elapsed() < Duration::from_millis(400) {
            let own = call(&theirs, &script::frame(&[b"param", b"name", b"a"]));
            for heard in turn(&mut api).into_iter().chain(turn(&mut api)).collect::<Vec<_>>() {
                if let Heard::Call(id, _) = heard {
                    calls += 1;
                    api.answer(id, &Answer::Done);
                }
            }
            drop(own);
            if api.budget == 0 {
                assert!(api.watched().iter().all(|(place, _, _)| *place != Place::Door));
                assert!(api.wake().is_some());
                break;
            }
        }
        assert!(calls >= AT_ONCE - 1, "{calls}");
    }

    #[test]
    fn what_is_no_socket_of_a_pair_is_let_go_of() {
        let (ours, theirs) = pair().expect("a pair");
        let mut api = Api::new(Some(ours));
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let network = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let datagrams = std::os::unix::net::UnixDatagram::pair().expect("a pair");
        for fd in [reader.as_fd(), network.as_fd(), datagrams.0.as_fd()] {
            script::knock(theirs.as_fd(), fd).expect("knocks");
            turn(&mut api);
        }
        assert_eq!((api.garbage, api.open.len()), (3, 0));
    }
}
