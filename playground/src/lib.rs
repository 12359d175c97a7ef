//! An embedded Mattermost-compatible server, a chat prompt and a transcript runner: `make demo` and the tests use
//! them; nothing of it is ever installed.

#![forbid(unsafe_code)]

pub mod cast;
pub mod server;
