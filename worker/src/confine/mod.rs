//! Step 13: the sandbox. [`Inside::prepare`] is what needs no order, [`Inside::admit`] what comes with it, [`become_script`] the
//! last steps, in the process that becomes the script. One mechanism per file.

pub(crate) mod environment;
pub(crate) mod fds;
pub(crate) mod identity;
pub(crate) mod landlock;
pub(crate) mod limits;
mod names;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod root;
pub(crate) mod seccomp;
pub(crate) mod secrets;
pub(crate) mod tools;
pub(crate) mod verify;
mod walk;

use crate::guarantee;
use crate::order::Job;
use crate::report::FromScript;
use crate::system;
use bartizan_confine::readback::StatusFile;
use bartizan_proto::List;
use bartizan_proto::channel::Channel;
use bartizan_proto::worker::{Guarantee, Layer};
use namespaces::{Namespaces, Outside, Plan};
use root::Root;
use rustix::fs::Mode;
use seccomp::{Filters, Granted};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A step failed; nothing runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    /// Making the job's processes.
    #[error("cannot start a process: {0}")]
    Process(#[source] io::Error),
    /// The user namespace's maps.
    #[error("cannot map the user: {0}")]
    Identity(#[source] io::Error),
    /// The private root.
    #[error(transparent)]
    Root(#[from] root::RootError),
    /// No private root, and no directory in its place.
    #[error("no scratch directory: {0}")]
    Scratch(#[source] io::Error),
    /// The job's secrets.
    #[error("cannot hand over the secret {name}: {source}")]
    Secrets {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A sealed script without a private root.
    #[error("cannot seal the script: {source}")]
    Seal {
        /// Why.
        source: io::Error,
    },
    /// The job's own network, for a grant.
    #[error("cannot grant the network: {what}: {source}")]
    Network {
        /// The address, or what comes before them.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// Session, signals, standard descriptors.
    #[error("cannot begin a session: {0}")]
    Session(#[source] io::Error),
    /// Capabilities.
    #[error("cannot drop capabilities: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    /// Landlock.
    #[error(transparent)]
    Landlock(#[from] bartizan_confine::files::FilesError),
    /// Limits.
    #[error("cannot limit {name}: {source}")]
    Limits {
        /// Which.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Descriptors.
    #[error("cannot close descriptors: {0}")]
    Descriptors(#[source] io::Error),
    /// seccomp.
    #[error(transparent)]
    Seccomp(#[from] bartizan_confine::filter::FilterError),
    /// What is in force is not what should be.
    #[error(transparent)]
    Verify(#[from] verify::VerifyError),
    /// A guarantee that the order requires.
    #[error("nothing here gives the guarantee {0}, which is required")]
    Required(Guarantee),
    /// The socket to the supervisor.
    #[error("cannot report: {0}")]
    Report(#[from] bartizan_proto::FrameError),
    /// The script itself.
    #[error("cannot run {path}: {source}")]
    Exec {
        /// Which.
        path: String,
        /// Why: mostly a missing interpreter, or a file that is not executable.
        source: io::Error,
    },
}

impl ConfineError {
    /// The step's name, for `Refused`.
    pub(crate) fn step(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Identity(_) => "identity",
            Self::Root(_) => "root",
            Self::Scratch(_) => "scratch",
            Self::Secrets { .. } => "secrets",
            Self::Seal { .. } => "seal",
            Self::Network { .. } => "network",
            Self::Session(_) => "session",
            Self::Capabilities(_) => "capabilities",
            Self::Landlock(_) => "landlock",
            Self::Limits { .. } => "limits",
            Self::Descriptors(_) => "descriptors",
            Self::Seccomp(_) => "seccomp",
            Self::Verify(_) => "verify",
            Self::Required(_) => "require",
            Self::Report(_) => "report",
            Self::Exec { .. } => "exec",
        }
    }
}

/// The inside of one sandbox, as its init knows it.
#[derive(Debug)]
pub(crate) struct Inside {
    /// Built, not entered.
    root: Option<Root>,
    /// Whether this process is in a root of its own.
    pub(crate) private: bool,
    /// The job's directory.
    pub(crate) scratch: PathBuf,
    /// Each namespace's number where it is another than outside.
    pub(crate) namespaces: Vec<(Layer, Option<u64>)>,
    /// Whether the user is this job's alone.
    pub(crate) own_user: bool,
    /// Of a network grant: how many destinations the relay serves, and how many were granted.
    pub(crate) relayed: Option<(usize, usize)>,
    /// The folder of `bz` and what belongs to it.
    pub(crate) tools: PathBuf,
    /// The values of the job's secrets, in the order's order.
    pub(crate) secrets: Vec<Zeroizing<Vec<u8>>>,
    /// What could not be had, and why.
    pub(crate) unavailable: Vec<(Layer, String)>,
    /// Ready to be loaded, for a job that is granted nothing.
    filters: Filters,
}

impl Inside {
    /// Everything that needs no order, in the new namespaces.
    pub(crate) fn prepare(
        plan: &Plan,
        outside: &Outside,
        mut unavailable: Vec<(Layer, String)>,
    ) -> Result<Self, ConfineError> {
        // 1. The same user as outside, and nobody else. What is made in here others may read: there are none.
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        if plan.has(Layer::UserNamespace) {
            identity::map(outside.user, outside.group).map_err(ConfineError::Identity)?;
        }
        // 2. No host name, no further user namespaces.
        identity::narrow(plan.layers());
        // 3. Where we are, while the machine's /proc can be seen.
        let namespaces = Namespaces::of("self").other_than(&outside.namespaces);
        // 4. The private root, as far as it goes.
        let root = if plan.has(Layer::MountNamespace) {
            Root::prepare().map_err(|error| unavailable.push((Layer::MountNamespace, error.to_string()))).ok()
        } else {
            None
        };
        // 5. The filters.
        let filters = Filters::compile(Granted::default())?;
        Ok(Self {
            root,
            private: false,
            scratch: PathBuf::new(),
            namespaces,
            own_user: outside.own_user,
            relayed: None,
            tools: PathBuf::new(),
            secrets: Vec::new(),
            unavailable,
            filters,
        })
    }

    /// What the order adds. `scratch` is a directory for a job that gets no private root.
    pub(crate) fn admit(&mut self, job: &Job, scratch: Option<&Path>) -> Result<(), ConfineError> {
        match (self.root.take(), scratch) {
            (Some(root), _) => {
                root.finish(job)?;
                self.private = true;
                self.scratch = PathBuf::from(root::SCRATCH);
                self.tools = PathBuf::from(root::TOOLS);
            }
            (None, Some(scratch)) => {
                rustix::process::chdir(scratch).map_err(|error| ConfineError::Scratch(error.into()))?;
                self.scratch = scratch.to_owned();
                self.tools = tools::put(scratch).map_err(ConfineError::Scratch)?;
            }
            (None, None) => return Err(ConfineError::Scratch(io::ErrorKind::NotFound.into())),
        }
        self.secrets = secrets::take(job, &self.scratch)?;
        let granted = Granted { network: job.network(), sockets: job.order.sockets };
        if granted != Granted::default() {
            self.filters = Filters::compile(granted)?;
        }
        Ok(())
    }

    /// Whether this process is in a network namespace of its own, by the kernel's numbers.
    pub(crate) fn has_network_of_its_own(&self) -> bool {
        self.namespaces.iter().any(|(layer, number)| *layer == Layer::NetworkNamespace && number.is_some())
    }

    /// Why a layer could not be had.
    pub(crate) fn why_not(&self, layer: Layer) -> Option<&str> {
        self.unavailable.iter().find(|entry| entry.0 == layer).map(|entry| entry.1.as_str())
    }
}

/// The process that becomes the script: gives up everything, proves it, reports it, and runs. Returns only when it does not.
pub(crate) fn become_script(job: &Job, inside: &Inside, output: &OwnedFd, report: &mut Channel) -> ConfineError {
    match confined(job, inside, output, report) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn confined(
    job: &Job,
    inside: &Inside,
    output: &OwnedFd,
    report: &mut Channel,
) -> Result<std::convert::Infallible, ConfineError> {
    // 1. A session of its own, default signals, no end but with its init.
    let session = |error: rustix::io::Errno| ConfineError::Session(error.into());
    rustix::process::setsid().map_err(session)?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).map_err(session)?;
    system::reset_signals();
    // The driver of a cluster cancels what it follows when it is told to stop. Told before it listens, it would just end.
    if job.order.daemon.is_some() {
        system::hold_termination();
    }

    // 2. Input from nowhere, output and errors in order.
    fds::standard(output).map_err(ConfineError::Session)?;

    // 3. What has to be opened before the doors close, and everything that exec will be given.
    let status = StatusFile::own().map_err(verify::VerifyError::Status)?;
    let api = tools::descriptor(job).map_err(ConfineError::Descriptors)?;
    let plan = tools::plan(job).map_err(ConfineError::Descriptors)?;
    let invocation = Invocation::of(job, inside, api.as_ref(), plan.as_ref())?;

    // 4. No capability in any set.
    if !job.without(Layer::Capabilities) {
        identity::drop_capabilities()?;
    }

    // 5. no_new_privs. (Since the worker's start; here for who reads this list.)
    rustix::thread::set_no_new_privs(true).map_err(session)?;

    // 6. Landlock.
    let landlock = landlock::restrict(job, inside.private, &inside.scratch)?;

    // 7. Limits.
    if !job.without(Layer::Limits) {
        limits::set(&job.order.profile.limits).map_err(|(name, source)| ConfineError::Limits { name, source })?;
    }

    // 8. Descriptors: nothing but 0, 1, 2 survives exec, and what the script can only be run or call through.
    let script = (!inside.private).then(|| job.script.as_fd());
    let given = api.as_ref().into_iter().chain(plan.as_ref()).map(AsFd::as_fd);
    let kept: Vec<_> = script.into_iter().chain(given).collect();
    fds::close_at_exec(&kept).map_err(ConfineError::Descriptors)?;

    // 9. seccomp.
    if !job.without(Layer::Seccomp) {
        inside.filters.load()?;
    }

    // 10. Is it so?
    let layers = verify::layers(job, inside, &kept, landlock, &status)?;

    // 11. Is it enough?
    let given = guarantee::given(&layers, job.network(), job.order.sockets);
    if let Some(guarantee) = guarantee::missing(&given, &job.order.require) {
        return Err(ConfineError::Required(guarantee));
    }
    report.send(&FromScript::Ready { layers: List::cut(layers), given: List::cut(given) })?;

    // 12. The script.
    invocation.run(job)
}

/// What exec is given, made while memory can still be had.
struct Invocation {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Invocation {
    fn of(job: &Job, inside: &Inside, api: Option<&OwnedFd>, plan: Option<&OwnedFd>) -> Result<Self, ConfineError> {
        // The order's check refuses NUL, so this cannot fail; if it does, nothing runs.
        let text = |text: &str| {
            CString::new(text).map_err(|error| ConfineError::Exec { path: text.to_owned(), source: error.into() })
        };
        let own = text(&job.order.path)?;
        // Without a private root the path may have been swapped: the descriptor cannot.
        let path = match inside.private {
            true => own.clone(),
            false => text(&format!("/proc/self/fd/{}", job.script.as_raw_fd()))?,
        };
        let mut arguments = vec![own];
        for argument in &job.order.arguments {
            arguments.push(text(argument)?);
        }
        Ok(Self { path, arguments, environment: environment::variables(job, inside, api, plan)? })
    }

    fn run(&self, job: &Job) -> Result<std::convert::Infallible, ConfineError> {
        nix::unistd::execve(&self.path, &self.arguments, &self.environment)
            .map_err(|errno| ConfineError::Exec { path: job.order.path.to_string(), source: errno.into() })
    }
}
