//! The files as they are written: every key, and nothing checked but its type. Keys that are not here are errors.
//!
//! The allowlist's types take the seed's camelCase beside kebab-case, so that one set of types reads both forms.

use super::quantity::Amount;
pub(super) use super::raw_arguments::{Argument, Arguments, Scalar};
pub(super) use super::raw_backends::{Ansible, AnsibleProgram, Cluster, Lines, OrArgument, Remote, Slurm, Ssh, Target};
pub(super) use super::raw_people::{Group, GroupsFile, Listed, PeopleFile};
pub(super) use super::raw_schedules::Schedule;
pub(super) use super::raw_secrets::Attached;
pub(super) use super::raw_triggers::Trigger;
use bartizan_proto::worker::Guarantee;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `bartizan.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    #[serde(default)]
    pub(super) service: Service,
    pub(super) server: Server,
    #[serde(default)]
    pub(super) bot: Bot,
    #[serde(default)]
    pub(super) brain: Brain,
    pub(super) state: Directory,
    #[serde(default)]
    pub(super) control: Control,
    #[serde(default)]
    pub(super) scripts: Scripts,
    #[serde(default)]
    pub(super) alerts: Alerts,
    #[serde(default)]
    pub(super) audit: Audit,
    #[serde(default)]
    pub(super) approval: Approval,
    #[serde(default)]
    pub(super) elevation: Elevation,
    #[serde(default)]
    pub(super) identities: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) people: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) groups: BTreeMap<String, Group>,
    #[serde(default)]
    pub(super) rate: Rates,
    #[serde(default)]
    pub(super) sandbox: Sandbox,
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, Profile>,
    #[serde(default)]
    pub(super) target: Vec<Target>,
    #[serde(default)]
    pub(super) target_groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(super) ansible: AnsibleProgram,
    pub(super) slurm: Option<Cluster>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) team: String,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) proxy: Option<String>,
    pub(super) client_certificate: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) channels: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Bot {
    pub(super) token_file: Option<PathBuf>,
    pub(super) prefix: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Brain {
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_credential: Option<String>,
    #[serde(default)]
    pub(super) passphrase: bool,
    #[serde(default)]
    pub(super) secrets_by_direct_message: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Directory {
    pub(super) directory: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Service {
    pub(super) production: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Control {
    pub(super) directory: Option<PathBuf>,
    pub(super) operators: Option<String>,
    pub(super) read_directory: Option<PathBuf>,
    pub(super) readers: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Scripts {
    pub(super) allowlist: Option<PathBuf>,
    pub(super) directories: Option<Vec<PathBuf>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Alerts {
    pub(super) channel: Option<String>,
    pub(super) jobs_channel: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Audit {
    pub(super) checkpoint_channel: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Approval {
    pub(super) expires_after: Option<Amount>,
    pub(super) channel: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Elevation {
    pub(super) window: Option<Amount>,
    pub(super) window_kind: Option<String>,
    pub(super) enrol_by_direct_message: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) output: Option<u64>,
    pub(super) attachment: Option<Amount>,
    pub(super) jobs: Option<u64>,
    pub(super) jobs_per_user: Option<u64>,
    pub(super) history: Option<u64>,
    pub(super) stale_after: Option<Amount>,
    pub(super) answer_within: Option<Amount>,
    pub(super) drain: Option<Amount>,
    pub(super) shutdown_grace: Option<Amount>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Rates {
    pub(super) user: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) script: Option<String>,
    pub(super) thread_replies: Option<String>,
    pub(super) channel_replies: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Sandbox {
    pub(super) require: Option<Vec<Guarantee>>,
    pub(super) scratch_directory: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Profile {
    #[serde(default)]
    pub(super) read: Vec<PathBuf>,
    #[serde(default)]
    pub(super) write: Vec<PathBuf>,
    #[serde(default)]
    pub(super) exec: Vec<PathBuf>,
    #[serde(default)]
    pub(super) network: Vec<String>,
    memory: Option<Amount>,
    cpu: Option<Amount>,
    processes: Option<u64>,
    files: Option<u64>,
    file_size: Option<Amount>,
    scratch: Option<Amount>,
}

impl Profile {
    /// Its limits by themselves. (`#[serde(flatten)]` would do this, and would lose both lines and unknown keys.)
    pub(super) fn limits(&self) -> JobLimits {
        JobLimits {
            memory: self.memory.clone(),
            cpu: self.cpu.clone(),
            processes: self.processes,
            files: self.files,
            file_size: self.file_size.clone(),
            scratch: self.scratch.clone(),
        }
    }
}

/// The limits of a profile or of one script.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct JobLimits {
    pub(super) memory: Option<Amount>,
    pub(super) cpu: Option<Amount>,
    pub(super) processes: Option<u64>,
    pub(super) files: Option<u64>,
    #[serde(alias = "fileSize")]
    pub(super) file_size: Option<Amount>,
    pub(super) scratch: Option<Amount>,
}

/// The allowlist.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Allowlist {
    #[serde(default)]
    pub(super) scripts: Vec<Script>,
    #[serde(default)]
    pub(super) authorizers: Vec<Authorizer>,
    #[serde(default)]
    pub(super) elevators: Vec<Authorizer>,
    #[serde(default)]
    pub(super) schedules: Vec<Schedule>,
    #[serde(default)]
    pub(super) triggers: Vec<Trigger>,
}

/// A script that says whether another one may be run, or whether somebody has shown that it is them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Authorizer {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) timeout: Option<Amount>,
    pub(super) profile: Option<String>,
    #[serde(default)]
    pub(super) limits: JobLimits,
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(alias = "requiredPermission")]
    pub(super) required_permission: Option<String>,
    #[serde(alias = "requiredFlags", default)]
    pub(super) required_flags: Vec<String>,
    #[serde(alias = "allowedChannels")]
    pub(super) allowed_channels: Option<Vec<String>>,
    #[serde(alias = "privateOnly", default)]
    pub(super) private_only: bool,
    #[serde(alias = "directOnly", default)]
    pub(super) direct_only: bool,
    #[serde(alias = "allowedUsers")]
    pub(super) allowed_users: Option<Vec<String>>,
    #[serde(alias = "allowedGroups")]
    pub(super) allowed_groups: Option<Vec<String>>,
    pub(super) authorizer: Option<String>,
    #[serde(alias = "authorizerGroup")]
    pub(super) authorizer_group: Option<String>,
    pub(super) elevate: Option<String>,
    pub(super) elevator: Option<String>,
    #[serde(default)]
    pub(super) approvals: u64,
    pub(super) approval: Option<String>,
    #[serde(alias = "approverLevel")]
    pub(super) approver_level: Option<String>,
    #[serde(alias = "approverFlags", default)]
    pub(super) approver_flags: Vec<String>,
    #[serde(alias = "approverGroups", default)]
    pub(super) approver_groups: Vec<String>,
    #[serde(alias = "selfApproval", default)]
    pub(super) self_approval: bool,
    #[serde(alias = "breakGlass", default)]
    pub(super) break_glass: bool,
    #[serde(alias = "approvalWhen", default)]
    pub(super) approval_when: BTreeMap<String, Vec<Scalar>>,
    pub(super) rate: Option<String>,
    pub(super) timeout: Option<Amount>,
    #[serde(alias = "warnAfter")]
    pub(super) warn_after: Option<Amount>,
    pub(super) concurrency: Option<u64>,
    pub(super) exclusive: Option<String>,
    #[serde(alias = "whenBusy")]
    pub(super) when_busy: Option<String>,
    #[serde(rename = "async", default)]
    pub(super) is_async: bool,
    #[serde(default)]
    pub(super) idempotent: bool,
    #[serde(default)]
    pub(super) arguments: Arguments,
    pub(super) profile: Option<String>,
    #[serde(default)]
    pub(super) limits: JobLimits,
    pub(super) sha256: Option<String>,
    #[serde(alias = "remoteConfig")]
    pub(super) remote_config: Option<Remote>,
    pub(super) backend: Option<String>,
    #[serde(default)]
    pub(super) targets: Vec<String>,
    pub(super) ansible: Option<Ansible>,
    pub(super) ssh: Option<Ssh>,
    pub(super) slurm: Option<Slurm>,
    #[serde(default)]
    pub(super) secrets: Vec<Attached>,
    #[serde(default)]
    pub(super) api: Vec<String>,
    #[serde(default)]
    pub(super) steps: Vec<String>,
    #[serde(alias = "onFailure", default)]
    pub(super) on_failure: Vec<String>,
    #[serde(default)]
    pub(super) finally: Vec<String>,
}

impl Script {
    /// An authorizer as the script that it is, for the checks that both have.
    pub(super) fn of_authorizer(raw: &Authorizer) -> Self {
        Self {
            name: raw.name.clone(),
            path: Some(raw.path.clone()),
            description: String::new(),
            required_permission: None,
            required_flags: Vec::new(),
            allowed_channels: None,
            private_only: false,
            direct_only: false,
            allowed_users: None,
            allowed_groups: None,
            authorizer: None,
            authorizer_group: None,
            elevate: None,
            elevator: None,
            approvals: 0,
            approval: None,
            approver_level: None,
            approver_flags: Vec::new(),
            approver_groups: Vec::new(),
            self_approval: false,
            break_glass: false,
            approval_when: BTreeMap::new(),
            rate: None,
            timeout: raw.timeout.clone(),
            warn_after: None,
            concurrency: None,
            exclusive: None,
            when_busy: None,
            is_async: false,
            idempotent: false,
            arguments: Arguments::default(),
            profile: raw.profile.clone(),
            limits: raw.limits.clone(),
            sha256: raw.sha256.clone(),
            secrets: Vec::new(),
            api: Vec::new(),
            steps: Vec::new(),
            on_failure: Vec::new(),
            finally: Vec::new(),
            remote_config: None,
            backend: None,
            targets: Vec::new(),
            ansible: None,
            ssh: None,
            slurm: None,
        }
    }
}
