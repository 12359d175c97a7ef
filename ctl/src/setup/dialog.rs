//! Questions at a terminal, asked again until the server takes the answer; without a terminal what was given must be right.
//! They go to standard error, so that `--json` leaves standard output to the answer.

use super::SetupError;
use super::server::Asked;
use crate::exit::CtlError;
use crate::prompt;
use bartizan_proto::limits::{MAX_NAME, MAX_TOKEN};
use bartizan_secret::Zeroizing;
use std::io::{self, BufRead, Write};

/// How often one question is asked before it is given up.
const ATTEMPTS: usize = 5;
/// The longest line that is read, in bytes.
const LONGEST: u64 = 16 * MAX_NAME as u64;

/// Whoever answers.
pub struct Dialog {
    terminal: bool,
}

impl Dialog {
    /// A person if standard input is a terminal.
    pub fn of_stdin() -> Self {
        Self { terminal: rustix::termios::isatty(rustix::stdio::stdin()) }
    }

    /// Whether somebody can be asked.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says something to a person.
    pub fn say(&self, line: &str) {
        if self.terminal {
            let _nobody_reads = writeln!(io::stderr(), "{line}");
        }
    }

    /// The first answer that passes its check. What was given on the command line has one try.
    pub fn until<T>(
        &mut self,
        asked: &Asked<'_>,
        default: Option<&str>,
        mut check: impl FnMut(&str) -> Result<T, SetupError>,
    ) -> Result<T, CtlError> {
        if let Some(given) = asked.given {
            return Ok(check(given)?);
        }
        if !self.terminal {
            return Err(SetupError::Missing { flag: asked.flag }.into());
        }
        let shown = default.filter(|default| !default.is_empty()).map(|default| format!(" [{default}]"));
        let question = format!("{}{}: ", asked.what, shown.unwrap_or_default());
        self.again(|| {
            let typed = line(&question)?;
            Ok(match (typed.trim(), default) {
                ("", Some(default)) => check(default),
                (typed, _) => check(typed),
            })
        })
    }

    /// The token, which is never shown; the whole of standard input where that is no terminal.
    pub fn token(
        &mut self,
        mut check: impl FnMut(&[u8]) -> Result<(), SetupError>,
    ) -> Result<Zeroizing<Vec<u8>>, CtlError> {
        let mut read = || {
            let mut token = match prompt::secret("The bot's access token (not shown): ", MAX_TOKEN) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Err(SetupError::Token)),
                read => read.map_err(CtlError::Typed)?,
            };
            while token.last().is_some_and(u8::is_ascii_whitespace) {
                token.pop();
            }
            Ok(check(&token).map(|()| token))
        };
        if self.terminal { self.again(read) } else { Ok(read()??) }
    }

    /// Yes is what the return key says.
    pub fn confirm(&mut self, question: &str) -> Result<bool, CtlError> {
        let typed = line(&format!("{question} [Y/n] "))?;
        Ok(matches!(typed.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
    }

    fn again<T>(&self, mut once: impl FnMut() -> Result<Result<T, SetupError>, CtlError>) -> Result<T, CtlError> {
        for _ in 1..ATTEMPTS {
            match once()? {
                Ok(taken) => return Ok(taken),
                Err(error) => self.say(&format!("  {error}")),
            }
        }
        Ok(once()??)
    }
}

fn line(question: &str) -> Result<String, CtlError> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(CtlError::Typed)?;
    let mut typed = String::new();
    let read = io::Read::take(io::stdin().lock(), LONGEST).read_line(&mut typed).map_err(CtlError::Typed)?;
    if read == 0 { Err(SetupError::GivenUp.into()) } else { Ok(typed) }
}
