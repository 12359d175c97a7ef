//! The test plays core and egress: it starts the real program with a socket pair, and hands it the ends of the two other
//! sockets. Behind egress's ends stand a small Mattermost ([`World`]) and the server's side of the websocket ([`Conn`]).
#![allow(dead_code, reason = "each test program uses a part of it")]

mod wire;
mod world;

#[allow(unused_imports, reason = "each test program uses a part of it")]
pub use world::{Fault, World, id, post};

use wire::Wire;

use bartizan_proto::channel::Channel;
use bartizan_proto::connector::{
    Act, Body, Cursor, Delivered, Delivery, DeliveryId, FromConnector, Report, Start, ToConnector,
};
use bartizan_proto::stream::{self, Descriptors, Receiver, Sender};
use bartizan_proto::{List, Role, Text, Version};
use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// For everything that is to happen. Longer than the longest wait for `hello`.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("in vain: {what}"),
    }
}

/// A connector and what stands around it.
pub struct House {
    pub child: Option<Child>,
    pub core: Sender,
    pub said: Receiver,
    pub wire: Wire,
    pub world: Arc<Mutex<World>>,
}

impl House {
    /// The real program, attached and started.
    pub async fn with(world: World, cursors: &[(u64, u64)]) -> House {
        let mut house = House::unattached(world);
        house.attach().await;
        house.start(cursors).await;
        house
    }

    /// The same, with cursors that say where a channel began.
    pub async fn begun(world: World, cursors: &[Cursor]) -> House {
        let mut house = House::unattached(world);
        house.attach().await;
        house.start_from(cursors).await;
        house
    }

    /// The real program, greeted.
    pub fn unattached(world: World) -> House {
        let (ours, theirs) = Channel::pair().expect("socketpair");
        let log = if std::env::var_os("BARTIZAN_TEST_LOG").is_some() { Stdio::inherit() } else { Stdio::null() };
        let child = Command::new(env!("CARGO_BIN_EXE_bartizan-connector"))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        House::around(ours, Some(child), world)
    }

    /// Around whatever has the other end of `core`.
    pub fn around(core: Channel, child: Option<Child>, world: World) -> House {
        let (core, said) = stream::open(core, Descriptors::Refuse).expect("channel");
        House { child, core, said, wire: Wire::default(), world: Arc::new(Mutex::new(world)) }
    }

    pub async fn greet(&mut self) {
        self.core.send(&Version::of(Role::Core)).await.expect("greets");
        soon("the greeting", self.said.greeting(Role::Connector)).await.expect("the connector");
    }

    /// Greets, and gives the first ends; later, new ones.
    pub async fn attach(&mut self) {
        if self.wire.is_unused() {
            self.greet().await;
        }
        self.reattach().await;
    }

    pub async fn reattach(&mut self) {
        let (verbs, their_verbs) = Channel::pair().expect("socketpair");
        let (carrier, their_carrier) = Channel::pair().expect("socketpair");
        let ends = [their_verbs.as_fd(), their_carrier.as_fd()];
        self.core.send_with(&ToConnector::Attach, &ends).await.expect("attaches");
        world::serve(verbs, Arc::clone(&self.world));
        self.wire = Wire::open(carrier);
    }

    pub async fn start(&mut self, cursors: &[(u64, u64)]) {
        let cursor = |&(channel, seen_ms): &(u64, u64)| Cursor { channel: id("c", channel), seen_ms, begun_ms: 0 };
        let cursors: Vec<Cursor> = cursors.iter().map(cursor).collect();
        self.start_from(&cursors).await;
    }

    async fn start_from(&mut self, cursors: &[Cursor]) {
        let start = Start {
            bot: id("b", 0),
            bot_name: Text::cut("bartizan"),
            prefix: Text::cut("!"),
            max_post: 16_383,
            cursors: List::cut(cursors.iter().copied()),
            listen: List::default(),
        };
        self.core.send(&ToConnector::Start(Box::new(start))).await.expect("starts");
    }

    /// The next thing that the connector says.
    pub async fn next(&mut self) -> FromConnector {
        soon("a word from the connector", self.said.next()).await.expect("a frame").expect("open")
    }

    /// The next report; cursors and the connection's ups and downs are passed over.
    pub async fn report(&mut self) -> Report {
        loop {
            match self.next().await {
                FromConnector::Post(report) => return report,
                FromConnector::Seen(_)
                | FromConnector::Reaction(_)
                | FromConnector::ReactionsMissed
                | FromConnector::Connected { .. }
                | FromConnector::Disconnected { .. } => {}
                FromConnector::Delivered { .. } => panic!("a delivery instead of a report"),
            }
        }
    }

    /// Whether it resumed, when it is connected next.
    pub async fn connected(&mut self) -> bool {
        loop {
            if let FromConnector::Connected { resumed } = self.next().await {
                return resumed;
            }
        }
    }

    pub async fn disconnected(&mut self) -> String {
        loop {
            if let FromConnector::Disconnected { why, .. } = self.next().await {
                return why.into_string();
            }
        }
    }

    pub async fn seen(&mut self) -> Cursor {
        loop {
            if let FromConnector::Seen(cursor) = self.next().await {
                return cursor;
            }
        }
    }

    pub async fn delivered(&mut self) -> (u64, Delivered) {
        loop {
            if let FromConnector::Delivered { delivery, outcome } = self.next().await {
                return (delivery.0, outcome);
            }
        }
    }

    /// No report for a while.
    pub async fn silent(&mut self) {
        let wait = tokio::time::timeout(Duration::from_millis(400), async { self.report().await });
        assert!(wait.await.is_err(), "reported something");
    }

    pub async fn deliver(&self, number: u64, again: bool, act: Act) {
        let delivery = Delivery { delivery: DeliveryId(number), again, act };
        self.core.send(&ToConnector::Deliver(Box::new(delivery))).await.expect("orders");
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().expect("world")
    }

    /// Waits until so many calls of a kind were made.
    pub async fn calls(&self, kind: &str, count: usize) {
        soon(kind, async {
            while self.world().count(kind) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// A line of the program's `/proc/PID/status`.
    pub fn status(&self, key: &str) -> String {
        let path = format!("/proc/{}/status", self.child.as_ref().expect("program").id());
        let status = std::fs::read_to_string(path).expect("status");
        let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        value.expect("such a line").trim().to_owned()
    }

    pub async fn exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a program");
        soon("the end", async {
            loop {
                if let Some(status) = child.try_wait().expect("wait") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

pub fn reply(root: u64, reply_id: &str, text: &str) -> Act {
    Act::Reply {
        channel: id("c", 1),
        root: id("p", root),
        reply_id: Text::cut(reply_id),
        body: Body::Markup(Text::cut(text)),
        attachment: None,
    }
}
