//! connector ↔ egress: the carried websocket.
//!
//! Egress connects, authenticates and upgrades; after the 101 it carries the server's bytes as they come. From the
//! connector it passes on only control frames: ping, pong and close, masked, as RFC 6455 has them.

use crate::bounded::{Bytes, Text};
use crate::limits::{MAX_CARRIED, MAX_REASON};
use serde::{Deserialize, Serialize};

/// One attempt to connect, numbered by the connector. Bytes of an older one are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt(pub u32);

/// Where to go on: `?connection_id=&sequence_number=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// From the server's hello.
    pub connection: Text<64>,
    /// The last sequence number seen, plus one.
    pub sequence: u64,
}

/// What the connector asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToCarrier {
    /// Close what is open, and connect.
    Open {
        /// Its number.
        attempt: Attempt,
        /// Where to go on, if anywhere.
        resume: Option<Resume>,
    },
    /// Bytes for the server: whole control frames only.
    Data {
        /// On which connection.
        attempt: Attempt,
        /// The frames.
        bytes: Bytes<MAX_CARRIED>,
    },
    /// Drop the connection.
    Close {
        /// Which.
        attempt: Attempt,
    },
}

/// What egress says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromCarrier {
    /// The server answered 101.
    Opened {
        /// Which.
        attempt: Attempt,
    },
    /// It could not be opened.
    Refused {
        /// Which.
        attempt: Attempt,
        /// The HTTP status, 0 where there was none.
        status: u16,
        /// From `Retry-After`, in ms.
        retry_after_ms: Option<u32>,
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
    },
    /// Bytes of the server.
    Data {
        /// On which connection.
        attempt: Attempt,
        /// As they came.
        bytes: Bytes<MAX_CARRIED>,
    },
    /// The connection is gone.
    Closed {
        /// Which.
        attempt: Attempt,
        /// Why, without anything secret.
        why: Text<MAX_REASON>,
    },
}
