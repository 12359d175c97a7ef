//! The far side: what `authorized_keys` starts when a broker's key logs in. One order from descriptor 0, verified, carried out in the
//! worker's sandbox, its output and its end to descriptor 1.
//!
//! It looks at no environment and at nothing that the client asked for: SSH_ORIGINAL_COMMAND is not read. When the connection ends, or
//! the other side says nothing for [`SILENCE_S`], it ends, and with it the sandbox and everything in it.

use crate::order::{self, BrokerKeys, OrderRefused};
use crate::used::{self, UsedError};
use bartizan_proto::channel::Channel;
use bartizan_proto::frame::{self, Decoder, FrameError, HEADER};
use bartizan_proto::ids::TargetName;
use bartizan_proto::limits::MAX_REMOTE_FRAME;
use bartizan_proto::remote::{FromRemote, SILENCE_S, ToRemote};
use bartizan_proto::worker::{FromWorker, ToWorker};
use bartizan_proto::{Role, Text};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, SealFlags};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// An order that is not here after so long does not come.
const FOR_AN_ORDER: Duration = Duration::from_secs(60);

/// Largest file of keys, in bytes.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// What this machine is told in `authorized_keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its name as a target.
    pub target: TargetName,
    /// The brokers whose orders it takes.
    pub broker_key: PathBuf,
    /// Where it remembers which it has carried out.
    pub state: PathBuf,
}

impl Options {
    /// Reads the command line. Each option once, all of them, nothing else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(arguments: &[OsString]) -> Result<Self, String> {
        let (mut target, mut broker_key, mut state) = (None, None, None);
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{} needs a value", word.display()))?;
            let place = match word.to_str() {
                Some("--target") => &mut target,
                Some("--broker-key") => &mut broker_key,
                Some("--state") => &mut state,
                Some(_) | None => return Err(format!("there is no option {}", word.display())),
            };
            if place.replace(value).is_some() {
                return Err(format!("{} is given twice", word.display()));
            }
        }
        let absolute = |name: &str, path: Option<&OsString>| {
            let path = PathBuf::from(path.ok_or_else(|| format!("--{name} is missing"))?);
            if path.is_absolute() { Ok(path) } else { Err(format!("--{name} needs an absolute path")) }
        };
        let target = target.ok_or("--target is missing")?.to_str().unwrap_or_default();
        Ok(Self {
            target: target.parse().map_err(|error| format!("--target: {error}"))?,
            broker_key: absolute("broker-key", broker_key)?,
            state: absolute("state", state)?,
        })
    }
}

/// Why nothing is run. The near side is told.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    /// The first steps of every process.
    #[error(transparent)]
    Harden(#[from] bartizan_confine::process::HardenError),
    /// The file of keys.
    #[error("{path}: {why}")]
    Keys { path: PathBuf, why: String },
    /// Nothing came.
    #[error("no order came within {} s", FOR_AN_ORDER.as_secs())]
    Late,
    /// The connection, or what came over it.
    #[error("no order: {0}")]
    Frame(#[from] FrameError),
    /// The order.
    #[error(transparent)]
    Order(#[from] OrderRefused),
    /// It was carried out.
    #[error(transparent)]
    Used(#[from] UsedError),
    /// The sandbox.
    #[error("cannot start the sandbox: {0}")]
    Start(#[source] io::Error),
}

impl ServeError {
    fn step(&self) -> &'static str {
        match self {
            Self::Harden(_) => "harden",
            Self::Keys { .. } => "keys",
            Self::Late | Self::Frame(_) => "receive",
            Self::Order(_) => "order",
            Self::Used(_) => "replay",
            Self::Start(_) => "start",
        }
    }
}

/// One connection's life.
pub fn serve(options: &Options) -> ExitCode {
    match begin(options) {
        Ok((mut worker, channel)) => {
            watch_connection();
            let code = carry(channel);
            // Its channel is closed: the sandbox ends, if it has not yet.
            let _status = worker.wait();
            code
        }
        Err(error) => {
            let refused = FromRemote::Refused { step: Text::cut(error.step()), why: Text::cut(error.to_string()) };
            // Whoever is told may be gone.
            let _gone = writeln!(io::stderr(), "bartizan-remote: {error}");
            let _gone = say(&refused);
            ExitCode::FAILURE
        }
    }
}

/// Everything up to the order in the sandbox's hands.
fn begin(options: &Options) -> Result<(Child, Channel), ServeError> {
    // 1. No capability, no core file, nothing gained by an exec from here on.
    bartizan_confine::process::close_from(3)?;
    bartizan_confine::process::harden_entry()?;

    // 2. The keys, before a byte from outside.
    let keys = read_keys(&options.broker_key)?;

    // 3. One order of limited size.
    let (order, script) = match receive()? {
        ToRemote::Order { order, script } => (order, script.into_vec()),
        ToRemote::Alive => return Err(FrameError::Malformed("a sign of life before any order".to_owned()).into()),
    };

    // 4. Is it one? And for the first time?
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let order = order::verify(&order, &script, &keys, &options.target, now_s)?;
    used::claim(&options.state, order.nonce, order.expires_s, now_s)?;

    // 5. Into a sandbox: a process of this program that is a worker, as the launcher would start one.
    let (mut channel, theirs) = Channel::pair().map_err(ServeError::Start)?;
    let worker = Command::new("/proc/self/exe")
        .arg("worker")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .map_err(ServeError::Start)?;
    channel.greet(Role::Core, Role::Worker)?;
    let script = in_memory(&script).map_err(ServeError::Start)?;
    channel.send_with(&ToWorker::Order(Box::new(order::for_worker(order))), &[script.as_fd()])?;
    Ok((worker, channel))
}

fn read_keys(path: &Path) -> Result<BrokerKeys, ServeError> {
    let failed = |why: String| ServeError::Keys { path: path.to_owned(), why };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    BrokerKeys::parse(&text).map_err(|error| failed(error.to_string()))
}

/// The first message, whole, and not one byte after it.
fn receive() -> Result<ToRemote, ServeError> {
    let deadline = Instant::now() + FOR_AN_ORDER;
    let mut header = [0; HEADER];
    fill(&mut header, deadline)?;
    let length = frame::announced(header)?;
    if length > MAX_REMOTE_FRAME {
        return Err(FrameError::TooLarge(length).into());
    }
    let mut payload = vec![0; length];
    fill(&mut payload, deadline)?;
    Ok(frame::decode(&payload)?)
}

fn fill(mut place: &mut [u8], deadline: Instant) -> Result<(), ServeError> {
    while !place.is_empty() {
        if !readable(deadline.saturating_duration_since(Instant::now())).map_err(FrameError::Io)? {
            return Err(ServeError::Late);
        }
        match rustix::io::read(rustix::stdio::stdin(), &mut *place) {
            Ok(0) => return Err(FrameError::Truncated.into()),
            Ok(read) => place = &mut place[read..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(FrameError::Io(error.into()).into()),
        }
    }
    Ok(())
}

/// Whether there is something to read, or the end, within so long.
fn readable(within: Duration) -> io::Result<bool> {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left =
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
        let stdin = rustix::stdio::stdin();
        match rustix::event::poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends this process when the connection ends, when nothing comes for too long, or when something else comes. The sandbox ends with
/// its channel, and by the kernel's signal at its parent's end.
fn watch_connection() {
    std::thread::spawn(|| {
        let mut decoder = Decoder::default();
        let mut piece = [0; 512];
        let why = loop {
            match readable(Duration::from_secs(SILENCE_S)) {
                Ok(true) => {}
                Ok(false) => break "the other side is silent",
                Err(_) => break "the connection failed",
            }
            match rustix::io::read(rustix::stdio::stdin(), &mut piece) {
                Ok(0) => break "the connection ended",
                Ok(read) => decoder.push(&piece[..read]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break "the connection failed",
            }
            loop {
                match decoder.take::<ToRemote>() {
                    Ok(Some(ToRemote::Alive)) => {}
                    Ok(None) => break,
                    Ok(Some(ToRemote::Order { .. })) | Err(_) => leave("something else than a sign of life came"),
                }
            }
        };
        leave(why)
    });
}

fn leave(why: &str) -> ! {
    // With the connection this has gone, too; `eprintln!` would panic, and this thread alone would end.
    let _gone = writeln!(io::stderr(), "bartizan-remote: {why}: the job ends");
    std::process::exit(1)
}

/// From the sandbox to the near side, until its last word.
fn carry(mut channel: Channel) -> ExitCode {
    loop {
        let said = match channel.receive::<FromWorker>() {
            Ok(Some(message)) => message,
            Ok(None) | Err(_) => {
                let why = "the sandbox ended without a word";
                let _gone = say(&FromRemote::Refused { step: Text::cut("sandbox"), why: Text::cut(why) });
                return ExitCode::FAILURE;
            }
        };
        let (message, last) = match said {
            FromWorker::Running { layers, given, .. } => (FromRemote::Running { layers, given }, false),
            FromWorker::Output(bytes) => (FromRemote::Output(bytes), false),
            FromWorker::Finished { ending, usage } => (FromRemote::Finished { ending, usage }, true),
            FromWorker::Refused { step, why } => (FromRemote::Refused { step, why }, true),
            // It was given no calls, and nobody asked it.
            FromWorker::Call { .. } | FromWorker::Hangup(_) | FromWorker::Misused(_) | FromWorker::Inspected { .. } => {
                continue;
            }
        };
        match say(&message) {
            Err(_) => return ExitCode::FAILURE,
            Ok(()) if last => return ExitCode::SUCCESS,
            Ok(()) => {}
        }
    }
}

fn say(message: &FromRemote) -> Result<(), FrameError> {
    let frame = frame::encode(message)?;
    let mut out = io::stdout().lock();
    out.write_all(&frame)?;
    Ok(out.flush()?)
}

/// A file of these bytes that nothing changes any more.
fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("script", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_taken_whole_or_not_at_all() {
        let right = "--target web-1 --broker-key /etc/bartizan-remote/broker.pub --state /var/lib/bartizan-remote";
        let options = parse(right).expect("right");
        assert_eq!((options.target.as_str(), options.state.to_str()), ("web-1", Some("/var/lib/bartizan-remote")));
        for wrong in [
            "--target web-1 --broker-key /k",
            "--target web-1 --broker-key k --state /s",
            "--target ../x --broker-key /k --state /s",
            "--target a --target b --broker-key /k --state /s",
            "--target a --broker-key /k --state /s --more",
            "--target a --broker-key /k --state /s --more x",
        ] {
            parse(wrong).expect_err(wrong);
        }
    }
}
