//! What setup writes: a few keys of `bartizan.toml`, everything else in it as it was, and the token where no service runs yet.
//!
//! A file is replaced at once or not at all, and what it was is kept beside it under a new name.

use super::SetupError;
use crate::exit::CtlError;
use bartizan_secret::Zeroizing;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, Item, Table, value};

/// The longest configuration that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// What stands in a fresh installation's configuration until somebody says where the server is.
const PLACEHOLDERS: [&str; 2] = ["https://chat.example.com", "bartizan"];
/// How many old ones may lie there.
const MOST_KEPT: usize = 1000;

/// What is to stand in the configuration.
pub struct Wanted {
    /// `[server] url`.
    pub url: String,
    /// `[server] team`.
    pub team: String,
    /// `[server] ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `[server] proxy`.
    pub proxy: Option<String>,
    /// `[server] client-certificate` and `client-key`.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Of `[people]`.
    pub admin: String,
    /// `[server] channels`; none for all.
    pub channels: Vec<String>,
}

/// A configuration as it is.
pub struct Config {
    path: PathBuf,
    text: String,
    document: DocumentMut,
}

impl Config {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Self, SetupError> {
        let missing = |error| SetupError::NoConfig { path: path.to_owned(), error };
        let broken = |why: String| SetupError::BrokenConfig { path: path.to_owned(), why };
        let mut text = String::new();
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).map_err(missing)?;
        let document = text.parse::<DocumentMut>().map_err(|error| broken(error.message().to_owned()))?;
        Ok(Self { path: path.to_owned(), text, document })
    }

    /// Its server, unless nobody has named one yet.
    pub fn url(&self) -> Option<String> {
        self.server("url")
    }

    /// Its team, unless nobody has named one yet.
    pub fn team(&self) -> Option<String> {
        self.server("team")
    }

    fn server(&self, key: &str) -> Option<String> {
        let text = self.document.get("server")?.get(key)?.as_str()?;
        (!PLACEHOLDERS.contains(&text)).then(|| text.to_owned())
    }

    /// Where the token is taken from at the first start.
    fn token_file(&self) -> Option<PathBuf> {
        let name = self.document.get("bot")?.get("token-file")?.as_str()?;
        Some(self.path.parent()?.join(name))
    }

    /// The text with these keys changed.
    pub fn with(&self, wanted: &Wanted) -> Result<String, SetupError> {
        let mut document = self.document.clone();
        let broken =
            |what: &str| SetupError::BrokenConfig { path: self.path.clone(), why: format!("[{what}] is no table") };
        let table =
            |document: &mut DocumentMut, name: &str| match document.entry(name).or_insert(Item::Table(Table::new())) {
                Item::Table(_) => Ok(()),
                _ => Err(broken(name)),
            };
        table(&mut document, "server")?;
        table(&mut document, "people")?;
        put(&mut document["server"], "url", wanted.url.as_str().into());
        put(&mut document["server"], "team", wanted.team.as_str().into());
        if let Some(path) = &wanted.ca_file {
            put(&mut document["server"], "ca-file", path.to_string_lossy().as_ref().into());
        }
        if let Some(proxy) = &wanted.proxy {
            put(&mut document["server"], "proxy", proxy.as_str().into());
        }
        if let Some((certificate, key)) = &wanted.client {
            put(&mut document["server"], "client-certificate", certificate.to_string_lossy().as_ref().into());
            put(&mut document["server"], "client-key", key.to_string_lossy().as_ref().into());
        }
        if wanted.channels.is_empty() {
            document["server"].as_table_mut().map(|server| server.remove("channels"));
        } else {
            put(&mut document["server"], "channels", wanted.channels.iter().collect::<Array>().into());
        }
        put(&mut document["people"], &wanted.admin, "admin".into());
        Ok(document.to_string())
    }

    /// What differs, as `diff -u` shows it.
    pub fn diff(&self, after: &str) -> String {
        if self.text == after {
            return String::new();
        }
        let name = self.path.display().to_string();
        similar::TextDiff::from_lines(self.text.as_str(), after)
            .unified_diff()
            .context_radius(1)
            .header(&name, &name)
            .to_string()
    }
}

/// Sets one key and leaves the comments around it, and a value that is the same.
fn put(table: &mut Item, key: &str, new: toml_edit::Value) {
    let same = table.get(key).and_then(Item::as_value).is_some_and(|old| {
        let plain = |value: &toml_edit::Value| {
            let mut value = value.clone();
            value.decor_mut().clear();
            value.to_string()
        };
        plain(old) == plain(&new)
    });
    if !same {
        table[key] = value(new);
    }
}

/// Puts the new text in place of the old one; where the old one is kept.
pub fn replace(path: &Path, text: &str) -> Result<PathBuf, CtlError> {
    let failed = |error| CtlError::File { path: path.to_owned(), error };
    let before = std::fs::symlink_metadata(path).map_err(failed)?;
    let new = beside(path, "new").map_err(failed)?;
    let _left_by_one_that_was_ended = std::fs::remove_file(&new);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fchown(&file, Some(before.uid()), Some(before.gid()))?;
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
        file.sync_all()?;
        // A second name for the old one: it never takes the place of anything.
        let kept = (1..MOST_KEPT).find_map(|number| {
            let kept = beside(path, &number.to_string()).ok()?;
            match std::fs::hard_link(path, &kept) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                linked => Some(linked.map(|()| kept)),
            }
        });
        let kept = kept.unwrap_or_else(|| Err(io::Error::other("too many old ones lie beside it")))?;
        std::fs::rename(&new, path)?;
        Ok(kept)
    })();
    written.map_err(|error| {
        let _as_if_nothing_was = std::fs::remove_file(&new);
        failed(error)
    })
}

/// Leaves the token where the service takes it from at its first start, for its eyes only; what was done, in words.
pub fn write_token(config: &Config, token: &Zeroizing<Vec<u8>>) -> Result<String, CtlError> {
    let Some(path) = config.token_file() else {
        return Ok("not kept: [bot] names no token-file; start the service, then `bartizan token set`".to_owned());
    };
    let failed = |error| CtlError::File { path: path.clone(), error };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let owner = std::fs::metadata(folder).map_err(failed)?;
    let new = beside(&path, "new").map_err(failed)?;
    let _left_by_one_that_was_ended = std::fs::remove_file(&new);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&new)?;
        file.write_all(token)?;
        file.write_all(b"\n")?;
        if rustix::process::geteuid().is_root() {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.sync_all()?;
        std::fs::rename(&new, &path)
    })();
    written.map_err(|error| {
        let _as_if_nothing_was = std::fs::remove_file(&new);
        failed(error)
    })?;
    Ok(format!("in {}, until the service takes it into its brain at the start", path.display()))
}

/// `PATH.END`, in the same folder.
fn beside(path: &Path, end: &str) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| io::Error::other("not a file's name"))?.to_owned();
    name.push(".");
    name.push(end);
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../deploy/bartizan.toml");

    fn config(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bartizan.toml");
        std::fs::write(&path, text).expect("written");
        (folder, path)
    }

    fn wanted() -> Wanted {
        Wanted {
            url: "https://chat.example.org".to_owned(),
            team: "crew".to_owned(),
            ca_file: None,
            proxy: None,
            client: None,
            admin: "alice".to_owned(),
            channels: vec!["ops".to_owned(), "deployments".to_owned()],
        }
    }

    #[test]
    fn the_template_is_filled_in_and_keeps_its_comments() {
        let template = TEMPLATE.replace("@URL@", "https://chat.example.com").replace("@TEAM@", "bartizan");
        let (_folder, path) = config(&template);
        let before = Config::read(&path).expect("a configuration");
        assert_eq!((before.url(), before.team()), (None, None), "placeholders are no answers");
        let after = before.with(&wanted()).expect("changed");
        for line in template.lines().filter(|line| line.starts_with('#')) {
            assert!(after.contains(line), "{line} is gone");
        }
        for line in [
            "url = \"https://chat.example.org\"",
            "team = \"crew\"",
            "channels = [\"ops\", \"deployments\"]",
            "alice = \"admin\"",
        ] {
            assert!(after.lines().any(|found| found == line), "{line} is not in {after}");
        }
        let diff = before.diff(&after);
        assert!(diff.contains("\n-team = \"bartizan\"\n") && diff.contains("\n+team = \"crew\"\n"), "{diff}");
    }

    #[test]
    fn a_second_time_changes_nothing_and_what_is_replaced_is_kept_under_a_new_name() {
        let (_folder, path) = config("[server]\nurl = \"https://a.example\" # mine\nteam = \"crew\"\n");
        let before = Config::read(&path).expect("a configuration");
        let after = before.with(&wanted()).expect("changed");
        let first = replace(&path, &after).expect("replaced");
        let again = Config::read(&path).expect("a configuration");
        assert_eq!(again.diff(&again.with(&wanted()).expect("changed")), "");
        let second = replace(&path, "[server]\n").expect("replaced");
        assert_eq!(std::fs::read_to_string(first).expect("kept"), before.text);
        assert_eq!(std::fs::read_to_string(second).expect("kept"), after);
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "[server]\n");
    }
}
