//! The program `bz`: the script API as a command. See `lib.rs`.

fn main() -> std::process::ExitCode {
    bartizan_bz::main()
}
