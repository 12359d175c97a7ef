//! `bartizan-broker`: the service. Everything is in the library.

use std::process::ExitCode;

/// The core handles keys and secrets: what is freed is zeroed.
#[global_allocator]
static HEAP: bartizan_secret::WipingHeap = bartizan_secret::WipingHeap;

fn main() -> ExitCode {
    bartizan_broker::startup::run(std::env::args_os(), bartizan_broker::core::run)
}
