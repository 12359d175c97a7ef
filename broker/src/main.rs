//! `bartizan-broker`: the service. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_broker::startup::run(std::env::args_os(), bartizan_broker::core::run)
}
