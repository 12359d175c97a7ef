//! The allowlist in both forms (`broker/src/config/`): read whole or refused with one line.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A configuration that is right.
pub(super) const CONFIG: &str = "[server]\nurl = \"https://chat.example.com\"\nteam = \"ops\"\n[bot]\ntoken-file = \"token\"\n\
    [state]\ndirectory = \"state\"\n[scripts]\nallowlist = \"allowlist.toml\"\ndirectories = [\".\"]\n";

/// An allowlist that is right.
pub(super) const SMALL: &str = "[[scripts]]\nname = \"hello\"\npath = \"hello\"\ndescription = \"Says hello\"\n";

/// An even first byte means TOML, an odd one JSON.
///
/// # Panics
/// As [`super::config::target`].
pub fn target(data: &[u8]) {
    let Some((form, data)) = data.split_first() else { return };
    with_directory(|directory| {
        let name = if form % 2 == 0 { "allowlist.toml" } else { "allowlist.json" };
        put(&directory.join("bartizan.toml"), CONFIG.replace("allowlist.toml", name).as_bytes());
        put(&directory.join(name), data);
        super::config::judge(&directory.join("bartizan.toml"));
    });
}

/// A directory of this thread's with a token and a script in it.
pub(super) fn with_directory(use_it: impl FnOnce(&Path)) {
    thread_local! {
        static DIRECTORY: tempfile::TempDir = {
            let directory = tempfile::tempdir().expect("a temporary directory");
            put(&directory.path().join("token"), b"abcdefghijklmnopqrstuvwxyz");
            let script = directory.path().join("hello");
            put(&script, b"#!/bin/sh\necho hello\n");
            std::fs::set_permissions(&script, Permissions::from_mode(0o700)).expect("its own file");
            directory
        };
    }
    DIRECTORY.with(|directory| use_it(directory.path()));
}

/// Writes a file that nobody else may read.
pub(super) fn put(path: &Path, content: &[u8]) {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).expect("a file in its own directory");
}

/// The shipped allowlist with the one script that exists here, and the seed's form.
pub fn corpus() -> Vec<Vec<u8>> {
    let shipped = include_str!("../../../config/allowlist.toml");
    let mut paths = String::new();
    for line in shipped.lines().filter(|line| !line.starts_with("profile")) {
        paths.push_str(if line.starts_with("path") { "path = \"hello\"" } else { line });
        paths.push('\n');
    }
    let seed = br#"{"scripts": {"hello": {"name": "hello", "path": "hello", "description": "Says hello",
        "requiredPermission": "user", "allowedChannels": ["ops"], "timeout": 30000, "async": false,
        "arguments": {"who": {"type": "string", "regex": "^[a-z]+$", "required": true, "default": "you"},
        "count": {"type": "number", "min": 1, "max": 5}, "loud": {"type": "boolean"},
        "where": {"type": "enum", "values": ["a", "b"]}}}}}"#;
    let list = br#"{"scripts": [{"name": "hello", "path": "hello", "description": "x", "timeout": 5}]}"#;
    let with = |form: u8, text: &[u8]| [&[form], text].concat();
    vec![with(0, paths.as_bytes()), with(0, SMALL.as_bytes()), with(1, seed), with(1, list)]
}
