//! What the tests over real processes share, and the program behind `make bench`.
#![forbid(unsafe_code)]

pub mod bench;
pub mod chaos;
pub mod house;
pub mod installed;
pub mod remote;
pub mod terminal;
