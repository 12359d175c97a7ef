//! What the connector may say about the carried websocket.

use super::Permit;
use bartizan_proto::carrier::ToCarrier;

/// How far this socket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was ever opened on it.
    Fresh,
    /// Something was. Messages about an attempt that has ended meanwhile are allowed, and passed over.
    Opened,
}

/// The kinds of [`ToCarrier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`ToCarrier::Open`].
    Open,
    /// [`ToCarrier::Data`].
    Data,
    /// [`ToCarrier::Close`].
    Close,
}

/// The kind of a message.
pub fn kind(message: &ToCarrier) -> Kind {
    match message {
        ToCarrier::Open { .. } => Kind::Open,
        ToCarrier::Data { .. } => Kind::Data,
        ToCarrier::Close { .. } => Kind::Close,
    }
}

/// The table.
pub fn permits(phase: Phase, kind: Kind) -> Permit {
    match (phase, kind) {
        (Phase::Fresh | Phase::Opened, Kind::Open) => Permit::Allow,
        (Phase::Fresh, Kind::Data | Kind::Close) => Permit::Deny,
        (Phase::Opened, Kind::Data | Kind::Close) => Permit::Allow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_said_about_a_connection_before_one_was_opened() {
        assert_eq!(permits(Phase::Fresh, Kind::Open), Permit::Allow);
        for kind in [Kind::Data, Kind::Close] {
            assert_eq!(permits(Phase::Fresh, kind), Permit::Deny);
            assert_eq!(permits(Phase::Opened, kind), Permit::Allow);
        }
    }
}
