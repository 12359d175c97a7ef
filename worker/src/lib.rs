//! The worker: confines itself, then runs one script. One process tree per job, started before its order is known.
//!
//! ```text
//! core ── supervisor (supervise.rs) ── init, pid 1 of the sandbox (init.rs) ── the script
//! ```
//!
//! | step | file |
//! |---|---|
//! | receive the order | `order.rs` |
//! | confine, verify | `confine/`, one mechanism per file; the list of system calls is `../seccomp/list.rs` |
//! | which layer gives which guarantee | `guarantee.rs` |
//! | run, supervise | `run.rs`, `supervise.rs`, `output.rs`, `link.rs` |
//! | the script API | outside `api.rs`, inside `confine/tools.rs` and the program `bz` |
//! | a network grant | inside `confine/network.rs`, outside `relay.rs` |
//! | look at a running job | `inspect.rs`, `descendants.rs` |
//!
//! It trusts the core's order as far as `order.rs` checks it, and nothing that the script says: what it reports is the
//! kernel's word.

pub mod api;
mod cell;
mod confine;
mod descendants;
mod guarantee;
mod init;
mod inspect;
mod link;
pub mod order;
mod output;
mod probe;
mod relay;
mod report;
mod run;
mod supervise;
mod system;

use std::ffi::OsString;
use std::process::ExitCode;

/// The program: one job, over descriptor 0 or as a unit of systemd's; `--probe` says what this machine can give.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [argument] if argument == "--probe" => probe(),
        [..] => ended(run::serve(arguments.into_iter()).map_err(|error| error.to_string())),
    }
}

/// One job over descriptor 0. For `bartizan-remote`, too, which is a worker on another machine.
pub fn serve() -> ExitCode {
    ended(run::serve(std::iter::empty()).map_err(|error| error.to_string()))
}

/// Prints which layers this machine can give.
pub fn probe() -> ExitCode {
    ended(probe::print().map_err(|error| error.to_string()))
}

fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bartizan-worker: {why}");
            ExitCode::FAILURE
        }
    }
}
