//! A secret from its owner: typed without being shown, or one that comes through a pipe.
//!
//! Nothing typed is ever echoed, also not when the prompt is left with Ctrl-C or the time is up: what was typed and not taken
//! is thrown away with the terminal's old settings put back.

use bartizan_secret::Zeroizing;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

/// A terminal that shows nothing, until this is dropped.
struct Hidden<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn begin(terminal: BorrowedFd<'a>) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Flush: what was typed ahead is not handed to whatever reads next.
        let _gone = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
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
        return Err(io::Error::other("nothing was given"));
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
    let mut terminal: File = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(prompt.as_bytes())?;
    let other = terminal.try_clone()?;
    let hidden = Hidden::begin(other.as_fd())?;
    let read = line(&terminal, limit);
    drop(hidden);
    terminal.write_all(b"\n")?;
    read
}

fn line(terminal: &File, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut secret = Zeroizing::new(Vec::with_capacity(limit + 1));
    loop {
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
