//! Whole configurations, in files: what loads, and what it means.

mod backends;
mod mistakes;

use super::*;
use proptest::prelude::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// A configuration in a private directory: `config/bartizan.toml`, `config/allowlist.toml`, `scripts/deploy.sh`.
struct Place(tempfile::TempDir);

const MAIN: &str = r##"
[server]
url = "https://chat.example.com"
team = "main"

[bot]
token-file = "token"

[state]
directory = "../state"

[people]
alice = "admin"
bob = "operator"
carol = "user"
mallory = "banned"
"##;

const LIST: &str = r##"
[[scripts]]
name = "deploy"
path = "./scripts/deploy.sh"
description = "Deploy application to environment"
required-permission = "operator"
timeout = "30m"
async = true
allowed-channels = ["ops", "deployments"]

[scripts.arguments.service]
type = "enum"
values = ["api-server", "web-app", "database"]
required = true

[scripts.arguments.environment]
type = "enum"
values = ["staging", "production"]
required = true
"##;

/// The example of the seed, to the letter.
const SEED: &str = r##"{
"scripts": [
{
"name": "deploy",
"path": "./scripts/deploy.sh",
"description": "Deploy application to environment",
"requiredPermission": "operator",
"timeout": 1800000,
"arguments": {
"service": {
"type": "enum",
"values": ["api-server", "web-app", "database"],
"required": true
},
"environment": {
"type": "enum",
"values": ["staging", "production"],
"required": true
}
},
"async": true,
"allowedChannels": ["ops", "deployments"]
}
]
}"##;

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("config/bartizan.toml", MAIN, 0o644);
        place.write("config/allowlist.toml", LIST, 0o644);
        place.write("config/token", "abcdefghijklmnopqrstuvwxyz\n", 0o600);
        place.write("scripts/deploy.sh", "#!/bin/bash\n", 0o755);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.path("config/bartizan.toml"), &Trust::single_user())
    }

    /// The error, with the private directory taken out of it.
    fn error(&self) -> String {
        let text = self.load().map(drop).unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
        assert!(text.contains("; "), "no remedy: {text}");
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    /// The error of `bartizan.toml` with one text in it replaced by another.
    fn error_of_main(from: &str, to: &str) -> String {
        let place = Self::new();
        assert!(MAIN.contains(from), "{from}");
        place.write("config/bartizan.toml", &MAIN.replacen(from, to, 1), 0o644);
        place.error()
    }

    /// The error of the allowlist with one text in it replaced by another.
    fn error_of_list(from: &str, to: &str) -> String {
        let place = Self::new();
        assert!(LIST.contains(from), "{from}");
        place.write("config/allowlist.toml", &LIST.replacen(from, to, 1), 0o644);
        place.error()
    }
}

#[test]
fn a_small_configuration_loads_with_every_default() {
    let place = Place::new();
    let config = place.load().unwrap();
    assert_eq!(config.path, place.path("config/bartizan.toml"));
    assert_eq!(config.state, place.path("state"));
    assert_eq!(config.control, place.path("state/run"));
    assert_eq!(config.bot.prefix, "!");
    assert_eq!(config.bot.token_file, Some(place.path("config/token")));
    assert_eq!((config.limits.output, config.limits.attachment, config.limits.jobs), (4000, 1 << 20, 16));
    assert_eq!(config.limits.stale_after, Duration::from_secs(300));
    assert_eq!(config.limits.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.people["bob"], Level::Operator);
    assert_eq!(config.require.len(), Guarantee::ALL.len());

    let script = config.allowlist.get(&"deploy".parse().unwrap()).unwrap();
    assert_eq!(script.path, place.path("scripts/deploy.sh"));
    assert_eq!((script.level, script.is_async, script.timeout), (Level::Operator, true, Duration::from_secs(1800)));
    assert_eq!(script.channels, ["ops", "deployments"]);
    let names: Vec<&str> = script.arguments.iter().map(|argument| argument.name.as_str()).collect();
    assert_eq!(names, ["service", "environment"], "the order is the file's");
    assert_eq!(script.profile, profile::least());
}

#[test]
fn the_seeds_json_loads_unchanged_and_means_the_same() {
    let place = Place::new();
    let toml = place.load().unwrap();
    place.write("config/script-allowlist.json", SEED, 0o644);
    place.write("config/bartizan.toml", &format!("{MAIN}\n[scripts]\nallowlist = \"script-allowlist.json\"\n"), 0o644);
    let json = place.load().unwrap();
    let expected = format!(
        "scripts.allowlist: {} → {}",
        place.path("config/allowlist.toml").display(),
        place.path("config/script-allowlist.json").display()
    );
    assert_eq!(toml.differences(&json), [expected]);
}

#[test]
fn json_has_every_key_of_toml_in_camel_case() {
    let place = Place::new();
    place.write(
        "config/list.json",
        r##"{"scripts": [{"name": "deploy", "path": "scripts/deploy.sh", "requiredFlags": ["deploy"], "profile": "web",
            "limits": {"memory": "512 MiB", "cpu": "1m", "fileSize": 1024},
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "arguments": {"zeta": {"type": "string", "regex": "\\d+", "length": 5, "default": 7},
                          "alpha": {"type": "number", "min": -1, "max": 2.5, "sensitive": true},
                          "mid": {"type": "boolean", "default": true, "description": "x"}}}
]}"##,
        0o644,
    );
    let main = format!(
        "{MAIN}\n[scripts]\nallowlist = \"list.json\"\n[profiles.web]\nread = [\"data\"]\nnetwork = [\"a.example.com:443\"]\n\
         memory = \"2 GiB\"\nfiles = 64\n"
    );
    place.write("config/bartizan.toml", &main, 0o644);
    let config = place.load().unwrap();
    let script = config.allowlist.get(&"deploy".parse().unwrap()).unwrap();
    assert_eq!(script.required_flags, ["deploy".parse().expect("a flag")]);
    assert_eq!(script.sha256.unwrap()[..2], [0xe3, 0xb0]);
    let limits = script.profile.limits;
    assert_eq!((limits.memory, limits.cpu, limits.file_size, limits.files), (512 << 20, 60, 1024, 64));
    assert_eq!(script.profile.read[0].as_str(), place.path("config/data").to_str().unwrap());
    assert_eq!(script.profile.network[0].port, 443);
    let names: Vec<&str> = script.arguments.iter().map(|argument| argument.name.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha", "mid"]);
    assert_eq!(script.arguments[0].default.as_deref(), Some("7"));
    assert_eq!(script.arguments[2].default.as_deref(), Some("true"));
}

#[test]
fn a_check_prints_ok_and_warnings_or_one_line_and_2() {
    let place = Place::new();
    let checked = check_config(&place.path("config/bartizan.toml"), &Trust::single_user());
    assert_eq!(checked.code, 0);
    assert_eq!(checked.lines[0], "ok: 1 script, 4 people");
    place.write("config/bartizan.toml", &MAIN.replace("team", "tema"), 0o644);
    let checked = check_config(&place.path("config/bartizan.toml"), &Trust::single_user());
    assert_eq!((checked.code, checked.lines.len()), (2, 1));
}

#[test]
fn what_is_allowed_and_perhaps_not_meant_is_a_warning() {
    let place = Place::new();
    let main = MAIN.replace("https://", "http://").replace("alice = \"admin\"\n", "");
    place.write("config/bartizan.toml", &main.replace("team =", "channels = [\"ops\"]\nteam ="), 0o644);
    let list = LIST.replace("\"30m\"", "\"2h\"");
    place.write("config/allowlist.toml", &format!("{list}[scripts.arguments.x]\ntype = \"string\"\n"), 0o644);
    let warnings = place.load().unwrap().warnings.join("\n");
    for part in [
        "cross the network in clear",
        "is an admin",
        "more than an hour",
        "allows #deployments",
        "takes any text as \"x\"",
    ] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}

#[test]
fn differences_name_what_a_reload_would_change() {
    let place = Place::new();
    let old = place.load().unwrap();
    assert!(old.differences(&old).is_empty());
    place.write(
        "config/bartizan.toml",
        &MAIN.replace("carol = \"user\"", "dave = \"operator\"").replace("bob = \"operator\"", "bob = \"admin\""),
        0o644,
    );
    place.write("config/allowlist.toml", &LIST.replace("\"30m\"", "\"10m\"").replace("\"staging\", ", ""), 0o644);
    assert_eq!(
        old.differences(&place.load().unwrap()),
        [
            "people.bob: operator → admin",
            "people.carol: removed (was user)",
            "people.dave: added (operator)",
            "scripts.deploy.arguments.2: environment: one of staging, production, required → environment: one of production, required",
            "scripts.deploy.timeout: 1800s → 600s",
        ]
    );
}

#[test]
fn files_that_nest_without_end_are_refused() {
    for (name, start) in [("x.toml", "x="), ("x.json", "{\"scripts\":")] {
        for deep in ["[", "{\"a\":", "{a="] {
            let source = Source::new(Path::new(name), format!("{start}{}", deep.repeat(100_000)));
            assert!(source.parse::<raw::Allowlist>().is_err(), "{name} {deep}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Every prefix, and every file with one place overwritten, is read or refused; nothing panics.
    #[test]
    fn a_damaged_file_is_read_or_refused(at in any::<prop::sample::Index>(), junk in ".{0,8}", cut: bool, seed: bool) {
        let whole = if seed { SEED } else { LIST };
        let at = at.index(whole.len());
        let rest = if cut { "" } else { whole.get(at + 1..).unwrap_or_default() };
        let text = format!("{}{junk}{rest}", whole.get(..at).unwrap_or_default());
        let source = Source::new(Path::new(if seed { "x.json" } else { "x.toml" }), text);
        let profiles = BTreeMap::new();
        let around = script::Surroundings {
            directories: &[],
            profiles: &profiles,
            trust: &Trust::single_user(),
            groups: &BTreeMap::new(),
            authorizers: &[],
            elevators: &[],
            targets: &backend::Known::default(),
            cluster: None,
            own: &profile::Own { secret: Vec::new(), fixed: Vec::new() },
        };
        if let Err(error) = source.parse().and_then(|raw| list::read(&source, &raw, &around)) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in any::<String>()) {
        for name in ["x.toml", "x.json"] {
            let source = Source::new(Path::new(name), text.clone());
            let _ = source.parse::<raw::Allowlist>();
            let _ = source.parse::<raw::File>();
        }
    }
}
