//! Targets and backends: what the seed's form means, what arguments choose among, and the line that each mistake gets.

use super::*;
use crate::argument::Value;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1lcmVseUFUZXN0S2V5Rm9yQVRhcmdldEhvc3Qx";

fn targets() -> String {
    let one = |name: &str, host: &str, more: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nhost = \"{host}\"\nuser = \"deploy\"\nhost-key = \"{KEY} root@x\"\n{more}\n"
        )
    };
    format!(
        "{}{}{}[target-groups]\nweb = [\"web1\", \"web2\"]\n",
        one("web1", "10.0.0.1", "key = \"ssh/deploy\""),
        one("web2", "web2.example.com", "port = 2222\nkey = \"ssh/deploy\""),
        one("db1", "10.0.0.3", ""),
    )
}

fn place(scripts: &str) -> Place {
    let place = Place::new();
    place.write("config/bartizan.toml", &format!("{MAIN}\n{}", targets()), 0o644);
    place.write("config/allowlist.toml", scripts, 0o644);
    place.write("playbooks/site.yml", "- hosts: all\n", 0o644);
    place
}

fn script(config: &Config) -> Script {
    config.allowlist.get(&"play".parse().unwrap()).expect("it is listed").clone()
}

const PLAY: &str = r#"
[[scripts]]
name = "play"
backend = "ansible"
path = "playbooks/site.yml"
targets = ["web", "db1"]
[scripts.ansible]
key = "ssh/all"
vault-password = "ansible/vault"
[scripts.arguments.where]
type = "target"
"#;

#[test]
fn the_seeds_remote_config_is_the_ansible_backend() {
    let place = place("");
    place.write(
        "config/list.json",
        r##"{"scripts": [{"name": "play", "path": "scripts/nothing.sh", "description": "x", "requiredPermission": "operator",
            "remoteConfig": {"playbookPath": "playbooks/site.yml", "inventoryPath": "playbooks/inventory/hosts",
                             "sshKeyPath": ".ssh/id_ed25519_bot"}}]}"##,
        0o644,
    );
    place.write("playbooks/inventory/hosts", "[web]\nweb[1:2]\n[db]\n10.0.0.3 ansible_user=x\n", 0o644);
    place.write(".ssh/id_ed25519_bot", "a key\n", 0o600);
    let main = format!("{MAIN}\n[scripts]\nallowlist = \"list.json\"\n{}", targets());
    place.write("config/bartizan.toml", &main, 0o644);
    let script = script(&place.load().unwrap());
    let Backend::Ansible(ansible) = &script.backend else { panic!("{:?}", script.backend) };
    assert_eq!(script.path, place.path("playbooks/site.yml"));
    assert_eq!(ansible.inventory.as_deref(), Some(place.path("playbooks/inventory/hosts").as_path()));
    assert_eq!(script.targets.names(), ["web1", "web2", "db1"]);
    assert_eq!(script.secrets[0].file.as_deref(), Some(place.path(".ssh/id_ed25519_bot").as_path()));
    let read: Vec<&str> = script.profile.read.iter().map(|path| path.as_str()).collect();
    assert_eq!(read, [place.path("playbooks").to_str().unwrap()], "the inventory stands below the playbook's folder");
    let network: Vec<String> = script.profile.network.iter().map(|to| format!("{}:{}", to.host, to.port)).collect();
    assert_eq!(network, ["10.0.0.1:22", "web2.example.com:2222", "10.0.0.3:22"]);
    assert!(script.backend.checks());
}

#[test]
fn an_argument_of_type_target_chooses_among_the_entrys_targets_and_groups() {
    let place = place(PLAY);
    let script = script(&place.load().unwrap());
    let Kind::Enum(words) = &script.arguments[0].kind else { panic!("{:?}", script.arguments) };
    assert_eq!(words, &["web", "web1", "web2", "db1"]);
    let chosen = |word: &str| {
        let values = [Value { name: "where".to_owned(), text: word.to_owned(), sensitive: false }];
        let left = script.targets.narrowed(&script.arguments, &values);
        left.into_iter().map(|target| target.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(chosen("web"), ["web1", "web2"]);
    assert_eq!(chosen("db1"), ["db1"]);
    assert_eq!(chosen(""), ["web1", "web2", "db1"], "not given");
    assert!(chosen("other").is_empty(), "what the schema would refuse is nobody");
    let secrets: Vec<String> = script.secrets.iter().map(|secret| secret.name.to_string()).collect();
    assert_eq!(secrets, ["ssh/all", "ansible/vault"]);
    assert!(script.targets.all.iter().all(|target| target.key == "ssh/all".parse().ok()));
}

#[test]
fn each_mistake_about_targets_has_its_line_and_says_what_to_do() {
    for (from, to, error) in [
        (
            KEY,
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIE1lcmVseUFUZXN0S2V5Rm9yQVRhcmdldEhvc3Qx",
            "target \"web1\": this is not a host key; write it as",
        ),
        (
            &format!("host-key = \"{KEY} root@x\"\n"),
            "",
            "target \"web1\": no host key is pinned, or too many; add host-key = \"ssh-ed25519 …\"",
        ),
        ("name = \"web2\"", "name = \"web1\"", "target \"web1\": it is there twice; rename or remove one of them"),
        (
            "user = \"deploy\"",
            "user = \"-l\"",
            "target \"web1\": \"-l\" is not a user's name; name the user to log in as",
        ),
        (
            "\"10.0.0.1\"",
            "\"-oProxyCommand=x\"",
            "target \"web1\": \"-oProxyCommand=x\" is not a host; give a name or an address",
        ),
        ("\"web1\", \"web2\"]", "\"web1\", \"wep2\"]", "there is no target \"wep2\"; did you mean \"web2\"?"),
        ("key = \"ssh/deploy\"", "keys = \"ssh/deploy\"", "unknown key \"keys\"; did you mean \"key\"?"),
    ] {
        let place = place(PLAY);
        place.write("config/bartizan.toml", &format!("{MAIN}\n{}", targets()).replacen(from, to, 1), 0o644);
        let said = place.error();
        let (at, what) = said.split_once(": ").expect("a place");
        let line = at.strip_prefix("config/bartizan.toml:").and_then(|line| line.parse::<usize>().ok());
        assert!(line.is_some_and(|line| line > 16), "{said}");
        assert!(what.starts_with(error), "{said}");
    }
}

#[test]
fn each_mistake_about_a_backend_has_its_line_and_says_what_to_do() {
    for (from, to, error) in [
        (
            "\"ansible\"",
            "\"ansibel\"",
            ":4: script \"play\": there is no backend \"ansibel\"; did you mean \"ansible\"?",
        ),
        (
            "site.yml",
            "sight.yml",
            ":5: script \"play\": there is no file playbooks/sight.yml in PLACE or config; put it there or correct the path",
        ),
        ("\"db1\"]", "\"db2\"]", ":6: script \"play\": there is no target \"db2\"; did you mean \"db1\"?"),
        (
            "[scripts.ansible]\nkey = \"ssh/all\"\nvault-password = \"ansible/vault\"\n",
            "[scripts.ssh]\n",
            ":7: script \"play\": the table ssh means nothing for the backend ansible; remove it, or say backend = \"ssh\"",
        ),
        ("vault-password", "vault-pasword", ":9: unknown key \"vault-pasword\"; did you mean \"vault-password\"?"),
        (
            "key = \"ssh/all\"\n",
            "",
            ":6: script \"play\": nothing opens the target \"db1\"; name the secret with its private key: key = \"NAMESPACE/NAME\", there or in this entry's table",
        ),
        ("ssh/all", "bot/all", ":8: script \"play\": the namespace bot is the bot's own; name another"),
        (
            "key = \"ssh/all\"\n",
            "key = \"ssh/all\"\nforks = 0\n",
            ":9: script \"play\": forks is 0; give a number from 1 to 50",
        ),
        (
            "key = \"ssh/all\"\n",
            "inventory = \"hosts\"\n",
            ":8: script \"play\": there is no file hosts in PLACE or config; put it there or correct the path",
        ),
        (
            "\"ansible\"\n",
            "\"ansible\"\napi = [\"say\"]\n",
            ":5: script \"play\": what runs by the backend ansible cannot call the script API; remove api",
        ),
        (
            "backend = \"ansible\"\n",
            "backend = \"ssh\"\n",
            ":7: script \"play\": the table ansible means nothing for the backend ssh; remove it, or say backend = \"ansible\"",
        ),
    ] {
        let place = place(&PLAY.replacen(from, to, 1));
        let said = place.error().replace(&place.0.path().display().to_string(), "PLACE");
        assert_eq!(
            said.strip_prefix("config/allowlist.toml").unwrap_or(&said),
            error.replace("PLACE or config", "PLACE or PLACE/config").replace("PLACE/config", "config")
        );
    }
    let local = PLAY
        .replace("backend = \"ansible\"\n", "")
        .replace("[scripts.ansible]\nkey = \"ssh/all\"\nvault-password = \"ansible/vault\"\n", "");
    let said = place(&local).error();
    assert!(said.contains("targets mean nothing for a script that runs here; say backend"), "{said}");
    let none =
        "[[scripts]]\nname = \"play\"\npath = \"scripts/deploy.sh\"\n[scripts.arguments.where]\ntype = \"target\"\n";
    let said = place(none).error();
    assert!(said.contains("an argument of type target, and the entry has no targets; name them"), "{said}");
}

#[test]
fn playbooks_inventories_and_keys_that_others_could_change_or_read_are_refused() {
    let with_inventory = PLAY.replace("key = \"ssh/all\"\n", "inventory = \"hosts\"\nkey-file = \"id\"\n");
    for (file, mode, error) in [
        ("playbooks/site.yml", 0o666, "can be written by everybody"),
        ("playbooks/site.yml", 0o200, "cannot be"),
        ("hosts", 0o664, "can be written by its group"),
        ("id", 0o644, "is a secret and open to others than its owner (mode 0644); chmod 600"),
    ] {
        let place = place(&with_inventory);
        place.write("hosts", "web1\n", 0o644);
        place.write("id", "key\n", 0o600);
        assert!(place.load().is_ok(), "{}", place.error());
        fs::set_permissions(place.path(file), Permissions::from_mode(mode)).unwrap();
        let said = place.error();
        assert!(said.contains(error), "{file}: {said}");
    }
    let place = place(&PLAY.replace("playbooks/site.yml", "site.yml"));
    place.write("site.yml", "- hosts: all\n", 0o644);
    let said = place.error();
    assert!(said.contains("which is Bartizan's own; grant a narrower path, or move that file"), "{said}");
}

#[test]
fn hosts_of_an_inventory_that_are_no_targets_have_their_line() {
    let place =
        place(&PLAY.replace("targets = [\"web\", \"db1\"]\n", "").replacen("vault", "inventory = \"hosts\"\nvault", 1));
    place.write("hosts", "web1\n\nother.example.com\n", 0o644);
    let said = place.error();
    assert!(
        said.contains("hosts:3: \"other.example.com\" is no target; define it in bartizan.toml as [[target]]"),
        "{said}"
    );
    place.write("hosts", "localhost ansible_connection=local\n", 0o644);
    let said = place.error();
    assert!(said.contains("the entry has no targets"), "{said}");
}

#[test]
fn a_schedule_may_have_a_dry_run_where_the_backend_has_one() {
    let with = |command: &str| {
        let schedule = format!(
            "\n[[schedules]]\nname = \"drift\"\ncommand = \"{command}\"\nwhen = \"0 3 * * *\"\nchannel = \"ops\"\n"
        );
        let hello = "\n[[scripts]]\nname = \"hello\"\npath = \"scripts/deploy.sh\"\n";
        place(&format!("{PLAY}{hello}{schedule}"))
    };
    let config = with("dry-run play db1").load().expect("it loads");
    let schedule = config.allowlist.schedules().next().expect("one");
    assert!(schedule.command().is_some_and(|command| command.dry && command.name == "play"));
    let said = with("dry-run hello").error();
    assert!(said.contains("hello has no dry run; remove dry-run, or use a script of the backend ansible"), "{said}");
}

const CLUSTER: &str = "[slurm]\ncontroller = \"10.0.0.9\"\nuser = \"root\"\noutput = \"/shared/out\"\n";

const BATCH: &str = r#"
[[scripts]]
name = "play"
backend = "slurm"
path = "scripts/hello.sh"
timeout = "90s"
[scripts.arguments.count]
type = "number"
min = 1
max = 4
[scripts.slurm]
partition = "gpu"
nodes = { argument = "count" }
memory = "1 GiB"
"#;

fn with_cluster(scripts: &str) -> Place {
    let place = place(scripts);
    place.write("scripts/hello.sh", "#!/bin/sh\n", 0o755);
    place.write("config/bartizan.toml", &format!("{MAIN}\n{}\n{CLUSTER}", targets()), 0o644);
    place
}

#[test]
fn a_cluster_is_its_controller_and_a_script_there_has_what_its_entry_and_its_arguments_say() {
    let place = with_cluster(BATCH);
    let config = place.load().unwrap();
    let script = script(&config);
    let Backend::Slurm(slurm) = &script.backend else { panic!("{:?}", script.backend) };
    let network: Vec<String> = script.profile.network.iter().map(|to| format!("{}:{}", to.host, to.port)).collect();
    assert_eq!(network, ["10.0.0.9:6817"]);
    assert_eq!((slurm.cluster.user.as_str(), slurm.cluster.user_id), ("root", 0), "from /etc/passwd");
    let value = |text: &str| [Value { name: "count".to_owned(), text: text.to_owned(), sensitive: false }];
    let resources = slurm.resources(&value("3")).unwrap();
    assert_eq!((resources.partition.as_deref(), resources.nodes), (Some("gpu"), Some(3)));
    assert_eq!((resources.memory_mib, resources.minutes, resources.requeue), (Some(1024), Some(2), false));
    assert_eq!(slurm.resources(&value("")).unwrap().nodes, None);
    for odd in ["0", "1.5", "-1", "2-9", "1 --uid=0"] {
        slurm.resources(&value(odd)).expect_err(odd);
    }
    assert_eq!(script.place(&value("3")).as_deref(), Some("slurm on gpu"));
    assert!(!script.backend.checks() && !script.backend.reads_its_file());
}

#[test]
fn what_means_nothing_on_a_cluster_or_could_be_read_as_something_else_is_refused() {
    for (from, to, expected) in [
        ("partition = \"gpu\"", "partition = \"--uid=0\"", "cannot be its partition"),
        ("partition = \"gpu\"", "partition = \"a,b c\"", "cannot be its partition"),
        ("partition = \"gpu\"", "account = \"x y\"", "cannot be its account"),
        ("partition = \"gpu\"", "partition = { argument = \"count\" }", "cannot choose it"),
        ("{ argument = \"count\" }", "{ argument = \"where\" }", "there is no argument"),
        ("max = 4\n", "", "cannot choose it"),
        ("{ argument = \"count\" }", "0", "nodes is 0"),
        ("max = 4\n", "max = 4\nsensitive = true\n", "squeue shows it to everybody"),
        ("timeout = ", "targets = [\"web\"]\ntimeout = ", "targets means nothing on a cluster"),
        ("timeout = ", "secrets = [\"a/b\"]\ntimeout = ", "secrets do not reach"),
        ("backend = \"slurm\"", "backend = \"local\"", "the table slurm means nothing"),
    ] {
        let place = with_cluster(&BATCH.replacen(from, to, 1));
        let error = place.load().map(|_| ()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
    let error = place(BATCH).load().map(|_| ()).expect_err("no cluster").to_string();
    assert!(error.contains("without a cluster"), "{error}");
    for (from, to, expected) in [
        ("\"10.0.0.9\"", "\"-x y\"", "is not a host"),
        ("\"/shared/out\"", "\"/shared/%u\"", "cannot be the folder of outputs"),
        ("\"root\"", "\"nobody-of-that-name\"", "/etc/passwd has no user"),
        ("\"root\"", "\"a:b\"", "is not a user's name"),
    ] {
        let place = with_cluster(BATCH);
        place.write(
            "config/bartizan.toml",
            &format!("{MAIN}\n{}\n{}", targets(), CLUSTER.replacen(from, to, 1)),
            0o644,
        );
        let error = place.load().map(|_| ()).expect_err(expected).to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}
