//! Jobs on other machines, through OpenSSH. One program with two sides:
//!
//! ```text
//! core ── worker's sandbox: `bartizan-remote run` ── ssh, one a target ══ sshd ── `bartizan-remote serve` ── sandbox: the script
//! ```
//!
//! | step | file |
//! |---|---|
//! | **far**: a forced command takes one order, verifies it, has it carried out | `serve.rs` |
//! | what an order must be | `order.rs` |
//! | none is carried out twice | `used.rs` |
//! | the sandbox: the worker's own, in a process of this program | the package `worker` |
//! | **near**: the plan, the keys, canaries, fan-out | `run.rs`, `fleet.rs` |
//! | one target: OpenSSH's client with everything pinned | `ssh.rs`, `host.rs` |
//! | its agent: lists keys, signs log-ins, nothing else | `agent.rs` |
//! | what people read of it | `report.rs` |
//!
//! The far side trusts the keys in one file that root put there, and nothing that comes over SSH besides. The near side trusts its
//! plan, and believes of a target no more than that it says so.

pub mod agent;
pub mod fleet;
pub mod host;
pub mod order;
pub mod report;
pub mod run;
pub mod serve;
pub mod ssh;
mod system;
pub mod used;

use std::ffi::OsString;
use std::process::ExitCode;

/// How it is used.
const USAGE: &str = "usage: bartizan-remote serve --target NAME --broker-key FILE --state DIRECTORY
       bartizan-remote probe
       bartizan-remote run";

/// The program. `run` is for Bartizan's core alone, `serve` for `authorized_keys`; `probe` says what this machine's kernel can give.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let verb = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    match (verb.to_str(), rest.is_empty()) {
        (Some("serve"), _) => match serve::Options::parse(&rest) {
            Ok(options) => serve::serve(&options),
            Err(why) => usage(&why),
        },
        (Some("run"), true) => run::run(),
        (Some("worker"), true) => bartizan_worker::serve(),
        (Some("probe"), true) => bartizan_worker::probe(),
        (Some("--version"), true) => {
            println!(
                "bartizan-remote {} (orders of format {})",
                env!("CARGO_PKG_VERSION"),
                bartizan_proto::remote::FORMAT
            );
            ExitCode::SUCCESS
        }
        (Some("--help"), true) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        (Some(_) | None, _) => usage("there is no such command"),
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("bartizan-remote: {why}\n{USAGE}");
    ExitCode::from(2)
}
