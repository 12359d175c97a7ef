//! Keeps egress and the connector running: starts them, gives them their ends, starts them again with a growing delay.
//!
//! The core makes every socket pair. The first channel of a process travels with the launcher's order; the ends of
//! verbs and carrier follow on that channel, to both sides, whenever one of the two is new.

use crate::audit::Record;
use crate::core::{Core, CoreError, Input, Timer, Topic};
use crate::peer::launcher::Which;
use crate::peer::{Link, Outgoing};
use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{Start, ToConnector};
use bartizan_proto::egress::{QuestionId, Subject, ToEgress};
use bartizan_proto::launcher::{ChildId, ToLauncher};
use bartizan_proto::{Role, Text};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The delay before a start is tried again grows from the first to the second.
const DELAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A process that ran this long has recovered: the next delay is the shortest again.
const RECOVERED: Duration = Duration::from_secs(60);

/// So many ends in a row are a crash loop: admins and `bartizan status` are told, and it is tried again every 30 s.
const CRASH_LOOP: u32 = 5;

/// A process says who it is within this time, or is killed.
const GREETING: Duration = Duration::from_secs(10);

/// Where one of the two is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for its next start.
    Down,
    /// Ordered, and silent so far.
    Starting,
    /// Said who it is.
    Greeted,
    /// Egress: the server answered before, and does not now.
    Paused,
    /// Egress: the server answered. Connector: was told to begin.
    Running,
}

/// Egress or the connector, as the core sees it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    pub(crate) child: ChildId,
    pub(crate) link: Option<Link>,
    pub(crate) pid: u32,
    pub(crate) since: Instant,
    pub(crate) restarts: u64,
    pub(crate) failures: u32,
    pub(crate) note: String,
}

impl Slot {
    fn new() -> Self {
        Slot {
            state: State::Down,
            child: ChildId(0),
            link: None,
            pid: 0,
            since: Instant::now(),
            restarts: 0,
            failures: 0,
            note: String::new(),
        }
    }
}

/// The two processes and the two launchers.
#[derive(Debug)]
pub struct Supervisor {
    service: Link,
    egress_launcher: Link,
    pub(crate) egress: Slot,
    pub(crate) connector: Slot,
    children: u64,
    questions: u64,
    /// How often this egress was given a connector.
    pub(crate) attached: u32,
    pub(crate) connected: bool,
}

/// What `status` says of a process.
#[derive(Debug)]
pub struct Seen {
    /// Its pid; 0 while it does not run.
    pub pid: u32,
    /// How long it has been as it is.
    pub since: Instant,
    /// How often it was started again.
    pub restarts: u64,
    /// What it waits for.
    pub note: String,
}

impl Supervisor {
    /// With both launchers' links open.
    pub fn new(service: Link, egress_launcher: Link) -> Self {
        Supervisor {
            service,
            egress_launcher,
            egress: Slot::new(),
            connector: Slot::new(),
            children: 0,
            questions: 0,
            attached: 0,
            connected: false,
        }
    }

    /// A number for a new process.
    pub fn next_child(&mut self) -> ChildId {
        self.children += 1;
        ChildId(self.children)
    }

    /// Whether egress answers questions.
    pub fn egress_ready(&self) -> bool {
        self.egress.state == State::Running
    }

    /// Whether the connector takes deliveries.
    pub fn connector_running(&self) -> bool {
        self.connector.state == State::Running
    }

    /// Whether the websocket is up.
    pub fn is_connected(&self) -> bool {
        self.connected && self.connector_running()
    }

    /// What is known of egress or the connector.
    pub fn seen(&self, role: Role) -> Option<Seen> {
        let slot = self.slot(role)?;
        let pid = if slot.state == State::Down { 0 } else { slot.pid };
        Some(Seen { pid, since: slot.since, restarts: slot.restarts, note: slot.note.clone() })
    }

    /// Hands a launcher a frame.
    ///
    /// # Errors
    /// [`CoreError::Launcher`] when it does not read.
    pub fn hand_launcher(&self, which: Which, frame: Outgoing) -> Result<(), CoreError> {
        let link = match which {
            Which::Service => &self.service,
            Which::Egress => &self.egress_launcher,
        };
        if link.hand(frame) { Ok(()) } else { Err(CoreError::Launcher(which, "it does not read".to_owned())) }
    }

    /// Says something to egress or the connector at once. One that does not read is killed; its end brings the next start.
    ///
    /// # Errors
    /// When the message does not fit a frame, or the launcher does not read.
    pub fn say<M: serde::Serialize>(&mut self, role: Role, message: &M, fds: Vec<OwnedFd>) -> Result<(), CoreError> {
        let frame = Outgoing::new(message, fds)?;
        if let Some(slot) = self.slot_mut(role)
            && let Some(link) = &slot.link
            && !link.hand(frame)
        {
            tracing::error!(%role, "does not read; dropped");
            slot.link = None;
            slot.state = State::Starting;
            // Nothing is heard of it any more, and it need not mind that its socket is closed.
            let kill = ToLauncher::Kill { child: slot.child };
            let which = if role == Role::Egress { Which::Egress } else { Which::Service };
            self.hand_launcher(which, Outgoing::new(&kill, Vec::new())?)?;
        }
        Ok(())
    }

    fn slot(&self, role: Role) -> Option<&Slot> {
        match role {
            Role::Egress => Some(&self.egress),
            Role::Connector => Some(&self.connector),
            Role::Core | Role::Launcher | Role::Worker | Role::Control => None,
        }
    }

    fn slot_mut(&mut self, role: Role) -> Option<&mut Slot> {
        match role {
            Role::Egress => Some(&mut self.egress),
            Role::Connector => Some(&mut self.connector),
            Role::Core | Role::Launcher | Role::Worker | Role::Control => None,
        }
    }
}

impl Core {
    /// Orders egress or the connector to be started.
    pub(crate) fn start_peer(&mut self, role: Role) -> Result<(), CoreError> {
        if self.is_ending() {
            return Ok(());
        }
        if role == Role::Egress && !self.brain.has_token() {
            self.supervisor.egress.note = "waits for the bot's token".to_owned();
            return Ok(());
        }
        let child = self.supervisor.next_child();
        let (ours, theirs) = pair()?;
        let inputs = self.inputs.clone();
        let link = match role {
            Role::Egress => Link::open(ours, role, inputs, move |event| Input::Egress(child, event)),
            Role::Connector => Link::open(ours, role, inputs, move |event| Input::Connector(child, event)),
            Role::Core | Role::Launcher | Role::Worker | Role::Control => return Ok(()),
        };
        let link = link.map_err(|error| CoreError::Start(format!("{role}: {error}")))?;
        if let Some(slot) = self.supervisor.slot_mut(role) {
            slot.child = child;
            slot.link = Some(link);
            slot.state = State::Starting;
            slot.since = Instant::now();
            slot.note = "starting".to_owned();
        }
        self.timers.after(GREETING, Timer::Greeting(child));
        let which = if role == Role::Egress { Which::Egress } else { Which::Service };
        self.order(which, &ToLauncher::Start { child, role }, vec![theirs.into()])
    }

    /// It has had its time to say who it is.
    pub(crate) fn greeting_overdue(&mut self, child: ChildId) -> Result<(), CoreError> {
        for role in [Role::Egress, Role::Connector] {
            let late = self.supervisor.slot(role).is_some_and(|s| s.child == child && s.state == State::Starting);
            if late {
                self.drop_peer(role, "did not say who it is in time")?;
            }
        }
        Ok(())
    }

    /// Drops the connector, for what it said or did not do.
    pub(crate) fn drop_connector(&mut self, why: &str) -> Result<(), CoreError> {
        self.drop_peer(Role::Connector, why)
    }

    /// Drops egress or the connector, for what it said or did not do. Admins are told.
    pub(crate) fn drop_peer(&mut self, role: Role, why: &str) -> Result<(), CoreError> {
        tracing::error!(%role, why, "dropped");
        let topic = if role == Role::Egress { Topic::Egress } else { Topic::Connector };
        self.alert(topic, &format!("{role} dropped: {why}"))?;
        self.end_peer(role, why)
    }

    /// Closes its channel and has it killed, if it still runs; the launcher's report brings the next start.
    pub(crate) fn end_peer(&mut self, role: Role, why: &str) -> Result<(), CoreError> {
        let which = if role == Role::Egress { Which::Egress } else { Which::Service };
        let Some(slot) = self.supervisor.slot_mut(role) else { return Ok(()) };
        slot.link = None;
        slot.state = State::Starting;
        slot.note = Text::<200>::cut(why).into_string();
        let child = slot.child;
        self.order(which, &ToLauncher::Kill { child }, Vec::new())
    }

    /// A process is gone. Nothing of it is left: that is the launcher's word.
    pub(crate) fn child_ended(&mut self, child: ChildId, why: &str) -> Result<(), CoreError> {
        let role = [Role::Egress, Role::Connector]
            .into_iter()
            .find(|role| self.supervisor.slot(*role).is_some_and(|slot| slot.child == child));
        let Some(role) = role else { return self.worker_ended(child, why) };
        if !self.is_ending() {
            tracing::error!(%role, why, "lost");
            self.record(&Record::ChildLost { role, why: why.to_owned() });
        }
        match role {
            Role::Egress => {
                let (looked_up, asked) = self.lookups.lost();
                for question in asked {
                    self.asked_is(question, Err(crate::core::NOT_NOW.to_owned()))?;
                }
                self.posts.egress_lost(looked_up);
                self.protected.egress_lost();
                self.wanted.egress_lost();
                self.approvals.egress_lost();
                self.stop_votes.egress_lost();
                self.supervisor.attached = 0;
            }
            _connector => self.supervisor.connected = false,
        }
        let Some(slot) = self.supervisor.slot_mut(role) else { return Ok(()) };
        slot.link = None;
        slot.state = State::Down;
        slot.failures = if slot.since.elapsed() > RECOVERED { 0 } else { slot.failures + 1 };
        slot.restarts += 1;
        slot.since = Instant::now();
        let delay = (DELAY.0 * 2u32.saturating_pow(slot.failures.saturating_sub(1))).min(DELAY.1);
        let failures = slot.failures;
        let why = Text::<200>::cut(why);
        let loops = failures >= CRASH_LOOP;
        let how =
            if loops { format!("crash loop: ended {failures} times in a row, last with ") } else { String::new() };
        slot.note = format!("{how}{why}; starts again in {} ms", delay.as_millis());
        if failures == CRASH_LOOP && !self.is_ending() {
            let topic = if role == Role::Egress { Topic::Egress } else { Topic::Connector };
            self.alert(
                topic,
                &format!("{role} is in a crash loop: it ended {failures} times in a row, last with {why}"),
            )?;
        }
        self.timers.after(delay, Timer::Restart(role));
        Ok(())
    }

    /// When the server has answered and the connector is there, it is given its ends and told to begin.
    pub(crate) fn introduce_connector(&mut self) -> Result<(), CoreError> {
        let running = self.supervisor.connector.state;
        if running != State::Greeted && running != State::Running {
            return Ok(());
        }
        self.settle_deliveries(true)?;
        let Some(start) = self.connector_start()? else { return Ok(()) };
        if running == State::Greeted {
            self.attach()?;
            self.supervisor.connector.state = State::Running;
            self.supervisor.connector.note = "connects".to_owned();
            self.outbox.begin_again();
            self.supervisor.say(Role::Connector, &ToConnector::Start(Box::new(start)), Vec::new())?;
            self.tell_triggers()?;
        }
        Ok(())
    }

    fn connector_start(&self) -> Result<Option<Start>, CoreError> {
        let Some(ready) = self.roster.ready().filter(|_| self.supervisor.egress_ready()) else { return Ok(None) };
        Ok(Some(Start {
            bot: ready.bot.id,
            bot_name: ready.bot.name.clone(),
            prefix: Text::cut(self.config.bot.prefix.clone()),
            max_post: ready.max_post,
            cursors: self.store.cursors()?,
            listen: self.threads(),
        }))
    }

    /// New socket pairs between the connector and egress.
    pub(crate) fn attach(&mut self) -> Result<(), CoreError> {
        self.supervisor.attached += 1;
        let (verbs, their_verbs) = pair()?;
        let (carrier, their_carrier) = pair()?;
        self.supervisor.say(Role::Egress, &ToEgress::Attach, vec![their_verbs.into(), their_carrier.into()])?;
        self.supervisor.say(Role::Connector, &ToConnector::Attach, vec![verbs.into(), carrier.into()])
    }

    /// Asks egress something; the answer comes as [`FromEgress::Attested`]. Changes nothing, so it goes out at once.
    pub(crate) fn ask_egress(&mut self, subject: Subject) -> Result<QuestionId, CoreError> {
        self.supervisor.questions += 1;
        let question = QuestionId(self.supervisor.questions);
        self.supervisor.say(Role::Egress, &ToEgress::Attest { question, subject }, Vec::new())?;
        Ok(question)
    }
}

fn pair() -> Result<(Channel, Channel), CoreError> {
    Channel::pair().map_err(|error| CoreError::Start(format!("cannot make a socket pair: {error}")))
}
