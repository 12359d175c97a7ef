//! `bartizan-egress`: see the library.

fn main() -> std::process::ExitCode {
    bartizan_egress::run()
}
