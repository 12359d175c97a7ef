//! Commands: what a person asked for.

pub mod parse;
