//! `make bench`: calls the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bartizan_tests::bench::main()
}
