//! From egress's `Ready` to a policy: the names in the configuration become ids by attested look-ups, once, and only
//! when all of them are answered does the connector begin.
//!
//! Once: people can give themselves other names on the server, so a later look-up might find somebody else. An answer is
//! a user, a channel, or that there is none; anything else is asked again, because whoever is banned would not be.

use super::timers::Timer;
use super::{Core, CoreError, Topic};
use crate::config::Group;
use crate::people::People;
use crate::people::keys::Keys;
use crate::policy::Policy;
use bartizan_proto::egress::{ChannelKind, ClientCertificate, Outcome, QuestionId, Ready, Setup, Subject};
use bartizan_proto::ids::{ChannelId, UserId};
use bartizan_proto::installation::SYSTEM_CA_BUNDLES;
use bartizan_proto::{Bytes, Confidential, Text};
use bartizan_secret::Zeroizing;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// Names that egress is asked about at once.
const MAX_ASKED: usize = 32;

/// Before a name that could not be looked up is asked for again.
const BETWEEN: Duration = Duration::from_secs(1);

/// A name that is being looked up.
#[derive(Debug)]
enum Name {
    Person(String),
    Channel(String),
}

/// The look-ups under way.
#[derive(Debug, Default)]
pub struct Roster {
    ready: Option<Box<Ready>>,
    /// To be asked.
    names: Vec<Name>,
    asked: HashMap<QuestionId, Name>,
    /// To be asked again, after a while.
    later: Vec<Name>,
    /// Found once, and kept for as long as the core lives.
    people: BTreeMap<String, UserId>,
    channels: BTreeMap<String, ChannelId>,
    /// Which of them everybody of the team may read.
    open: HashSet<ChannelId>,
    /// Names that the server does not know: one line each for `status`.
    pub unknown: Vec<String>,
    /// Whether a new policy waits for answers.
    pending: bool,
}

impl Roster {
    /// What the server said when it was asked last.
    pub fn ready(&self) -> Option<&Ready> {
        self.ready.as_deref()
    }

    /// Whether not everybody may read a channel, as far as is known.
    pub(super) fn is_private(&self, channel: ChannelId) -> bool {
        !self.open.contains(&channel)
    }

    /// The server does not know something that the configuration names.
    pub(super) fn missing(&mut self, what: String) {
        if !self.unknown.contains(&what) {
            tracing::warn!("{what}");
            self.unknown.push(what);
        }
    }
}

impl Core {
    /// What egress is lent: address, token out of the brain, and certificates, read anew each time.
    pub(crate) fn egress_setup(&mut self) -> Result<Setup, String> {
        let token = self.token()?;
        let server = &self.config.server;
        let ca = match (&server.ca_file, server.url.as_str().starts_with("https:")) {
            (_, false) => Vec::new(),
            (Some(path), true) => read_ca(path)?,
            (None, true) => {
                let found = SYSTEM_CA_BUNDLES.iter().map(Path::new).find(|path| path.exists());
                read_ca(found.ok_or("no CA certificates found: install ca-certificates or set server.ca-file")?)?
            }
        };
        let client = match &server.client {
            None => None,
            Some((certificate, key)) => Some(read_client(certificate, key)?),
        };
        Ok(Setup {
            url: Text::new(server.url.as_str()).map_err(|error| format!("server.url: {error}"))?,
            token,
            ca: Bytes::new(ca).map_err(|error| format!("server.ca-file: {error}"))?,
            team: Text::new(server.team.clone()).map_err(|error| format!("server.team: {error}"))?,
            proxy: server
                .proxy
                .as_ref()
                .map(Text::new)
                .transpose()
                .map_err(|error| format!("server.proxy: {error}"))?,
            client,
        })
    }

    /// The server answered: look every name up.
    pub(crate) fn on_ready(&mut self, ready: Box<Ready>) -> Result<(), CoreError> {
        tracing::info!(bot = %ready.bot.name, server = %ready.server_version, "the server knows the bot");
        if ready.bot.system_admin {
            let what = "the bot account is a system administrator of the server; an ordinary bot account is enough";
            self.alert(Topic::BotAccount, what)?;
        }
        if self.roster.ready.as_ref().is_some_and(|before| before.team != ready.team) {
            let people = std::mem::take(&mut self.roster.people);
            self.roster = Roster { people, ..Roster::default() };
        }
        self.set_clock(ready.server_ms)?;
        // Egress was started again, perhaps: who is who stays as it was found, and the token may be another bot's.
        self.roster.ready = Some(ready);
        // The connector connects while names are looked up; what it reports meanwhile waits for the policy.
        self.introduce_connector()?;
        self.look_up()
    }

    /// Asks for every name that is not known yet, and makes a policy of all of them.
    pub(crate) fn look_up(&mut self) -> Result<(), CoreError> {
        if self.roster.ready.is_none() {
            return Ok(());
        }
        self.roster.asked.clear();
        self.roster.later.clear();
        self.roster.unknown.clear();
        let roster = &self.roster;
        let people = Policy::person_names(&self.config).into_iter();
        let people = people.filter(|name| !roster.people.contains_key(name));
        let channels = Policy::channel_names(&self.config).into_iter();
        let channels = channels.filter(|name| !roster.channels.contains_key(name));
        let names = people.map(Name::Person).chain(channels.map(Name::Channel)).collect();
        self.roster.names = names;
        self.roster.pending = true;
        self.ask_names()?;
        self.ask_groups()?;
        self.roster_complete()
    }

    /// Whose names the configuration's names were when they were first looked up, also before a restart: somebody else who
    /// has one of them now gets nothing (attack row 55).
    pub(crate) fn remember_people(&mut self) -> Result<(), CoreError> {
        let known = self.store.known_names()?.into_iter();
        self.roster.people = known.map(|(name, (user, _))| (name, user)).collect();
        self.posts.remember_notices(self.store.ban_notices()?);
        Ok(())
    }

    /// The time has come to ask again for names that could not be looked up.
    pub(crate) fn ask_names_again(&mut self) -> Result<(), CoreError> {
        let later = std::mem::take(&mut self.roster.later);
        self.roster.names.extend(later);
        self.ask_names()
    }

    fn ask_names(&mut self) -> Result<(), CoreError> {
        while self.roster.asked.len() < MAX_ASKED
            && let Some(name) = self.roster.names.pop()
        {
            let subject = match &name {
                Name::Person(name) => Subject::UserNamed(Text::cut(name.clone())),
                Name::Channel(name) => Subject::ChannelNamed(Text::cut(name.clone())),
            };
            let question = self.ask_egress(subject)?;
            self.roster.asked.insert(question, name);
        }
        Ok(())
    }

    /// An answer to one of the look-ups. `false` when the question is not one of them.
    pub(crate) fn on_resolved(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some(name) = self.roster.asked.remove(&question) else { return Ok(false) };
        match (name, outcome) {
            (Name::Person(name), Outcome::User(user)) if user.name.eq_ignore_ascii_case(&name) => {
                self.store.know_name(&name, Some((user.id, None)))?;
                self.roster.people.insert(name, user.id);
            }
            (Name::Channel(name), Outcome::Channel(channel)) if *channel.name == *name => {
                if channel.kind == ChannelKind::Open {
                    self.roster.open.insert(channel.id);
                }
                self.roster.channels.insert(name, channel.id);
            }
            (name, Outcome::Unavailable { why }) => {
                tracing::warn!(?name, %why, "a name of the configuration could not be looked up; asking again");
                if self.roster.later.is_empty() {
                    self.timers.after(BETWEEN, Timer::Names);
                }
                self.roster.later.push(name);
            }
            (Name::Person(name), _) => self.roster.missing(format!("people: the server knows no user {name:?}")),
            (Name::Channel(name), _) => {
                self.roster.missing(format!("the team has no channel {name:?} that the bot can see"))
            }
        }
        self.ask_names()?;
        self.roster_complete()?;
        Ok(true)
    }

    /// When every name is answered, a new generation of the policy begins.
    pub(crate) fn roster_complete(&mut self) -> Result<(), CoreError> {
        let roster = &self.roster;
        let named = roster.names.is_empty() && roster.asked.is_empty() && roster.later.is_empty();
        let answered = roster.pending && named && self.groups.are_settled();
        let Some(ready) = self.roster.ready.as_deref().filter(|_| answered) else { return Ok(()) };
        let mut people = People::new(self.store.people()?, self.store.bans()?);
        people.keys = Keys::new(self.store.person_keys()?);
        let wanted = Policy::person_names(&self.config);
        self.roster.people.retain(|name, _| wanted.binary_search(name).is_ok());
        let names = self.roster.people.clone();
        let whose = |name: &str| names.get(name).copied().or_else(|| name.parse().ok());
        for (name, listed) in &self.config.people_file {
            if let Some(user) = whose(name) {
                people.in_file(user, name, listed.level, listed.flags.clone());
            }
        }
        let members = |group: &Group| match group {
            Group::Members(members) => members.iter().filter_map(|name| whose(name)).collect(),
            Group::Mattermost(theirs) => self.groups.members(theirs),
        };
        let groups = self.config.groups.iter().map(|(name, group)| (name.clone(), members(group))).collect();
        let admins = self.policy.as_ref().map(|policy| policy.people.all_admins(policy.now_ms())).unwrap_or_default();
        self.policy = Some(Policy {
            generation: self.policy.as_ref().map_or(1, |policy| policy.generation + 1),
            config: self.config.clone(),
            bot: ready.bot.id,
            bot_name: ready.bot.name.clone(),
            team: ready.team,
            people,
            names,
            groups,
            channels: self.roster.channels.clone(),
            lockdown: self.lockdown.clone(),
            server_ahead_ms: self.server_ahead_ms,
        });
        self.roster.pending = false;
        self.take_over_people()?;
        self.keep_an_admin(admins)?;
        self.expire_bans()?;
        self.tell_alerts()?;
        self.post_checkpoint()?;
        self.settle_approvals()?;
        self.introduce_connector()?;
        self.tell_triggers()?;
        self.schedules_soon();
        self.attest_waiting()
    }

    /// Egress answered a question: about a name of the configuration, a name in a command, or a post.
    pub(crate) fn on_answer(&mut self, question: QuestionId, outcome: Outcome) -> Result<(), CoreError> {
        if self.on_rights(question, &outcome)
            || self.on_resolved(question, &outcome)?
            || self.on_group(question, &outcome)?
            || self.on_place(question, &outcome)?
            || self.on_votes(question, &outcome)?
            || self.on_person(question, &outcome)?
            || self.on_reactions(question, &outcome)?
            || self.on_stop_answer(question, &outcome)?
            || self.on_attested(question, outcome)?
        {
            return Ok(());
        }
        // A question that an earlier egress was asked, or nobody asked: nothing waits for it.
        tracing::debug!(question = question.0, "an answer that nothing waits for");
        Ok(())
    }
}

/// Our own certificate and its key.
fn read_client(certificate: &Path, key: &Path) -> Result<ClientCertificate, String> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let chain = std::fs::read(certificate).map_err(|error| failed(certificate, &error))?;
    let secret = std::fs::read(key).map(Zeroizing::new).map_err(|error| failed(key, &error))?;
    Ok(ClientCertificate {
        chain: Bytes::new(chain).map_err(|error| failed(certificate, &error))?,
        key: Confidential::new(secret).map_err(|error| failed(key, &error))?,
    })
}

fn read_ca(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("CA certificates {}: {error}", path.display()))
}
