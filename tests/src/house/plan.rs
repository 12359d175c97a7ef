//! What a house is built to: a configuration, an allowlist, scripts.

use bartizan_playground::service::Source;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CONFIG: &str = r#"
[server]
url = "http://127.0.0.1:1"
team = "bartizan"

[bot]
token-file = "token"

[state]
directory = "state"

[people]
alice = "admin"
bob = "operator"
carol = "user"
mallory = "banned"
"#;

/// What the tests' configurations begin with.
const SCRIPTS: &str = r#"
[[scripts]]
name = "hello"
path = "scripts/hello"
description = "Says hello"
required-permission = "user"
timeout = "10s"
[scripts.arguments.who]
type = "string"
regex = "[A-Za-z][A-Za-z0-9 ,.'-]*"
length = 40
default = "world"

[[scripts]]
name = "deploy"
path = "scripts/hello"
description = "For operators"
required-permission = "operator"
allowed-channels = ["ops"]
timeout = "10s"

[[scripts]]
name = "argv"
path = "scripts/argv"
description = "Shows its arguments"
required-permission = "user"
timeout = "10s"
[scripts.arguments.first]
type = "string"
length = 200
required = true
[scripts.arguments.second]
type = "string"
length = 200
default = "two"
"#;

/// A plan. The default has the scripts `hello`, `argv` and `deploy`.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `bartizan.toml`.
    pub config: String,
    /// `allowlist.toml`.
    pub allowlist: String,
    /// Name and content of each script in `scripts/`.
    pub scripts: Vec<(String, String)>,
    /// Another directory of programs than the usual one.
    pub programs: Option<PathBuf>,
    /// More of the main process's environment.
    pub environment: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        let mut plan = Self {
            config: CONFIG.to_owned(),
            allowlist: SCRIPTS.to_owned(),
            scripts: Vec::new(),
            programs: None,
            environment: Vec::new(),
        };
        plan.add("hello", "#!/bin/bash\necho \"Hello, $1!\"\n");
        plan.add("argv", "#!/bin/bash\nprintf '%s\\n' \"$#\"; printf '[%s]\\n' \"$@\"\n");
        plan
    }
}

impl Plan {
    /// With more in `bartizan.toml`.
    pub fn config(mut self, more: &str) -> Self {
        self.config.push_str(more);
        self
    }

    /// With a bash script that everybody may run, and these lines of its entry.
    pub fn bash(self, name: &str, content: &str, entry: &str) -> Self {
        self.script(name, &format!("#!/bin/bash\n{content}\n"), entry)
    }

    /// With a Python script that everybody may run. `call(number, …)` makes a system call and `tried(f)` calls a function;
    /// both give `ok` or the error's name.
    pub fn python(self, name: &str, content: &str, entry: &str) -> Self {
        const PRELUDE: &str = include_str!("prelude.py");
        self.script(name, &format!("#!/usr/bin/python3\n{PRELUDE}\n{content}\n"), entry)
    }

    /// With programs of one's own.
    pub fn programs(mut self, programs: &Path) -> Self {
        self.programs = Some(programs.to_owned());
        self
    }

    /// With a variable in the main process's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn script(mut self, name: &str, content: &str, entry: &str) -> Self {
        self.add(name, content);
        let timeout = if entry.contains("timeout") { "" } else { "timeout = \"10s\"" };
        self.allowlist.push_str(&format!(
            "\n[[scripts]]\nname = \"{name}\"\npath = \"scripts/{name}\"\ndescription = \"x\"\n\
             required-permission = \"user\"\n{timeout}\n{entry}\n"
        ));
        self
    }

    fn add(&mut self, name: &str, content: &str) {
        self.scripts.push((name.to_owned(), content.to_owned()));
    }

    /// Writes it down.
    pub fn write(&self) -> (TempDir, Source) {
        let folder = tempfile::Builder::new().prefix("bartizan-house-").tempdir_in("/tmp").expect("a directory");
        let at = |name: &str| folder.path().join(name);
        for name in ["config", "scripts"] {
            fs::create_dir(at(name)).expect("a directory");
            fs::set_permissions(at(name), Permissions::from_mode(0o755)).expect("chmod");
        }
        for (name, content) in &self.scripts {
            let path = at("scripts").join(name);
            fs::write(&path, content).expect("a script");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("chmod");
        }
        let (config, allowlist) = (at("config/bartizan.toml"), at("config/allowlist.toml"));
        for (path, content) in [(&config, &self.config), (&allowlist, &self.allowlist)] {
            fs::write(path, content).expect("a file");
            fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
        }
        let directories = vec![folder.path().to_owned()];
        let source = Source { written_at: config.clone(), config, allowlist, directories };
        (folder, source)
    }
}
