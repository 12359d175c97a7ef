//! Who is who and what is allowed, at one moment: the configuration together with the names that egress resolved.
//!
//! A change makes a new generation; what was cleared under an older one is asked again.

use crate::config::{Config, Group, Level, Script};
use crate::gate::lockdown::Lockdown;
use crate::people::People;
use crate::store::now_ms;
use bartizan_proto::Text;
use bartizan_proto::ids::{ChannelId, FlagName, TeamId, UserId};
use bartizan_proto::limits::MAX_NAME;
use std::collections::{BTreeMap, HashMap, HashSet};

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
    /// Levels, flags and bans by user id.
    pub people: People,
    /// Whose the names in the configuration are, looked up once.
    pub names: BTreeMap<String, UserId>,
    /// Who is in which group.
    pub groups: HashMap<String, HashSet<UserId>>,
    /// Channels by name, resolved once.
    pub channels: BTreeMap<String, ChannelId>,
    /// The emergency stop, while it holds.
    pub lockdown: Option<Lockdown>,
    /// How much the server's clock is ahead of ours, in ms: bans are given and end by the server's.
    pub server_ahead_ms: i64,
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
    /// Whether it is a private channel.
    pub private: bool,
}

impl Policy {
    /// The time by the server's clock, in ms since 1970.
    pub fn now_ms(&self) -> u64 {
        now_ms().saturating_add_signed(self.server_ahead_ms)
    }

    /// The level of a person. Whom nobody listed is a `user`, and a restricted account never more.
    pub fn level(&self, requester: &Requester) -> Level {
        if self.people.ban(requester.user, self.now_ms()).is_some() {
            return Level::Banned;
        }
        let level = self.people.level(requester.user);
        if requester.restricted { level.min(Level::User) } else { level }
    }

    /// Whether a person has a flag. A restricted account has none.
    pub fn has_flag(&self, requester: &Requester, flag: &FlagName) -> bool {
        !requester.restricted && self.people.has_flag(requester.user, flag)
    }

    /// Whether a person is among those that a script is for.
    pub fn is_for(&self, script: &Script, user: UserId) -> bool {
        let named = |name: &String| self.is_person(name, user);
        let member = |group: &String| self.groups.get(group).is_some_and(|members| members.contains(&user));
        (script.users.is_empty() && script.groups.is_empty())
            || script.users.iter().any(named)
            || script.groups.iter().any(member)
    }

    /// Whether a person is the one of that name in the configuration, or has that id.
    pub fn is_person(&self, name_or_id: &str, user: UserId) -> bool {
        match self.names.get(name_or_id) {
            Some(named) => *named == user,
            None => name_or_id == user.as_str(),
        }
    }

    /// The account that a name in the configuration means, or whose id it is.
    pub fn whose(&self, name_or_id: &str) -> Option<UserId> {
        self.names.get(name_or_id).copied().or_else(|| name_or_id.parse().ok())
    }

    /// Whether two accounts are one person, as far as `[identities]` tells.
    pub fn same_person(&self, one: UserId, other: UserId) -> bool {
        let has = |accounts: &[String], user| accounts.iter().any(|account| self.is_person(account, user));
        one == other || self.config.identities.values().any(|accounts| has(accounts, one) && has(accounts, other))
    }

    /// Every admin.
    pub fn admins(&self) -> impl Iterator<Item = UserId> {
        let mut admins: Vec<UserId> =
            self.people.listed().filter(|user| self.people.level(*user) == Level::Admin).collect();
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

    /// What a channel of the configuration is called, where it may be given by its id.
    pub fn channel_name<'a>(&'a self, name_or_id: &'a str) -> &'a str {
        let by_id = |(_, id): &(&String, &ChannelId)| id.as_str() == name_or_id;
        self.channels.iter().find(by_id).map_or(name_or_id, |(name, _)| name)
    }

    /// What stands for the direct channel of somebody who is only spoken of.
    pub fn bot_channel(&self) -> ChannelId {
        self.bot.as_str().parse().expect("all ids of the server have one form")
    }

    /// Every name of a person in the configuration that is to be resolved.
    pub fn person_names(config: &Config) -> Vec<String> {
        let members = config.groups.values().flat_map(|group| match group {
            Group::Members(members) => members.as_slice(),
            Group::Mattermost(_) => &[],
        });
        let allowed = config.allowlist.iter().flat_map(|script| &script.users);
        let allowed = allowed.chain(config.identities.values().flatten());
        let listed = config.people.keys().chain(config.people_file.keys());
        let triggers = config.allowlist.triggers().map(|trigger| trigger.source.account().to_owned());
        let mut names: Vec<String> = listed.chain(members).chain(allowed).cloned().chain(triggers).collect();
        names.retain(|name| name.parse::<UserId>().is_err());
        names.sort();
        names.dedup();
        names
    }

    /// Every channel name in the configuration that is to be resolved.
    pub fn channel_names(config: &Config) -> Vec<String> {
        let listed = config
            .server
            .channels
            .iter()
            .flatten()
            .chain(&config.alerts)
            .chain(&config.job_notices)
            .chain(&config.checkpoints);
        let listed = listed.chain(&config.approvals.channel);
        let allowed = config.allowlist.iter().flat_map(|script| &script.channels);
        let allowed = allowed.chain(config.allowlist.schedules().map(|schedule| &schedule.channel));
        let allowed = allowed.chain(config.allowlist.triggers().map(|trigger| &trigger.channel));
        let mut names: Vec<String> =
            listed.chain(allowed).filter(|name| name.parse::<ChannelId>().is_err()).cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}
