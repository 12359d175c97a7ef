//! A program at a terminal of its own: what is typed, and what it wrote to the screen.

use nix::pty::{Winsize, openpty};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long anything may take to appear; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program and its terminal, 120 columns by 40 lines. Dropping it ends the program.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    screen: File,
    /// Everything that was written, as it came.
    pub seen: String,
}

impl Terminal {
    /// Starts a program with these words and variables.
    pub fn start(program: &Path, words: &[&str], environment: &[(&str, &Path)]) -> Self {
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).expect("a terminal");
        let (screen, terminal) = (File::from(ends.master), File::from(ends.slave));
        let end = || terminal.try_clone().expect("another");
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(words).env("TERM", "xterm").envs(environment.iter().copied());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid runs");
        Self { child, screen, seen: String::new() }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).expect("typed");
    }

    /// Waits until a text is written that was not there before.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        let from = self.seen.len();
        let end = Instant::now() + PATIENCE;
        while !self.seen[from..].contains(text) {
            assert!(Instant::now() < end, "{text} did not come: {}", self.seen);
            self.read();
        }
    }

    /// A text, then what is typed after it and the return key.
    #[track_caller]
    pub fn answer(&mut self, question: &str, typed: &str) {
        self.until(question);
        self.keys(&format!("{typed}\n"));
    }

    /// Waits for its end, and reads the rest.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                self.read();
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {}", self.seen);
            self.read();
        }
    }

    /// What is there to read, or comes within a moment. The end of the last program at a terminal is an error of its own.
    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let mut wait = [PollFd::new(&self.screen, PollFlags::IN)];
        let moment = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        if poll(&mut wait, Some(&moment)).expect("poll") > 0 {
            match self.screen.read(&mut buffer) {
                Ok(length) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..length])),
                Err(_ended) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
