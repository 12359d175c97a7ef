//! core → a job's `bartizan-driver`: what it is to do, as one frame in the plan that the worker hands it. The driver runs in the job's
//! sandbox; it reports over the script API, and prints.

use crate::bounded::{Bytes, List, Text};
use crate::ids::SecretName;
use crate::limits::{
    MAX_ARGUMENT, MAX_ARGUMENTS, MAX_ENDPOINTS, MAX_ENVIRONMENT, MAX_HOST_KEY, MAX_HOST_KEYS, MAX_NAME, MAX_PATH,
    MAX_REMOTE_SCRIPT, MAX_SECRETS, MAX_TARGET_GROUPS,
};
use serde::{Deserialize, Serialize};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Play a playbook.
    Play(Box<Play>),
    /// Have a cluster's scheduler run a script, or follow one that it runs already.
    Batch(Box<Batch>),
}

/// A script for a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name there, by which it is found again: the same each time the same job is begun, and no other job's.
    pub name: Text<MAX_NAME>,
    /// Whether it may be submitted where none of that name is found; otherwise it is only looked for.
    pub submits: bool,
    /// From this byte of its output on.
    pub output_from: u64,
    /// Job `comment`, for the cluster's people.
    pub comment: Text<MAX_NAME>,
    /// The folder of `sbatch`, `squeue`, `sacct` and `scancel`.
    pub programs: Text<MAX_PATH>,
    /// `slurm.conf`.
    pub config: Text<MAX_PATH>,
    /// A folder that all nodes have at the same path: in it a job's own one with its output.
    pub output: Text<MAX_PATH>,
    /// The script's bytes; empty where nothing is submitted.
    pub script: Bytes<MAX_REMOTE_SCRIPT>,
    /// Its arguments.
    pub arguments: List<Text<MAX_ARGUMENT>, MAX_ARGUMENTS>,
    /// Its environment beside what the cluster sets.
    pub environment: List<(Text<MAX_NAME>, Text<MAX_ARGUMENT>), MAX_ENVIRONMENT>,
    /// What it may use there.
    pub resources: Resources,
}

/// What a job may use of a cluster; what is absent is as the cluster has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// The partition.
    pub partition: Option<Text<64>>,
    /// The account that it is charged to.
    pub account: Option<Text<64>>,
    /// The quality of service.
    pub qos: Option<Text<64>>,
    /// Features that its nodes must have.
    pub constraint: Option<Text<64>>,
    /// So many nodes.
    pub nodes: Option<u32>,
    /// So many tasks.
    pub tasks: Option<u32>,
    /// So many processors for each task.
    pub cpus_per_task: Option<u32>,
    /// Memory of each node, in MiB.
    pub memory_mib: Option<u64>,
    /// The cluster ends it after so many minutes.
    pub minutes: Option<u32>,
    /// Whether it is begun again when its node is lost.
    pub requeue: bool,
}

/// A playbook, and how it is played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    /// `ansible-playbook`.
    pub program: Text<MAX_PATH>,
    /// The playbook.
    pub playbook: Text<MAX_PATH>,
    /// SHA-256 of what the core opened there, in hexadecimal.
    pub sha256: Text<64>,
    /// The inventory; made of the targets where there is none.
    pub inventory: Option<Text<MAX_PATH>>,
    /// The machines.
    pub targets: List<Machine, MAX_ENDPOINTS>,
    /// Their groups, by name, with places in `targets`.
    pub groups: List<(Text<MAX_NAME>, List<u32, MAX_ENDPOINTS>), MAX_TARGET_GROUPS>,
    /// Whether the arguments have left out some targets: then it is played on these alone.
    pub limited: bool,
    /// Arguments, by name.
    pub variables: List<(Text<MAX_NAME>, Variable), MAX_ARGUMENTS>,
    /// Only say what would change.
    pub check: bool,
    /// On so many machines at once.
    pub forks: u16,
    /// The job's secrets that are private keys for them.
    pub keys: List<SecretName, MAX_SECRETS>,
    /// The job's secret that opens what is encrypted.
    pub vault: Option<SecretName>,
}

/// A machine that is logged in on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: Text<MAX_NAME>,
    /// A name or an address.
    pub host: Text<MAX_NAME>,
    /// Of its SSH server.
    pub port: u16,
    /// As whom.
    pub user: Text<64>,
    /// The keys that it may show.
    pub host_keys: List<Text<MAX_HOST_KEY>, MAX_HOST_KEYS>,
}

/// The value of an argument, as its schema says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Variable {
    /// Text, one of an enum's values, a target.
    Text(Text<MAX_ARGUMENT>),
    /// A plain decimal number, as it was typed.
    Number(Text<64>),
    /// Yes or no.
    Boolean(bool),
}
