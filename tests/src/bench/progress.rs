//! One line on a terminal that says what is being measured; nothing anywhere else.

use std::io::{IsTerminal, Write};

/// The line.
#[derive(Debug, Default)]
pub(super) struct Progress {
    shown: bool,
}

impl Progress {
    /// Says what is done now, and how far it is.
    pub(super) fn say(&mut self, what: &str, done: usize, of: usize) {
        let mut terminal = std::io::stderr();
        if terminal.is_terminal() {
            self.shown = true;
            let _nobody_looks = write!(terminal, "\r\x1b[K{what}  {done}/{of}");
            let _nobody_looks = terminal.flush();
        }
    }

    /// Takes the line away.
    pub(super) fn done(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}
