//! The command line of `bartizan audit`.

use crate::http::listen::Place;
use bartizan_proto::ids::JobId;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every signature, the chain and the numbers; name the first line that is not as it was written
    Verify {
        /// The log, or one of its files; without it that of the running service
        file: Option<PathBuf>,
        /// The public key that must have signed it: base64, or a file with it
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A file with checkpoints that a witness kept (a journal, a channel's copy); may be given again
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
    },
    /// Show the last lines
    Show {
        /// The log, or one of its files; without it that of the running service
        file: Option<PathBuf>,
        /// How many
        #[arg(short = 'n', long, default_value_t = 50)]
        last: usize,
        #[command(flatten)]
        filter: Filter,
    },
    /// Show lines as they are written
    Follow {
        /// The log; without it that of the running service
        file: Option<PathBuf>,
        /// How many of the last ones first
        #[arg(short = 'n', long, default_value_t = 10)]
        last: usize,
        #[command(flatten)]
        filter: Filter,
    },
    /// Write the log as JSON or CSV to standard output
    Export {
        /// The log, or one of its files; without it that of the running service
        file: Option<PathBuf>,
        /// In which form
        #[arg(long, value_enum, default_value_t = Format::Json)]
        format: Format,
        #[command(flatten)]
        filter: Filter,
    },
    /// Take old lines away; a signed stub stays in their place
    Prune {
        /// Lines older than this, like 90d, 12w or 48h
        #[arg(long, value_name = "AGE")]
        older_than: Age,
    },
    /// Sign with another key from now on; the old one says so in the log, and is gone
    RotateKey,
    /// Serve a page that shows who ran what, when, and what became of it: read-only, on this host
    #[command(after_help = "Example: bartizan audit serve    then open http://127.0.0.1:9465/\n\
                            From another machine: ssh -L 9465:127.0.0.1:9465 HOST")]
    Serve {
        /// At this loopback address, or at a Unix socket of this path
        #[arg(long, value_name = "ADDRESS:PORT|PATH", default_value = "127.0.0.1:9465")]
        listen: Place,
        /// Answer to this host name, too: for a proxy in front of it. May be said several times
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
    },
    /// Hand each line on to syslog (RFC 5424) or journald, and go on until stopped
    Forward {
        /// The log; without it that of the running service
        file: Option<PathBuf>,
        /// Whom to
        #[arg(long, value_enum)]
        to: Target,
        /// Its Unix datagram socket, where it is not the usual one
        #[arg(long, value_name = "PATH")]
        address: Option<PathBuf>,
        /// A file that keeps the number of the last line handed on, to go on after it
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        /// Begin with the first line, where there is no such number
        #[arg(long)]
        from_start: bool,
    },
}

/// Which lines.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Of this user, or by them: a name or an id
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Of this kind: decision, job-start, job-end, person-change, ban, …
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// About this job
    #[arg(long, value_name = "JOB")]
    pub job: Option<JobId>,
    /// Not older than this, like 24h or 7d
    #[arg(long, value_name = "AGE")]
    pub since: Option<Age>,
}

/// Forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One array
    Json,
    /// One row a line, safe for a spreadsheet
    Csv,
}

/// Who takes lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// RFC 5424, to /dev/log
    Syslog,
    /// Its native fields, to /run/systemd/journal/socket
    Journald,
}

/// An age: `90d`, `12w`, `48h`. A day has 24 hours here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// In seconds.
    pub seconds: u64,
    /// As it was written.
    pub text: String,
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is no age: write it like 90d, 12w or 48h");
        let span: jiff::Span = text.parse().map_err(|_| bad())?;
        let seconds = span.total((jiff::Unit::Second, jiff::SpanRelativeTo::days_are_24_hours())).map_err(|_| bad())?;
        // 1000 years: more is a slip, and would not fit a time.
        if !(0.0..=31_536_000_000.0).contains(&seconds) || text.starts_with('-') {
            return Err(bad());
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the limit above")]
        Ok(Self { seconds: seconds as u64, text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_with_a_unit_and_not_in_the_future() {
        let age = |text: &str| text.parse::<Age>().map(|age| age.seconds).ok();
        assert_eq!(age("90d"), Some(90 * 86_400));
        assert_eq!(age("2w"), Some(14 * 86_400));
        assert_eq!(age("48h"), Some(2 * 86_400));
        assert_eq!(age("0s"), Some(0));
        for bad in ["", "90", "-1d", "1d ago", "forever", "99999999999999999999d", "2000000000d"] {
            assert_eq!(age(bad), None, "{bad}");
        }
    }
}
