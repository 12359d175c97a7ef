//! A cluster to run things on: munge, Slurm's controller and two nodes, all on this machine and its loopback alone, as the user who
//! runs this. What is done to it is done by the script `cluster/cluster` in the service's directory, by tests and transcripts alike.

use rand::RngCore as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What stands for its controller where a configuration is written.
pub const CONTROLLER: &str = "127.0.78.1";

/// Where all of it listens.
pub const ADDRESS: &str = "127.0.0.1";

/// Its only user.
pub const USER: &str = "deploy";

const SCRIPT: &str = include_str!("cluster.sh");

/// A cluster that runs, until this is dropped.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    /// The controller's port.
    pub port: u16,
}

/// Why there is none here; `None` where there can be.
pub fn missing() -> Option<String> {
    for program in ["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/bin/sbatch", "/usr/sbin/munged"] {
        if !Path::new(program).exists() {
            return Some(format!("needs {program} (Debian: slurm-wlm, munge)"));
        }
    }
    super::hosts::no_namespaces()
}

impl Cluster {
    /// Makes and starts one in `home/cluster`.
    ///
    /// # Errors
    /// When a file cannot be written or a daemon does not start.
    pub fn start(home: &Path) -> io::Result<Self> {
        let directory = home.join("cluster");
        for folder in ["", "etc", "munge", "state", "out"] {
            DirBuilder::new().mode(0o700).create(directory.join(folder))?;
        }
        // Held together, so that no two are the same one.
        let free = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(&free) {
            *port = listener.as_ref().map_err(|error| io::Error::from(error.kind()))?.local_addr()?.port();
        }
        drop(free);
        let mut key = [0; 64];
        rand::rng().fill_bytes(&mut key);
        write(&directory.join("munge/key"), &key, 0o600)?;
        let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
        let others = std::fs::read_to_string("/etc/passwd")?;
        // The first of a number is its name.
        let passwd = format!("{USER}:x:{user}:{group}::/:/bin/sh\n{others}");
        write(&directory.join("passwd"), passwd.as_bytes(), 0o644)?;
        write(&directory.join("etc/slurm.conf"), config(&directory, ports).as_bytes(), 0o600)?;
        // It wants to know of control groups, and is not asked to use any.
        write(&directory.join("etc/cgroup.conf"), b"CgroupPlugin=cgroup/v1\n", 0o600)?;
        write(&directory.join("cluster"), SCRIPT.as_bytes(), 0o700)?;
        let cluster = Self { directory, port: ports[0] };
        cluster.does(&["up", "all"])?;
        Ok(cluster)
    }

    /// `cluster VERB …`; gives what it printed.
    ///
    /// # Errors
    /// With what it said.
    pub fn does(&self, words: &[&str]) -> io::Result<String> {
        let done = Command::new(self.directory.join("cluster")).args(words).stdin(Stdio::null()).output()?;
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            false => Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned())),
        }
    }

    /// A file of it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What is down already has nothing left.
        let _best_effort = self.does(&["down", "all"]);
    }
}

/// `slurm.conf(5)`: nothing that would take root, and a lost node is noticed soon.
fn config(directory: &Path, [controller, first, second]: [u16; 3]) -> String {
    let here = directory.display();
    format!(
        "ClusterName=test\nSlurmctldHost=localhost({ADDRESS})\nSlurmctldPort={controller}\nSlurmUser={USER}\nSlurmdUser={USER}\n\
         AuthType=auth/munge\nAuthInfo=socket={here}/munge/socket,cred_expire=10\nCredType=cred/munge\n\
         CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\nStateSaveLocation={here}/state\nSlurmdSpoolDir={here}/spool.%n\n\
         SlurmctldPidFile={here}/state/controller.pid\nSlurmdPidFile={here}/state/%n.pid\nProctrackType=proctrack/pgid\n\
         TaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\nMailProg=/bin/true\nReturnToService=2\n\
         SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\nSlurmdTimeout=5\nSlurmctldTimeout=5\nKillWait=2\nMinJobAge=60\n\
         SchedulerType=sched/backfill\nJobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
         DebugFlags=NO_CONF_HASH\nSlurmdParameters=config_overrides\n\
         NodeName=node1 NodeAddr={ADDRESS} NodeHostname=localhost Port={first} CPUs=4 RealMemory=500\n\
         NodeName=node2 NodeAddr={ADDRESS} NodeHostname=localhost Port={second} CPUs=4 RealMemory=500\n\
         PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP\nPartitionName=long Nodes=ALL MaxTime=600 State=UP\n"
    )
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content)
}
