//! The one process of Bartizan that speaks to the Mattermost server, and the only one that holds the bot's token.
//!
//! It decides nothing about people. It makes typed calls for the connector ([`verbs`]), carries the websocket's bytes
//! to it ([`carrier`]), tells the core what the server itself says about a post, a user or a channel ([`attest`]), and
//! writes the core's own posts, which the connector cannot change ([`protected`]).
//! It trusts the core, and the server as far as its certificate goes; the connector it does not trust at all.
//!
//! | what | file |
//! |---|---|
//! | from `main` to the first message, as a list | [`startup`] |
//! | the core's socket, and who may say what when | [`link`], [`permits`] |
//! | another token while it runs | [`rotate`] |
//! | the token, and keeping it out of everything that leaves | [`token`], [`scrub`] |
//! | one request to the server, and how many of them | [`server`], [`proxy`], [`http`], [`pace`], [`answers`] |
//! | is the server there, and who is the bot | [`verify`], [`backoff`] |
//! | the connector's two sockets | [`session`], [`verbs`], [`carrier`] |
#![deny(unsafe_code)]

pub mod answers;
pub mod attest;
pub mod backoff;
pub mod cache;
pub mod carrier;
mod groups;
pub mod http;
pub mod link;
pub mod pace;
pub mod permits;
pub mod protected;
pub mod proxy;
mod rights;
mod rotate;
pub mod scrub;
pub mod server;
pub mod session;
pub mod startup;
pub mod token;
pub mod verbs;
pub mod verify;

pub use startup::run;
