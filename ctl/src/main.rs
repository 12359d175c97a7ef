//! `bartizan`: the operator's command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_ctl::run()
}
