//! Targets, and where a script runs, as they are written: every key, and nothing checked but its type.

use super::quantity::Amount;
use serde::Deserialize;
use std::path::PathBuf;

/// `[[target]]` of `bartizan.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) user: String,
    pub(super) host_key: Option<Lines>,
    pub(super) key: Option<String>,
}

/// One line, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Lines {
    One(String),
    More(Vec<String>),
}

/// `[ansible]` of `bartizan.toml`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AnsibleProgram {
    pub(super) program: Option<PathBuf>,
}

/// `[scripts.ansible]`.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ansible {
    pub(super) inventory: Option<PathBuf>,
    pub(super) key: Option<String>,
    #[serde(alias = "keyFile")]
    pub(super) key_file: Option<PathBuf>,
    #[serde(alias = "vaultPassword")]
    pub(super) vault_password: Option<String>,
    pub(super) forks: Option<u64>,
    pub(super) check: Option<bool>,
}

/// `[scripts.ssh]`.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Ssh {
    pub(super) fanout: Option<u64>,
    pub(super) canary: Option<u64>,
    #[serde(alias = "stopAfter")]
    pub(super) stop_after: Option<u64>,
    pub(super) key: Option<String>,
}

/// The seed's `remoteConfig`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Remote {
    #[serde(alias = "playbookPath")]
    pub(super) playbook_path: PathBuf,
    #[serde(alias = "inventoryPath")]
    pub(super) inventory_path: Option<PathBuf>,
    #[serde(alias = "sshKeyPath")]
    pub(super) ssh_key_path: Option<PathBuf>,
}

/// `[slurm]` of `bartizan.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) controller: String,
    pub(super) port: Option<u16>,
    pub(super) config: Option<PathBuf>,
    pub(super) programs: Option<PathBuf>,
    pub(super) munge: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) user_id: Option<u32>,
    pub(super) output: PathBuf,
}

/// `[scripts.slurm]`.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Slurm {
    pub(super) partition: Option<OrArgument<String>>,
    pub(super) nodes: Option<OrArgument<u64>>,
    pub(super) tasks: Option<u64>,
    #[serde(alias = "cpusPerTask")]
    pub(super) cpus_per_task: Option<u64>,
    pub(super) memory: Option<Amount>,
    pub(super) time: Option<Amount>,
    pub(super) account: Option<String>,
    pub(super) qos: Option<String>,
    pub(super) constraint: Option<String>,
    pub(super) requeue: Option<bool>,
}

/// A value, or the name of the argument that says it: `{ argument = "NAME" }`.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum OrArgument<T> {
    Value(T),
    Argument(Named),
}

/// `{ argument = "NAME" }`.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) argument: String,
}
