//! `[scripts.ansible]`, and the seed's `remoteConfig`: a playbook, which `ansible-playbook` plays here on the targets.

use super::super::error::Wrong;
use super::super::script::{Surroundings, found, must_find};
use super::super::{Attached, raw};
use super::{Backend, Chosen, Targets, between, inventory, keys, target};
use crate::brain::record::RESERVED;
use bartizan_proto::ids::{MemoryKey, Namespace, SecretName};
use std::path::{Path, PathBuf};

/// The name, among a job's secrets, of a key that comes from a file. Nobody can set a secret of this namespace.
const KEY_FILE: &str = "ssh-key-file";

/// How a playbook is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ansible {
    /// `inventory`: a file or folder; made of the targets where there is none.
    pub inventory: Option<PathBuf>,
    /// The secrets whose private keys open the targets.
    pub keys: Vec<SecretName>,
    /// `vault-password`: the secret that opens what `ansible-vault` has encrypted.
    pub vault: Option<SecretName>,
    /// `forks`: on so many targets at once.
    pub forks: usize,
    /// `check`: whether `dry-run` may be asked for.
    pub check: bool,
}

pub(super) fn choose(raw: &raw::Script, mut targets: Targets, around: &Surroundings<'_>) -> Result<Chosen, Wrong> {
    let mut table = raw.ansible.clone().unwrap_or_default();
    let mut playbook = raw.path.clone();
    // Where it is written, for errors.
    let (mut at_inventory, mut at_key, mut at_playbook) =
        (vec!["ansible", "inventory"], vec!["ansible", "key-file"], vec!["path"]);
    if let Some(remote) = &raw.remote_config {
        if table.inventory.is_some() || table.key_file.is_some() {
            let what = "remote-config says that already";
            return Err(Wrong::new(what, "keep one of remote-config and ansible").within("remote-config"));
        }
        table.inventory.clone_from(&remote.inventory_path);
        table.key_file.clone_from(&remote.ssh_key_path);
        playbook = Some(remote.playbook_path.clone());
        at_inventory = vec!["remote-config", "inventory-path"];
        at_key = vec!["remote-config", "ssh-key-path"];
        at_playbook = vec!["remote-config", "playbook-path"];
    }
    let within = |wrong: Wrong, at: &[&'static str]| at.iter().rev().fold(wrong, |wrong, step| wrong.within(*step));

    let written =
        playbook.ok_or_else(|| Wrong::new("the key \"path\" is missing", "say which file the playbook is"))?;
    let file = must_find(&written, around.directories).map_err(|wrong| within(wrong, &at_playbook))?;
    around.trust.open_shared(&file).map_err(|error| within(error.into(), &at_playbook))?;
    let mut reads: Vec<PathBuf> = file.parent().map(Path::to_owned).into_iter().collect();

    let inventory = match &table.inventory {
        None => None,
        Some(written) => {
            let path = must_find(written, around.directories).map_err(|wrong| within(wrong, &at_inventory))?;
            if targets.is_empty() {
                targets = inventory::targets(&path, around).map_err(|wrong| within(wrong, &at_inventory))?;
            } else if !path.is_dir() {
                around.trust.open_shared(&path).map_err(|error| within(error.into(), &at_inventory))?;
            }
            let beside = ["group_vars", "host_vars"].map(|name| path.with_file_name(name));
            reads.push(path.clone());
            reads.extend(beside.into_iter().filter(|beside| beside.is_dir()));
            Some(path)
        }
    };

    let mut secrets = match &table.key_file {
        None if targets.is_empty() => Vec::new(),
        None => keys(table.key.as_deref(), "ansible", &mut targets)?,
        Some(_) if table.key.is_some() => {
            let what = "the key is in the brain, and in a file";
            return Err(Wrong::new(what, "keep one of key and key-file").within("key").within("ansible"));
        }
        Some(written) => {
            let path = found(written, around.directories).ok_or_else(|| {
                let what = format!("there is no file {}", written.display());
                within(Wrong::new(what, "put it there, or keep it in the brain: key = \"NAMESPACE/NAME\""), &at_key)
            })?;
            around.trust.open_secret(&path).map_err(|error| within(error.into(), &at_key))?;
            let (Ok(namespace), Ok(key)) = (RESERVED.parse::<Namespace>(), KEY_FILE.parse::<MemoryKey>()) else {
                return Err(Wrong::new("no name for the key", "keep it in the brain"));
            };
            vec![Attached { name: SecretName { namespace, key }, variable: None, file: Some(path) }]
        }
    };
    let key_names = secrets.iter().map(|secret| secret.name.clone()).collect();
    let vault = table.vault_password.as_deref().map(target::secret).transpose();
    let vault = vault.map_err(|wrong| wrong.within("vault-password").within("ansible"))?;
    if let Some(name) = vault.clone().filter(|name| !secrets.iter().any(|known| known.name == *name)) {
        secrets.push(Attached { name, variable: None, file: None });
    }
    let forks = between("ansible", "forks", table.forks, 5, (1, 50))?;
    let ansible = Ansible {
        inventory,
        keys: key_names,
        vault,
        forks: usize::try_from(forks).unwrap_or(1),
        check: table.check.unwrap_or(true),
    };
    Ok(Chosen { backend: Backend::Ansible(ansible), targets, file: Some(file), secrets, reads })
}
