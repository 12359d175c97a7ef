//! The operator's command: asks the core over its control socket and prints the answer, for people or as JSON.
//!
//! It has no rights of its own: what it may ask is decided by the core, by the uid at this end of the socket. It trusts
//! the core for the truth of an answer, and nothing in it for the terminal: every text is made printable first.
#![forbid(unsafe_code)]

pub mod arguments;
mod ask;
mod audit;
mod brain;
mod bundle;
mod commands;
mod exit;
pub mod http;
mod installation;
mod metrics;
mod page;
mod prompt;
mod restart;
mod script;
mod selinux;
mod serving;
mod setup;
pub mod show;
mod siblings;
mod tail;
mod top;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command that stands in the arguments. Wrong usage is reported by the parser, with exit code 2.
pub fn run() -> ExitCode {
    match commands::run(&arguments::Arguments::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let _nobody_reads = writeln!(std::io::stderr(), "bartizan: {error}");
            error.exit().into()
        }
    }
}
