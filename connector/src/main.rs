//! The program `bartizan-connector`; everything is in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    bartizan_connector::main()
}
