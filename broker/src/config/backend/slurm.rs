//! `[slurm]` and `[scripts.slurm]`: the cluster, and what of it an entry's jobs may use. What reaches a command line of Slurm's is a word
//! from here, or one that an argument's schema names: none is free text.

use super::super::error::Wrong;
use super::super::quantity::Amount;
use super::super::script::Surroundings;
use super::super::url::check_host;
use super::super::{Argument, Kind, Trust, absolute, profile, raw};
use super::{Backend, Chosen, Targets, between};
use crate::argument::Value;
use bartizan_proto::Text;
use bartizan_proto::driver::Resources;
use bartizan_proto::limits::MAX_NAME;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest `/etc/passwd` that is read, in bytes.
const MAX_PASSWD: usize = 4 << 20;

/// Most of anything that is counted: nodes, tasks, processors.
const MOST: u64 = 100_000;

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `controller`: the host of `slurmctld`, a name, which is looked up when the service starts, or an address.
    pub controller: Text<MAX_NAME>,
    /// `port`: its port; 6817 unless the file says otherwise.
    pub port: u16,
    /// `config`: its `slurm.conf`, with which its commands find it.
    pub config: PathBuf,
    /// `programs`: the folder of `sbatch`, `squeue`, `sacct` and `scancel`.
    pub programs: PathBuf,
    /// `munge`: the folder of munged's socket.
    pub munge: PathBuf,
    /// `user`: the `SlurmUser` of its `slurm.conf`.
    pub user: Text<64>,
    /// `user-id`: that user's number, where `/etc/passwd` does not have it.
    pub user_id: u32,
    /// `output`: a folder that this host and all nodes have at the same path.
    pub output: PathBuf,
}

/// What jobs of an entry may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slurm {
    /// Where.
    pub cluster: Cluster,
    /// `partition`; the cluster's usual one where there is none.
    pub partition: Option<Choice>,
    /// `nodes`.
    pub nodes: Option<Choice>,
    /// Everything that no argument chooses.
    pub fixed: Resources,
}

/// A value of the file's, or of an argument's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This.
    Fixed(String),
    /// What the argument of this name says: its schema bounds it.
    Argument(String),
}

impl Choice {
    fn of<'a>(&'a self, values: &'a [Value]) -> Option<&'a str> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Argument(name) => {
                let value = values.iter().find(|value| value.name == *name);
                value.map(|value| value.text.as_str()).filter(|text| !text.is_empty())
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => f.write_str(value),
            Self::Argument(name) => write!(f, "{name}, as it says"),
        }
    }
}

impl Slurm {
    /// The partition with these arguments.
    pub fn partition<'a>(&'a self, values: &'a [Value]) -> Option<&'a str> {
        self.partition.as_ref().and_then(|choice| choice.of(values))
    }

    /// All of it with these arguments. What an argument says has passed its schema, and is looked at again.
    ///
    /// # Errors
    /// What does not fit.
    pub fn resources(&self, values: &[Value]) -> Result<Resources, String> {
        let partition = match self.partition(values) {
            Some(name) if is_word(name) => Some(Text::cut(name)),
            Some(name) => return Err(format!("\"{name}\" is not a partition's name")),
            None => None,
        };
        let nodes = match self.nodes.as_ref().and_then(|choice| choice.of(values)) {
            Some(text) => {
                let number = text.parse::<u32>().ok().filter(|number| (1..=MOST).contains(&u64::from(*number)));
                Some(number.ok_or_else(|| format!("\"{text}\" is not a number of nodes"))?)
            }
            None => None,
        };
        Ok(Resources { partition, nodes, ..self.fixed.clone() })
    }
}

/// Checks `[slurm]`.
pub(in super::super) fn cluster(raw: &raw::Cluster, folder: &Path, trust: &Trust) -> Result<Cluster, Wrong> {
    let is_host = raw.controller.parse::<IpAddr>().is_ok() || check_host(&raw.controller).is_ok();
    let controller = Text::new(raw.controller.as_str()).ok().filter(|_| is_host).ok_or_else(|| {
        let what = format!("\"{}\" is not a host", raw.controller);
        Wrong::new(what, "give the name or address of slurmctld's host, and its port as port = 6817")
            .within("controller")
    })?;
    let port = raw.port.unwrap_or(6817);
    if port == 0 {
        return Err(Wrong::new("port 0", "give the port of slurmctld").within("port"));
    }
    let path = |given: &Option<PathBuf>, usual: &str| match given {
        Some(path) => absolute(folder, path),
        None => PathBuf::from(usual),
    };
    let output = absolute(folder, &raw.output);
    // Slurm makes something else of % and \, and of spaces.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
    if output.components().count() < 2 || !output.as_os_str().as_encoded_bytes().iter().all(|b| plain(*b)) {
        let what = format!("\"{}\" cannot be the folder of outputs", output.display());
        return Err(Wrong::new(what, "use letters, digits, -, _, . and /").within("output"));
    }
    let user = raw.user.as_deref().unwrap_or("slurm");
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if user.is_empty() || user.len() > 64 || !user.bytes().all(named) {
        let what = format!("\"{user}\" is not a user's name");
        return Err(Wrong::new(what, "name the SlurmUser of slurm.conf").within("user"));
    }
    let user_id = match raw.user_id {
        Some(id) => id,
        None => number_of(user, trust).ok_or_else(|| {
            let what = format!("/etc/passwd has no user \"{user}\"");
            Wrong::new(what, "name the SlurmUser of slurm.conf, or give its number as user-id").within("user")
        })?,
    };
    Ok(Cluster {
        controller,
        port,
        config: path(&raw.config, "/etc/slurm/slurm.conf"),
        programs: path(&raw.programs, "/usr/bin"),
        munge: path(&raw.munge, "/run/munge"),
        user: Text::cut(user),
        user_id,
        output,
    })
}

/// `passwd(5)`.
fn number_of(user: &str, trust: &Trust) -> Option<u32> {
    let text = trust.read(Path::new("/etc/passwd"), MAX_PASSWD).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(2)?.parse().ok()
}

pub(super) fn choose(raw: &raw::Script, timeout: Duration, around: &Surroundings<'_>) -> Result<Chosen, Wrong> {
    let table = raw.slurm.clone().unwrap_or_default();
    let Some(cluster) = around.cluster else {
        let what = "the backend slurm without a cluster";
        return Err(Wrong::new(what, "describe it in bartizan.toml as [slurm]").within("backend"));
    };
    for (key, given) in [("profile", raw.profile.is_some()), ("targets", !raw.targets.is_empty())] {
        if given {
            let what = format!("{key} means nothing on a cluster");
            return Err(Wrong::new(what, "remove it; [scripts.slurm] says what its jobs may use").within(key));
        }
    }
    profile::writable(std::slice::from_ref(&cluster.output), around.own)?;
    profile::readable(std::slice::from_ref(&cluster.munge), around.own)?;
    let within = |wrong: Wrong, key: &'static str| wrong.within(key).within("slurm");
    let word = |key: &'static str, given: Option<&str>| match given {
        None => Ok(None),
        Some(text) if is_word(text) => Ok(Some(Text::cut(text))),
        Some(text) => {
            let what = format!("\"{text}\" cannot be its {key}");
            Err(within(Wrong::new(what, "use letters, digits, -, _, . and : (of constraints & and |, too)"), key))
        }
    };
    let number = |key: &'static str, given: Option<u64>| match given {
        None => Ok(None),
        Some(_) => between("slurm", key, given, 1, (1, MOST)).map(|number| u32::try_from(number).ok()),
    };
    let partition = match &table.partition {
        None => None,
        Some(raw::OrArgument::Argument(named)) => Some(Choice::Argument(named.argument.clone())),
        Some(raw::OrArgument::Value(name)) => {
            word("partition", Some(name))?.map(|name: Text<64>| Choice::Fixed(name.to_string()))
        }
    };
    let nodes = match &table.nodes {
        None => None,
        Some(raw::OrArgument::Argument(named)) => Some(Choice::Argument(named.argument.clone())),
        Some(raw::OrArgument::Value(count)) => {
            number("nodes", Some(*count))?.map(|count| Choice::Fixed(count.to_string()))
        }
    };
    let memory = table.memory.as_ref().map(Amount::bytes).transpose().map_err(|wrong| within(wrong, "memory"))?;
    let time = match &table.time {
        Some(amount) => amount.time(None).map_err(|wrong| within(wrong, "time"))?,
        None => timeout,
    };
    let minutes = time.as_secs().div_ceil(60).max(1);
    let fixed = Resources {
        partition: None,
        nodes: None,
        account: word("account", table.account.as_deref())?,
        qos: word("qos", table.qos.as_deref())?,
        constraint: word("constraint", table.constraint.as_deref())?,
        tasks: number("tasks", table.tasks)?,
        cpus_per_task: number("cpus-per-task", table.cpus_per_task)?,
        memory_mib: memory.map(|bytes| bytes.div_ceil(1 << 20).max(1)),
        minutes: Some(u32::try_from(minutes).unwrap_or(u32::MAX)),
        requeue: table.requeue.unwrap_or(false),
    };
    let reads = cluster.config.parent().map(Path::to_owned).into_iter().collect();
    let slurm = Slurm { cluster: cluster.clone(), partition, nodes, fixed };
    let backend = Backend::Slurm(Box::new(slurm));
    Ok(Chosen { backend, targets: Targets::default(), file: None, secrets: Vec::new(), reads })
}

/// What its arguments must be: those that choose are bounded, and none is secret.
pub(in super::super) fn fits(backend: &Backend, arguments: &[Argument]) -> Result<(), Wrong> {
    let Backend::Slurm(slurm) = backend else { return Ok(()) };
    if let Some(argument) = arguments.iter().find(|argument| argument.sensitive) {
        let what =
            format!("argument \"{}\" is sensitive, and squeue shows it to everybody on the cluster", argument.name);
        return Err(Wrong::new(what, "give it to the nodes in another way")
            .within(argument.name.as_str())
            .within("arguments"));
    }
    let chosen = |choice: &Option<Choice>, key: &'static str, right: &dyn Fn(&Kind) -> bool, remedy: &str| {
        let Some(Choice::Argument(name)) = choice else { return Ok(()) };
        let argument = arguments.iter().find(|argument| argument.name == *name);
        match argument {
            Some(argument) if right(&argument.kind) => Ok(()),
            Some(_) => {
                Err(Wrong::new(format!("the argument \"{name}\" cannot choose it"), remedy).within(key).within("slurm"))
            }
            None => {
                Err(Wrong::new(format!("there is no argument \"{name}\""), "define it").within(key).within("slurm"))
            }
        }
    };
    let words = |kind: &Kind| matches!(kind, Kind::Enum(values) if values.iter().all(|value| is_word(value)));
    chosen(&slurm.partition, "partition", &words, "make it type = \"enum\", with partitions as values")?;
    let bounded = |kind: &Kind| matches!(kind, Kind::Number { min: Some(min), max: Some(max) } if *min >= 1.0 && *max <= 100_000.0);
    chosen(&slurm.nodes, "nodes", &bounded, "make it type = \"number\", with min (1 or more) and max")
}

/// One word that no option and no list can be made of. (`constraint` knows `&`, `|` and numbers in brackets; of these the first two.)
fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'&' | b'|');
    !text.is_empty() && text.len() <= 64 && !text.starts_with('-') && text.bytes().all(plain)
}
