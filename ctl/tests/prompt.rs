//! The prompt for a secret at a real terminal: whatever ends it, nothing that was typed is shown, and the terminal is as it
//! was.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const CANARY: &str = "half-a-canary";

/// `bartizan secret set` at a terminal of its own, asking.
struct Asking {
    child: Child,
    keyboard: File,
    terminal: File,
}

impl Asking {
    fn begin() -> Self {
        let ends = nix::pty::openpty(None, None).expect("a terminal");
        let (keyboard, terminal) = (File::from(ends.master), File::from(ends.slave));
        let end = || terminal.try_clone().expect("another");
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_bartizan"), "secret", "set", "deploy/key"]);
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid runs");
        let asking = Self { child, keyboard, terminal };
        asking.until("it hides what is typed", |modes| !modes.contains(LocalModes::ECHO));
        (&asking.keyboard).write_all(CANARY.as_bytes()).expect("typed");
        asking
    }

    fn until(&self, what: &str, is: impl Fn(LocalModes) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is(tcgetattr(&self.terminal).expect("settings").local_modes) {
            assert!(Instant::now() < end, "{what}: in vain");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All that stood on the screen once it has ended.
    fn ended(mut self) -> String {
        self.until("the terminal is as it was", |modes| {
            modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
        });
        let status = self.child.wait().expect("waited");
        assert!(!status.success());
        drop(self.terminal);
        let mut screen = Vec::new();
        // The last end of the terminal is closed: the kernel says EIO at the end.
        let _closed = self.keyboard.read_to_end(&mut screen);
        String::from_utf8_lossy(&screen).into_owned()
    }
}

#[test]
fn row_22_half_a_secret_is_not_shown_when_the_prompt_is_left_or_its_process_told_to_end() {
    let asking = Asking::begin();
    (&asking.keyboard).write_all(b"\x03").expect("typed");
    let screen = asking.ended();
    assert!(screen.contains("Value of deploy/key") && screen.contains("given up"), "{screen}");
    assert!(!screen.contains("canary"), "{screen}");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let asking = Asking::begin();
        kill(Pid::from_raw(i32::try_from(asking.child.id()).expect("a pid")), signal).expect("it runs");
        let screen = asking.ended();
        assert!(!screen.contains("canary"), "{signal}: {screen}");
    }
}
