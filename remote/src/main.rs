//! The program `bartizan-remote`; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_remote::main()
}
