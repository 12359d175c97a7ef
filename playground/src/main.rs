//! `bartizan-playground`: calls its library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_playground::command::main()
}
