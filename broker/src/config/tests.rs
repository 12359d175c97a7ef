//! Whole configurations: what loads, and the one line that each mistake gets.

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
    assert_eq!(config.bot.token_file, place.path("config/token"));
    assert_eq!((config.limits.output, config.limits.attachment, config.limits.jobs), (4000, 1 << 20, 16));
    assert_eq!(config.limits.stale_after, Duration::from_secs(300));
    assert_eq!(config.limits.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.people["bob"], Level::Operator);
    assert_eq!(config.require.len(), settings::EVERY_GUARANTEE.len());

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
    place.write(
        "config/bartizan.toml",
        &format!("{MAIN}\n[scripts]\nallowlist = \"script-allowlist.json\"\n"),
        0o644,
    );
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
                          "mid": {"type": "boolean", "default": true, "description": "x"}}},
          {"name": "play", "path": "playbooks/x.yml",
            "remoteConfig": {"playbookPath": "playbooks/x.yml", "inventoryPath": "hosts", "sshKeyPath": ".ssh/id"}}]}"##,
        0o644,
    );
    let main = format!(
        "{MAIN}\n[scripts]\nallowlist = \"list.json\"\n[profiles.web]\nread = [\"data\"]\nnetwork = [\"a.example.com:443\"]\n\
         memory = \"2 GiB\"\nfiles = 64\n"
    );
    place.write("config/bartizan.toml", &main, 0o644);
    let config = place.load().unwrap();
    let script = config.allowlist.get(&"deploy".parse().unwrap()).unwrap();
    assert_eq!(script.required_flags, ["deploy"]);
    assert_eq!(script.sha256.unwrap()[..2], [0xe3, 0xb0]);
    let limits = script.profile.limits;
    assert_eq!((limits.memory, limits.cpu, limits.file_size, limits.files), (512 << 20, 60, 1024, 64));
    assert_eq!(script.profile.read[0].as_str(), place.path("config/data").to_str().unwrap());
    assert_eq!(script.profile.network[0].port, 443);
    let names: Vec<&str> = script.arguments.iter().map(|argument| argument.name.as_str()).collect();
    assert_eq!(names, ["zeta", "alpha", "mid"]);
    assert_eq!(script.arguments[0].default.as_deref(), Some("7"));
    assert_eq!(script.arguments[2].default.as_deref(), Some("true"));
    let remote = config.allowlist.get(&"play".parse().unwrap()).unwrap().remote.as_ref().unwrap();
    assert_eq!(remote.ssh_key.as_deref(), Some(place.path(".ssh/id").as_path()));
}

#[test]
fn a_mistake_in_bartizan_toml_is_one_line_with_file_line_and_remedy() {
    for (from, to, error) in [
        ("team =", "tema =", "config/bartizan.toml:4: unknown key \"tema\"; did you mean \"team\"?"),
        ("[people]", "[peeple]", "config/bartizan.toml:12: unknown key \"peeple\"; did you mean \"people\"?"),
        ("bob = \"operator\"", "bob = \"opertor\"", "config/bartizan.toml:14: there is no level \"opertor\"; did you mean \"operator\"?"),
        ("bob =", "\"@bob\" =", "config/bartizan.toml:14: \"@bob\" is not a user name; write it in lower case and without @"),
        ("https://", "", "config/bartizan.toml:3: \"chat.example.com\" is not a server's address: it must begin with https:// (or http:// for a server on this machine); write it like https://chat.example.com"),
        ("\"main\"", "\"Main Team\"", "config/bartizan.toml:4: \"Main Team\" is not a team's name; use the name in the address of its channels, in lower case"),
        ("\"main\"", "3", "config/bartizan.toml:4: wrong type: integer `3`, expected a string; docs/configuration.md says what belongs here"),
        ("team = \"main\"\n", "", "config/bartizan.toml:2: the key \"team\" is missing; add it (docs/configuration.md describes it)"),
        ("\"token\"", "\"tokn\"", "config/bartizan.toml:7: config/tokn does not exist; create it or correct the path"),
        ("\"token\"\n", "\"token\"\nprefix = \"go \"\n", "config/bartizan.toml:8: \"go \" cannot be a prefix; use one to three punctuation characters, like \"!\", without @ / \\ and quotes"),
        ("[state]", "[limits]\nstale-after = \"5\"\n[state]", "config/bartizan.toml:10: \"5\" is not a duration; write it like \"30s\", \"5m\" or \"1h 30m\""),
        ("[state]", "[limits]\njobs = 0\n[state]", "config/bartizan.toml:10: jobs is 0; give a number from 1 to 1000"),
        ("[state]", "[limits]\nattachment = \"2 MiB\"\n[state]", "config/bartizan.toml:10: attachment is 2097152; give a number from 0 to 1048576"),
        ("[state]", "[sandbox]\nrequire = [\"file-read\"]\n[state]", "config/bartizan.toml:10: unknown word \"file-read\"; did you mean \"files-read\"?"),
        ("[state]", "[scripts]\nallowlist = \"x.toml\"\n[state]", "config/bartizan.toml:10: config/x.toml does not exist; create it or correct the path"),
        ("[state]", "[profiles.web]\nnetwork = [\"a\"]\n[state]", "config/bartizan.toml:10: profile \"web\": \"a\" is not a host and a port; write it like \"host.example.com:443\""),
        ("[state]", "[profiles.web]\nmemory = \"1 KiB\"\n[state]", "config/bartizan.toml:10: profile \"web\": memory is so small that nothing could run; give at least 16 MiB"),
        ("[state]", "[state", "config/bartizan.toml:9: "),
        ("[server]", "[server]\nchannels = []", "config/bartizan.toml:3: the list of channels is empty; name channels, or remove the key for every channel"),
        ("[server]", "[server]\nchannels = [\"#ops\"]", "config/bartizan.toml:3: \"#ops\" is not a channel's name; use the name in its address: lower case, without #"),
    ] {
        let found = Place::error_of_main(from, to);
        assert!(found == error || (error.ends_with(": ") && found.starts_with(error)), "\n{found}\n{error}");
    }
}

#[test]
fn a_mistake_in_the_allowlist_is_one_line_with_file_line_and_remedy() {
    for (from, to, error) in [
        ("timeout =", "timeuot =", "7: unknown key \"timeuot\"; did you mean \"timeout\"?"),
        ("\"operator\"", "\"operater\"", "6: script \"deploy\": there is no level \"operater\"; did you mean \"operator\"?"),
        ("\"operator\"", "\"banned\"", "6: script \"deploy\": a script for banned people; use user, operator or admin"),
        ("\"30m\"", "\"soon\"", "7: script \"deploy\": \"soon\" is not a duration; write it like \"30s\", \"5m\" or \"1h 30m\""),
        ("\"30m\"", "0", "7: script \"deploy\": the timeout is nothing or more than a week; write it like \"30s\" or \"10m\""),
        ("\"deploy\"", "\"../deploy\"", "3: \"../deploy\" is not a script's name; use 1 to 64 letters, digits, - and _"),
        ("[\"ops\", \"deployments\"]", "[]", "9: script \"deploy\": the list of channels is empty; name channels, or remove the key for every channel"),
        ("\"enum\"", "\"enumm\"", "12: script \"deploy\": argument \"service\": there is no type \"enumm\"; did you mean \"enum\"?"),
        ("type = \"enum\"\nvalues = [\"api-server\", \"web-app\", \"database\"]", "type = \"string\"\nregex = \"[a-z\"", "13: script \"deploy\": argument \"service\": the regex is not valid: unclosed character class; correct it (syntax: docs.rs/regex)"),
        ("required = true\n", "regex = \"x\"\n", "14: script \"deploy\": argument \"service\": regex means nothing for a enum; remove it, or make the type \"string\""),
        ("required = true\n", "default = \"api\"\n", "14: script \"deploy\": argument \"service\": its default \"api\" is not one of api-server, web-app, database; correct the default or the schema"),
        ("required = true\n", "required = true\ndefault = \"database\"\n", "15: script \"deploy\": argument \"service\": it is required and has a default; remove one of the two"),
        ("\"web-app\", ", "\"api-server\", ", "13: script \"deploy\": argument \"service\": the value \"api-server\" is there twice; keep one of them"),
        ("arguments.service]", "arguments.\"a b\"]", "11: script \"deploy\": argument \"a b\": this cannot be its name; use 1 to 64 letters, digits, - and _"),
        ("async = true", "profile = \"web\"", "8: script \"deploy\": there is no profile \"web\"; define it in bartizan.toml as [profiles.web]"),
        ("async = true", "sha256 = \"abc\"", "8: script \"deploy\": sha256 is not a SHA-256 in hex; write 64 hex digits, as sha256sum prints them"),
        ("async = true", "required-flags = [\"a b\"]", "8: script \"deploy\": \"a b\" is not a flag; use letters, digits, - and _"),
        ("\"Deploy app", "\"Deploy\\u202e app", "5: script \"deploy\": description has the invisible character <U+202E>; remove it, and line breaks too"),
    ] {
        assert_eq!(Place::error_of_list(from, to), format!("config/allowlist.toml:{error}"));
    }
}

#[test]
fn a_missing_script_says_where_it_was_sought() {
    let place = Place::new();
    fs::remove_file(place.path("scripts/deploy.sh")).unwrap();
    let root = place.0.path().display().to_string();
    assert_eq!(
        place.load().map(drop).unwrap_err().to_string(),
        format!(
            "{root}/config/allowlist.toml:4: script \"deploy\": there is no file ./scripts/deploy.sh in {root} or \
             {root}/config; put it there or correct the path"
        )
    );
}

#[test]
fn a_name_that_is_there_twice_is_refused_at_its_second_place() {
    let place = Place::new();
    place.write("config/allowlist.toml", &format!("{LIST}{LIST}"), 0o644);
    let error = place.error();
    assert!(error.starts_with("config/allowlist.toml:22: the script \"deploy\" is there twice; "), "{error}");
}

#[test]
fn a_mistake_in_json_has_its_line_too() {
    for (from, to, error) in [
        ("\"timeout\"", "\"timeuot\"", "8: unknown key \"timeuot\"; did you mean \"timeout\"?"),
        ("\"requiredPermission\"", "\"requiredPermision\"", "7: unknown key \"requiredPermision\"; did you mean \"requiredPermission\"?"),
        ("1800000", "-5", "8: invalid value: integer `-5`, expected a whole number of at least 0, or a text with a unit; docs/configuration.md says what belongs here"),
        ("\"required\": true\n},\n\"env", "\"required\": true, \"min\": 3\n},\n\"env", "13: script \"deploy\": argument \"service\": min means nothing for a enum; remove it, or make the type \"number\""),
        ("\"environment\"", "\"service\"", "19: \"service\" is given twice; keep one of them"),
        ("\"scripts\": [", "\"scripts\": ", "3: wrong type: a table, expected a list; docs/configuration.md says what belongs here"),
    ] {
        let place = Place::new();
        assert!(SEED.contains(from), "{from}");
        place.write("config/list.json", &SEED.replacen(from, to, 1), 0o644);
        place.write("config/bartizan.toml", &format!("{MAIN}\n[scripts]\nallowlist = \"list.json\"\n"), 0o644);
        assert_eq!(place.error(), format!("config/list.json:{error}"));
    }
}

#[test]
fn unsafe_modes_are_refused_with_the_command_that_mends_them() {
    for (name, mode, error) in [
        ("config/bartizan.toml", 0o664, "config/bartizan.toml can be written by its group (mode 0664); chmod go-w config/bartizan.toml"),
        ("config/allowlist.toml", 0o666, "config/allowlist.toml can be written by everybody (mode 0666); chmod go-w config/allowlist.toml"),
        ("config/token", 0o640, "config/bartizan.toml:7: config/token is a secret and open to others than its owner (mode 0640); chmod 600 config/token"),
        ("scripts/deploy.sh", 0o775, "config/allowlist.toml:4: script \"deploy\": scripts/deploy.sh can be written by its group (mode 0775); chmod go-w scripts/deploy.sh"),
        ("scripts/deploy.sh", 0o644, "config/allowlist.toml:4: script \"deploy\": scripts/deploy.sh is not executable for the user who runs it (mode 0644); chmod a+rx scripts/deploy.sh"),
    ] {
        let place = Place::new();
        fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
        assert_eq!(place.error(), error);
    }
    let place = Place::new();
    fs::set_permissions(place.path("scripts"), Permissions::from_mode(0o777)).unwrap();
    assert!(place.error().contains("scripts can be written by everybody (mode 0777)"));
}

#[test]
fn no_profile_may_give_a_script_what_belongs_to_bartizan() {
    for grant in ["read = [\"token\"]", "read = [\".\"]", "exec = [\"/\"]", "write = [\"../state/run\"]", "write = [\"bartizan.toml\"]"] {
        let error = Place::error_of_main("[state]", &format!("[profiles.web]\n{grant}\n[state]"));
        assert!(error.starts_with("config/bartizan.toml:10: profile \"web\": "), "{error}");
        assert!(error.contains("is Bartizan's own; grant a narrower path"), "{error}");
    }
    let place = Place::new();
    place.write("config/bartizan.toml", &format!("{MAIN}[profiles.default]\nwrite = [\"../scripts\"]\n"), 0o644);
    assert!(place.error().contains("where it is itself; grant a narrower path"));
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
    for part in ["cross the network in clear", "is an admin", "more than an hour", "allows #deployments", "takes any text as \"x\""] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
}

#[test]
fn differences_name_what_a_reload_would_change() {
    let place = Place::new();
    let old = place.load().unwrap();
    assert!(old.differences(&old).is_empty());
    place.write("config/bartizan.toml", &MAIN.replace("carol = \"user\"", "dave = \"operator\"").replace("bob = \"operator\"", "bob = \"admin\""), 0o644);
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
fn hostile_words_in_a_file_stay_on_their_line() {
    let error = Place::error_of_main("team =", "\"a\\nb\\u001b[2J\" = 1\nteam =");
    assert!(error.contains("<U+000A>") && error.contains("<U+001B>"), "{error}");
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
        let around = script::Surroundings { directories: &[], profiles: &profiles, trust: &Trust::single_user() };
        if let Err(error) = read_allowlist(&source, &around) {
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
