//! The seed's `remoteConfig` as it is, with `sshKeyPath`, through an installed service: the key is a file that only the service's owner
//! can read, the playbook runs as the user of jobs, and what it plays on is an OpenSSH daemon of somebody else's.

use bartizan_tests::installed::{Daemon, INVOKER, OPERATOR, Place, SERVICE, STRANGER, daemon, skip};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

const SEED: &str = r#"{"scripts": [{"name": "deploy-app", "path": "playbooks/app.yml", "description": "Deploy an application",
  "requiredPermission": "user", "timeout": 120000, "arguments": {"version": {"type": "string", "regex": "v[0-9]+", "required": true}},
  "remoteConfig": {"playbookPath": "playbooks/app.yml", "inventoryPath": "playbooks/hosts", "sshKeyPath": "keys/id_ed25519_bot"}}]}
"#;

/// What it says of the key is what a playbook's own programs can find out about it.
const PLAYBOOK: &str = r#"- hosts: app
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "{{ version }}\n", dest: ~/app, mode: "0600"}
    - name: the key
      delegate_to: localhost
      ansible.builtin.shell: "id -u; head -c 20 KEY 2>&1; grep -rl 'PRIVATE [K]EY' $HOME /tmp 2>/dev/null; true"
      register: seen
      changed_when: false
    - ansible.builtin.debug: {msg: "{{ seen.stdout_lines }}"}
"#;

/// The installation with it, and the machine.
fn ready() -> Option<(Place, Daemon)> {
    let place = Place::install()?;
    if let Some(why) = Daemon::missing() {
        skip(&why);
        return None;
    }
    if !Path::new("/usr/bin/ansible-playbook").exists() {
        skip("needs /usr/bin/ansible-playbook (Debian: ansible-core)");
        return None;
    }
    let daemon = Daemon::start(STRANGER);
    let host_key = fs::read_to_string(daemon.path("host.pub")).expect("a key");
    let config = place.read("etc/bartizan/bartizan.toml").replace("allowlist.toml", "script-allowlist.json");
    let config = config.replace("directories = [\"scripts\"]", "directories = [\".\"]");
    let target = format!(
        "{config}\n[[target]]\nname = \"web1\"\nhost = \"{}\"\nport = {}\nuser = \"{}\"\nhost-key = \"{}\"\n",
        daemon::ADDRESS,
        daemon.port,
        daemon::ACCOUNT,
        host_key.trim()
    );
    place.write("etc/bartizan/bartizan.toml", &target, 0o644);
    place.write("etc/bartizan/script-allowlist.json", SEED, 0o644);
    fs::create_dir(place.path("etc/bartizan/playbooks")).expect("a folder");
    let key = place.path("etc/bartizan/keys/id_ed25519_bot");
    place.write("etc/bartizan/playbooks/app.yml", &PLAYBOOK.replace("KEY", &key.display().to_string()), 0o644);
    place.write("etc/bartizan/playbooks/hosts", "[app]\nweb1\n", 0o644);
    let login = fs::read_to_string(daemon.path("login")).expect("a key");
    place.write("etc/bartizan/keys/id_ed25519_bot", &login, 0o600);
    chown(&key, Some(SERVICE.uid), Some(SERVICE.gid)).expect("chown");
    Some((place, daemon))
}

#[test]
fn the_seeds_playbook_is_played_with_the_key_from_its_file_which_nobody_but_the_owner_sees() {
    let Some((place, daemon)) = ready() else { return };
    let mut running = place.start();
    let post = place.server.say("carol", "ops", "!deploy-app v7").expect("said");
    let end = running.wait("its end", |_| {
        let said = place.server.replies(&post);
        let texts = said.iter().filter_map(|post| post["message"].as_str());
        texts.filter(|text| text.contains("**deploy-app**: ")).map(str::to_owned).next()
    });
    assert!(end.contains("exit 0"), "{end}");
    assert!(end.contains(&INVOKER.uid.to_string()) && !end.contains("PRIVATE"), "who ran it, and what they saw: {end}");
    assert!(end.contains("No such file") || end.contains("ermission denied"), "the key's file: {end}");
    assert_eq!(fs::read_to_string(daemon.path("home/app")).expect("deployed"), "v7\n");
    assert!(daemon.log().contains("Accepted publickey for deploy"), "{}", daemon.log());
    // What became of the machine is in the log.
    let audit = place.bartizan(OPERATOR, &["audit", "show", "--event", "job-host", "--json"]);
    let lines: serde_json::Value = serde_json::from_slice(&audit.stdout).expect("JSON");
    assert_eq!((&lines[0]["host"], &lines[0]["outcome"]), (&"web1".into(), &"changed".into()), "{lines}");
}

#[test]
fn a_key_file_that_others_can_read_is_refused_before_anything_starts() {
    let Some((place, _daemon)) = ready() else { return };
    let key = place.path("etc/bartizan/keys/id_ed25519_bot");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("chmod");
    let refusal = place.refusal(&[]);
    assert!(refusal.contains("id_ed25519_bot") && refusal.contains("chmod 600"), "{refusal}");
}
