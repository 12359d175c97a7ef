//! placeholder
pub mod argument;
pub mod command;
pub mod config;
