//! Watches a worker and everything that it starts (`ptrace(2)`): which system calls of the script failed because of the sandbox. The
//! kernel says nothing of it by itself: a file that is not granted is not there, and a call that is not on the list answers EPERM.
//!
//! Who is watched asked for it before it was the worker (`PTRACE_TRACEME`), so no right is needed that starting it does not
//! need; nothing of the sandbox is changed for it. All of this belongs to one thread.

use super::calls::{self, Access, Wanted};
use crate::exit::CtlError;
use crate::siblings;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A stop at a system call has this bit beside SIGTRAP.
const AT_CALL: i32 = 0x80;
/// Where the sandbox keeps what is its own (worker/src/confine/root.rs): no profile grants it.
const OWN: &str = "/bartizan";
/// Most things that are noted.
const MOST: usize = 500;

/// Something that the script did not get.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// A file.
    File {
        /// Which.
        path: PathBuf,
        /// For what.
        wanted: Access,
    },
    /// A connection.
    Host(SocketAddr),
    /// A Unix socket.
    Socket(PathBuf),
    /// A system call.
    Call(String),
    /// A process was ended at a call of another ABI.
    Ended,
}

/// Becomes the worker, watched by who started this. It returns only when that failed.
pub(super) fn become_worker() -> CtlError {
    let program = match siblings::beside("bartizan-worker") {
        Ok(program) => program,
        Err(error) => return CtlError::Sibling { program: "bartizan-worker".into(), error },
    };
    let error = match ptrace::traceme() {
        Ok(()) => Command::new(&program).env_clear().current_dir("/").exec(),
        Err(errno) => errno.into(),
    };
    CtlError::Sibling { program, error }
}

/// A process that is watched.
#[derive(Debug, Default)]
struct Watched {
    /// It is the script, or was started by it.
    script: bool,
    /// It has made its first stop.
    begun: bool,
    /// The call that it is in.
    call: Option<Call>,
}

/// A call at its beginning.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: i64,
    arguments: [u64; 4],
}

/// Watches the process and all that come of it until the last one has ended; what the script was refused, each once, in order.
///
/// # Errors
/// The kernel does not let it be watched.
pub(super) fn watch(worker: u32) -> io::Result<Vec<Refusal>> {
    let mut watcher = Watcher::default();
    let first = i32::try_from(worker).map(Pid::from_raw).map_err(io::Error::other)?;
    loop {
        let (pid, raw) = match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => (Pid::from_raw(pid.as_raw_nonzero().get()), status.as_raw()),
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::CHILD) => return Ok(watcher.seen),
            Err(error) => return Err(error.into()),
        };
        if raw & 0xff != 0x7f {
            watcher.ended(pid, raw & 0x7f);
        } else if pid == first && !watcher.all.contains_key(&first) {
            let options = Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_EXITKILL;
            ptrace::setoptions(first, options)?;
            watcher.all.insert(first, Watched { begun: true, ..Watched::default() });
            go_on(pid, None);
        } else {
            watcher.stopped(pid, (raw >> 8) & 0xff, raw >> 16);
        }
    }
}

/// Lets a process go on to its next stop. One that was killed meanwhile is reported as ended.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ended = ptrace::syscall(pid, signal);
}

#[derive(Debug, Default)]
struct Watcher {
    all: BTreeMap<Pid, Watched>,
    /// Stopped before it was known who started them.
    early: BTreeSet<Pid>,
    seen: Vec<Refusal>,
}

impl Watcher {
    fn ended(&mut self, pid: Pid, signal: i32) {
        self.early.remove(&pid);
        let was = self.all.remove(&pid);
        if was.is_some_and(|was| was.script) && signal == Signal::SIGSYS as i32 {
            self.note(Refusal::Ended);
        }
    }

    fn stopped(&mut self, pid: Pid, signal: i32, event: i32) {
        match self.all.get_mut(&pid) {
            None => {
                self.early.insert(pid);
                return;
            }
            Some(watched) if !watched.begun => {
                watched.begun = true;
                return go_on(pid, None);
            }
            Some(_) => {}
        }
        if signal == Signal::SIGTRAP as i32 | AT_CALL {
            self.at_call(pid);
            return go_on(pid, None);
        }
        if signal == Signal::SIGTRAP as i32 && event != 0 {
            if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                if let Some(watched) = self.all.get_mut(&pid) {
                    // The worker itself was there already: whatever runs another program is the script.
                    watched.script = true;
                }
            } else if let Some(new) = ptrace::getevent(pid).ok().and_then(|new| i32::try_from(new).ok()) {
                self.born(Pid::from_raw(new), pid);
            }
            return go_on(pid, None);
        }
        // Signals go where they were to go. What has no name here is a real-time one, which scripts do without.
        go_on(pid, Signal::try_from(signal).ok());
    }

    fn born(&mut self, new: Pid, of: Pid) {
        let script = self.all.get(&of).is_some_and(|of| of.script);
        let begun = self.early.remove(&new);
        self.all.insert(new, Watched { script, begun, call: None });
        if begun {
            go_on(new, None);
        }
    }

    /// Each call stops twice: when it is made, and when it is answered.
    fn at_call(&mut self, pid: Pid) {
        let Some(watched) = self.all.get_mut(&pid) else { return };
        match watched.call.take() {
            None => watched.call = registers(pid).map(|(call, _)| call),
            Some(call) if watched.script => {
                let errno = registers(pid).map_or(0, |(_, result)| i32::try_from(-result).unwrap_or(0));
                if let Some(refusal) = judged(pid, call, errno) {
                    self.note(refusal);
                }
            }
            Some(_) => {}
        }
    }

    fn note(&mut self, refusal: Refusal) {
        if self.seen.len() < MOST && !self.seen.contains(&refusal) {
            self.seen.push(refusal);
        }
    }
}

/// Whether a failure is the sandbox's doing.
fn judged(pid: Pid, call: Call, errno: i32) -> Option<Refusal> {
    use nix::libc::{EACCES, EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH, ENOENT, EPERM, EROFS, SYS_connect};
    if call.number == SYS_connect {
        let refused = matches!(errno, EACCES | EPERM | ENETUNREACH | EHOSTUNREACH | EADDRNOTAVAIL | ENOENT);
        return if refused { address(pid, call.arguments[1], call.arguments[2]) } else { None };
    }
    if let Some(named) = calls::named(call.number) {
        if !matches!(errno, EACCES | EPERM | EROFS | ENOENT) {
            return None;
        }
        let path = text(pid, *call.arguments.get(named.path)?)?;
        let wanted = match named.wanted {
            Wanted::This(access) => access,
            Wanted::Flags(at) => opened_for(*call.arguments.get(at)?),
            Wanted::How(at) => opened_for(word(pid, *call.arguments.get(at)?)?),
        };
        let folder = named.folder.and_then(|at| call.arguments.get(at)).copied();
        let path = whole(pid, &path, folder)?;
        if path.starts_with(OWN) {
            return None;
        }
        let hidden = errno != ENOENT || is_on_the_machine(&path, wanted);
        // A link that is there and leads to what is not: what it leads to would have to be granted.
        let path = if path.is_symlink() { path.canonicalize().unwrap_or(path) } else { path };
        return hidden.then_some(Refusal::File { path, wanted });
    }
    (errno == EPERM).then(|| Refusal::Call(calls::name(call.number)))
}

/// What is there outside, and not inside, is hidden by the sandbox. What the kernel makes up for each process is no file.
fn is_on_the_machine(path: &Path, wanted: Access) -> bool {
    if ["/proc", "/sys", "/dev"].iter().any(|made_up| path.starts_with(made_up)) {
        return false;
    }
    let there = path.symlink_metadata().is_ok();
    let could_be = || path.parent().is_some_and(|folder| folder.is_dir() && folder != Path::new("/"));
    there || (wanted == Access::Write && could_be())
}

fn opened_for(flags: u64) -> Access {
    let writes = nix::libc::O_WRONLY | nix::libc::O_RDWR | nix::libc::O_CREAT | nix::libc::O_TRUNC;
    if flags & u64::from(writes.unsigned_abs()) != 0 { Access::Write } else { Access::Read }
}

/// An absolute path, where it can be known.
fn whole(pid: Pid, path: &Path, folder: Option<u64>) -> Option<PathBuf> {
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    let current = || format!("/proc/{pid}/cwd");
    let folder = match folder.map(|fd| fd & 0xffff_ffff) {
        None => current(),
        Some(fd) if fd == u64::from(nix::libc::AT_FDCWD.cast_unsigned()) => current(),
        Some(fd) => format!("/proc/{pid}/fd/{fd}"),
    };
    let folder = std::fs::read_link(folder).ok().filter(|folder| folder.is_absolute())?;
    Some(folder.join(path))
}

/// Where a connection was to go.
fn address(pid: Pid, at: u64, length: u64) -> Option<Refusal> {
    let bytes = memory(pid, at, usize::try_from(length).ok()?.min(128))?;
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let port = |rest: &[u8]| rest.first_chunk::<2>().map(|port| u16::from_be_bytes(*port));
    match i32::from(u16::from_ne_bytes(*family)) {
        nix::libc::AF_INET => {
            let ip: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
            Some(Refusal::Host(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port(rest)?)))
        }
        nix::libc::AF_INET6 => {
            let ip: [u8; 16] = rest.get(6..22)?.try_into().ok()?;
            Some(Refusal::Host(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), port(rest)?)))
        }
        nix::libc::AF_UNIX => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let path = PathBuf::from(String::from_utf8_lossy(rest.get(..end)?).into_owned());
            // Programs look for name services that are nowhere.
            (path.is_absolute() && path.symlink_metadata().is_ok()).then_some(Refusal::Socket(path))
        }
        _ => None,
    }
}

/// A path in the memory of a process.
fn text(pid: Pid, at: u64) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    while bytes.len() < bartizan_proto::limits::MAX_PATH {
        let next = memory(pid, at.checked_add(bytes.len() as u64)?, 8)?;
        match next.iter().position(|byte| *byte == 0) {
            Some(end) => {
                bytes.extend_from_slice(next.get(..end)?);
                let text = String::from_utf8(bytes).ok()?;
                return (!text.is_empty()).then(|| PathBuf::from(text));
            }
            None => bytes.extend_from_slice(&next),
        }
    }
    None
}

fn word(pid: Pid, at: u64) -> Option<u64> {
    let bytes = memory(pid, at, 8)?;
    bytes.first_chunk::<8>().map(|bytes| u64::from_ne_bytes(*bytes))
}

/// Bytes of a process, word by word.
fn memory(pid: Pid, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let at = usize::try_from(at.checked_add(bytes.len() as u64)?).ok()?;
        let word = ptrace::read(pid, std::ptr::without_provenance_mut(at)).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.truncate(length);
    Some(bytes)
}

/// The call and, at its end, its answer.
#[cfg(target_arch = "x86_64")]
fn registers(pid: Pid) -> Option<(Call, i64)> {
    let all = ptrace::getregs(pid).ok()?;
    let call = Call { number: all.orig_rax.cast_signed(), arguments: [all.rdi, all.rsi, all.rdx, all.r10] };
    Some((call, all.rax.cast_signed()))
}

/// The call and, at its end, its answer.
#[cfg(target_arch = "aarch64")]
fn registers(pid: Pid) -> Option<(Call, i64)> {
    let all = ptrace::getregs(pid).ok()?.regs;
    let call = Call { number: all[8].cast_signed(), arguments: [all[0], all[1], all[2], all[3]] };
    Some((call, all[0].cast_signed()))
}

/// On other machines nothing is seen.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn registers(_pid: Pid) -> Option<(Call, i64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_a_file_is_opened_for() {
        let flags = |flags: i32| opened_for(u64::from(flags.unsigned_abs()));
        assert_eq!(flags(nix::libc::O_RDONLY | nix::libc::O_CLOEXEC), Access::Read);
        assert_eq!(flags(nix::libc::O_WRONLY | nix::libc::O_CREAT), Access::Write);
    }

    #[test]
    fn what_the_kernel_makes_up_is_not_missed() {
        assert!(is_on_the_machine(Path::new("/etc/passwd"), Access::Read));
        assert!(!is_on_the_machine(Path::new("/proc/1/maps"), Access::Read));
        assert!(!is_on_the_machine(Path::new("/nothing/here"), Access::Write));
        assert!(is_on_the_machine(Path::new("/etc/nothing-here"), Access::Write));
    }
}
