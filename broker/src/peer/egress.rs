//! Egress: holds the token, answers questions. It reads the server's answers, so what it says is bounded and typed, and
//! believed: it is what attestation rests on.

use super::{Event, Permit};
use crate::core::{Core, CoreError};
use crate::supervise::State;
use bartizan_proto::Role;
use bartizan_proto::egress::{FromEgress, ToEgress};
use bartizan_proto::launcher::ChildId;

/// Where the conversation with egress is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It was given the server and the token.
    Starting,
    /// The server answered.
    Ready,
    /// The server answered, and does not now; answers to older questions may still come.
    Unready,
}

/// What it can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server answered.
    Ready,
    /// The server does not answer.
    Unready,
    /// The answer to a question.
    Attested,
    /// What became of a protected write.
    Protected,
    /// The connector was dropped.
    Dropped,
    /// What became of a new token.
    TokenChecked,
}

/// The kind of a message.
pub fn kind(message: &FromEgress) -> Kind {
    match message {
        FromEgress::Ready(_) => Kind::Ready,
        FromEgress::Unready { .. } => Kind::Unready,
        FromEgress::Attested { .. } => Kind::Attested,
        FromEgress::Protected { .. } => Kind::Protected,
        FromEgress::Dropped { .. } => Kind::Dropped,
        FromEgress::TokenChecked(_) => Kind::TokenChecked,
    }
}

/// May egress say this now?
pub fn permits(phase: Phase, kind: Kind) -> Permit {
    match (phase, kind) {
        (Phase::Starting, Kind::Ready) => Permit::Once,
        // A token that the server does not know is replaced before it was ever ready.
        (Phase::Starting, Kind::Unready | Kind::TokenChecked) => Permit::Allow,
        (Phase::Starting, Kind::Attested | Kind::Protected) => Permit::Deny,
        // A connector that ran already is attached before the server has answered this egress.
        (Phase::Starting, Kind::Dropped) => Permit::Allow,
        (Phase::Ready, Kind::Ready) => Permit::Deny,
        (Phase::Unready, Kind::Ready) => Permit::Once,
        (
            Phase::Ready | Phase::Unready,
            Kind::Unready | Kind::Attested | Kind::Protected | Kind::Dropped | Kind::TokenChecked,
        ) => Permit::Allow,
    }
}

impl Core {
    /// Egress speaks.
    pub(crate) fn on_egress(&mut self, child: ChildId, event: Event<FromEgress>) -> Result<(), CoreError> {
        if self.supervisor.egress.child != child {
            return Ok(());
        }
        let message = match event {
            Event::Greeted => return self.equip_egress(),
            Event::Gone(why) => return self.end_peer(Role::Egress, &why),
            Event::Broke(how) => return self.drop_peer(Role::Egress, &how),
            Event::Said(message) => message,
        };
        let phase = match self.supervisor.egress.state {
            State::Running => Phase::Ready,
            State::Paused => Phase::Unready,
            State::Down | State::Starting | State::Greeted => Phase::Starting,
        };
        if permits(phase, kind(&message)) == Permit::Deny {
            return self.drop_peer(Role::Egress, "it said what it may not say now");
        }
        match message {
            FromEgress::Ready(ready) => {
                self.supervisor.egress.state = State::Running;
                self.supervisor.egress.note.clear();
                self.on_ready(ready)
            }
            FromEgress::Unready { why, retry_ms } => {
                tracing::warn!(%why, retry_ms, "the server cannot be used");
                if self.supervisor.egress.state == State::Running {
                    self.supervisor.egress.state = State::Paused;
                }
                self.supervisor.egress.note = format!("the server cannot be used: {why}");
                Ok(())
            }
            FromEgress::Attested { question, outcome } => self.on_answer(question, outcome),
            FromEgress::Protected { write, outcome } => self.on_protected(write, outcome),
            FromEgress::Dropped { session, why } => {
                // An older connector is gone already.
                if session == self.supervisor.attached { self.drop_connector(&why) } else { Ok(()) }
            }
            FromEgress::TokenChecked(verdict) => self.on_token_checked(verdict),
        }
    }

    /// Egress said who it is: lend it what it needs. Before the sandbox was tried out nobody has the token: nothing can bring a
    /// command to a service that may not run any.
    pub(crate) fn equip_egress(&mut self) -> Result<(), CoreError> {
        self.supervisor.egress.state = State::Greeted;
        if self.jobs.trying.is_some() {
            self.supervisor.egress.note = "waits for the sandbox to be tried out".to_owned();
            return Ok(());
        }
        self.supervisor.egress.note = "waits for the server".to_owned();
        match self.egress_setup() {
            Ok(setup) => self.supervisor.say(Role::Egress, &ToEgress::Setup(Box::new(setup)), Vec::new())?,
            Err(why) => return self.drop_peer(Role::Egress, &why),
        }
        // Before any connector is attached: what it must leave alone.
        self.protect_again()?;
        // A connector that runs already gets new ends to it; one that does not gets them when it begins.
        if self.supervisor.connector_running() { self.attach() } else { Ok(()) }
    }
}
