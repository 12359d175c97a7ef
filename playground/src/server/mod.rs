//! An embedded Mattermost-compatible server: REST v4 and websocket, in memory, on loopback, for `make demo` and
//! the tests. It answers as the real one does (tried on 5.37), quirks included, and breaks on order.
//!
//! It decides nothing for Bartizan and trusts nobody it talks to; whoever holds a [`Server`] may do anything to
//! it. It runs on a thread of its own, so that a test or a prompt may block.

mod actions;
mod answer;
mod bots;
mod caller;
mod channels;
mod clock;
mod conversations;
mod drafts;
mod edits;
mod faults;
mod files;
mod gateway;
mod groups;
mod handle;
mod hooks;
mod hub;
mod ids;
mod listen;
mod listing;
mod members;
mod mentions;
mod options;
mod posts;
mod reactions;
mod roles;
mod routes;
mod run;
mod state;
mod statuses;
mod system;
mod teams;
mod timer;
mod tls;
mod users;
mod websocket;

pub use channels::Kind as ChannelKind;
pub use faults::{Aim, Fault, UnknownFault};
pub use handle::Server;
pub use options::{Options, RateLimit, ServiceTimes};
pub use state::Counts;
pub use users::{UserOptions, password_of};
