//! `bartizan script new`: three files' worth of a beginning. Nothing that is there is written over, and when the configuration with
//! the new entry is not right, everything is as it was.

use super::{ConfigChoice, Language, no};
use crate::commands::Out;
use crate::exit::{CtlError, Exit};
use crate::setup::replace;
use bartizan_proto::ids::ScriptName;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use toml_edit::DocumentMut;

const BASH: &str = r#"#!/bin/bash
# NAME: say here what it does, and for whom. Arguments: who.
# What it may call of Bartizan is in its entry: api = […]; all of that is in docs/scripting.md and `bz help`.
set -euo pipefail
. bz.sh
who=$(param who)

progress 1/2 "looking"
attach --colour good --title "NAME" --field "who=$who"
echo "Hello, $who."
"#;

const PYTHON: &str = r#"#!/usr/bin/python3
"""NAME: say here what it does, and for whom. Arguments: who.

What it may call of Bartizan is in its entry: api = […]; all of that is in docs/scripting.md and `bz help`.
"""

import bz

who = bz.param("who")
bz.progress(1, 2, "looking")
bz.attach(title="NAME", fields={"who": who}, colour="good")
print(f"Hello, {who}.")
"#;

const ENTRY: &str = r#"
[[scripts]]
name = "NAME"
path = "PATH"
description = "Says hello; put here what it does"
# Who may run it, and where: allowed-channels, allowed-users, allowed-groups, required-flags, approvals, elevate …
required-permission = "operator"
timeout = "1m"
# What it may reach besides the system's programs: profile = "…", of [profiles] in bartizan.toml.
api = ["param", "progress", "attach"]
[scripts.arguments.who]
type = "string"
regex = "[A-Za-z][A-Za-z0-9 .-]*"
length = 40
default = "world"
description = "who is greeted"
"#;

const TEST: &str = r"# A test of the script, as chat shows it: docs/transcripts.md. Run it with `bartizan-playground transcript` and this file's path.
config: CONFIG
allowlist: ALLOWLIST
alice #ops> !NAME who=Bob
  bartizan> ┃ [..] NAME
    ┃ who: Bob
  bartizan> **NAME**: exit 0 in [..]
    ```text
    Hello, Bob.
    ```
";

/// Makes them.
pub(super) fn make(name: &ScriptName, language: Language, choice: &ConfigChoice, out: &Out) -> Result<Exit, CtlError> {
    // 1. Where everything is.
    let config = choice.path()?;
    let place = Place::of(&config)?;
    let (script, test) = (place.scripts.join(name.as_str()), place.scripts.join(format!("{name}.transcript.txt")));

    // 2. Nothing is there yet, and what is there is right.
    let before = fs::read_to_string(&place.allowlist).map_err(failed(&place.allowlist))?;
    let list: DocumentMut = before.parse().map_err(|error: toml_edit::TomlError| {
        no(format!("{}: {}; an allowlist in JSON is changed by hand", place.allowlist.display(), error.message()))
    })?;
    let entries = list.get("scripts").and_then(|item| item.as_array_of_tables());
    if entries.into_iter().flatten().any(|entry| entry.get("name").and_then(|n| n.as_str()) == Some(name.as_str())) {
        return Err(no(format!("{} has a script {name} already", place.allowlist.display())));
    }
    for path in [&script, &test] {
        if path.symlink_metadata().is_ok() {
            return Err(no(format!("{} is there already", path.display())));
        }
    }
    check(choice).map_err(|why| no(format!("the configuration is wrong as it is: {why}")))?;

    // 3. The files, then the entry; all of it or nothing.
    let text = match language {
        Language::Bash => BASH,
        Language::Python => PYTHON,
    };
    let named = |text: &str| text.replace("NAME", name.as_str());
    let written = place.written(&script);
    let entry = named(ENTRY).replace("PATH", &written.replace('\\', "\\\\").replace('"', "\\\""));
    let test_text = named(TEST)
        .replace("CONFIG", &config.display().to_string())
        .replace("ALLOWLIST", &place.allowlist.display().to_string());
    let folder_is_new = !place.scripts.exists();
    let made = (|| {
        if folder_is_new {
            fs::create_dir(&place.scripts).map_err(failed(&place.scripts))?;
            fs::set_permissions(&place.scripts, fs::Permissions::from_mode(0o755)).map_err(failed(&place.scripts))?;
            owned_like(&place.scripts, &place.allowlist)?;
        }
        write(&script, &named(text), 0o755, &place.allowlist)?;
        write(&test, &test_text, 0o644, &place.allowlist)?;
        let gap = if before.ends_with('\n') || before.is_empty() { "" } else { "\n" };
        let kept = replace(&place.allowlist, &format!("{before}{gap}{entry}"))?;
        match check(choice) {
            Ok(()) => Ok(kept),
            Err(why) => {
                // The old one has a second name; it takes its own place again.
                fs::rename(&kept, &place.allowlist).map_err(failed(&place.allowlist))?;
                Err(no(format!("the new entry would be refused: {why}; everything is as it was")))
            }
        }
    })();
    let kept = made.inspect_err(|_| {
        let _as_it_was = (fs::remove_file(&script), fs::remove_file(&test));
        if folder_is_new {
            let _as_it_was = fs::remove_dir(&place.scripts);
        }
    })?;
    let told = serde_json::json!({ "script": script, "test": test, "allowlist": place.allowlist, "before": kept });
    out.give(&told, |_| {
        format!(
            "{}\n  the script\n{}\n  its test\n{}\n  its entry, at the end; what was there before is {}\n\nTry it here with \
             `bartizan script try {name}`; in chat it is there after a reload (SIGHUP).\n",
            script.display(),
            test.display(),
            place.allowlist.display(),
            kept.display()
        )
    })
}

/// Where scripts go, and how the allowlist names them.
struct Place {
    allowlist: PathBuf,
    scripts: PathBuf,
    /// Relative paths are looked for in its own folder, too.
    relative: Option<PathBuf>,
}

impl Place {
    fn of(config: &Path) -> Result<Self, CtlError> {
        let folder = config.parent().unwrap_or(Path::new("/"));
        let text = fs::read_to_string(config).map_err(failed(config))?;
        let document: DocumentMut = text
            .parse()
            .map_err(|error: toml_edit::TomlError| no(format!("{}: {}", config.display(), error.message())))?;
        let scripts = document.get("scripts");
        let named = scripts.and_then(|scripts| scripts.get("allowlist")).and_then(|item| item.as_str());
        let directories = scripts.and_then(|scripts| scripts.get("directories")).and_then(|item| item.as_array());
        let own = directories.and_then(|all| all.iter().find_map(|one| one.as_str()));
        Ok(Self {
            allowlist: folder.join(named.unwrap_or("allowlist.toml")),
            scripts: own.map_or(folder.join("scripts"), |directory| folder.join(directory)),
            relative: own.is_none().then(|| folder.to_owned()),
        })
    }

    fn written(&self, script: &Path) -> String {
        let relative = self.relative.as_ref().and_then(|folder| script.strip_prefix(folder).ok());
        relative.unwrap_or(script).display().to_string()
    }
}

fn check(choice: &ConfigChoice) -> Result<(), String> {
    let output = choice.ask_broker(&["--check-config".into()]).map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// A new file, of the same owner as another one.
fn write(path: &Path, text: &str, mode: u32, like: &Path) -> Result<(), CtlError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed(path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .map_err(failed(path))?;
    owned_like(path, like)
}

fn owned_like(path: &Path, like: &Path) -> Result<(), CtlError> {
    let owner = fs::metadata(like).map_err(failed(like))?;
    match rustix::process::geteuid().is_root() {
        true => chown(path, Some(owner.uid()), Some(owner.gid())).map_err(failed(path)),
        false => Ok(()),
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> CtlError {
    let path = path.to_owned();
    move |error| CtlError::File { path, error }
}
