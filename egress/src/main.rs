//! `bartizan-egress`: see the library.

/// Egress handles the token: what is freed is zeroed.
#[global_allocator]
static HEAP: bartizan_secret::WipingHeap = bartizan_secret::WipingHeap;

fn main() -> std::process::ExitCode {
    bartizan_egress::run()
}
