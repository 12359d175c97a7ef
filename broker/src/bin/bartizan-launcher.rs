//! `bartizan-launcher`: starts, kills and reaps on the core's order. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_broker::launcher::run(std::env::args_os())
}
