//! A worker: one order, then what came of it. What a script prints and calls is all that it can choose.

use super::Permit;
use bartizan_proto::worker::FromWorker;

/// Where the conversation with a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for its order.
    Idle,
    /// It has its order.
    Ordered,
    /// It said that the script runs.
    Running,
    /// It said how it ended.
    Over,
}

/// What it can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The script runs.
    Running,
    /// Nothing was run.
    Refused,
    /// Output.
    Output,
    /// The answer to an inspection.
    Inspected,
    /// A call of the script.
    Call,
    /// Who made one is gone.
    Hangup,
    /// The script sends no calls but garbage.
    Misused,
    /// It is over.
    Finished,
}

/// The kind of a message.
pub fn kind(message: &FromWorker) -> Kind {
    match message {
        FromWorker::Running { .. } => Kind::Running,
        FromWorker::Refused { .. } => Kind::Refused,
        FromWorker::Output(_) => Kind::Output,
        FromWorker::Inspected { .. } => Kind::Inspected,
        FromWorker::Call { .. } => Kind::Call,
        FromWorker::Hangup(_) => Kind::Hangup,
        FromWorker::Misused(_) => Kind::Misused,
        FromWorker::Finished { .. } => Kind::Finished,
    }
}

/// May a worker say this now?
pub fn permits(phase: Phase, kind: Kind) -> Permit {
    match (phase, kind) {
        (
            Phase::Idle | Phase::Over,
            Kind::Running
            | Kind::Refused
            | Kind::Output
            | Kind::Inspected
            | Kind::Finished
            | Kind::Call
            | Kind::Hangup
            | Kind::Misused,
        ) => Permit::Deny,
        (Phase::Ordered, Kind::Running | Kind::Refused) => Permit::Once,
        (
            Phase::Ordered,
            Kind::Output | Kind::Inspected | Kind::Finished | Kind::Call | Kind::Hangup | Kind::Misused,
        ) => Permit::Deny,
        (Phase::Running, Kind::Running | Kind::Refused) => Permit::Deny,
        (Phase::Running, Kind::Output | Kind::Inspected | Kind::Call | Kind::Hangup) => Permit::Allow,
        (Phase::Running, Kind::Finished | Kind::Misused) => Permit::Once,
    }
}
