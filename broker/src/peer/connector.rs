//! The connector: reads chat, holds nothing. What it reports is a claim until egress attested it.

use super::{Event, Permit};
use crate::core::{Core, CoreError};
use crate::supervise::State;
use bartizan_proto::Role;
use bartizan_proto::connector::FromConnector;
use bartizan_proto::launcher::ChildId;

/// Where the conversation with the connector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has not been told to begin.
    Starting,
    /// It reads chat.
    Running,
}

/// What it can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The websocket is up.
    Connected,
    /// The websocket is down.
    Disconnected,
    /// A post.
    Post,
    /// A reaction.
    Reaction,
    /// That reactions may have been missed.
    ReactionsMissed,
    /// A cursor.
    Seen,
    /// A delivery ended.
    Delivered,
}

/// The kind of a message.
pub fn kind(message: &FromConnector) -> Kind {
    match message {
        FromConnector::Connected { .. } => Kind::Connected,
        FromConnector::Disconnected { .. } => Kind::Disconnected,
        FromConnector::Post(_) => Kind::Post,
        FromConnector::Reaction(_) => Kind::Reaction,
        FromConnector::ReactionsMissed => Kind::ReactionsMissed,
        FromConnector::Seen(_) => Kind::Seen,
        FromConnector::Delivered { .. } => Kind::Delivered,
    }
}

/// May the connector say this now?
pub fn permits(phase: Phase, kind: Kind) -> Permit {
    match (phase, kind) {
        (
            Phase::Starting,
            Kind::Connected
            | Kind::Disconnected
            | Kind::Post
            | Kind::Reaction
            | Kind::ReactionsMissed
            | Kind::Seen
            | Kind::Delivered,
        ) => Permit::Deny,
        (
            Phase::Running,
            Kind::Connected
            | Kind::Disconnected
            | Kind::Post
            | Kind::Reaction
            | Kind::ReactionsMissed
            | Kind::Seen
            | Kind::Delivered,
        ) => Permit::Allow,
    }
}

impl Core {
    /// The connector speaks.
    pub(crate) fn on_connector(&mut self, child: ChildId, event: Event<FromConnector>) -> Result<(), CoreError> {
        if self.supervisor.connector.child != child || self.supervisor.connector.link.is_none() {
            return Ok(());
        }
        let message = match event {
            Event::Greeted => {
                self.supervisor.connector.state = State::Greeted;
                self.supervisor.connector.note = "waits for egress".to_owned();
                return self.introduce_connector();
            }
            Event::Gone(why) => return self.end_peer(Role::Connector, &why),
            Event::Broke(how) => return self.drop_connector(&how),
            Event::Said(message) => message,
        };
        let phase = match self.supervisor.connector.state {
            State::Running => Phase::Running,
            State::Down | State::Starting | State::Greeted | State::Paused => Phase::Starting,
        };
        if permits(phase, kind(&message)) == Permit::Deny {
            return self.drop_connector("it said what it may not say now");
        }
        match message {
            FromConnector::Connected { resumed } => {
                tracing::info!(resumed, "connected");
                self.supervisor.connected = true;
                self.supervisor.connector.note.clear();
                // What was reacted to meanwhile was not heard of.
                self.look_at_approvals()
            }
            FromConnector::Disconnected { why, retry_ms } => {
                tracing::warn!(%why, retry_ms, "disconnected");
                self.supervisor.connected = false;
                self.supervisor.connector.note = format!("not connected: {why}");
                Ok(())
            }
            FromConnector::Post(report) => self.on_post(report),
            FromConnector::Reaction(reaction) => {
                self.on_reacted(reaction.post)?;
                self.on_stop_reaction(&reaction)?;
                self.on_reaction(&reaction)
            }
            FromConnector::ReactionsMissed => {
                self.look_at_live_posts()?;
                self.look_at_all_questions()
            }
            FromConnector::Seen(cursor) => self.channel_seen(cursor),
            FromConnector::Delivered { delivery, outcome } => self.on_delivered(delivery, &outcome),
        }
    }
}
