//! The protocol between inbox, job and outbox as a small model, checked in every order of events, crashes included.
//!
//! One command, the core, one worker, one connector, the server. What is durable has the states of [`state`](super::state); the
//! rest is lost in a crash. It is the design that is checked here: the code's own steps are checked by tests/tests/chaos.rs.

use super::state::{JobStage, PostState};
use stateright::{Checker, Model, Property};

/// What may differ between two checks.
#[derive(Debug, Clone, Copy)]
struct Protocol {
    /// Crashes of the core, at most.
    crashes: u8,
    /// The script may be started again.
    idempotent: bool,
    /// What may have been sent before is looked for before it is sent.
    looks_first: bool,
    /// The order is written down before it is given.
    writes_first: bool,
}

const REAL: Protocol = Protocol { crashes: 3, idempotent: false, looks_first: true, writes_first: true };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    // Durable.
    inbox: Option<PostState>,
    job: Option<JobStage>,
    /// A delivery in the outbox; whether it may have been sent before.
    row: Option<bool>,
    // Lost in a crash.
    up: bool,
    ordered: bool,
    runs: bool,
    /// Handed to the connector; whether it is to look first.
    handed: Option<bool>,
    /// The server has it, which is not written down yet.
    delivered: bool,
    // The world.
    old: bool,
    yes: bool,
    starts: u8,
    replies: u8,
    crashes: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    /// The post is reported, or reported once more.
    Report,
    /// Time goes by until the command is old.
    Wait,
    /// It is attested, gated and queued, or asked about.
    Decide,
    /// Its author says that it is still wanted.
    Yes,
    Start,
    Give,
    Running,
    End,
    Hand,
    /// The server gets it, and its answer arrives.
    Send,
    /// The server gets it, and its answer is lost.
    SendUnheard,
    /// The connector dies.
    Forget,
    Settle,
    Crash,
    /// A crash while a reply is on its way, which arrives.
    CrashSending,
    Recover,
}

impl State {
    fn becomes(&mut self, stage: JobStage) {
        assert!(self.job.is_none_or(|job| job.may_become(stage)), "{:?} to {stage:?}", self.job);
        self.job = Some(stage);
    }

    fn post_becomes(&mut self, state: PostState) {
        assert!(self.inbox.is_none_or(|inbox| inbox.may_become(state)), "{:?} to {state:?}", self.inbox);
        self.inbox = Some(state);
    }

    /// A reply reaches the server.
    fn arrives(&mut self, looks: bool) {
        if !looks || self.replies == 0 {
            self.replies += 1;
        }
    }

    fn crash(&mut self) {
        (self.up, self.ordered, self.runs, self.handed, self.delivered) = (false, false, false, None, false);
        self.crashes += 1;
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            inbox: None,
            job: None,
            row: None,
            up: true,
            ordered: false,
            runs: false,
            handed: None,
            delivered: false,
            old: false,
            yes: false,
            starts: 0,
            replies: 0,
            crashes: 0,
        }]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        use Action as A;
        let mut may = |action, enabled: bool| actions.extend(enabled.then_some(action));
        let up = s.up;
        may(A::Report, up && s.inbox.is_none());
        may(A::Wait, !s.old && !s.yes && s.inbox != Some(PostState::Done));
        may(A::Decide, up && s.inbox == Some(PostState::Received));
        may(A::Decide, up && s.inbox == Some(PostState::Asked) && s.yes);
        may(A::Yes, s.inbox == Some(PostState::Asked) && !s.yes);
        may(A::Start, up && s.job == Some(JobStage::Queued) && !s.ordered && !s.runs);
        may(A::Give, up && s.ordered);
        may(A::Running, up && s.runs && s.job == Some(JobStage::Starting));
        may(A::End, up && s.runs && s.job != Some(JobStage::Queued));
        may(A::Hand, up && s.row.is_some() && s.handed.is_none() && !s.delivered);
        for send in [A::Send, A::SendUnheard, A::Forget] {
            // A connector that never hears an answer is no worse than one that fails twice.
            may(send, up && s.handed.is_some() && (send == A::Send || s.replies < 2));
        }
        may(A::Settle, up && s.delivered);
        may(A::Crash, up && s.crashes < self.crashes);
        may(A::CrashSending, up && s.handed.is_some() && s.crashes < self.crashes);
        may(A::Recover, !up);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = *last;
        match action {
            Action::Report => s.post_becomes(PostState::Received),
            Action::Wait => s.old = true,
            Action::Decide if s.old && !s.yes => s.post_becomes(PostState::Asked),
            Action::Decide => {
                s.post_becomes(PostState::Done);
                s.becomes(JobStage::Queued);
            }
            Action::Yes => s.yes = true,
            Action::Start => {
                s.ordered = true;
                if self.writes_first {
                    s.becomes(JobStage::Starting);
                }
            }
            Action::Give => {
                (s.ordered, s.runs) = (false, true);
                s.starts += 1;
                if s.job == Some(JobStage::Queued) && !self.writes_first {
                    // Too late, if the core dies before.
                    return Some(s);
                }
            }
            Action::Running => s.becomes(JobStage::Running),
            Action::End => {
                s.runs = false;
                s.becomes(JobStage::Done);
                s.row = Some(false);
            }
            Action::Hand => s.handed = s.row,
            Action::Send => {
                let looks = s.handed.take() == Some(true);
                s.arrives(looks);
                s.delivered = true;
            }
            Action::SendUnheard => {
                s.arrives(s.handed == Some(true));
                s.handed = Some(self.looks_first);
            }
            // What an earlier connector was given is doubtful, for as long as this core lives.
            Action::Forget => {
                s.handed = None;
                s.row = Some(self.looks_first);
            }
            Action::Settle => (s.row, s.delivered) = (None, false),
            Action::Crash => s.crash(),
            Action::CrashSending => {
                s.arrives(s.handed == Some(true));
                s.crash();
            }
            Action::Recover => {
                s.up = true;
                if s.row.is_some() {
                    s.row = Some(self.looks_first);
                }
                if let Some(JobStage::Starting | JobStage::Running) = s.job {
                    if self.idempotent {
                        s.becomes(JobStage::Queued);
                    } else {
                        s.becomes(JobStage::Done);
                        s.row = Some(true);
                    }
                }
            }
        }
        (s != *last).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("answered once at most", |_, s: &State| s.replies <= 1),
            Property::always(
                "started once at most, and again only where the script allows it",
                |model: &Self, s: &State| s.starts <= 1 || (model.idempotent && s.starts <= 1 + s.crashes),
            ),
            Property::always("what ends is answered, or waits for its author", |model: &Self, s: &State| {
                let mut possible = Vec::new();
                model.actions(s, &mut possible);
                let stuck = possible.iter().all(|action| model.next_state(s, *action).is_none());
                !stuck || (s.replies == 1 && s.row.is_none())
            }),
            Property::sometimes("it is asked about, wanted and answered", |_, s: &State| s.yes && s.replies == 1),
            Property::sometimes("it is answered after three crashes", |_, s: &State| s.crashes == 3 && s.replies == 1),
        ]
    }
}

fn check(protocol: Protocol) -> impl Checker<Protocol> {
    protocol.checker().spawn_bfs().join()
}

#[test]
fn in_no_order_of_events_and_crashes_is_a_command_lost_or_doubled() {
    let checked = check(REAL);
    checked.assert_properties();
    assert!(checked.unique_state_count() > 200, "{}", checked.unique_state_count());
}

#[test]
fn a_script_that_may_be_started_again_is_and_its_command_is_answered_once() {
    check(Protocol { idempotent: true, ..REAL }).assert_properties();
}

#[test]
fn the_model_notices_a_reply_that_is_sent_again_unseen() {
    let checked = check(Protocol { looks_first: false, ..REAL });
    assert!(checked.discovery("answered once at most").is_some());
}

#[test]
fn the_model_notices_an_order_that_is_given_before_it_is_written_down() {
    let checked = check(Protocol { writes_first: false, ..REAL });
    assert!(checked.discovery("started once at most, and again only where the script allows it").is_some());
}
