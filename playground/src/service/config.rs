//! The copy of a configuration that a service is started with: this server, this token, these directories, and everything
//! else as it was. Relative paths in it mean the same files as before.

use super::cluster::{self, Cluster};
use super::hosts::{Hosts, NETWORK};
use super::privilege::Source;
use crate::cast::ServerFile;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, Item, Table, Value, value};

/// What is read from the same folder, where it is there.
pub(super) const BESIDE: [&str; 2] = ["people.toml", "groups.toml"];

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML.
    #[error("{path}: {source}")]
    Toml {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml_edit::TomlError>,
    },
    /// `server = 1` and the like.
    #[error("{path}: [{table}] is not a table")]
    NotTable {
        /// Which file.
        path: PathBuf,
        /// Which table.
        table: String,
    },
    /// The copy cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The demo's configuration and allowlist: of the checkout that this program was built in, else of the working directory.
pub fn demo_files() -> (PathBuf, PathBuf) {
    let program = std::env::current_exe().unwrap_or_default();
    let folders = program.ancestors().map(|folder| folder.join("config"));
    let config = folders.filter(|folder| folder.join("bartizan.toml").is_file()).find(|folder| folder.is_absolute());
    let config = config.unwrap_or_else(|| std::env::current_dir().unwrap_or_default().join("config"));
    (config.join("bartizan.toml"), config.join("allowlist.toml"))
}

/// Where relative script paths are looked for: above the configuration's folder, in it, and the same of the allowlist.
pub fn script_directories(config: &Path, allowlist: &Path) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for file in [config, allowlist] {
        let folder = file.parent().unwrap_or(Path::new("/"));
        for directory in [folder.parent().unwrap_or(folder), folder] {
            if !directories.iter().any(|known| known == directory) {
                directories.push(directory.to_owned());
            }
        }
    }
    directories
}

/// Writes the copy, the token and the CA into `home`, and makes the directories that it names.
pub fn write(
    home: &Path,
    server: &ServerFile,
    source: &Source,
    hosts: Option<&Hosts>,
    cluster: Option<&Cluster>,
) -> Result<PathBuf, ConfigError> {
    let mut adapted = adapt(&read(source)?, home, server, source)?;
    if let Some(hosts) = hosts {
        adapted = with_hosts(&adapted, source, hosts)?;
    }
    if let Some(cluster) = cluster {
        adapted = with_cluster(&adapted, source, cluster)?;
    }
    for directory in ["state", "run"] {
        let path = home.join(directory);
        DirBuilder::new().mode(0o700).create(&path).map_err(|source| ConfigError::Write { path, source })?;
    }
    put(&home.join("token"), &server.bot.token)?;
    if let Some(pem) = &server.ca_pem {
        put(&home.join("ca.pem"), pem)?;
    }
    for name in BESIDE {
        let beside = source.config.with_file_name(name);
        match std::fs::read_to_string(&beside) {
            Ok(text) => put(&home.join(name), &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Read { path: beside, source }),
        }
    }
    let path = home.join("bartizan.toml");
    put(&path, &adapted)?;
    Ok(path)
}

fn read(source: &Source) -> Result<String, ConfigError> {
    let failed = |error| ConfigError::Read { path: source.config.clone(), source: error };
    std::fs::read_to_string(&source.config).map_err(failed)
}

fn parsed(text: &str, source: &Source) -> Result<DocumentMut, ConfigError> {
    let failed = |error| ConfigError::Toml { path: source.written_at.clone(), source: Box::new(error) };
    text.parse().map_err(failed)
}

/// The targets that are machines of the test's own, by name and address.
pub(super) fn machines(source: &Source) -> Result<Vec<(String, IpAddr)>, ConfigError> {
    let document = parsed(&read(source)?, source)?;
    let targets = document.get("target").and_then(Item::as_array_of_tables);
    let machine = |target: &Table| {
        let host = target.get("host")?.as_str()?;
        let name = target.get("name")?.as_str()?.to_owned();
        Some((name, host.parse().ok()?)).filter(|_| host.starts_with(NETWORK))
    };
    Ok(targets.into_iter().flatten().filter_map(machine).collect())
}

/// The same configuration with the port and the host keys that these machines have.
fn with_hosts(text: &str, source: &Source, hosts: &Hosts) -> Result<String, ConfigError> {
    let mut document = parsed(text, source)?;
    let targets = document.get_mut("target").and_then(Item::as_array_of_tables_mut);
    for target in targets.into_iter().flat_map(|targets| targets.iter_mut()) {
        let of_ours = target.get("host").and_then(Item::as_str).is_some_and(|host| host.starts_with(NETWORK));
        let Some(name) = target.get("name").and_then(Item::as_str).filter(|_| of_ours).map(str::to_owned) else {
            continue;
        };
        let path = hosts.path(&name, "key.pub");
        let key = hosts.host_key(&name).map_err(|source| ConfigError::Read { path, source })?;
        target.insert("port", value(i64::from(hosts.port)));
        target.insert("host-key", value(key));
    }
    Ok(document.to_string())
}

/// Whether its cluster is one of the test's own.
pub(super) fn has_cluster(source: &Source) -> Result<bool, ConfigError> {
    let document = parsed(&read(source)?, source)?;
    let controller = document.get("slurm").and_then(|slurm| slurm.get("controller")).and_then(Item::as_str);
    Ok(controller == Some(cluster::CONTROLLER))
}

/// The same configuration with where this cluster is.
fn with_cluster(text: &str, source: &Source, cluster: &Cluster) -> Result<String, ConfigError> {
    let mut document = parsed(text, source)?;
    if let Some(table) = document.get_mut("slurm").and_then(Item::as_table_like_mut) {
        let path = |file: &str| value(cluster.path(file).to_string_lossy().into_owned());
        table.insert("controller", value(cluster::ADDRESS));
        table.insert("port", value(i64::from(cluster.port)));
        table.insert("config", path("etc/slurm.conf"));
        table.insert("munge", path("munge"));
        table.insert("output", path("out"));
        table.insert("user", value(cluster::USER));
        table.insert("user-id", value(i64::from(nix::unistd::getuid().as_raw())));
    }
    Ok(document.to_string())
}

fn put(path: &Path, content: &str) -> Result<(), ConfigError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|source| ConfigError::Write { path: path.to_owned(), source })
}

fn adapt(text: &str, home: &Path, server: &ServerFile, source: &Source) -> Result<String, ConfigError> {
    let path = &source.written_at;
    let mut document = parsed(text, source)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let profiles = document.get_mut("profiles").and_then(Item::as_table_like_mut);
    for (_, profile) in profiles.into_iter().flat_map(|profiles| profiles.iter_mut()) {
        for key in ["read", "write", "exec"] {
            let paths = profile.get_mut(key).and_then(Item::as_array_mut);
            for path in paths.into_iter().flat_map(|paths| paths.iter_mut()) {
                make_absolute(path, folder);
            }
        }
    }
    if let Some(path) = document
        .get_mut("sandbox")
        .and_then(|sandbox| sandbox.get_mut("scratch-directory"))
        .and_then(Item::as_value_mut)
    {
        make_absolute(path, folder);
    }
    let mut set = |table: &str, key: &str, to: Option<Item>| {
        let item = document.entry(table).or_insert_with(|| Item::Table(Table::new()));
        let table = item
            .as_table_like_mut()
            .ok_or_else(|| ConfigError::NotTable { path: path.clone(), table: table.to_owned() })?;
        match to {
            Some(to) => table.insert(key, to),
            None => table.remove(key),
        };
        Ok::<(), ConfigError>(())
    };
    let text = |path: &Path| value(path.to_string_lossy().into_owned());
    set("server", "url", Some(value(&server.url)))?;
    set("server", "team", Some(value(&server.team.name)))?;
    set("server", "ca-file", server.ca_pem.is_some().then(|| text(&home.join("ca.pem"))))?;
    set("bot", "token-file", Some(text(&home.join("token"))))?;
    set("state", "directory", Some(text(&home.join("state"))))?;
    set("control", "directory", Some(text(&home.join("run"))))?;
    set("scripts", "allowlist", Some(text(&source.allowlist)))?;
    let directories: Array = source.directories.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    set("scripts", "directories", Some(value(directories)))?;
    Ok(document.to_string())
}

fn make_absolute(path: &mut Value, folder: &Path) {
    if let Some(text) = path.as_str()
        && !text.starts_with('/')
    {
        *path = folder.join(text).to_string_lossy().into_owned().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{Bot, Named};

    fn server() -> ServerFile {
        ServerFile {
            url: "http://127.0.0.1:1".to_owned(),
            team: Named { name: "t".to_owned(), id: "x".repeat(26) },
            channels: Default::default(),
            users: Default::default(),
            bot: Bot { name: "bartizan".to_owned(), id: "y".repeat(26), token: "secret".to_owned() },
            ca_pem: None,
        }
    }

    fn source() -> Source {
        let (config, allowlist) = (PathBuf::from("/srv/chat/etc/bartizan.toml"), PathBuf::from("/srv/allowed/a.json"));
        let directories = script_directories(&config, &allowlist);
        Source { written_at: config.clone(), config, allowlist, directories }
    }

    #[test]
    fn only_where_it_runs_is_replaced_and_the_rest_stays() {
        let text = "# kept\n[server]\nurl = \"https://x\"\nteam = \"y\"\nca-file = \"z\"\nchannels = [\"ops\"]\n\n[bot]\nprefix = \"?\"\n\
                    [people]\nalice = \"admin\"\n[profiles.net]\nread = [\"data\", \"/etc/hosts\"]\n";
        let out = adapt(text, Path::new("/tmp/h"), &server(), &source()).expect("good");
        let document: DocumentMut = out.parse().expect("still TOML");
        assert_eq!(document["server"]["url"].as_str(), Some("http://127.0.0.1:1"));
        assert_eq!(document["server"]["team"].as_str(), Some("t"));
        assert!(document["server"].get("ca-file").is_none());
        assert_eq!(document["server"]["channels"][0].as_str(), Some("ops"));
        assert_eq!(document["bot"]["prefix"].as_str(), Some("?"));
        assert_eq!(document["bot"]["token-file"].as_str(), Some("/tmp/h/token"));
        assert_eq!(document["scripts"]["allowlist"].as_str(), Some("/srv/allowed/a.json"));
        assert_eq!(document["profiles"]["net"]["read"][0].as_str(), Some("/srv/chat/etc/data"));
        assert_eq!(document["profiles"]["net"]["read"][1].as_str(), Some("/etc/hosts"));
        assert!(out.contains("# kept") && !out.contains("secret"));
    }

    #[test]
    fn scripts_are_looked_for_above_and_in_the_folders_of_both_files() {
        let expected: Vec<PathBuf> = ["/srv/chat", "/srv/chat/etc", "/srv", "/srv/allowed"].map(PathBuf::from).into();
        assert_eq!(source().directories, expected);
        let both = script_directories(Path::new("/r/config/b.toml"), Path::new("/r/config/a.toml"));
        assert_eq!(both, ["/r", "/r/config"].map(PathBuf::from));
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_file() {
        let error = adapt("[server", Path::new("/h"), &server(), &source()).expect_err("bad");
        assert!(error.to_string().starts_with("/srv/chat/etc/bartizan.toml: "), "{error}");
        assert!(adapt("server = 1", Path::new("/h"), &server(), &source()).is_err());
    }
}
