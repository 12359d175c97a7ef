//! The program `bartizan-driver`: what a job of the backends `ansible` and `slurm` is. See `lib.rs`.

fn main() -> std::process::ExitCode {
    bartizan_driver::main()
}
