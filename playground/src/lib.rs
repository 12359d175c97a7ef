//! An embedded Mattermost-compatible server, a chat prompt and a transcript runner: `make demo` and the tests use
//! them; nothing of it is ever installed.

#![forbid(unsafe_code)]

pub mod cast;
pub mod client;
pub mod command;
pub mod prompt;
pub mod server;
pub mod service;
pub mod transcript;
