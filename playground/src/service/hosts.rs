//! Machines to run things on: OpenSSH's daemon, once for each of a configuration's targets at an address of 127.0.77.0/24, as the user
//! who runs this. What is done to them is done by the script `hosts/host` in the service's directory, by tests and transcripts alike.

use rand::RngCore as _;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a target's address begins with where it is one of these.
pub const NETWORK: &str = "127.0.77.";

/// Their only user.
pub const USER: &str = "deploy";

const SCRIPT: &str = include_str!("hosts.sh");

/// Machines that run, until this is dropped.
#[derive(Debug)]
pub struct Hosts {
    directory: PathBuf,
    /// The port of all of them.
    pub port: u16,
    names: Vec<String>,
}

/// Why there are none here; `None` where there can be.
pub fn missing() -> Option<String> {
    for program in ["/usr/sbin/sshd", "/usr/bin/ssh"] {
        if !Path::new(program).exists() {
            return Some(format!("needs {program} (Debian: openssh-server)"));
        }
    }
    no_namespaces()
}

/// Why an ordinary user can make no namespaces here; `None` where one can.
pub fn no_namespaces() -> Option<String> {
    let mut tried = Command::new("unshare");
    tried.args([
        "--user",
        "--map-user=1",
        "--map-group=1",
        "--keep-caps",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
    ]);
    let worked = tried.arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let worked = worked.is_ok_and(|status| status.success());
    (!worked).then(|| "needs user namespaces for an ordinary user, and util-linux' unshare".to_owned())
}

impl Hosts {
    /// Makes and starts these, each a name and an address, in `home/hosts`. They take orders by `programs/bartizan-remote`, of the
    /// broker whose public key is put into `hosts/broker.pub`, from whoever logs in with `hosts/key`. With `hosts/key.shell` one logs in
    /// for anything.
    ///
    /// # Errors
    /// When a file cannot be written or a daemon does not start.
    pub fn start(home: &Path, programs: &Path, targets: &[(String, IpAddr)]) -> io::Result<Self> {
        let directory = home.join("hosts");
        DirBuilder::new().mode(0o700).create(&directory)?;
        // A port that is free at one address of this net is so at the others; nobody else uses them.
        let first = targets.first().map_or(IpAddr::from([127, 0, 77, 1]), |target| target.1);
        let port = TcpListener::bind((first, 0))?.local_addr()?.port();
        write(&directory.join("host"), SCRIPT, 0o700)?;
        let key = new_key()?;
        write(&directory.join("key"), key.to_openssh(LineEnding::LF).map_err(odd)?.as_str(), 0o600)?;
        let mut public = vec![public_line(&key)?];
        // With this one somebody logs in as usual, without a command that is forced: ansible does.
        let key = new_key()?;
        write(&directory.join("key.shell"), key.to_openssh(LineEnding::LF).map_err(odd)?.as_str(), 0o600)?;
        public.push(public_line(&key)?);
        let mut hosts = Self { directory, port, names: Vec::new() };
        for (name, address) in targets {
            hosts.make(name, *address, programs, &public)?;
            hosts.names.push(name.clone());
            hosts.does(&["up", name])?;
        }
        Ok(hosts)
    }

    fn make(&self, name: &str, address: IpAddr, programs: &Path, logins: &[String]) -> io::Result<()> {
        let host = self.directory.join(name);
        DirBuilder::new().mode(0o700).create(&host)?;
        DirBuilder::new().mode(0o700).create(host.join("state"))?;
        for file in ["key", "key.other"] {
            let key = new_key()?;
            write(&host.join(file), key.to_openssh(LineEnding::LF).map_err(odd)?.as_str(), 0o600)?;
            write(&host.join(format!("{file}.pub")), &format!("{}\n", public_line(&key)?), 0o600)?;
        }
        let (here, all) = (host.display(), self.directory.display());
        let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
        write(&host.join("passwd"), &format!("{USER}:x:{user}:{group}::{here}:/bin/sh\n"), 0o644)?;
        let config = format!(
            "ListenAddress {address}\nPort {}\nHostKey {here}/key\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {here}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             AllowTcpForwarding no\nX11Forwarding no\nMaxStartups 100\nLogLevel VERBOSE\n",
            self.port
        );
        write(&host.join("sshd_config"), &config, 0o600)?;
        let program = programs.join("bartizan-remote");
        let command =
            format!("{} serve --target {name} --broker-key {all}/broker.pub --state {here}/state", program.display());
        let lines = logins.iter().enumerate().map(|(i, login)| match i {
            0 => format!("restrict,command=\"{command}\" {login}\n"),
            _ => format!("restrict {login}\n"),
        });
        write(&host.join("authorized_keys"), &lines.collect::<String>(), 0o600)
    }

    /// `host VERB NAME …`
    ///
    /// # Errors
    /// With what it printed.
    pub fn does(&self, words: &[&str]) -> io::Result<()> {
        let done = Command::new(self.directory.join("host")).args(words).stdin(Stdio::null()).output()?;
        match done.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned())),
        }
    }

    /// A file of one of them, or with an empty name of all of them.
    pub fn path(&self, name: &str, file: &str) -> PathBuf {
        self.directory.join(name).join(file)
    }

    /// The host key that one of them shows, as a line of a `.pub` file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_key(&self, name: &str) -> io::Result<String> {
        Ok(fs::read_to_string(self.path(name, "key.pub"))?.trim().to_owned())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            // One that is down already has nothing left.
            let _best_effort = self.does(&["down", name]);
        }
    }
}

fn new_key() -> io::Result<PrivateKey> {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "").map_err(odd)
}

fn public_line(key: &PrivateKey) -> io::Result<String> {
    Ok(key.public_key().to_openssh().map_err(odd)?.trim().to_owned())
}

fn write(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content.as_bytes())
}

/// The crate's errors are no errors of the standard library's here.
fn odd(error: ssh_key::Error) -> io::Error {
    io::Error::other(error.to_string())
}
