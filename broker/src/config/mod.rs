//! The configuration: read once, checked whole, and from then on a type that cannot be wrong.
//!
//! Called by start-up, by a reload and by `--check-config`. It trusts the files only as far as [`trust`] says, and
//! nothing in them until everything has been checked: a file with one mistake is refused whole, with one line that
//! names the file, the line, what is wrong and what to do. Every key is documented in `docs/configuration.md`.

mod allowlist;
mod api;
mod approval;
mod backend;
mod check;
mod concurrency;
mod context;
mod differences;
mod elevation;
mod error;
mod kind;
mod level;
mod list;
mod nearest;
mod pattern;
mod place;
mod profile;
mod quantity;
mod rate;
mod raw;
mod raw_arguments;
mod raw_backends;
mod raw_people;
mod raw_schedules;
mod raw_secrets;
mod raw_triggers;
mod schedule;
mod script;
mod secrets;
mod settings;
mod source;
mod steps;
mod trial;
mod trigger;
pub mod trust;
mod url;

pub use allowlist::{Allow, Allowlist, Argument, Attached, Kind, Script};
pub use approval::{Approval, Approvals};
pub use backend::{Ansible, Backend, Choice, Cluster, Slurm, Ssh, Target, Targets};
pub use check::{Checked, check_config};
pub use elevation::{Elevate, Elevation};
pub use error::ConfigError;
pub use level::Level;
pub use nearest::{nearest, nearest_that};
pub use rate::{Rate, Rates};
pub use schedule::{Missed, Schedule, When};
pub(crate) use script::NOTHING;
pub use steps::{Step, Steps};
pub use trial::trial;
pub use trigger::{Source as TriggerSource, Trigger};
pub use trust::{Trust, TrustError};
pub use url::{InvalidUrl, ServerUrl};

use crate::brain::KeySource;
use bartizan_proto::ids::FlagName;
use bartizan_proto::worker::{Guarantee, Profile};
use error::Wrong;
use place::{absolute, script_directories};
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `ansible-playbook`, where Debian, Fedora and RHEL install it.
const ANSIBLE: &str = "/usr/bin/ansible-playbook";

/// Everything that `bartizan.toml` and the allowlist it names say. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file this was read from.
    pub path: PathBuf,
    /// `[service] production`: refuse to run everything as one user.
    pub production: bool,
    /// `[server]`.
    pub server: Server,
    /// `[bot]`.
    pub bot: Bot,
    /// `[brain]`.
    pub brain: Brain,
    /// `[state] directory`: database, audit log, and what else the core keeps.
    pub state: PathBuf,
    /// `[control] directory`: where `control.sock` is made. `STATE/run` unless the file says otherwise.
    pub control: PathBuf,
    /// `[control] operators`: the group, by name or number, of those who may use that socket beside root.
    pub operators: Option<String>,
    /// `[control] read-directory`: where `read.sock` is made. The same, unless the file says otherwise.
    pub read: PathBuf,
    /// `[control] readers`: the group of those who may use that one, and may only read.
    pub readers: Option<String>,
    /// `[people]`: levels by user name or id, in lower case and without `@`, which the database takes over once.
    pub people: BTreeMap<String, Level>,
    /// `[alerts] channel`: where admins are warned; each by a direct message when absent.
    pub alerts: Option<String>,
    /// `[alerts] jobs-channel`: where operators are told of jobs that take long; the channel above when absent.
    pub job_notices: Option<String>,
    /// `[audit] checkpoint-channel`: where the audit log's checkpoints are posted; nowhere when absent.
    pub checkpoints: Option<String>,
    /// `[approval]`.
    pub approvals: Approvals,
    /// `[elevation]`.
    pub elevation: Elevation,
    /// `[identities]`: the accounts of one person each, by name or id.
    pub identities: BTreeMap<String, Vec<String>>,
    /// `people.toml`, where there is one: people by name or id, whatever the database says of them.
    pub people_file: BTreeMap<String, Listed>,
    /// `[groups]` and `groups.toml`.
    pub groups: BTreeMap<String, Group>,
    /// `[rate]`.
    pub rates: Rates,
    /// `[limits]`.
    pub limits: Limits,
    /// `[sandbox] require`: guarantees without which nothing runs. All of them unless the file says otherwise.
    pub require: Vec<Guarantee>,
    /// `[sandbox] scratch-directory`: where the scratch directories of jobs are made.
    pub scratch: Option<PathBuf>,
    /// `[profiles.NAME]`, before the limits of single scripts.
    pub profiles: BTreeMap<String, Profile>,
    /// The file that `[scripts] allowlist` names.
    pub allowlist_path: PathBuf,
    /// What is in it.
    pub allowlist: Allowlist,
    /// The addresses of the hosts that profiles grant, as start-up looked them up; empty until then.
    pub addresses: BTreeMap<String, Vec<std::net::IpAddr>>,
    /// `[[target]]` and `[target-groups]`.
    pub targets: backend::Known,
    /// `[ansible] program`: `ansible-playbook`, by its path.
    pub ansible: PathBuf,
    /// `[slurm]`: the cluster, where there is one.
    pub cluster: Option<backend::Cluster>,
    /// What is allowed and still worth a line in the log.
    pub warnings: Vec<String>,
}

/// The Mattermost server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `url`: its base address.
    pub url: ServerUrl,
    /// `team`: the name of the team that the bot works in, as in the address of its channels.
    pub team: String,
    /// `ca-file`: PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `proxy`: `http://HOST:PORT` of an HTTP proxy that connects to the server.
    pub proxy: Option<String>,
    /// `client-certificate` and `client-key`: PEM files for a server that asks for a certificate.
    pub client: Option<(PathBuf, PathBuf)>,
    /// `channels`: names of the channels where commands are taken; every channel of the team when absent.
    pub channels: Option<Vec<String>>,
}

/// The bot's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// `token-file`: a file of mode 0600 or 0400 with the access token, taken over into a brain that holds none.
    pub token_file: Option<PathBuf>,
    /// `prefix`: what a command begins with; `!` unless the file says otherwise.
    pub prefix: String,
}

/// Keys and secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brain {
    /// `key-file`, `key-credential` or `passphrase`: what opens the brain. `STATE/brain.key` where none is given.
    pub key: KeySource,
    /// `secrets-by-direct-message`: whether admins may set secrets by direct message, too.
    pub by_direct_message: bool,
}

/// The service's own limits; those of a job are in its [`Profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `output`: most characters of a script's output in a post.
    pub output: usize,
    /// `attachment`: most bytes of output attached as a file.
    pub attachment: usize,
    /// `jobs`: most jobs that run at once.
    pub jobs: usize,
    /// `jobs-per-user`: most of them of one person.
    pub jobs_per_user: usize,
    /// `history`: so many ended jobs of each script are kept with what they printed.
    pub history: usize,
    /// `stale-after`: a command older than this, by the server's clock, is asked for again and not run.
    pub stale_after: Duration,
    /// `answer-within`: how long somebody may take over a question.
    pub answer_within: Duration,
    /// `drain`: how long running jobs may go on after `bartizan restart`.
    pub drain: Duration,
    /// `shutdown-grace`: how long running jobs may go on after SIGTERM.
    pub shutdown_grace: Duration,
}

/// What `people.toml` says of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// `level`.
    pub level: Level,
    /// `flags`.
    pub flags: BTreeSet<FlagName>,
}

/// Who is in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// These people, by name or id.
    Members(Vec<String>),
    /// Who is in the group of this name on the Mattermost server.
    Mattermost(String),
}

impl Config {
    /// Whether any script is granted some network.
    pub fn grants_network(&self) -> bool {
        let scripts = self.allowlist.programs().map(|script| &script.profile);
        scripts.chain(self.profiles.values()).any(|profile| !profile.network.is_empty())
    }

    /// What no script may so much as read: token, keys, state, control socket.
    pub fn secrets(&self) -> impl Iterator<Item = &Path> {
        let key = match &self.brain.key {
            KeySource::File(path) | KeySource::Own(path) => Some(path),
            KeySource::Credential(_) | KeySource::Passphrase => None,
        };
        [Some(&self.state), Some(&self.control), self.bot.token_file.as_ref(), key]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// Reads and checks `bartizan.toml`, the allowlist, and every file that they name.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong. Nothing of a configuration with a mistake is used.
    pub fn load(path: &Path, trust: &Trust) -> Result<Self, ConfigError> {
        // 1. The file itself.
        let path = absolute(&std::env::current_dir().unwrap_or_default(), path);
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let source = Source::read(&path, trust).map_err(ConfigError::Untrusted)?;
        let raw: raw::File = source.parse()?;
        let place = |wrong: Wrong, section: &str| source.place(wrong.within(section));

        // 2. What is in it, section by section.
        let server = settings::server(&raw.server, &folder, trust).map_err(|wrong| place(wrong, "server"))?;
        let bot = settings::bot(&raw.bot, &folder, trust).map_err(|wrong| place(wrong, "bot"))?;
        let limits = settings::limits(&raw.limits).map_err(|wrong| place(wrong, "limits"))?;
        let alerts = settings::alerts(&raw.alerts).map_err(|wrong| place(wrong, "alerts"))?;
        let job_notices = settings::job_notices(&raw.alerts).map_err(|wrong| place(wrong, "alerts"))?;
        let checkpoints = settings::audit(&raw.audit).map_err(|wrong| place(wrong, "audit"))?;
        let approvals = approval::settings(&raw.approval).map_err(|wrong| place(wrong, "approval"))?;
        let elevation = elevation::settings(&raw.elevation).map_err(|wrong| place(wrong, "elevation"))?;
        let identities = approval::identities(&raw.identities).map_err(|wrong| place(wrong, "identities"))?;
        let people = settings::people(&raw.people).map_err(|wrong| place(wrong, "people"))?;
        let rates = settings::rates(&raw.rate).map_err(|wrong| place(wrong, "rate"))?;
        let people_file = match beside(&folder, "people.toml", trust)? {
            Some(file) => settings::people_file(&file.parse()?).map_err(|wrong| file.place(wrong))?,
            None => BTreeMap::new(),
        };
        let mut groups = settings::groups(&raw.groups).map_err(|wrong| place(wrong, "groups"))?;
        if let Some(file) = beside(&folder, "groups.toml", trust)? {
            let more: raw::GroupsFile = file.parse()?;
            for (name, group) in settings::groups(&more.groups).map_err(|wrong| file.place(wrong.within("groups")))? {
                if groups.insert(name.clone(), group).is_some() {
                    let wrong =
                        Wrong::new(format!("the group \"{name}\" is in bartizan.toml, too"), "keep one of them");
                    return Err(file.place(wrong.within(name.as_str()).within("groups")));
                }
            }
        }
        let state = absolute(&folder, &raw.state.directory);
        let brain = settings::brain(&raw.brain, &folder, &state).map_err(|wrong| place(wrong, "brain"))?;
        let control = settings::control(raw.control, &folder, &state).map_err(|wrong| place(wrong, "control"))?;
        let allowlist_path = absolute(&folder, raw.scripts.allowlist.as_deref().unwrap_or(Path::new("allowlist.toml")));

        // 3. Profiles, which may grant nothing of what was just named.
        let mut secret = vec![state.clone(), control.directory.clone(), control.read.clone()];
        secret.extend(bot.token_file.clone());
        if let KeySource::File(path) = &brain.key {
            secret.push(path.clone());
        }
        let own = profile::Own { secret, fixed: vec![path.clone(), allowlist_path.clone()] };
        let mut profiles = BTreeMap::new();
        for (name, raw) in &raw.profiles {
            let profile = profile::check(raw, &folder, &own).map_err(|wrong| {
                place(wrong.about(&format!("profile \"{name}\"")).within(name.as_str()), "profiles")
            })?;
            profiles.insert(name.clone(), profile);
        }

        let targets = backend::known(&raw.target, &raw.target_groups).map_err(|wrong| source.place(wrong))?;
        let ansible = raw.ansible.program.unwrap_or_else(|| PathBuf::from(ANSIBLE));
        if !ansible.is_absolute() {
            let what = format!("\"{}\" is not the path of a program", ansible.display());
            return Err(place(Wrong::new(what, "begin it with /").within("program"), "ansible"));
        }

        let cluster = raw.slurm.as_ref().map(|raw| backend::cluster(raw, &folder, trust)).transpose();
        let cluster = cluster.map_err(|wrong| place(wrong, "slurm"))?;

        // 4. The allowlist.
        let directories = script_directories(&raw.scripts, &folder, &allowlist_path);
        let list = Source::read(&allowlist_path, trust).map_err(|error| match error {
            TrustError::Missing(_) => place(Wrong::from(error).within("allowlist"), "scripts"),
            other => ConfigError::Untrusted(other),
        })?;
        let raw_list: raw::Allowlist = list.parse()?;
        let authorizers: Vec<&str> = raw_list.authorizers.iter().map(|one| one.name.as_str()).collect();
        let elevators: Vec<&str> = raw_list.elevators.iter().map(|one| one.name.as_str()).collect();
        let around = script::Surroundings {
            directories: &directories,
            profiles: &profiles,
            trust,
            groups: &groups,
            authorizers: &authorizers,
            elevators: &elevators,
            targets: &targets,
            cluster: cluster.as_ref(),
            own: &own,
        };
        let allowlist = list::read(&list, &raw_list, &around)?;

        let require = raw.sandbox.require.unwrap_or_else(|| Guarantee::ALL.to_vec());
        let scratch = raw.sandbox.scratch_directory.map(|path| absolute(&folder, &path));
        let mut config = Self {
            path,
            production: raw.service.production.unwrap_or(false),
            server,
            bot,
            brain,
            state,
            control: control.directory,
            operators: control.operators,
            read: control.read,
            readers: control.readers,
            people,
            alerts,
            job_notices,
            checkpoints,
            approvals,
            elevation,
            identities,
            people_file,
            groups,
            rates,
            limits,
            require,
            scratch,
            profiles,
            allowlist_path,
            allowlist,
            addresses: BTreeMap::new(),
            targets,
            ansible,
            cluster,
            warnings: Vec::new(),
        };
        // 5. What is allowed, and perhaps not meant.
        config.warnings = check::warnings(&config, trust);
        Ok(config)
    }
}

/// A file in the same folder, where there is one.
fn beside(folder: &Path, name: &str, trust: &Trust) -> Result<Option<Source>, ConfigError> {
    match Source::read(&folder.join(name), trust) {
        Ok(source) => Ok(Some(source)),
        Err(TrustError::Missing(_)) => Ok(None),
        Err(error) => Err(ConfigError::Untrusted(error)),
    }
}

#[cfg(test)]
mod tests;
