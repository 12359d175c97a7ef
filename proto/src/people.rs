//! The part of the control socket that is about people: who may do what, who is banned, and why a command would be refused.
//!
//! A person is named by id, by `@name` or by name; a name becomes an id by egress's look-up and by nothing else.

use crate::bounded::{List, Text};
use crate::confidential::Confidential;
use crate::ids::{FlagName, UserId};
use crate::limits::{MAX_FLAGS, MAX_GATES, MAX_MESSAGE, MAX_NAME, MAX_REASON, MAX_ROWS};
use serde::{Deserialize, Serialize};

/// Longest public key with its comment, in bytes.
pub const MAX_KEY: usize = 512;

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeopleRequest {
    /// The people who are listed, by id, after this one; at most [`MAX_ROWS`] at a time.
    List {
        /// The last one of the page before.
        after: Option<UserId>,
    },
    /// One person, listed or not.
    Show {
        /// Who.
        who: Text<MAX_NAME>,
    },
    /// Give a level, flags, or both.
    Set {
        /// Who.
        who: Text<MAX_NAME>,
        /// `user`, `operator` or `admin`.
        level: Option<Text<16>>,
        /// Flags to give.
        add: List<FlagName, MAX_FLAGS>,
        /// Flags to take away.
        remove: List<FlagName, MAX_FLAGS>,
    },
    /// Take a person off the list.
    Remove {
        /// Who.
        who: Text<MAX_NAME>,
    },
    /// The bans in force, by id, after this one; at most [`MAX_ROWS`] at a time.
    Bans {
        /// The last one of the page before.
        after: Option<UserId>,
    },
    /// Ban a person.
    Ban {
        /// Who.
        who: Text<MAX_NAME>,
        /// Why.
        reason: Text<MAX_REASON>,
        /// `30m`, `1h`, `7d`, `2w` or `permanent`.
        duration: Text<32>,
    },
    /// End a ban.
    Unban {
        /// Who.
        who: Text<MAX_NAME>,
    },
    /// Make the first admin.
    Bootstrap {
        /// Who.
        who: Text<MAX_NAME>,
        /// Also where there is an admin already.
        again: bool,
    },
    /// Something about a person's second factor.
    Factor {
        /// Whose.
        who: Text<MAX_NAME>,
        /// What.
        act: FactorAct,
    },
    /// The keys that approvals are signed with.
    Keys,
    /// Register one.
    AddKey {
        /// Whose.
        who: Text<MAX_NAME>,
        /// As `ssh-ed25519 AAAA…`, or 32 bytes in base64.
        key: Text<MAX_KEY>,
    },
    /// Take one away.
    RemoveKey {
        /// The key, or its fingerprint.
        key: Text<MAX_KEY>,
    },
    /// Ask every gate about a command, and run nothing.
    Explain {
        /// As whom.
        who: Text<MAX_NAME>,
        /// In which channel, by name or id; a direct message where there is none.
        channel: Option<Text<MAX_NAME>>,
        /// The command, with or without the prefix.
        command: Text<MAX_MESSAGE>,
    },
}

/// What is done with a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactorAct {
    /// Make a secret, for somebody who has none.
    Enrol,
    /// Take it away.
    Reset,
    /// Say how it stands.
    Status,
}

/// A new second factor, which counts from its first code on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Whose.
    pub user: UserId,
    /// Their name.
    pub name: Text<MAX_NAME>,
    /// For an authenticator: an `otpauth` address.
    pub uri: Confidential<512>,
    /// The same as a QR code, in half blocks.
    pub picture: Confidential<16384>,
}

/// How a second factor stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FactorRow {
    /// Whose.
    pub user: UserId,
    /// Their name.
    pub name: Text<MAX_NAME>,
    /// `none`, `unconfirmed`, `closed` or `open`.
    pub standing: Text<16>,
    /// For how long a window is still open, in seconds.
    pub open_s: u64,
    /// Wrong codes in a row.
    pub failures: u32,
    /// Until when no code is looked at, ms since 1970; 0 where that is not so.
    pub locked_until_ms: u64,
    /// Recovery codes that are left.
    pub recovery_codes: u64,
}

/// A key that somebody signs approvals with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyRow {
    /// Whose.
    pub user: UserId,
    /// Their name when it was registered.
    pub name: Text<MAX_NAME>,
    /// As `ssh-ed25519 AAAA…`.
    pub key: Text<MAX_KEY>,
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: Text<64>,
    /// When it was registered, ms since 1970.
    pub added_ms: u64,
}

/// What the core answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeopleAnswer {
    /// To [`PeopleRequest::List`].
    People(List<PersonRow, MAX_ROWS>),
    /// To [`PeopleRequest::Show`].
    Person(Box<PersonRow>),
    /// To [`PeopleRequest::Bans`].
    Bans(List<BanRow, MAX_ROWS>),
    /// It is done, or was so already.
    Done(Done),
    /// To [`FactorAct::Enrol`].
    Enrolment(Box<Enrolment>),
    /// To [`FactorAct::Status`].
    Factor(Box<FactorRow>),
    /// To [`PeopleRequest::Keys`].
    Keys(List<KeyRow, MAX_ROWS>),
    /// To [`PeopleRequest::Explain`].
    Explained(Box<Explained>),
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Done {
    /// Whose rights it was about.
    pub user: UserId,
    /// Whether anything changed.
    pub changed: bool,
    /// What is so now, as a sentence.
    pub what: Text<MAX_REASON>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PersonRow {
    /// Their id: the only thing that rights follow from.
    pub user: UserId,
    /// Their name when it was last seen.
    pub name: Text<MAX_NAME>,
    /// `banned`, `user`, `operator` or `admin`.
    pub level: Text<16>,
    /// Their flags.
    pub flags: List<FlagName, MAX_FLAGS>,
    /// Where that stands: `database`, `people.toml`, or empty for somebody who is not listed.
    pub source: Text<32>,
    /// Who said so last, and when (ms since 1970); empty and 0 where nobody did.
    pub by: Text<MAX_NAME>,
    /// See `by`.
    pub since_ms: u64,
    /// Their ban, where there is one.
    pub ban: Option<BanRow>,
}

/// One ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BanRow {
    /// Who.
    pub user: UserId,
    /// Their name when it was last seen.
    pub name: Text<MAX_NAME>,
    /// Why.
    pub reason: Text<MAX_REASON>,
    /// Who said so.
    pub by: Text<MAX_NAME>,
    /// Since when, ms since 1970.
    pub since_ms: u64,
    /// Until when, ms since 1970; for ever where there is nothing.
    pub until_ms: Option<u64>,
}

/// Every gate's verdict on one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Explained {
    /// As whom.
    pub user: UserId,
    /// Their name.
    pub name: Text<MAX_NAME>,
    /// In which channel; empty for a direct message.
    pub channel: Text<MAX_NAME>,
    /// Whether it would be let through, as far as can be said without acting.
    pub allowed: bool,
    /// Each gate, in order.
    pub gates: List<GateRow, MAX_GATES>,
    /// What chat would be told; empty for nothing.
    pub words: Text<MAX_REASON>,
}

/// One gate's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GateRow {
    /// Its name.
    pub gate: Text<32>,
    /// What it says.
    pub verdict: GateVerdict,
    /// Precisely why; empty where there is nothing to say.
    pub cause: Text<MAX_REASON>,
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// It lets it through.
    Pass,
    /// It does not.
    Refuse,
    /// It can only say so when it is done.
    Unknown,
}
