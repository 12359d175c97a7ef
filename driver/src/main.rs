//! The program `bartizan-driver`: what a job of the backend `ansible` is. See `lib.rs`.

fn main() -> std::process::ExitCode {
    bartizan_driver::main()
}
