//! `bartizan`: the operator's command. Everything is in the library.

use std::process::ExitCode;

/// What is typed into it may be a secret: what is freed is zeroed.
#[global_allocator]
static HEAP: bartizan_secret::WipingHeap = bartizan_secret::WipingHeap;

fn main() -> ExitCode {
    bartizan_ctl::run()
}
