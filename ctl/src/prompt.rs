//! A secret from its owner: typed without being shown, or one that comes through a pipe.
//!
//! Nothing typed is ever echoed, also not when the prompt is left with Ctrl-C, by a signal, or when the time is up: what was
//! typed and not taken is thrown away with the terminal's old settings put back.

use bartizan_secret::Zeroizing;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long somebody may take over one secret.
const PATIENCE: Duration = Duration::from_secs(120);

/// A terminal that shows nothing, until this is dropped. Meanwhile no signal ends this process: it is noticed, and delivered
/// when the terminal is as it was.
struct Hidden<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
    signals: SignalFd,
    mask: SigSet,
}

impl<'a> Hidden<'a> {
    fn begin(terminal: BorrowedFd<'a>) -> io::Result<Self> {
        let (mut ends, mask) = (SigSet::empty(), SigSet::thread_get_mask()?);
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            ends.add(signal);
        }
        let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC)?;
        ends.thread_block()?;
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before, signals, mask })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Flush: what was typed ahead is not handed to whatever reads next.
        let _gone = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
        let _ended_by_it = self.mask.thread_set_mask();
    }
}

/// Asks for a secret at the terminal; through a pipe it is the whole input, without the line break at its end.
///
/// # Errors
/// When it cannot be read, is empty, or has more than `limit` bytes.
pub fn secret(prompt: &str, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let secret = match rustix::termios::isatty(rustix::stdio::stdin()) {
        true => typed(prompt, limit)?,
        false => piped(limit)?,
    };
    if secret.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "nothing was given"));
    }
    Ok(secret)
}

/// Asks twice at a terminal, once through a pipe.
///
/// # Errors
/// As [`secret`], and when the two differ.
pub fn new_secret(prompt: &str, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let first = secret(prompt, limit)?;
    if rustix::termios::isatty(rustix::stdio::stdin()) && *secret("Once more: ", limit)? != *first {
        return Err(io::Error::other("the two are not the same"));
    }
    Ok(first)
}

fn typed(prompt: &str, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let terminal: File = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    typed_at(terminal, prompt, limit, PATIENCE)
}

fn typed_at(mut terminal: File, prompt: &str, limit: usize, patience: Duration) -> io::Result<Zeroizing<Vec<u8>>> {
    let other = terminal.try_clone()?;
    // First: what is typed as soon as the prompt is seen is not shown either.
    let hidden = Hidden::begin(other.as_fd())?;
    terminal.write_all(prompt.as_bytes())?;
    let read = line(&terminal, &hidden.signals, limit, Instant::now() + patience);
    // The line break first: a signal may end this process as soon as the terminal is as it was.
    let ended = terminal.write_all(b"\n");
    drop(hidden);
    read.and_then(|secret| ended.map(|()| secret))
}

fn line(terminal: &File, signals: &SignalFd, limit: usize, end: Instant) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut secret = Zeroizing::new(Vec::with_capacity(limit + 1));
    loop {
        wait(terminal, signals, end)?;
        let mut byte = Zeroizing::new([0u8; 1]);
        if rustix::io::read(terminal, &mut byte[..])? == 0 {
            return Err(io::Error::other("the terminal is gone"));
        }
        match byte[0] {
            b'\n' | b'\r' => return Ok(secret),
            0x03 | 0x04 => return Err(io::Error::other("given up; nothing was changed")),
            0x08 | 0x7f => {
                // A whole character.
                while secret.pop().is_some_and(|last| last & 0xc0 == 0x80) {}
            }
            0x15 => secret.clear(),
            _ if secret.len() == limit => return Err(io::Error::other(format!("more than {limit} bytes"))),
            byte => secret.push(byte),
        }
    }
}

/// Waits for a key.
fn wait(terminal: &File, signals: &SignalFd, end: Instant) -> io::Result<()> {
    let left = end.saturating_duration_since(Instant::now());
    let left =
        Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
    let mut waited = [PollFd::new(terminal, PollFlags::IN), PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
    match poll(&mut waited, Some(&left))? {
        0 => Err(io::Error::other("nothing more was typed in time; nothing was changed")),
        _ if !waited[1].revents().is_empty() => Err(io::Error::other("told to end; nothing was changed")),
        _ => Ok(()),
    }
}

fn piped(limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut secret = Zeroizing::new(vec![0; limit + 2]);
    let mut filled = 0;
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut secret[filled..])? {
            0 => break,
            read => filled += read,
        }
        if filled == secret.len() {
            return Err(io::Error::other(format!("more than {limit} bytes")));
        }
    }
    secret.truncate(filled);
    if secret.last() == Some(&b'\n') {
        secret.pop();
    }
    if secret.len() > limit {
        return Err(io::Error::other(format!("more than {limit} bytes")));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// CVE-2019-18634: sudo showed what was typed of a password when its time was up.
    #[test]
    fn row_22_half_a_secret_is_neither_shown_nor_left_for_others_when_the_time_is_up() {
        let ends = nix::pty::openpty(None, None).expect("a terminal");
        let (mut keyboard, terminal) = (File::from(ends.master), File::from(ends.slave));
        let before = format!("{:?}", tcgetattr(&terminal).expect("settings").local_modes);
        let other = terminal.try_clone().expect("another");
        let asking = std::thread::spawn(move || typed_at(other, "Value: ", 100, Duration::from_millis(300)));
        while tcgetattr(&terminal).expect("settings").local_modes.contains(LocalModes::ECHO) {
            std::thread::sleep(Duration::from_millis(1));
        }
        keyboard.write_all(b"half-a-canary").expect("typed");
        let error = asking.join().expect("no panic").expect_err("nothing").to_string();
        assert!(error.contains("in time") && !error.contains("canary"), "{error}");
        assert_eq!(format!("{:?}", tcgetattr(&terminal).expect("settings").local_modes), before);
        // What comes next to the screen is this; and to who reads next, only what is typed from now on.
        keyboard.write_all(b"later\n").expect("typed");
        let mut read = [0; 100];
        let length = (&terminal).read(&mut read).expect("a line");
        assert_eq!(&read[..length], b"later\n");
        let length = keyboard.read(&mut read).expect("the screen");
        let mut shown = String::from_utf8_lossy(&read[..length]).into_owned();
        while !shown.contains("later") {
            let length = keyboard.read(&mut read).expect("the screen");
            shown.push_str(&String::from_utf8_lossy(&read[..length]));
        }
        assert!(shown.starts_with("Value: \r\n") && !shown.contains("canary"), "{shown:?}");
    }
}
