//! What `ansible-playbook` is given: files in the job's own directory (memory, which ends with the job), its command line and its
//! environment. No argument of a command is on that line: they are one JSON object in a file.

use crate::{DriverError, failed};
use bartizan_proto::driver::{Machine, Play, Variable};
use serde_json::{Map, Value, json};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The events' plugin: its folder's name, its own, and what is in it.
const PLUGIN: (&str, &str, &str) = ("callback", "bartizan_events", include_str!("../ansible/bartizan_events.py"));

/// Files of the driver, in the job's directory.
pub(crate) struct Files {
    folder: PathBuf,
    /// The agent's socket.
    pub(crate) agent: PathBuf,
    known_hosts: PathBuf,
    ssh_config: PathBuf,
    inventory: PathBuf,
    variables: PathBuf,
}

impl Files {
    /// Writes all of them.
    pub(crate) fn write(work: &Play, home: &Path) -> Result<Self, DriverError> {
        let folder = home.join(".driver");
        let file = |name: &str| folder.join(name);
        let files = Self {
            agent: file("agent"),
            known_hosts: file("known_hosts"),
            ssh_config: file("ssh_config"),
            inventory: file("inventory.json"),
            variables: file("variables.json"),
            folder,
        };
        let callback = files.folder.join(PLUGIN.0);
        fs::create_dir_all(&callback).map_err(failed("the job's directory"))?;
        put(&callback.join(format!("{}.py", PLUGIN.1)), PLUGIN.2)?;
        put(&files.known_hosts, &known_hosts(&work.targets))?;
        put(&files.ssh_config, &ssh_config(&work.targets, &files.known_hosts, &files.agent))?;
        put(&files.variables, &variables(work).to_string())?;
        if work.inventory.is_none() {
            put(&files.inventory, &inventory(work).to_string())?;
        }
        Ok(files)
    }

    /// The words after the program's name. `vault` is the number of a descriptor with the password.
    pub(crate) fn arguments(&self, work: &Play, vault: Option<i32>) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        let inventory = work.inventory.as_ref().map_or_else(|| shown(&self.inventory), |path| path.to_string());
        let mut words = vec![
            format!("--inventory={inventory}"),
            format!("--extra-vars=@{}", shown(&self.variables)),
            format!("--forks={}", work.forks),
        ];
        if work.limited {
            // An inventory of its own may call a machine by its name or by its address.
            let own = work.inventory.is_some();
            let names = work
                .targets
                .iter()
                .flat_map(|target| [target.name.as_str()].into_iter().chain(own.then_some(target.host.as_str())));
            words.push(format!("--limit={}", names.collect::<Vec<_>>().join(",")));
        }
        if work.check {
            words.extend(["--check".to_owned(), "--diff".to_owned()]);
        }
        if let Some(number) = vault {
            words.push(format!("--vault-password-file=/dev/fd/{number}"));
        }
        words.push(work.playbook.to_string());
        words
    }

    /// Variables of its environment, over those of the job.
    pub(crate) fn environment(&self, events: i32) -> Vec<(&'static str, String)> {
        let shown = |path: &Path| path.display().to_string();
        let ssh = format!("-F {} -o ControlMaster=auto -o ControlPersist=60s", shown(&self.ssh_config));
        vec![
            ("BARTIZAN_EVENTS", events.to_string()),
            ("ANSIBLE_CALLBACK_PLUGINS", shown(&self.folder.join(PLUGIN.0))),
            ("ANSIBLE_STDOUT_CALLBACK", PLUGIN.1.to_owned()),
            ("ANSIBLE_SSH_ARGS", ssh),
            ("ANSIBLE_HOST_KEY_CHECKING", "True".to_owned()),
            ("ANSIBLE_RETRY_FILES_ENABLED", "False".to_owned()),
            ("ANSIBLE_NOCOLOR", "True".to_owned()),
            ("ANSIBLE_PIPELINING", "True".to_owned()),
            ("ANSIBLE_PERSISTENT_CONTROL_PATH_DIR", shown(&self.folder)),
            ("SSH_AUTH_SOCK", shown(&self.agent)),
            ("PYTHONUNBUFFERED", "1".to_owned()),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ]
    }
}

/// A file that is the job's user's alone.
fn put(path: &Path, content: &str) -> Result<(), DriverError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
        .map_err(failed(path.display().to_string()))
}

/// By what name a machine's keys are known: no name of a host is one of these.
fn alias(machine: &Machine) -> String {
    format!("bartizan.{}", machine.name)
}

/// `sshd(8)`, SSH_KNOWN_HOSTS FILE FORMAT.
fn known_hosts(machines: &[Machine]) -> String {
    let lines = machines
        .iter()
        .flat_map(|machine| machine.host_keys.iter().map(move |key| format!("{} {key}\n", alias(machine))));
    lines.collect()
}

/// `ssh_config(5)`: the first value counts, so what holds for all machines stands at the beginning.
fn ssh_config(machines: &[Machine], known_hosts: &Path, agent: &Path) -> String {
    let mut text = format!(
        "StrictHostKeyChecking yes\nUserKnownHostsFile {known}\nGlobalKnownHostsFile /dev/null\nUpdateHostKeys no\nCheckHostIP no\n\
         IdentityAgent {agent}\nIdentityFile none\nPreferredAuthentications publickey\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nBatchMode yes\nForwardAgent no\nForwardX11 no\nTunnel no\nPermitLocalCommand no\n\
         ClearAllForwardings yes\nCanonicalizeHostname no\nConnectTimeout 15\nServerAliveInterval 15\nServerAliveCountMax 4\n\n",
        known = known_hosts.display(),
        agent = agent.display(),
    );
    for machine in machines {
        let (name, host) = (machine.name.as_str(), machine.host.as_str());
        // Two machines may have one address, and different ports: there the name alone says which is meant.
        let shared = machines.iter().filter(|other| other.host == machine.host).count() > 1;
        let called = if shared || name == host { name.to_owned() } else { format!("{name} {host}") };
        text.push_str(&format!(
            "Host {called}\n  HostName {host}\n  Port {}\n  User {}\n  HostKeyAlias {}\n\n",
            machine.port,
            machine.user,
            alias(machine)
        ));
    }
    text
}

/// In ansible's YAML form, of which JSON is a part. Machines are called by their names: `ssh_config` says where they are.
fn inventory(work: &Play) -> Value {
    let name = |target: &Machine| target.name.to_string();
    let hosts: Map<String, Value> = work
        .targets
        .iter()
        .map(|target| (name(target), json!({ "ansible_port": target.port, "ansible_user": target.user.as_str() })))
        .collect();
    let groups: Map<String, Value> = work
        .groups
        .iter()
        .map(|(group, members)| {
            let members = members.iter().filter_map(|place| work.targets.get(usize::try_from(*place).ok()?));
            let members: Map<String, Value> = members.map(|target| (name(target), json!({}))).collect();
            (group.to_string(), json!({ "hosts": members }))
        })
        .collect();
    match hosts.is_empty() {
        true => json!({ "all": { "hosts": { "localhost": { "ansible_connection": "local" } } } }),
        false => json!({ "all": { "hosts": hosts, "children": groups } }),
    }
}

/// The arguments, as one object.
fn variables(work: &Play) -> Value {
    let value = |variable: &Variable| match variable {
        // What somebody typed is no template, wherever the play uses it: else `{{ lookup(…) }}` would be carried out. This is
        // how ansible's own JSON says so (AnsibleUnsafe); a version that did not know it would have a table here, and fail.
        Variable::Text(text) => json!({ "__ansible_unsafe": text.as_str() }),
        // As it was typed, where JSON has such a number.
        Variable::Number(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| json!({ "__ansible_unsafe": text.as_str() }))
        }
        Variable::Boolean(value) => json!(value),
    };
    Value::Object(work.variables.iter().map(|(name, variable)| (name.to_string(), value(variable))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_proto::{List, Text};

    fn machine(name: &str, host: &str, port: u16) -> Machine {
        Machine {
            name: Text::cut(name),
            host: Text::cut(host),
            port,
            user: Text::cut("deploy"),
            host_keys: List::cut([Text::cut("ssh-ed25519 AAAA")]),
        }
    }

    fn work() -> Play {
        Play {
            program: Text::cut("/usr/bin/ansible-playbook"),
            playbook: Text::cut("/srv/site.yml"),
            sha256: Text::default(),
            inventory: None,
            targets: List::cut([
                machine("web1", "10.0.0.1", 22),
                machine("web2", "10.0.0.1", 2222),
                machine("db", "db.example.com", 22),
            ]),
            groups: List::cut([(Text::cut("web"), List::cut([0, 1]))]),
            limited: true,
            variables: List::cut([
                (Text::cut("text"), Variable::Text(Text::cut("{{ lookup('file', '/etc/passwd') }} \"'\n"))),
                (Text::cut("number"), Variable::Number(Text::cut("-7.50"))),
                (Text::cut("flag"), Variable::Boolean(true)),
            ]),
            check: true,
            forks: 5,
            keys: List::default(),
            vault: None,
        }
    }

    #[test]
    fn no_argument_is_on_the_command_line_and_all_are_in_one_object() {
        let home = tempfile::tempdir().expect("a folder");
        let files = Files::write(&work(), home.path()).expect("written");
        let words = files.arguments(&work(), Some(9));
        let folder = home.path().join(".driver").display().to_string();
        assert_eq!(
            words,
            [
                format!("--inventory={folder}/inventory.json"),
                format!("--extra-vars=@{folder}/variables.json"),
                "--forks=5".to_owned(),
                "--limit=web1,web2,db".to_owned(),
                "--check".to_owned(),
                "--diff".to_owned(),
                "--vault-password-file=/dev/fd/9".to_owned(),
                "/srv/site.yml".to_owned(),
            ]
        );
        let written: Value = serde_json::from_slice(&fs::read(&files.variables).expect("there")).expect("JSON");
        assert_eq!(
            written,
            json!({ "text": { "__ansible_unsafe": "{{ lookup('file', '/etc/passwd') }} \"'\n" }, "number": -7.5, "flag": true })
        );
    }

    #[test]
    fn every_machine_is_known_by_its_pinned_keys_alone() {
        let text = ssh_config(&work().targets, Path::new("/scratch/known"), Path::new("/scratch/agent"));
        let first =
            |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key).map(str::trim).map(str::to_owned));
        assert_eq!(first("StrictHostKeyChecking").as_deref(), Some("yes"));
        assert_eq!(first("ForwardAgent").as_deref(), Some("no"));
        assert_eq!(first("GlobalKnownHostsFile").as_deref(), Some("/dev/null"));
        assert!(
            text.contains("Host web1\n  HostName 10.0.0.1\n  Port 22\n  User deploy\n  HostKeyAlias bartizan.web1\n"),
            "{text}"
        );
        assert!(text.contains("Host web2\n  HostName 10.0.0.1\n  Port 2222\n"), "{text}");
        assert!(text.contains("Host db db.example.com\n"), "{text}");
        assert!(known_hosts(&work().targets).contains("bartizan.db ssh-ed25519 AAAA\n"));
    }

    #[test]
    fn an_inventory_has_the_targets_and_their_groups_or_this_machine() {
        let made = inventory(&work());
        assert_eq!(made["all"]["children"]["web"], json!({ "hosts": { "web1": {}, "web2": {} } }));
        assert_eq!(made["all"]["hosts"]["web2"]["ansible_port"], 2222);
        let none = inventory(&Play { targets: List::default(), ..work() });
        assert_eq!(none["all"]["hosts"]["localhost"]["ansible_connection"], "local");
    }
}
