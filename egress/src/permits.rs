//! Who may say what, and when. Each table is a pure function; what it does not allow ends the peer.
//!
//! The first frame of every socket, the version, is checked before a table is asked. The connector's socket of verbs
//! has no phases: after the first frame each call is allowed, and `verbs/request.rs` says which calls there are.

pub mod carrier;
pub mod core;

/// What a table says to one kind of message in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Never here: the peer is dropped.
    Deny,
    /// One; it ends the phase.
    Once,
    /// Any number.
    Allow,
}
