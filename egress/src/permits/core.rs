//! What the core may say to egress.

use super::Permit;
use bartizan_proto::egress::ToEgress;

/// How far the link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is known yet, nothing is confined.
    Setup,
    /// Set up and confined.
    Serving,
}

/// The kinds of [`ToEgress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`ToEgress::Setup`].
    Setup,
    /// [`ToEgress::Attach`].
    Attach,
    /// [`ToEgress::Attest`].
    Attest,
    /// [`ToEgress::Protected`].
    Protected,
    /// [`ToEgress::Protect`].
    Protect,
    /// [`ToEgress::Token`].
    Token,
}

/// The kind of a message.
pub fn kind(message: &ToEgress) -> Kind {
    match message {
        ToEgress::Setup(_) => Kind::Setup,
        ToEgress::Attach => Kind::Attach,
        ToEgress::Attest { .. } => Kind::Attest,
        ToEgress::Protected { .. } => Kind::Protected,
        ToEgress::Protect(_) => Kind::Protect,
        ToEgress::Token(_) => Kind::Token,
    }
}

/// The table.
pub fn permits(phase: Phase, kind: Kind) -> Permit {
    match (phase, kind) {
        (Phase::Setup, Kind::Setup) => Permit::Once,
        (Phase::Setup, Kind::Attach | Kind::Attest | Kind::Protected | Kind::Protect | Kind::Token) => Permit::Deny,
        (Phase::Serving, Kind::Setup) => Permit::Deny,
        (Phase::Serving, Kind::Attach | Kind::Attest | Kind::Protected | Kind::Protect | Kind::Token) => Permit::Allow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_comes_first_and_once() {
        assert_eq!(permits(Phase::Setup, Kind::Setup), Permit::Once);
        assert_eq!(permits(Phase::Serving, Kind::Setup), Permit::Deny);
        for kind in [Kind::Attach, Kind::Attest, Kind::Protected, Kind::Protect, Kind::Token] {
            assert_eq!(permits(Phase::Setup, kind), Permit::Deny);
            assert_eq!(permits(Phase::Serving, kind), Permit::Allow);
        }
    }
}
