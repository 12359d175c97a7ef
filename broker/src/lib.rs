//! Bartizan's core, which decides, and its launcher, which starts and kills: two programs of one package, each its own
//! executable.
//!
//! The way of a command through these files is the table in docs/architecture.md.

pub mod approvals;
pub mod argument;
pub mod audit;
pub mod brain;
pub mod command;
pub mod config;
pub mod context;
pub mod core;
pub mod elevation;
pub mod gate;
pub mod job;
pub mod launcher;
pub mod metrics;
pub mod oddity;
pub mod output;
pub mod peer;
pub mod people;
pub mod policy;
pub mod startup;
pub mod store;
pub mod supervise;
pub mod system;
pub mod words;
