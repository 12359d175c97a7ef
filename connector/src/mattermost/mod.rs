//! Everything that knows how Mattermost talks: its websocket, its JSON, its markdown.

pub mod answer;
pub mod carried;
pub mod conversation;
pub mod event;
pub mod markup;
pub mod rest;
pub mod socket;
