//! Where a job runs, and how. Every job, of any backend, is one worker: confined, supervised, killed and shown in the same way. A
//! backend only turns a right into an order: which program runs, with what, and what it may reach. The programs of backends
//! (`bartizan-remote`, `bartizan-driver`) speak to the other machines from inside the sandbox, which reaches the named targets and
//! nothing else; the core speaks to none.
//!
//! The trait has the shape of a job scheduler: [`Backend::submit`], whose key is [`Right::key`], [`Backend::reattach`] from an offset of
//! the logs on, [`Backend::events`], [`Backend::cancel`]. What is the same for all is no backend's: the worker hands on what its driver
//! prints and calls, and ends its sandbox.

mod ansible;
mod local;
mod slurm;
mod ssh;
#[cfg(test)]
mod tests;

use super::Launched;
use super::launch::{GRACE, Launch, LaunchError};
use crate::argument::Value;
use crate::audit::hex;
use crate::brain::job::JobSecrets;
use crate::config::{Attached, Backend as Chosen, Script, Target};
use crate::gate::Cleared;
use crate::gate::file::{Opener, ScriptFile};
use crate::policy::Policy;
use bartizan_audit::SealingKey;
use bartizan_proto::bounded::TooLong;
use bartizan_proto::ids::{JobId, PostId};
use bartizan_proto::limits::MAX_REMOTE_SCRIPT;
use bartizan_proto::script::Verb;
use bartizan_proto::worker::{Endpoint, Order, Profile, SecretSlot};
use bartizan_proto::{List, Text};
use rustix::fs::{MemfdFlags, SealFlags};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// What a backend can do.
pub trait Backend: Sync {
    /// Its word in the allowlist.
    fn name(&self) -> &'static str;

    /// Turns a right into a worker's order. [`Right::key`] is the key of its work: where work of that key is there already, that is
    /// followed, and no second one begun.
    ///
    /// # Errors
    /// [`LaunchError`]; then nothing runs.
    fn submit(&self, right: &Right<'_>) -> Result<Launch, LaunchError>;

    /// The order that follows what an earlier [`Backend::submit`] with the same key began, from this byte of its output on. Nothing is
    /// begun, unless `begins`, which takes all that a first beginning takes; then it is where it is not found. `None` where nothing can be left: what runs in a worker's sandbox, and what holds on to a connection out of it, has
    /// ended with the service.
    ///
    /// # Errors
    /// [`LaunchError`].
    fn reattach(&self, _right: &Right<'_>, _logs: u64, _begins: bool) -> Result<Option<Launch>, LaunchError> {
        Ok(None)
    }

    /// Whether its work goes on where nobody follows it.
    fn outlives(&self) -> bool {
        false
    }

    /// How its driver tells what happens: the verbs of the script API that it may use, beside those of the entry.
    fn events(&self) -> &'static [Verb];

    /// For how long at least its driver has, once it is told to stop, to take back what would go on without it.
    fn cancel(&self) -> Duration {
        Duration::ZERO
    }
}

/// The backend of a script.
pub fn of(script: &Script) -> &'static dyn Backend {
    match script.backend {
        Chosen::Local => &local::Local,
        Chosen::Ansible(_) => &ansible::Ansible,
        Chosen::Ssh(_) => &ssh::Ssh,
        Chosen::Slurm(_) => &slurm::Slurm,
    }
}

/// A right, as backends see it. It is made of a [`Cleared`], and of nothing else.
pub struct Right<'a> {
    job: JobId,
    post: PostId,
    script: &'a Script,
    values: &'a [Value],
    environment: &'a [(String, String)],
    file: &'a ScriptFile,
    dry: bool,
    policy: &'a Policy,
    secrets: Option<&'a JobSecrets>,
    opener: &'a Opener,
    /// What signs orders for other machines, where there is such a key and the backend wants it.
    signing: Option<&'a SealingKey>,
}

impl<'a> Right<'a> {
    /// Of a right that was cleared under the policy in force.
    pub(super) fn of<K>(
        (job, post): (JobId, PostId),
        cleared: &'a Cleared<K>,
        policy: &'a Policy,
        secrets: Option<&'a JobSecrets>,
        opener: &'a Opener,
        signing: Option<&'a SealingKey>,
    ) -> Self {
        Self {
            job,
            post,
            script: cleared.script(),
            values: cleared.values(),
            environment: cleared.environment(),
            file: cleared.file(),
            dry: cleared.is_dry(),
            policy,
            secrets,
            opener,
            signing,
        }
    }

    /// The key of its work: the same each time the same job is begun, also after the service ended under it, and no other job's, of
    /// this service or another. (A post's id is the server's, and is there once; a backup that comes back counts jobs again.)
    pub fn key(&self) -> String {
        let parts = format!("bartizan job 1\0{}\0{}\0{}", self.policy.config.server.url, self.job, self.post);
        hex(&Sha256::digest(parts.as_bytes())).chars().take(32).collect()
    }

    /// Whether it may only say what it would do.
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// The targets that the arguments leave.
    pub fn targets(&self) -> Vec<&'a Target> {
        self.script.targets.narrowed(&self.script.arguments, self.values)
    }

    /// The order for the script itself, run here; other backends change what is different.
    pub fn order(&self) -> Result<Order, LaunchError> {
        let too_long = |what| move |source| LaunchError::TooLong { what, source };
        let (script, config) = (self.script, &self.policy.config);
        let arguments: Result<Vec<_>, TooLong> =
            self.values.iter().map(|value| Text::new(value.text.clone())).collect();
        let environment: Result<Vec<_>, TooLong> = self
            .environment
            .iter()
            .map(|(name, value)| Ok((Text::new(name.clone())?, Text::new(value.clone())?)))
            .collect();
        Ok(Order {
            job: self.job,
            name: script.name.clone(),
            path: Text::new(script.path.display().to_string()).map_err(too_long("path"))?,
            arguments: List::new(arguments.map_err(too_long("an argument"))?).map_err(too_long("arguments"))?,
            environment: List::new(environment.map_err(too_long("a variable"))?).map_err(too_long("variables"))?,
            secrets: List::new(self.slots()).map_err(too_long("secrets"))?,
            alone: config.secrets().any(|secret| script.path.parent().is_some_and(|folder| secret.starts_with(folder))),
            api: !script.api.is_empty(),
            sealed: self.file.sealed,
            sockets: false,
            plan: false,
            daemon: None,
            profile: self.granted(),
            require: List::new(config.require.clone()).map_err(too_long("sandbox.require"))?,
            timeout_ms: u64::try_from(script.timeout.as_millis()).unwrap_or(u64::MAX),
            grace_ms: u32::try_from(GRACE.as_millis()).unwrap_or(u32::MAX),
            max_output: u64::try_from(config.limits.attachment).unwrap_or(u64::MAX),
            without: List::default(),
        })
    }

    /// The launch of that order: descriptors are the program's, and a pipe with the secrets where there are any.
    pub fn launch(&self, order: Order, program: OwnedFd) -> Result<Launch, LaunchError> {
        let launched = Launched {
            path: self.script.path.clone(),
            sha256: self.file.sha256.clone(),
            limits: self.script.profile.limits,
            timeout: self.script.timeout,
            place: self.script.place(self.values),
        };
        let mut descriptors = vec![program];
        descriptors.extend(self.secrets.map(JobSecrets::pipe).transpose()?);
        Ok(Launch { order, descriptors, launched })
    }

    /// The same with what its driver is told, in memory that nobody can change: what the worker calls a plan.
    pub fn launch_with(&self, mut order: Order, program: OwnedFd, plan: &[u8]) -> Result<Launch, LaunchError> {
        order.plan = true;
        let mut launch = self.launch(order, program)?;
        launch.descriptors.insert(1, sealed(plan)?);
        Ok(launch)
    }

    /// One of Bartizan's own programs, which lies beside the core's, opened, with its path.
    pub fn program(&self, name: &str) -> Result<(File, String), LaunchError> {
        let path = self.opener.programs().join(name);
        let (file, _) =
            self.opener.trust().open_script(&path).map_err(|error| LaunchError::Program(error.to_string()))?;
        Ok((file, path.display().to_string()))
    }

    /// What the worker is told of the secrets: names, sizes, and the variables that were asked for.
    fn slots(&self) -> Vec<SecretSlot> {
        let sizes = self.secrets.map(JobSecrets::sizes).unwrap_or_default();
        let slot = |(attached, size): (&Attached, &usize)| SecretSlot {
            name: attached.name.clone(),
            size: u32::try_from(*size).unwrap_or(u32::MAX),
            variable: attached.variable.as_deref().map(Text::cut),
        };
        self.script.secrets.iter().zip(sizes).map(slot).collect()
    }

    /// The profile with the addresses of the hosts that it grants, without the targets that this job is not for.
    fn granted(&self) -> Profile {
        let mut profile = self.script.profile.clone();
        let left = self.targets();
        let is = |target: &Target, to: &Endpoint| target.host == to.host && target.port == to.port;
        let wanted = |to: &Endpoint| {
            let is_target = self.script.targets.all.iter().any(|target| is(target, to));
            !is_target || left.iter().any(|target| is(target, to))
        };
        let network = profile.network.into_iter().filter(wanted).map(|endpoint| {
            let known = self.policy.config.addresses.get(endpoint.host.as_str()).cloned().unwrap_or_default();
            Endpoint { addresses: List::cut(known), ..endpoint }
        });
        profile.network = List::cut(network);
        profile
    }
}

/// Bytes in memory that nobody can change any more, to be read from their beginning.
fn sealed(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("plan", flags)?);
    file.write_all(bytes)?;
    file.rewind()?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}

/// The whole script, by position: the place in an opened descriptor is shared with others.
fn contents(fd: &OwnedFd) -> Result<Vec<u8>, LaunchError> {
    let file = File::from(fd.try_clone()?);
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if size > MAX_REMOTE_SCRIPT {
        let why = format!("its script has {size} bytes, and at most {MAX_REMOTE_SCRIPT} are sent to other machines");
        return Err(LaunchError::Program(why));
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
