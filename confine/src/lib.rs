//! How Bartizan's processes give up what they do not need. Nothing here knows what a process is for beyond its role.
//!
//! | module | what it takes away |
//! |---|---|
//! | [`process`] | core dumps, tracing, new privileges, inherited descriptors; what every process does first |
//! | [`daemon`] | everything else that a daemon's role does not need: one call, the last step of its start |
//! | [`files`] | Landlock: files, TCP ports, signals and abstract sockets |
//! | [`filter`] | seccomp: lists of system calls, compiled and loaded |
//! | [`memory`] | pages that nobody uses, after a busy time |
//! | [`readback`] | what the kernel says is in force |
//!
//! [`unit`] takes nothing away: it is how a process begins, be it the launcher's child or a unit of systemd's.
//!
//! The worker builds its own, stricter sandbox from [`filter`], [`readback`] and [`process`].

pub mod daemon;
pub mod files;
pub mod filter;
pub mod memory;
pub mod process;
pub mod readback;
mod roles;
mod system;
pub mod unit;

pub use daemon::{ConfineError, Confinement, confine};
