//! `bartizan-broker --check-config`, and the warnings that it shares with every start.

use super::trust::Trust;
use super::{Backend, Config, Kind};
use bartizan_proto::text::printable;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// What a check came to: the exit code, and the lines to print (to stdout when 0, to stderr otherwise).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// 0, or 2 for a configuration that would be refused.
    pub code: u8,
    /// What to print.
    pub lines: Vec<String>,
}

/// Loads a configuration and says how that went, without using it.
pub fn check_config(path: &Path, trust: &Trust) -> Checked {
    match Config::load(path, trust) {
        Ok(config) => {
            let (scripts, people) = (config.allowlist.len(), config.people.len() + config.people_file.len());
            let mut counts = vec![counted(scripts, "script", "scripts"), counted(people, "person", "people")];
            let targets = config.targets.targets.len();
            if targets > 0 {
                counts.push(counted(targets, "target", "targets"));
            }
            let mut lines = vec![format!("ok: {}", counts.join(", "))];
            lines.extend(config.warnings.iter().map(|warning| format!("warning: {}", printable(warning))));
            Checked { code: 0, lines }
        }
        Err(error) => Checked { code: 2, lines: vec![error.to_string()] },
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What is allowed, and still worth a line each time.
pub(super) fn warnings(config: &Config, trust: &Trust) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.server.url.is_in_clear() {
        warnings.push(format!(
            "{} is not https: the bot's token and all text cross the network in clear",
            config.server.url
        ));
    }
    let levels = config.people.values().copied().chain(config.people_file.values().map(|listed| listed.level));
    if !levels.into_iter().any(|level| level == super::Level::Admin) {
        warnings.push(
            "nobody in [people] or people.toml is an admin; `bartizan admin bootstrap USER` makes one".to_owned(),
        );
    }
    let own = config.allowlist.iter().filter(|script| belongs_to_runner(&script.path, trust));
    let own = own.count();
    if own > 0 {
        let scripts = counted(own, "script belongs", "scripts belong");
        warnings.push(format!("{scripts} to the user who runs them, which only single-user mode accepts"));
    }
    for script in config.allowlist.iter() {
        let name = &script.name;
        if let (Backend::Ansible(_), false) = (&script.backend, config.ansible.exists()) {
            let program = config.ansible.display();
            warnings.push(format!(
                "script \"{name}\" needs {program}, which is not there: install ansible-core, or name it as [ansible] program"
            ));
        }
        if let Backend::Slurm(slurm) = &script.backend {
            let cluster = &slurm.cluster;
            let needed = [
                cluster.config.clone(),
                cluster.programs.join("sbatch"),
                cluster.munge.clone(),
                cluster.output.clone(),
            ];
            if let Some(missing) = needed.iter().find(|path| !path.exists()) {
                let missing = missing.display();
                warnings.push(format!("script \"{name}\" needs {missing}, which is not there: see [slurm]"));
            }
        }
        if let Some(file) = script.secrets.iter().find_map(|secret| secret.file.as_deref()) {
            let file = file.display();
            warnings.push(format!(
                "script \"{name}\" has its private key in the file {file}: kept in the brain, it would be on no disk"
            ));
        }
        if script.timeout > Duration::from_secs(3600) {
            warnings.push(format!("script \"{name}\" may run for more than an hour"));
        }
        if let Some(known) = &config.server.channels {
            for channel in script.channels.iter().filter(|channel| !known.contains(channel)) {
                warnings
                    .push(format!("script \"{name}\" allows #{channel}, where [server] channels takes no commands"));
            }
        }
        for argument in &script.arguments {
            if matches!(argument.kind, Kind::Text { regex: None, .. }) {
                let argument = &argument.name;
                warnings.push(format!("script \"{name}\" takes any text as \"{argument}\": give it a regex"));
            }
        }
    }
    warnings
}

fn belongs_to_runner(script: &Path, trust: &Trust) -> bool {
    let own = |metadata: Metadata| metadata.uid() == trust.owner.as_raw();
    trust.allow_own && script.symlink_metadata().is_ok_and(own)
}
