//! Eight people in one channel, one of whom looks on: posts by REST, sees the replies on a websocket.

use super::BenchError;
use bartizan_playground::client::{Client, Event, Incoming};
use bartizan_playground::server::{Server, UserOptions};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

/// How many there are.
pub(super) const PEOPLE: usize = 8;

/// A reply that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// They.
#[derive(Debug)]
pub(super) struct People {
    clients: Vec<Client>,
    channel: String,
    seen: Arc<Seen>,
}

/// The bot's replies, by the post that they answer.
#[derive(Debug, Default)]
struct Seen {
    replies: Mutex<HashMap<String, Vec<Instant>>>,
    news: Notify,
}

impl People {
    /// Alice and seven more come to #ops; when this returns, alice sees everything.
    pub(super) async fn arrive(server: &Server) -> Result<Self, BenchError> {
        let file = server.file();
        let alice = file.users.get("alice").cloned().ok_or_else(|| BenchError::Missing("alice".to_owned()))?;
        let mut clients = vec![Client::new(&file, "alice", &alice.id, &alice.token)?];
        for number in 1..PEOPLE {
            let name = format!("user{number}");
            let user = server.add_user(&name, UserOptions::default());
            clients.push(Client::new(&file, &name, &user.id, &user.token)?);
        }
        let channel = file.channels.get("ops").cloned().ok_or_else(|| BenchError::Missing("#ops".to_owned()))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let (tell, told) = oneshot::channel();
        let seen = Arc::new(Seen::default());
        clients[0].watch(sender);
        tokio::spawn(look_on(receiver, file.bot.id.clone(), Arc::clone(&seen), tell));
        let watching = tokio::time::timeout(PATIENCE, told).await;
        watching.ok().and_then(Result::ok).ok_or_else(|| BenchError::Missing("alice's websocket".to_owned()))?;
        Ok(Self { clients, channel, seen })
    }

    /// One of them says something; how long until the bot's reply is seen, from just before it was said. `None`: lost.
    pub(super) async fn ask(&self, who: usize, text: &str) -> Result<Option<Duration>, BenchError> {
        let begun = Instant::now();
        let post = self.clients[who].post(&self.channel, None, text).await?;
        let reply = async {
            loop {
                let news = self.seen.news.notified();
                if let Some(at) = self.seen.first(&post.id) {
                    return at;
                }
                news.await;
            }
        };
        Ok(tokio::time::timeout(PATIENCE, reply).await.ok().map(|at| at.duration_since(begun)))
    }

    /// The same, where a lost reply ends the bench.
    pub(super) async fn ask_surely(&self, text: &str) -> Result<Duration, BenchError> {
        let lost = || BenchError::Missing(format!("no reply to {text} within {} s", PATIENCE.as_secs()));
        self.ask(0, text).await?.ok_or_else(lost)
    }

    /// Posts that were answered more than once so far.
    pub(super) fn doubled(&self) -> usize {
        self.seen.lock().values().filter(|replies| replies.len() > 1).count()
    }
}

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Instant>>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first(&self, root: &str) -> Option<Instant> {
        self.lock().get(root).and_then(|replies| replies.first().copied())
    }
}

async fn look_on(
    mut incoming: mpsc::UnboundedReceiver<Incoming>,
    bot: String,
    seen: Arc<Seen>,
    watching: oneshot::Sender<()>,
) {
    let mut watching = Some(watching);
    while let Some(news) = incoming.recv().await {
        match news {
            Incoming::Watching { .. } => {
                if let Some(watching) = watching.take() {
                    let _nobody_waits = watching.send(());
                }
            }
            Incoming::Event(Event::Posted { post, .. }) if post.author == bot => {
                seen.lock().entry(post.root).or_default().push(Instant::now());
                seen.news.notify_waiters();
            }
            Incoming::Event(_) => {}
        }
    }
}
