//! The broker's only `unsafe` code: one system call per safe wrapper, for those that no well-kept crate wraps safely.
#![allow(unsafe_code, reason = "the one place for it (STYLE.md 8); every use says why it is sound")]

pub mod environment;
pub mod peer;
pub mod process;
pub mod signals;
