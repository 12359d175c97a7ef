//! What an operator asks of the brain, and what is answered. Part of [`crate::control`].

use crate::bounded::{Bytes, List, Text};
use crate::confidential::Confidential;
use crate::ids::{MemoryKey, Namespace, SecretName};
use crate::limits::{MAX_BACKUP_PART, MAX_PASSPHRASE, MAX_PATH, MAX_REASON, MAX_SECRET, MAX_TOKEN};
use serde::{Deserialize, Serialize};

/// Bytes of a master key.
pub const MASTER_KEY: usize = 32;

/// What opens the brain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opening {
    /// The key file or credential that the configuration names.
    Configured,
    /// What somebody typed.
    Passphrase(Confidential<MAX_PASSPHRASE>),
    /// Another key than the configured one, from a file that the operator could read.
    Key(Confidential<MASTER_KEY>),
}

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrainRequest {
    /// Make a brain.
    Init {
        /// What it opens with from now on.
        opening: Opening,
        /// Throw away the one that is there.
        discard: bool,
    },
    /// Open it.
    Unlock(Opening),
    /// Make a new data key, encrypt everything anew, and erase what was encrypted before.
    Rekey(Opening),
    /// Take the brain as it is, although it is older than the audit log says.
    Accept,
    /// A part of the backup.
    Backup {
        /// From this byte on.
        from: u64,
    },
    /// A part of a backup that is to be restored; the last one starts it.
    Restore {
        /// Where this part begins. 0 begins anew.
        from: u64,
        /// What it is.
        part: Bytes<MAX_BACKUP_PART>,
        /// With the last part: what opens the backup.
        last: Option<Opening>,
    },
    /// The names of everything in it.
    List,
    /// One long-term memory, in clear.
    Show {
        /// Whose.
        namespace: Namespace,
        /// Which.
        key: MemoryKey,
    },
    /// One record after another, in clear: the one after this place.
    Export {
        /// How many were given already.
        after: u64,
    },
    /// Keep a secret.
    SetSecret {
        /// Which.
        name: SecretName,
        /// Its value.
        value: Confidential<MAX_SECRET>,
    },
    /// Remove a secret.
    RemoveSecret {
        /// Which.
        name: SecretName,
    },
    /// Keep the bot's token.
    SetToken {
        /// The token.
        token: Confidential<MAX_TOKEN>,
        /// Only if the server knows it, and as the same bot.
        checked: bool,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrainAnswer {
    /// It is done.
    Done {
        /// What was done, and what is to be done next.
        text: Text<MAX_REASON>,
    },
    /// A part of the backup.
    Part {
        /// What it is; empty at the end.
        part: Bytes<MAX_BACKUP_PART>,
        /// Bytes of the whole.
        total: u64,
        /// The epoch it was made at: another one with a later part means that the brain changed meanwhile.
        epoch: u64,
    },
    /// The names of everything in it.
    Records(List<RecordRow, MAX_RECORDS>),
    /// One record in clear; none after the last.
    Record(Option<Box<ClearRecord>>),
}

/// Most records.
pub const MAX_RECORDS: usize = 4096;

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// The bot's own: its token.
    Bot,
    /// A secret of a script's.
    Secret,
    /// A long-term memory.
    Memory,
}

/// One record, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordRow {
    /// Its kind.
    pub kind: RecordKind,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its key.
    pub key: MemoryKey,
    /// How often it was written.
    pub version: u64,
    /// When it was written last, ms since 1970.
    pub written_ms: u64,
    /// What is wrong with it; empty when nothing is.
    pub problem: Text<MAX_REASON>,
}

/// One record with what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearRecord {
    /// What it is.
    pub row: RecordRow,
    /// What is in it.
    pub value: Confidential<MAX_SECRET>,
}

/// How the brain is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BrainStatus {
    /// Whether it can be used.
    pub state: BrainState,
    /// What there is to do about it; empty when nothing is.
    pub remedy: Text<MAX_REASON>,
    /// What opens it: `file PATH`, `credential NAME`, `passphrase`.
    pub key: Text<MAX_PATH>,
    /// Raised with every change; 0 while it is not open.
    pub epoch: u64,
    /// Secrets and memories.
    pub records: u64,
    /// Whether it holds the bot's token.
    pub token: bool,
}

/// Whether the brain can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BrainState {
    /// There is none yet.
    Absent,
    /// It waits for its key.
    Locked,
    /// It is not what the audit log says, or does not authenticate.
    Broken,
    /// It works.
    Open,
}
