//! Where a script runs, and how: `backend`, `targets` and the backend's own table of an entry. Everything here is checked when
//! the file is read; what a backend does with it is `broker/src/job/backend/`.

mod ansible;
mod inventory;
mod slurm;
mod ssh;
mod target;

pub use ansible::Ansible;
pub use slurm::{Choice, Cluster, Slurm};
pub(super) use slurm::{cluster, fits};
pub use ssh::Ssh;
pub(super) use target::known;
pub use target::{Known, Target, Targets};

use super::error::{Wrong, not_one_of};
use super::script::Surroundings;
use super::{Attached, profile, raw};
use bartizan_proto::worker::{Endpoint, Profile};
use bartizan_proto::{List, Text};
use std::path::PathBuf;
use std::time::Duration;

/// Where a script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Here: the script itself, in a worker's sandbox.
    Local,
    /// `ansible-playbook` here, in a worker's sandbox, on the targets.
    Ansible(Ansible),
    /// The script itself, on the targets, in the same sandbox there.
    Ssh(Ssh),
    /// The script itself, on nodes of a cluster, as its scheduler sees fit.
    Slurm(Box<Slurm>),
}

impl Backend {
    /// The words for `backend`.
    pub const NAMES: [&str; 4] = ["local", "ansible", "ssh", "slurm"];

    /// Its word.
    pub fn name(&self) -> &'static str {
        match self {
            Backend::Local => "local",
            Backend::Ansible(_) => "ansible",
            Backend::Ssh(_) => "ssh",
            Backend::Slurm(_) => "slurm",
        }
    }

    /// Whether its file is only read here: it needs neither `#!` nor permission to execute.
    pub fn reads_its_file(&self) -> bool {
        match self {
            Backend::Ansible(_) => true,
            Backend::Local | Backend::Ssh(_) | Backend::Slurm(_) => false,
        }
    }

    /// Whether it can say what it would do, for `dry-run`.
    pub fn checks(&self) -> bool {
        match self {
            Backend::Ansible(ansible) => ansible.check,
            Backend::Local | Backend::Ssh(_) | Backend::Slurm(_) => false,
        }
    }
}

/// What an entry says of all this, checked.
pub(super) struct Chosen {
    pub(super) backend: Backend,
    pub(super) targets: Targets,
    /// The file that takes the place of `path`, where the entry names one otherwise: the seed's `playbookPath`.
    pub(super) file: Option<PathBuf>,
    /// Secrets that its driver is given beside those of the entry.
    pub(super) secrets: Vec<Attached>,
    /// Folders that the job reads beside the profile's.
    pub(super) reads: Vec<PathBuf>,
}

/// Checks it. What the seed's `remoteConfig` says is the ansible backend's.
pub(super) fn choose(raw: &raw::Script, timeout: Duration, around: &Surroundings<'_>) -> Result<Chosen, Wrong> {
    let word = match (&raw.backend, &raw.remote_config) {
        (None, Some(_)) => "ansible",
        (None, None) => "local",
        (Some(word), Some(_)) if word != "ansible" => {
            let what = format!("remote-config belongs to the backend ansible, not to \"{word}\"");
            return Err(Wrong::new(what, "remove one of them").within("remote-config"));
        }
        (Some(word), _) => word.as_str(),
    };
    if !Backend::NAMES.contains(&word) {
        return Err(not_one_of("there is no backend", word, &Backend::NAMES).within("backend"));
    }
    let tables = [("ansible", raw.ansible.is_some()), ("ssh", raw.ssh.is_some()), ("slurm", raw.slurm.is_some())];
    if let Some((table, _)) = tables.into_iter().find(|(table, given)| *given && *table != word) {
        let what = format!("the table {table} means nothing for the backend {word}");
        return Err(Wrong::new(what, format!("remove it, or say backend = \"{table}\"")).within(table));
    }
    if word != "local" && !raw.api.is_empty() {
        let what = format!("what runs by the backend {word} cannot call the script API");
        return Err(Wrong::new(what, "remove api").within("api"));
    }
    if (word == "ssh" || word == "slurm") && !raw.secrets.is_empty() {
        let what = "secrets do not reach the other machines";
        return Err(Wrong::new(what, "remove secrets").within("secrets"));
    }
    if word != "local" && (!raw.steps.is_empty() && raw.path.is_none() && raw.remote_config.is_none()) {
        let what = format!("steps alone have nothing that runs by the backend {word}");
        return Err(Wrong::new(what, "give its path, or remove backend").within("backend"));
    }
    let targets = target::of_script(&raw.targets, around.targets)?;
    match word {
        "ansible" => ansible::choose(raw, targets, around),
        "ssh" => ssh::choose(raw, targets),
        "slurm" => slurm::choose(raw, timeout, around),
        _ if targets.is_empty() => {
            let (file, secrets, reads) = (None, Vec::new(), Vec::new());
            Ok(Chosen { backend: Backend::Local, targets, file, secrets, reads })
        }
        _ => {
            let what = "targets mean nothing for a script that runs here";
            Err(Wrong::new(what, "say backend = \"ansible\" or \"ssh\", or remove them").within("targets"))
        }
    }
}

/// Puts what a backend needs over the profile of its entry: the SSH ports of the targets, and folders to read.
pub(super) fn grant(below: Profile, chosen: &Chosen, around: &Surroundings<'_>) -> Result<Profile, Wrong> {
    let mut network = below.network.into_vec();
    if let Backend::Slurm(slurm) = &chosen.backend {
        let (host, port) = (slurm.cluster.controller.clone(), slurm.cluster.port);
        network.push(Endpoint { host, port, addresses: List::default() });
    }
    for target in &chosen.targets.all {
        let endpoint = Endpoint { host: target.host.clone(), port: target.port, addresses: List::default() };
        if !network.contains(&endpoint) {
            network.push(endpoint);
        }
    }
    let network = List::new(network).map_err(|e| Wrong::new(format!("too many hosts ({e})"), "name fewer targets"))?;
    let mut read = below.read.into_vec();
    for path in profile::readable(&chosen.reads, around.own)?.into_vec() {
        let known =
            |granted: &Text<{ bartizan_proto::limits::MAX_PATH }>| path.as_str().starts_with(&format!("{granted}/"));
        if !read.iter().any(|granted| *granted == path || known(granted)) {
            read.push(path);
        }
    }
    let read =
        List::new(read).map_err(|e| Wrong::new(format!("too many paths ({e})"), "grant a directory above them"))?;
    Ok(Profile { network, read, ..below })
}

/// The keys of the targets, each once, or for all of them the one that the entry names. With targets there must be one for each.
fn keys(own: Option<&str>, table: &'static str, targets: &mut Targets) -> Result<Vec<Attached>, Wrong> {
    let own = own.map(target::secret).transpose().map_err(|wrong| wrong.within("key").within(table))?;
    let mut all: Vec<Attached> = Vec::new();
    for target in &mut targets.all {
        if own.is_some() {
            target.key.clone_from(&own);
        }
        let Some(name) = target.key.clone() else {
            let what = format!("nothing opens the target \"{}\"", target.name);
            let remedy =
                "name the secret with its private key: key = \"NAMESPACE/NAME\", there or in this entry's table";
            return Err(Wrong::new(what, remedy).within("targets"));
        };
        if !all.iter().any(|known| known.name == name) {
            all.push(Attached { name, variable: None, file: None });
        }
    }
    Ok(all)
}

/// A whole number between two bounds.
fn between(
    table: &'static str,
    key: &'static str,
    given: Option<u64>,
    usual: u64,
    (least, most): (u64, u64),
) -> Result<u64, Wrong> {
    let value = given.unwrap_or(usual);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Wrong::new(format!("{key} is {value}"), format!("give a number from {least} to {most}"))
        .within(key)
        .within(table))
}
