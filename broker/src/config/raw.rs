//! The files as they are written: every key, and nothing checked but its type. Keys that are not here are errors.
//!
//! The allowlist's types take the seed's camelCase beside kebab-case, so that one set of types reads both forms.

use super::quantity::Amount;
pub(super) use super::raw_people::{Group, GroupsFile, Listed, PeopleFile};
pub(super) use super::raw_secrets::Attached;
use bartizan_proto::worker::Guarantee;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
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
    pub(super) control: Option<Control>,
    #[serde(default)]
    pub(super) scripts: Scripts,
    #[serde(default)]
    pub(super) alerts: Alerts,
    #[serde(default)]
    pub(super) audit: Audit,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) team: String,
    pub(super) ca_file: Option<PathBuf>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Control {
    pub(super) directory: Option<PathBuf>,
    pub(super) operators: Option<String>,
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
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Audit {
    pub(super) checkpoint_channel: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) output: Option<u64>,
    pub(super) attachment: Option<Amount>,
    pub(super) jobs: Option<u64>,
    pub(super) history: Option<u64>,
    pub(super) stale_after: Option<Amount>,
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
}

/// A script that says whether another one may be run.
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
    pub(super) rate: Option<String>,
    pub(super) timeout: Option<Amount>,
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
    #[serde(default)]
    pub(super) secrets: Vec<Attached>,
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
            rate: None,
            timeout: raw.timeout.clone(),
            is_async: false,
            idempotent: false,
            arguments: Arguments::default(),
            profile: raw.profile.clone(),
            limits: raw.limits.clone(),
            sha256: raw.sha256.clone(),
            secrets: Vec::new(),
            remote_config: None,
        }
    }
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Argument {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) regex: Option<String>,
    pub(super) length: Option<u64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) values: Option<Vec<String>>,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) default: Option<Scalar>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) sensitive: bool,
    #[serde(default)]
    pub(super) allow: Vec<String>,
}

/// A table of arguments in the order in which they are written, which is the order in which they are given.
#[derive(Default)]
pub(super) struct Arguments(pub(super) Vec<(String, Argument)>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;
        impl<'de> Visitor<'de> for Taker {
            type Value = Arguments;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of arguments by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Arguments, A::Error> {
                let mut arguments: Vec<(String, Argument)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    // JSON itself allows a key twice.
                    if arguments.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    arguments.push((name, map.next_value()?));
                }
                Ok(Arguments(arguments))
            }
        }
        deserializer.deserialize_map(Taker)
    }
}

/// A default, which may be written as what it is.
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;
        impl Visitor<'_> for Taker {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a boolean")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Taker)
    }
}
