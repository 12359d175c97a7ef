//! The program `bartizan-worker`; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_worker::main()
}
