//! OpenSSH's own client, one for each target, with everything that it would look up elsewhere said on its command line: no
//! configuration of anybody's, the pinned host keys alone, one key by the private agent, nothing forwarded, no terminal, nothing asked.

use bartizan_proto::ids::SecretName;
use bartizan_proto::remote::PlannedTarget;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The client, as every distribution has it.
pub const PROGRAM: &str = "/usr/bin/ssh";

/// How long a connection may take to come about, in seconds, the server's first line included.
pub const CONNECT_S: u32 = 15;

/// Where the client finds what belongs to this job.
#[derive(Debug, Clone)]
pub struct Place {
    /// The program.
    pub program: PathBuf,
    /// A directory of the job's alone.
    pub directory: PathBuf,
    /// The agent's socket.
    pub agent: PathBuf,
}

impl Place {
    /// In the job's own directory.
    pub fn new(directory: &Path) -> Self {
        let (directory, agent) = (directory.to_owned(), directory.join("agent"));
        Self { program: PathBuf::from(PROGRAM), directory, agent }
    }

    /// The file with the public half of a key: by it the client asks the agent for that key and for no other.
    pub fn public_key(&self, name: &SecretName) -> PathBuf {
        self.directory.join(format!("{}+{}.pub", name.namespace, name.key))
    }

    /// The file with a target's host keys.
    fn host_keys(&self, target: &PlannedTarget) -> PathBuf {
        self.directory.join(format!("{}.hosts", target.name))
    }

    /// The client for one target. Its host keys are written down, until [`Place::forget`].
    ///
    /// # Errors
    /// When that file cannot be written, or the target has no host key: then nothing could be believed.
    pub fn client(&self, target: &PlannedTarget) -> io::Result<Command> {
        let mut lines = String::new();
        let mut algorithms: Vec<&str> = Vec::new();
        for key in &target.host_keys {
            let (kind, _) = key.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
            if key.contains(['\n', '\r', '\0']) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            lines.push_str(&format!("{} {key}\n", target.name));
            algorithms.push(if kind == "ssh-rsa" { "rsa-sha2-512,rsa-sha2-256" } else { kind });
        }
        if lines.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no host key is pinned for it"));
        }
        let hosts = self.host_keys(target);
        fs::write(&hosts, lines)?;
        algorithms.sort_unstable();
        algorithms.dedup();

        let mut command = Command::new(&self.program);
        // No configuration, no terminal, no forwarding of agent or X11, no password.
        command.args(["-F", "none", "-T", "-a", "-x"]);
        for fixed in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            "CheckHostIP=no",
            "UpdateHostKeys=no",
            "VerifyHostKeyDNS=no",
            "CanonicalizeHostname=no",
            "IdentitiesOnly=yes",
            "AddKeysToAgent=no",
            "PreferredAuthentications=publickey",
            "PubkeyAuthentication=yes",
            "PasswordAuthentication=no",
            "KbdInteractiveAuthentication=no",
            "HostbasedAuthentication=no",
            "GSSAPIAuthentication=no",
            "ClearAllForwardings=yes",
            "ForwardAgent=no",
            "Tunnel=no",
            "PermitLocalCommand=no",
            "ProxyCommand=none",
            "ProxyJump=none",
            "ControlMaster=no",
            "ControlPath=none",
            "EscapeChar=none",
            "ConnectionAttempts=1",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            "LogLevel=ERROR",
        ] {
            command.args(["-o", fixed]);
        }
        let options = [
            ("ConnectTimeout", CONNECT_S.to_string()),
            ("HostKeyAlias", target.name.to_string()),
            ("HostKeyAlgorithms", algorithms.join(",")),
            ("UserKnownHostsFile", quoted(&hosts)),
            ("IdentityAgent", quoted(&self.agent)),
            ("IdentityFile", quoted(&self.public_key(&target.key))),
        ];
        for (name, value) in options {
            command.arg("-o").arg(format!("{name}={value}"));
        }
        command.args(["-p", &target.port.to_string(), "-l", &target.user, "--", &target.host]);
        // No command is asked for: the one in authorized_keys is what runs there.
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// Takes a target's file away.
    pub fn forget(&self, target: &PlannedTarget) {
        let _gone = fs::remove_file(self.host_keys(target));
    }
}

/// As ssh_config(5) reads a path: in quotes, without its own signs.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// What the client printed, as a reason: host keys first, because that is what must not be overlooked.
pub fn reason(printed: &str) -> (Reached, String) {
    let last = printed.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ssh said nothing");
    if printed.contains("Host key verification failed") || printed.contains("HOST IDENTIFICATION HAS CHANGED") {
        let what = "its host key is not the pinned one: nothing was sent; if the host was set up anew, pin its new key";
        return (Reached::Stranger, what.to_owned());
    }
    if printed.contains("no matching host key type found") {
        return (Reached::Stranger, "it has no host key of a kind that is pinned for it: nothing was sent".to_owned());
    }
    if printed.contains("Permission denied") {
        let what = "it does not let this key in: is the line of `bartizan remote enroll` in its authorized_keys?";
        return (Reached::Unreachable, what.to_owned());
    }
    // The job's own relay takes every connection, and ends it where the host takes none: before ssh has seen it open, or after.
    let at_once = last.starts_with("ssh: connect to host") && last.ends_with("Connection reset by peer");
    if at_once || printed.contains("kex_exchange_identification") {
        return (Reached::Unreachable, "nobody answers there: the connection was refused or broke off".to_owned());
    }
    (Reached::Unreachable, last.to_owned())
}

/// How a connection did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// Nobody there, or nobody who lets us in.
    Unreachable,
    /// Somebody else is there.
    Stranger,
}
