//! Who is who and what is allowed, at one moment: the configuration together with the names that egress resolved.
//!
//! A change makes a new generation; what was cleared under an older one is asked again.

use crate::config::{Config, Level};
use bartizan_proto::Text;
use bartizan_proto::ids::{ChannelId, TeamId, UserId};
use bartizan_proto::limits::MAX_NAME;
use std::collections::{BTreeMap, HashMap};

/// Everything the gates decide from.
#[derive(Debug)]
pub struct Policy {
    /// Raised with every change.
    pub generation: u64,
    /// What the operator wrote.
    pub config: Config,
    /// Who the bot is.
    pub bot: UserId,
    /// Its name.
    pub bot_name: Text<MAX_NAME>,
    /// The team that it works in.
    pub team: TeamId,
    /// Levels by user id, from the names in the configuration, resolved once.
    pub people: HashMap<UserId, Level>,
    /// Channels by name, resolved once.
    pub channels: BTreeMap<String, ChannelId>,
}

/// Who asks, as attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// Their id: the only thing that rights follow from.
    pub user: UserId,
    /// Their name now, for showing.
    pub name: Text<MAX_NAME>,
    /// A guest or a remote account: counts as `user` at most.
    pub restricted: bool,
}

/// Where something was asked, as attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The channel.
    pub channel: ChannelId,
    /// Its name; empty for a direct message.
    pub name: Text<MAX_NAME>,
    /// Whether it is a direct message to the bot.
    pub direct: bool,
}

impl Policy {
    /// The level of a person. Whom nobody listed is a `user`, and a restricted account never more.
    pub fn level(&self, requester: &Requester) -> Level {
        let level = self.people.get(&requester.user).copied().unwrap_or(Level::User);
        if requester.restricted { level.min(Level::User) } else { level }
    }

    /// Whether this user id is banned.
    pub fn is_banned(&self, user: UserId) -> bool {
        self.people.get(&user) == Some(&Level::Banned)
    }

    /// Every admin.
    pub fn admins(&self) -> impl Iterator<Item = UserId> {
        let mut admins: Vec<UserId> =
            self.people.iter().filter(|(_, level)| **level == Level::Admin).map(|(user, _)| *user).collect();
        admins.sort_unstable();
        admins.into_iter()
    }

    /// Whether a channel is the one of that name, or has that id.
    pub fn is_channel(&self, name_or_id: &str, channel: ChannelId) -> bool {
        name_or_id == channel.as_str() || self.channels.get(name_or_id) == Some(&channel)
    }

    /// Whether commands are taken in a channel, as far as its id tells: one that the configuration names, or any where it
    /// names none.
    pub fn is_ours(&self, channel: ChannelId) -> bool {
        let listed = self.config.server.channels.as_ref();
        listed.is_none_or(|names| names.iter().any(|name| self.is_channel(name, channel)))
    }

    /// Every channel name in the configuration that is to be resolved.
    pub fn channel_names(config: &Config) -> Vec<String> {
        let listed = config.server.channels.iter().flatten().chain(&config.alerts);
        let allowed = config.allowlist.iter().flat_map(|script| &script.channels);
        let mut names: Vec<String> =
            listed.chain(allowed).filter(|name| name.parse::<ChannelId>().is_err()).cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}
