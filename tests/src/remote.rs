//! A roll-out without chat: the worker as the core orders it for the backend `ssh`, with a plan that this signs, on machines that run.

use bartizan_playground::service::hosts::{Hosts, USER};
use bartizan_proto::channel::Channel;
use bartizan_proto::frame::{self, HEADER};
use bartizan_proto::ids::{JobId, SecretName};
use bartizan_proto::remote::{DOMAIN, FORMAT, Plan, PlannedTarget, RemoteOrder, SignedOrder};
use bartizan_proto::worker::{Ending, Endpoint, FromWorker, Guarantee, Limits, Order, Profile, SecretSlot, ToWorker};
use bartizan_proto::{Bytes, List, Role, Text};
use base64::Engine as _;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// Machines, and the broker whose orders they take.
#[derive(Debug)]
pub struct Fleet {
    /// The machines. They end before their files go.
    pub hosts: Hosts,
    /// Where they are.
    pub home: TempDir,
    programs: PathBuf,
    signing: SigningKey,
    /// The host keys that are pinned: as they are at the start.
    pinned: Vec<String>,
}

/// How a roll-out is to go.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The script.
    pub script: String,
    /// As in the allowlist.
    pub fanout: u16,
    /// As in the allowlist.
    pub canary: u16,
    /// As in the allowlist.
    pub stop_after: u16,
}

impl Wish {
    /// A shell script on everybody at once.
    pub fn of(lines: &str) -> Self {
        Self { script: format!("#!/bin/sh\n{lines}\n"), fanout: 64, canary: 0, stop_after: 0 }
    }
}

/// The name of a machine, from 1.
pub fn name(n: usize) -> String {
    format!("web-{n}")
}

impl Fleet {
    /// So many machines.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(programs: &Path, count: u8) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("bartizan-fleet-").tempdir_in("/tmp")?;
        let address = |n: u8| IpAddr::V4(Ipv4Addr::new(127, 0, 77, n));
        let targets: Vec<_> = (1..=count).map(|n| (name(n.into()), address(n))).collect();
        let hosts = Hosts::start(home.path(), programs, &targets)?;
        let signing = SigningKey::from_bytes(&[3; 32]);
        let public = base64::engine::general_purpose::STANDARD.encode(signing.verifying_key().as_bytes());
        std::fs::write(hosts.path("", "broker.pub"), public)?;
        let pinned = (1..=count).map(|n| hosts.host_key(&name(n.into()))).collect::<io::Result<_>>()?;
        Ok(Self { home, hosts, programs: programs.to_owned(), signing, pinned })
    }

    /// Begins a roll-out on all of them.
    ///
    /// # Errors
    /// When the worker does not start.
    pub fn begin(&self, wish: &Wish) -> io::Result<RollOut> {
        let (mut channel, theirs) = Channel::pair()?;
        let child = Command::new(self.programs.join("bartizan-worker"))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        channel.greet(Role::Core, Role::Worker).map_err(io::Error::other)?;
        let program = self.programs.join("bartizan-remote");
        let key = std::fs::read(self.hosts.path("", "key"))?;
        let (reader, writer) = rustix::pipe::pipe()?;
        File::from(writer).write_all(&key)?;
        let order = self.order(&program, key.len());
        let plan = self.plan(wish)?;
        let fds = [File::open(&program)?.into(), OwnedFd::from(plan), reader];
        let fds: Vec<_> = fds.iter().map(OwnedFd::as_fd).collect();
        channel.send_with(&ToWorker::Order(Box::new(order)), &fds).map_err(io::Error::other)?;
        Ok(RollOut { child, channel, output: String::new() })
    }

    fn secret() -> SecretName {
        "ssh/deploy".parse().expect("a name")
    }

    fn order(&self, program: &Path, key: usize) -> Order {
        let endpoint = |n: usize| {
            let address = Ipv4Addr::new(127, 0, 77, u8::try_from(n).unwrap_or(u8::MAX));
            Endpoint {
                host: Text::cut(address.to_string()),
                port: self.hosts.port,
                addresses: List::cut([address.into()]),
            }
        };
        let limits = Limits { processes: 200, files: 1024, ..Limits::default() };
        Order {
            job: JobId(7),
            name: "roll-out".parse().expect("a name"),
            path: Text::cut(program.display().to_string()),
            arguments: List::cut([Text::cut("run")]),
            environment: List::default(),
            secrets: List::cut([SecretSlot {
                name: Self::secret(),
                size: u32::try_from(key).unwrap_or(u32::MAX),
                variable: None,
            }]),
            alone: true,
            api: false,
            sealed: false,
            sockets: true,
            plan: true,
            daemon: None,
            profile: Profile {
                read: List::default(),
                write: List::default(),
                exec: List::default(),
                network: List::cut((1..=self.pinned.len()).map(endpoint)),
                limits,
            },
            require: List::cut(Guarantee::ALL.into_iter().filter(|guarantee| *guarantee != Guarantee::Lifetime)),
            timeout_ms: 300_000,
            grace_ms: 1000,
            max_output: 1 << 20,
            without: List::default(),
        }
    }

    fn plan(&self, wish: &Wish) -> io::Result<File> {
        let mut file = tempfile::tempfile()?;
        let script = wish.script.as_bytes();
        let plan = Plan {
            targets: u32::try_from(self.pinned.len()).unwrap_or(u32::MAX),
            fanout: wish.fanout,
            canary: wish.canary,
            stop_after: wish.stop_after,
            max_output: 64 * 1024,
            script: Bytes::new(script).map_err(io::Error::other)?,
        };
        file.write_all(&frame::encode(&plan).map_err(io::Error::other)?)?;
        for (index, pinned) in self.pinned.iter().enumerate() {
            let name = name(index + 1);
            let target = PlannedTarget {
                name: name.parse().expect("a name"),
                host: Text::cut(format!("127.0.77.{}", index + 1)),
                port: self.hosts.port,
                user: Text::cut(USER),
                key: Self::secret(),
                host_keys: List::cut([Text::cut(pinned.clone())]),
                order: self.sign(&name, script),
            };
            file.write_all(&frame::encode(&target).map_err(io::Error::other)?)?;
        }
        file.rewind()?;
        Ok(file)
    }

    /// The bytes of an order as they are signed.
    pub fn order_of(target: &str) -> Bytes<{ bartizan_proto::limits::MAX_REMOTE_ORDER }> {
        let bytes = frame::encode(&Self::remote_order(target, b"")).expect("small").split_off(HEADER);
        Bytes::new(bytes).expect("small")
    }

    /// The same number of plain clients at once, each with a log-in of its own and this command; how long all of them took.
    ///
    /// # Errors
    /// When one fails.
    pub fn plainly(&self, command: &str) -> io::Result<Duration> {
        let all = self.hosts.path("", "");
        let known: String = self.pinned.iter().enumerate().map(|(n, key)| format!("{} {key}\n", name(n + 1))).collect();
        std::fs::write(self.hosts.path("", "known"), known)?;
        let line = format!(
            "mount --bind web-1/passwd /etc/passwd && seq 1 {} | xargs -P {0} -I@ ssh -F none -T -o BatchMode=yes -o \
             StrictHostKeyChecking=yes -o UserKnownHostsFile=known -o HostKeyAlias=web-@ -o IdentitiesOnly=yes -i key.shell -o \
             ControlPath=none -p {} -l {USER} 127.0.77.@ {command}",
            self.pinned.len(),
            self.hosts.port
        );
        let mut shell = Command::new("unshare");
        let ids = (nix::unistd::getuid(), nix::unistd::getgid());
        shell.args(["--user", &format!("--map-user={}", ids.0), &format!("--map-group={}", ids.1)]);
        shell.args(["--keep-caps", "--mount", "sh", "-c", &line]).current_dir(all).stdin(Stdio::null());
        let begun = Instant::now();
        let done = shell.output()?;
        match done.status.success() {
            true => Ok(begun.elapsed()),
            false => Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned())),
        }
    }

    /// The same by `ansible -m raw`, all of them at once, each with a log-in of its own: how long that took.
    ///
    /// # Errors
    /// When one fails.
    pub fn by_ansible(&self, command: &str) -> io::Result<Duration> {
        let all = self.hosts.path("", "");
        let count = self.pinned.len();
        let known: String = self.pinned.iter().enumerate().map(|(n, key)| format!("{} {key}\n", name(n + 1))).collect();
        std::fs::write(self.hosts.path("", "known"), known)?;
        let line = |n: usize| {
            format!(
                "{name} ansible_host=127.0.77.{n} ansible_port={} ansible_user={USER} ansible_ssh_private_key_file={all}/key.shell \
                 ansible_ssh_common_args='-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={all}/known -o HostKeyAlias={name}'\n",
                self.hosts.port,
                name = name(n),
                all = all.display(),
            )
        };
        std::fs::write(self.hosts.path("", "inventory"), (1..=count).map(line).collect::<String>())?;
        let mut shell = Command::new("unshare");
        let ids = (nix::unistd::getuid(), nix::unistd::getgid());
        shell.args([
            "--user",
            &format!("--map-user={}", ids.0),
            &format!("--map-group={}", ids.1),
            "--keep-caps",
            "--mount",
        ]);
        let script =
            "mount --bind web-1/passwd /etc/passwd && exec ansible all -i inventory -m raw -a \"$1\" -f \"$2\"";
        shell.args(["sh", "-c", script, "sh", command, &count.to_string()]).current_dir(&all).stdin(Stdio::null());
        // Nothing of this machine's settings, and no connection that an earlier one left.
        let home = self.home.path().join("ansible");
        std::fs::write(self.hosts.path("", "ansible.cfg"), "")?;
        shell.env("HOME", &home).env("ANSIBLE_HOME", &home).env("ANSIBLE_CONFIG", all.join("ansible.cfg"));
        // The account gives no terminal.
        shell.env("ANSIBLE_SSH_USETTY", "False");
        shell.env("ANSIBLE_LOCAL_TEMP", &home).env("ANSIBLE_SSH_ARGS", "-o ControlMaster=no -o ControlPath=none");
        let begun = Instant::now();
        let done = shell.output()?;
        match done.status.success() {
            true => Ok(begun.elapsed()),
            false => Err(io::Error::other(String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())),
        }
    }

    fn sign(&self, target: &str, script: &[u8]) -> SignedOrder {
        let bytes = frame::encode(&Self::remote_order(target, script)).expect("small").split_off(HEADER);
        let signature = self.signing.sign(&[DOMAIN, &bytes].concat()).to_bytes().to_vec();
        SignedOrder {
            format: FORMAT,
            order: Bytes::new(bytes).expect("small"),
            signature: Bytes::new(signature).expect("64 bytes"),
        }
    }

    fn remote_order(target: &str, script: &[u8]) -> RemoteOrder {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        RemoteOrder {
            broker: Text::cut("test"),
            job: JobId(7),
            digest: [0; 32],
            target: target.parse().expect("a name"),
            expires_s: now + 600,
            nonce: rand::random(),
            name: "roll-out".parse().expect("a name"),
            sha256: Sha256::digest(script).into(),
            arguments: List::default(),
            environment: List::cut([(Text::cut("TARGET"), Text::cut(target))]),
            profile: Profile {
                read: List::default(),
                write: List::default(),
                exec: List::default(),
                network: List::default(),
                limits: Limits::default(),
            },
            require: List::default(),
            timeout_ms: 120_000,
            grace_ms: 0,
            max_output: 1 << 20,
        }
    }

    /// A whole roll-out.
    ///
    /// # Errors
    /// When the worker does not start.
    pub fn roll_out(&self, wish: &Wish) -> io::Result<(Option<Ending>, String)> {
        self.begin(wish)?.finish()
    }
}

/// One that goes on.
#[derive(Debug)]
pub struct RollOut {
    /// The worker.
    pub child: Child,
    channel: Channel,
    /// What it printed so far.
    pub output: String,
}

impl RollOut {
    /// Reads on; how it ended, once it has. A refusal is an error.
    ///
    /// # Errors
    /// When the worker refuses or breaks off.
    pub fn read_on(&mut self) -> io::Result<Option<Ending>> {
        match self.channel.receive::<FromWorker>().map_err(io::Error::other)? {
            Some(FromWorker::Output(bytes)) => self.output.push_str(&String::from_utf8_lossy(&bytes)),
            Some(FromWorker::Finished { ending, .. }) => return Ok(Some(ending)),
            Some(FromWorker::Refused { step, why }) => return Err(io::Error::other(format!("{step}: {why}"))),
            Some(_) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(None)
    }

    /// Until it has printed this.
    ///
    /// # Errors
    /// When it ends before.
    pub fn until(&mut self, text: &str) -> io::Result<()> {
        while !self.output.contains(text) {
            if let Some(ending) = self.read_on()? {
                return Err(io::Error::other(format!("it ended ({ending:?}) before it said {text}: {}", self.output)));
            }
        }
        Ok(())
    }

    /// To its end.
    ///
    /// # Errors
    /// When the worker refuses or breaks off.
    pub fn finish(mut self) -> io::Result<(Option<Ending>, String)> {
        let ending = loop {
            if let Some(ending) = self.read_on()? {
                break ending;
            }
        };
        drop(self.channel);
        self.child.wait()?;
        Ok((Some(ending), self.output))
    }

    /// As the core does it: the worker's channel is closed.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> io::Result<()> {
        drop(self.channel);
        self.child.wait().map(drop)
    }
}
