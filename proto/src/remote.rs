//! A job's `bartizan-remote` ↔ the one that a target's SSH daemon starts: one signed order and its script there, output and a result
//! back. And the plan that the core gives the first of them.
//!
//! Only the core can sign. What is signed is [`DOMAIN`] and the order's own bytes, so that no other signature of this key's is one of
//! these, and nothing is encoded again before it is verified. The order names its target, its script by hash, its end and a number that
//! is used once: on another machine, with another script, later or a second time it is worth nothing.
//!
//! [`FORMAT`] counts up whenever a type here, or one that it holds, changes its form.

use crate::bounded::{Bytes, List, Text};
use crate::ids::{JobId, ScriptName, SecretName, TargetName};
use crate::limits::{
    MAX_ARGUMENT, MAX_ARGUMENTS, MAX_ENVIRONMENT, MAX_HOST_KEY, MAX_HOST_KEYS, MAX_NAME, MAX_OUTPUT_CHUNK, MAX_REASON,
    MAX_REMOTE_ORDER, MAX_REMOTE_SCRIPT,
};
use crate::worker::{Ending, Given, Guarantee, InForce, Profile, Usage};
use serde::{Deserialize, Serialize};

/// The form of everything here.
pub const FORMAT: u16 = 1;

/// What stands before an order where it is signed.
pub const DOMAIN: &[u8] = b"bartizan remote order 1\0";

/// A running job ends when its target has heard nothing for so long, in seconds. The near side speaks four times as often.
pub const SILENCE_S: u64 = 60;

/// No order is good for longer than this, in seconds: a target remembers those that it has carried out, and has limited room.
pub const MAX_LIFETIME_S: u64 = 26 * 3600;

/// What runs on a target, and until when it may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteOrder {
    /// Whose order: the service's name for itself, for the target's log.
    pub broker: Text<MAX_NAME>,
    /// Its job there.
    pub job: JobId,
    /// What was decided, for the logs of both sides: SHA-256 over the script's name, its hash and its arguments.
    pub digest: [u8; 32],
    /// The only target that may carry it out.
    pub target: TargetName,
    /// When it begins to be worth nothing, in seconds since 1970.
    pub expires_s: u64,
    /// Random, once for each order.
    pub nonce: [u8; 16],
    /// The script.
    pub name: ScriptName,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its arguments. Never given to a shell by us.
    pub arguments: List<Text<MAX_ARGUMENT>, MAX_ARGUMENTS>,
    /// Additional environment variables.
    pub environment: List<(Text<MAX_NAME>, Text<MAX_ARGUMENT>), MAX_ENVIRONMENT>,
    /// What it may reach and use on the target.
    pub profile: Profile,
    /// Guarantees without which the target runs nothing.
    pub require: List<Guarantee, 32>,
    /// After this many ms the script is stopped.
    pub timeout_ms: u64,
    /// Between the polite signal at a time-out and the kill, in ms.
    pub grace_ms: u32,
    /// Most output handed on, in bytes.
    pub max_output: u64,
}

/// An order as it travels: the bytes that were signed, and by whom they must have been is the target's to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOrder {
    /// [`FORMAT`]. The first that is read.
    pub format: u16,
    /// A [`RemoteOrder`].
    pub order: Bytes<MAX_REMOTE_ORDER>,
    /// ed25519, of [`DOMAIN`] and `order`.
    pub signature: Bytes<64>,
}

/// To the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRemote {
    /// Once, first.
    Order {
        /// What to do.
        order: SignedOrder,
        /// The script's bytes.
        script: Bytes<MAX_REMOTE_SCRIPT>,
    },
    /// Somebody still waits for the result.
    Alive,
}

/// From the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromRemote {
    /// The script runs there, inside this.
    Running {
        /// Each layer, read back from that machine's kernel.
        layers: List<InForce, 32>,
        /// Each guarantee.
        given: List<Given, 32>,
    },
    /// What it printed.
    Output(Bytes<MAX_OUTPUT_CHUNK>),
    /// It ended, and nothing of it is left.
    Finished {
        /// How.
        ending: Ending,
        /// What it used.
        usage: Usage,
    },
    /// Nothing was run.
    Refused {
        /// The step that failed.
        step: Text<64>,
        /// Why.
        why: Text<MAX_REASON>,
    },
}

/// What the near side is to do. In its descriptor so many [`PlannedTarget`] follow, each a frame of its own: a thousand targets take no
/// more memory than those that are worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How many targets follow.
    pub targets: u32,
    /// So many at once.
    pub fanout: u16,
    /// So many first and alone; the others only when all of these did it.
    pub canary: u16,
    /// After so many that failed no further one is begun; 0 for never.
    pub stop_after: u16,
    /// Most output of each target that is handed on, in bytes.
    pub max_output: u64,
    /// The script's bytes.
    pub script: Bytes<MAX_REMOTE_SCRIPT>,
}

/// One target of a plan, in the plan's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// Its name.
    pub name: TargetName,
    /// Where it is: a name or an address that the job may connect to.
    pub host: Text<MAX_NAME>,
    /// The port of its SSH daemon.
    pub port: u16,
    /// Who logs in.
    pub user: Text<64>,
    /// With which of the job's secrets, an OpenSSH private key.
    pub key: SecretName,
    /// Its host keys, each `ssh-ed25519 AAAA…`. No other one is believed.
    pub host_keys: List<Text<MAX_HOST_KEY>, MAX_HOST_KEYS>,
    /// For it alone.
    pub order: SignedOrder,
}
