//! One target per reader of untrusted bytes, and a small engine that runs them on the stable toolchain.
//!
//! `cargo test -p bartizan-fuzz` runs each for two seconds; `FUZZ_SECONDS=600` for longer. What fails prints its input and
//! a line `FUZZ_SEED=…` that repeats exactly that input. For coverage guidance, a target is one line under cargo-fuzz:
//! `fuzz_target!(|data: &[u8]| bartizan_fuzz::targets::event::target(data));`
//!
//! A target gets arbitrary bytes and must return. Beyond that each asserts what its reader promises; a broken promise is
//! a panic.
#![forbid(unsafe_code)]

pub mod engine;
pub mod mutate;
pub mod targets;
