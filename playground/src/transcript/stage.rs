//! A server, the service against it, and the people on it: where a transcript is played.

use super::log::Log;
use crate::cast::ServerFile;
use crate::client::{Client, ClientError, Incoming};
use crate::server::{Fault, Options, Server};
use crate::service::{Service, ServiceError, Settings, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How long the people may take to open their websockets.
const WATCHING: Duration = Duration::from_secs(20);

/// Why there is nothing to play on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The embedded server.
    #[error("the embedded server does not start: {0}")]
    Server(String),
    /// Bartizan.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A person.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A person whom the server does not let in.
    #[error("the server does not say hello to {0}: is the token right?")]
    Deaf(String),
    /// Nobody of this name.
    #[error("there is no user {0} on this server")]
    NoUser(String),
    /// No channel of this name.
    #[error("there is no channel #{0} on this server")]
    NoChannel(String),
    /// A fault that the server does not know.
    #[error("{0}")]
    Fault(String),
    /// Only the embedded server can do that.
    #[error("{0} needs the embedded server")]
    Foreign(&'static str),
}

/// Which server.
#[derive(Debug, Clone)]
pub enum Host {
    /// The embedded one, a new one for each stage.
    Embedded,
    /// Another one.
    Foreign(Box<ServerFile>),
    /// Another one, at which an installed service works already.
    Installed(Box<ServerFile>),
}

/// A place to play.
#[derive(Debug)]
pub struct Stage {
    /// What the people have seen.
    pub log: Log,
    /// Bartizan.
    pub service: Service,
    server: Option<Server>,
    file: ServerFile,
    people: BTreeMap<String, Client>,
    direct: BTreeMap<String, String>,
    webhooks: BTreeMap<(String, String), String>,
    incoming: UnboundedReceiver<Incoming>,
    watchers: Vec<JoinHandle<()>>,
    /// The server's time of the first post made here: what is caught up after an interruption.
    since_ms: Option<i64>,
    missed: bool,
}

impl Stage {
    /// Starts everything and waits until everybody watches and Bartizan is connected.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn set(host: &Host, source: &Source, programs: &Path) -> Result<Self, StageError> {
        let (server, file) = match host {
            Host::Foreign(file) | Host::Installed(file) => (None, (**file).clone()),
            Host::Embedded => {
                let server =
                    Server::start(Options::default()).map_err(|error| StageError::Server(error.to_string()))?;
                let file = server.file();
                (Some(server), file)
            }
        };
        let settings = Settings {
            server: file.clone(),
            source: source.clone(),
            programs: programs.to_owned(),
            environment: Vec::new(),
        };
        let service = match host {
            Host::Embedded | Host::Foreign(_) => Service::start(&settings).await?,
            Host::Installed(_) => Service::installed()?,
        };
        let (into, incoming) = unbounded_channel();
        let mut people = BTreeMap::new();
        let mut watchers = Vec::new();
        for (name, user) in &file.users {
            let client = Client::new(&file, name, &user.id, &user.token)?;
            watchers.push(client.watch(into.clone()));
            people.insert(name.clone(), client);
        }
        let log = Log::new(&file.bot.id);
        let mut stage = Self {
            log,
            service,
            server,
            people,
            direct: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            incoming,
            watchers,
            since_ms: None,
            missed: false,
            file,
        };
        stage.everybody_watches().await?;
        Ok(stage)
    }

    async fn everybody_watches(&mut self) -> Result<(), StageError> {
        let end = Instant::now() + WATCHING;
        let mut waiting: BTreeSet<String> = self.people.keys().cloned().collect();
        while let Some(next) = waiting.first().cloned() {
            match timeout_at(end, self.incoming.recv()).await {
                Ok(Some(Incoming::Watching { who })) => {
                    waiting.remove(&who);
                }
                Ok(Some(Incoming::Event(event))) => self.log.take_in(event),
                Ok(None) | Err(_) => return Err(StageError::Deaf(next)),
            }
        }
        Ok(())
    }

    /// Takes in the next thing that happens; `false` when nothing does before `end`.
    pub async fn next(&mut self, end: Instant) -> bool {
        let next = timeout_at(end, self.incoming.recv()).await;
        match next {
            Ok(Some(Incoming::Event(event))) => self.log.take_in(event),
            Ok(Some(Incoming::Watching { .. })) => self.missed = true,
            Ok(None) | Err(_) => return false,
        }
        if self.missed && self.incoming.is_empty() {
            self.missed = false;
            self.catch_up().await;
        }
        true
    }

    /// After an interruption: asks for what came meanwhile. What cannot be had is not there.
    async fn catch_up(&mut self) {
        let Some(since) = self.since_ms else { return };
        let any = self.people.values().next().cloned();
        let mut channels: Vec<(Client, String)> = any
            .into_iter()
            .flat_map(|any| self.file.channels.values().map(move |id| (any.clone(), id.clone())))
            .collect();
        channels.extend(
            self.direct.iter().filter_map(|(who, channel)| Some((self.people.get(who)?.clone(), channel.clone()))),
        );
        for (client, channel) in channels {
            let Ok(posts) = client.posts_since(&channel, since).await else { continue };
            let commands: Vec<String> = posts.iter().map(|post| post.id.clone()).collect();
            self.log.catch_up(posts);
            for post in commands {
                for event in client.reactions(&post).await.unwrap_or_default() {
                    self.log.take_in(event);
                }
            }
        }
    }

    /// Remembers when the first post was made.
    pub fn posted_at(&mut self, created_ms: i64) {
        self.since_ms.get_or_insert(created_ms - 1);
    }

    /// A person.
    ///
    /// # Errors
    /// [`StageError::NoUser`].
    pub fn person(&self, name: &str) -> Result<Client, StageError> {
        self.people.get(name).cloned().ok_or_else(|| StageError::NoUser(name.to_owned()))
    }

    /// Names by id, for messages.
    pub fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        let mut names = self.file.users.iter().filter(|(_, user)| user.id == id);
        names.next().map_or(if id == self.file.bot.id { "bartizan" } else { id }, |(name, _)| name)
    }

    /// A channel's id.
    ///
    /// # Errors
    /// [`StageError::NoChannel`].
    pub fn channel(&self, name: &str) -> Result<String, StageError> {
        self.file.channels.get(name).cloned().ok_or_else(|| StageError::NoChannel(name.to_owned()))
    }

    /// A channel's name, `DM` for one that is not the team's.
    pub fn channel_name<'a>(&'a self, id: &str) -> &'a str {
        self.file.channels.iter().find(|(_, known)| *known == id).map_or("DM", |(name, _)| name)
    }

    /// A person's direct channel with the bot.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn direct(&mut self, name: &str) -> Result<String, StageError> {
        if let Some(known) = self.direct.get(name) {
            return Ok(known.clone());
        }
        let channel = self.person(name)?.direct_channel(&self.file.bot.id).await?;
        self.direct.insert(name.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Whether this is somebody's direct channel with the bot.
    pub fn is_direct(&self, channel: &str) -> bool {
        self.direct.values().any(|known| known == channel)
    }

    /// Posts through an incoming webhook that `owner` made.
    ///
    /// # Errors
    /// [`StageError`]; [`StageError::Foreign`] where another server does not let its users make webhooks.
    pub async fn webhook(&mut self, owner: &str, channel: &str, text: &str) -> Result<(), StageError> {
        let client = self.person(owner)?;
        let key = (owner.to_owned(), channel.to_owned());
        let address = match (self.webhooks.get(&key), &self.server) {
            (Some(known), _) => known.clone(),
            (None, Some(server)) => {
                self.channel(channel)?;
                let made = server.create_webhook(owner, channel);
                let path = made.ok_or_else(|| StageError::NoChannel(channel.to_owned()))?;
                format!("{}{path}", self.file.url)
            }
            (None, None) => match client.create_webhook(&self.channel(channel)?).await {
                Ok(address) => address,
                Err(ClientError::Refused { .. }) => {
                    return Err(StageError::Foreign("a webhook, which this server does not let its users make,"));
                }
                Err(other) => return Err(other.into()),
            },
        };
        self.webhooks.insert(key, address.clone());
        Ok(client.post_webhook(&address, text).await?)
    }

    /// Moves the embedded server's clock.
    ///
    /// # Errors
    /// [`StageError::Foreign`].
    pub fn advance_clock(&self, by: Duration) -> Result<(), StageError> {
        self.server.as_ref().ok_or(StageError::Foreign("moving the clock"))?.clock_advance(by);
        Ok(())
    }

    /// Makes the embedded server misbehave towards the bot.
    ///
    /// # Errors
    /// [`StageError::Foreign`], [`StageError::Fault`].
    pub fn fault(&self, text: &str) -> Result<(), StageError> {
        let server = self.server.as_ref().ok_or(StageError::Foreign("a fault"))?;
        match text {
            "restart" => server.restart(),
            other if other.starts_with("revoke") => server.revoke_token(&self.file.bot.name),
            other => {
                let known = |error| StageError::Fault(format!("{error} restart revoke"));
                server.fault(other.parse::<Fault>().map_err(known)?);
            }
        }
        Ok(())
    }

    /// Ends everything.
    pub async fn strike(self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
        self.service.stop().await;
    }
}
