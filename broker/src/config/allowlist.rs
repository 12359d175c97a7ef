//! The allowlist as the gates see it: scripts by name, each with everything that decides about it.

use super::{Approval, Backend, Elevate, Level, Rate, Schedule, Steps, Targets, Trigger, nearest};
use crate::argument::Value;
use bartizan_proto::ids::{FlagName, MemoryKey, ScriptName, SecretName};
use bartizan_proto::script::Verb;
use bartizan_proto::worker::Profile;
use regex::Regex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Every script that may be run, by name. What is not here does not exist.
#[derive(Debug, Clone, Default)]
pub struct Allowlist {
    scripts: BTreeMap<ScriptName, Script>,
    authorizers: BTreeMap<ScriptName, Script>,
    elevators: BTreeMap<ScriptName, Script>,
    schedules: BTreeMap<ScriptName, Schedule>,
    triggers: BTreeMap<ScriptName, Trigger>,
}

impl Allowlist {
    /// Adds a script; gives it back when its name is taken.
    pub(super) fn insert(&mut self, script: Script) -> Result<(), Box<Script>> {
        match self.scripts.entry(script.name.clone()) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(script);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => Err(Box::new(script)),
        }
    }

    /// The authorizer of this name. It is no command.
    pub fn authorizer(&self, name: &ScriptName) -> Option<&Script> {
        self.authorizers.get(name)
    }

    /// Every authorizer, by name.
    pub fn authorizers(&self) -> impl Iterator<Item = &Script> {
        self.authorizers.values()
    }

    /// The elevator of this name. It is no command.
    pub fn elevator(&self, name: &ScriptName) -> Option<&Script> {
        self.elevators.get(name)
    }

    /// Every elevator, by name.
    pub fn elevators(&self) -> impl Iterator<Item = &Script> {
        self.elevators.values()
    }

    /// Everything that may be started: scripts, authorizers, elevators.
    pub fn programs(&self) -> impl Iterator<Item = &Script> {
        self.iter().chain(self.authorizers()).chain(self.elevators())
    }

    /// The schedule of this name.
    pub fn schedule(&self, name: &ScriptName) -> Option<&Schedule> {
        self.schedules.get(name)
    }

    /// Every schedule, by name.
    pub fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.schedules.values()
    }

    /// The trigger of this name.
    pub fn trigger(&self, name: &ScriptName) -> Option<&Trigger> {
        self.triggers.get(name)
    }

    /// Every trigger, by name.
    pub fn triggers(&self) -> impl Iterator<Item = &Trigger> {
        self.triggers.values()
    }

    /// The same for triggers.
    pub(super) fn insert_trigger(&mut self, trigger: Trigger) -> Result<(), Box<Trigger>> {
        match self.triggers.insert(trigger.name.clone(), trigger) {
            None => Ok(()),
            Some(before) => Err(Box::new(before)),
        }
    }

    /// The same for schedules.
    pub(super) fn insert_schedule(&mut self, schedule: Schedule) -> Result<(), Box<Schedule>> {
        match self.schedules.insert(schedule.name.clone(), schedule) {
            None => Ok(()),
            Some(before) => Err(Box::new(before)),
        }
    }

    /// The same for authorizers.
    pub(super) fn insert_authorizer(&mut self, script: Script) -> Result<(), Box<Script>> {
        match self.authorizers.insert(script.name.clone(), script) {
            None => Ok(()),
            Some(before) => Err(Box::new(before)),
        }
    }

    /// The same for elevators.
    pub(super) fn insert_elevator(&mut self, script: Script) -> Result<(), Box<Script>> {
        match self.elevators.insert(script.name.clone(), script) {
            None => Ok(()),
            Some(before) => Err(Box::new(before)),
        }
    }

    /// The script of exactly this name.
    pub fn get(&self, name: &ScriptName) -> Option<&Script> {
        self.scripts.get(name)
    }

    /// Changes one, in a test.
    #[cfg(test)]
    pub(crate) fn change(&mut self, name: &ScriptName, change: impl FnOnce(&mut Script)) {
        change(self.scripts.get_mut(name).expect("it is on the list"));
    }

    /// Every script, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Script> {
        self.scripts.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// The name that was probably meant, out of the scripts that `among` lets through: those that the asker may see.
    pub fn nearest(&self, name: &str, among: impl Fn(&Script) -> bool) -> Option<&str> {
        nearest(name, self.iter().filter(|script| among(script)).map(|script| script.name.as_str()))
    }
}

/// A secret that a script is given: as a file always, in a variable only where that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Which.
    pub name: SecretName,
    /// The variable.
    pub variable: Option<String>,
    /// The file that it is read from at each start, instead of the brain: the seed's `sshKeyPath`.
    pub file: Option<PathBuf>,
}

/// One script on the allowlist.
#[derive(Debug, Clone)]
pub struct Script {
    /// `name`.
    pub name: ScriptName,
    /// `path`, absolute and without `.` or `..`; the playbook's where [`Script::backend`] is ansible.
    pub path: PathBuf,
    /// `description`, for `!help`.
    pub description: String,
    /// `required-permission`: the least level that may run it; `operator` unless the file says otherwise.
    pub level: Level,
    /// `required-flags`: flags that the asker must have besides.
    pub required_flags: Vec<FlagName>,
    /// `allowed-channels`, by name or id; empty when it may be run in every channel.
    pub channels: Vec<String>,
    /// `private-only`: in private channels and direct messages only.
    pub private_only: bool,
    /// `direct-only`: in direct messages only.
    pub direct_only: bool,
    /// `allowed-users`, by name or id. Where this or `groups` says something, nobody else may run it.
    pub users: Vec<String>,
    /// `allowed-groups`.
    pub groups: Vec<String>,
    /// `authorizer`: the one that is asked last.
    pub authorizer: Option<ScriptName>,
    /// `authorizer-group`: what it is told besides.
    pub authorizer_group: String,
    /// `elevate`: that the asker must give the second factor.
    pub elevate: Option<Elevate>,
    /// `elevator`: the one that is asked whether the asker has shown in its way that it is them.
    pub elevator: Option<ScriptName>,
    /// `approvals` and what goes with it: that others must agree.
    pub approval: Option<Approval>,
    /// `rate`: how often it may be run, whoever asks.
    pub rate: Option<Rate>,
    /// `timeout`: 5 minutes unless the file says otherwise.
    pub timeout: Duration,
    /// `warn-after`: when it runs for longer than this, operators are told.
    pub warn_after: Option<Duration>,
    /// `concurrency`: so many of its jobs run at once at most.
    pub concurrency: Option<usize>,
    /// `exclusive`: of all scripts with this tag one job runs at once.
    pub exclusive: Option<String>,
    /// `when-busy = "refuse"`: what would have to wait for another job because of these two is refused.
    pub refused_when_busy: bool,
    /// `async`: whether it may run long, so that its asker does not wait for it.
    pub is_async: bool,
    /// `idempotent`: that it runs twice does no harm, so it is started again when the service ended under it.
    pub idempotent: bool,
    /// `arguments`, in the order in which they are given to the script.
    pub arguments: Vec<Argument>,
    /// What it may reach and use: the profile it names, with its own `limits` put over it. Hosts have no addresses
    /// yet: they are looked up by whoever starts the job.
    pub profile: Profile,
    /// The name of that profile, where the entry says one.
    pub profile_name: Option<String>,
    /// `sha256`: the only content that may be run.
    pub sha256: Option<[u8; 32]>,
    /// `backend`: where it runs, and how.
    pub backend: Backend,
    /// `targets`: the machines that it may run on; none for one that runs here.
    pub targets: Targets,
    /// `secrets`: what it is given of the brain's.
    pub secrets: Vec<Attached>,
    /// `api`: the verbs of the script API that it may use.
    pub api: Vec<Verb>,
    /// `steps`, `on-failure`, `finally`: what is run after it.
    pub steps: Steps,
}

impl Script {
    /// Where it runs with these arguments, in words; `None` for what runs here.
    pub fn place(&self, values: &[Value]) -> Option<String> {
        if self.backend == Backend::Local {
            return None;
        }
        Some(match self.whereabouts(values).as_slice() {
            [] => self.backend.name().to_owned(),
            names => format!("{} on {}", self.backend.name(), some_of(names)),
        })
    }

    /// The names of the machines that it runs on with these arguments, or of the cluster's partition.
    pub fn whereabouts<'a>(&'a self, values: &'a [Value]) -> Vec<&'a str> {
        if let Backend::Slurm(slurm) = &self.backend {
            return slurm.partition(values).into_iter().collect();
        }
        let targets = self.targets.narrowed(&self.arguments, values);
        targets.iter().map(|target| target.name.as_str()).collect()
    }
}

/// As many names as a line holds, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// One argument of a script.
#[derive(Debug, Clone)]
pub struct Argument {
    /// Its name: `[a-zA-Z0-9_-]+`, without a `-` at the start.
    pub name: String,
    /// What it may be.
    pub kind: Kind,
    /// `required`.
    pub required: bool,
    /// `default`: given where nothing was said. It fits the schema: that was checked.
    pub default: Option<String>,
    /// `description`, for `!help NAME`.
    pub description: Option<String>,
    /// `sensitive`: shown in log and audit as a keyed hash, and never in an error.
    pub sensitive: bool,
    /// `allow`: what is otherwise refused.
    pub allow: Allow,
    /// `context`: as what its value is remembered, for "it".
    pub context: Option<MemoryKey>,
    /// `type = "target"`: its value chooses among the script's targets.
    pub narrows: bool,
}

/// What an argument may have that is otherwise refused, because it is read as something else than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allow {
    /// `look-alikes`: characters that look like one from an English keyboard, as Cyrillic `а` does.
    pub look_alikes: bool,
    /// `leading-dash`: a `-` at the beginning, also without `--`.
    pub leading_dash: bool,
    /// `invisible`: zero-width and direction characters. Never control characters or line breaks.
    pub invisible: bool,
    /// `decomposed`: text that is not in NFC.
    pub decomposed: bool,
}

/// What an argument may be.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `type = "string"`.
    Text {
        /// `regex`: must match the whole text (it was compiled with anchors around it).
        regex: Option<Regex>,
        /// `length`: most characters.
        length: Option<usize>,
    },
    /// `type = "number"`: a plain decimal number.
    Number {
        /// `min`, inclusive. Negative numbers are taken only where this is negative.
        min: Option<f64>,
        /// `max`, inclusive.
        max: Option<f64>,
    },
    /// `type = "boolean"`.
    Boolean,
    /// `type = "enum"`: one of `values`.
    Enum(Vec<String>),
}
