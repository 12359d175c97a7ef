//! One prepared sandbox, as the worker's supervisor holds it: the ends of its channels, and the handle to kill it by.
//!
//! A worker makes one before it knows its order, with everything in it. An order that needs another one (only tests give
//! such) costs a second start.

use crate::api;
use crate::confine::namespaces::{Outside, Plan};
use crate::init;
use crate::order::Job;
use crate::report::{FromInit, ToInit};
use crate::system::{self, Forked};
use bartizan_proto::FrameError;
use bartizan_proto::channel::Channel;
use bartizan_proto::worker::Layer;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A sandbox could not be made, or not be given its order.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// Socket pairs, pipes.
    #[error("cannot make the sandbox's channels: {0}")]
    Channels(#[source] io::Error),
    /// The first process.
    #[error("cannot start the sandbox: {0}")]
    Start(#[source] io::Error),
    /// A step inside.
    #[error("{why}")]
    Refused {
        /// Which.
        step: String,
        /// Why.
        why: String,
    },
    /// It ended before it was ready.
    #[error("the sandbox ended while it was made")]
    Ended,
    /// The channel to its init.
    #[error("cannot talk to the sandbox: {0}")]
    Channel(#[from] FrameError),
    /// A job without a private root needs a directory on the host.
    #[error("no scratch directory: {0}")]
    Scratch(#[source] io::Error),
}

impl CellError {
    /// The step's name, for `Refused`.
    pub(crate) fn step(&self) -> &str {
        match self {
            Self::Refused { step, .. } => step,
            Self::Channels(_) | Self::Start(_) | Self::Ended | Self::Channel(_) => "namespaces",
            Self::Scratch(_) => "scratch",
        }
    }
}

/// The ends that the sandbox's first process holds.
#[derive(Debug)]
pub(crate) struct InsideEnds {
    /// To the supervisor, from init.
    pub(crate) control: Channel,
    /// To the supervisor, from the script's process until it is the script.
    pub(crate) report: Channel,
    /// The script's output and errors.
    pub(crate) output: OwnedFd,
}

/// A prepared sandbox.
#[derive(Debug)]
pub(crate) struct Cell {
    /// What it was to have.
    plan: Plan,
    /// Its first process, by number and by handle.
    init: Pid,
    handle: OwnedFd,
    /// From init.
    pub(crate) control: Channel,
    /// From the script's process.
    pub(crate) report: Channel,
    /// What the script prints.
    pub(crate) output: OwnedFd,
    /// Whether it has a root of its own to give.
    private: bool,
    /// Whether the kernel ends everything in it with its first process.
    whole: bool,
    /// Where the script's calls come in, once there is an order that allows any.
    pub(crate) api: Option<OwnedFd>,
    /// The job's directory on the host, where there is no private root.
    scratch: Option<PathBuf>,
}

impl Cell {
    /// Makes one; on a kernel that refuses some namespaces, with the others.
    pub(crate) fn start(plan: Plan, outside: &Outside) -> Result<Self, CellError> {
        match Self::attempt(&plan, &plan, outside, Vec::new()) {
            Ok(cell) => Ok(cell),
            Err(first) => {
                let (possible, mut refused) = plan.possible();
                let second = match possible == plan {
                    // Each can be had, and yet it failed inside: without a user's capabilities there (AppArmor) the maps
                    // or the mounts are refused. What remains is to do without all of them.
                    true => {
                        let why = first.to_string();
                        refused = plan.layers().iter().map(|layer| (*layer, why.clone())).collect();
                        Plan::none()
                    }
                    false => possible,
                };
                match Self::attempt(&plan, &second, outside, refused) {
                    Ok(cell) => Ok(cell),
                    Err(error) if second == Plan::none() => Err(error),
                    Err(error) => {
                        let why = error.to_string();
                        let refused = plan.layers().iter().map(|layer| (*layer, why.clone())).collect();
                        Self::attempt(&plan, &Plan::none(), outside, refused)
                    }
                }
            }
        }
    }

    fn attempt(
        wanted: &Plan,
        plan: &Plan,
        outside: &Outside,
        refused: Vec<(Layer, String)>,
    ) -> Result<Self, CellError> {
        let (control, inner_control) = Channel::pair().map_err(CellError::Channels)?;
        let (report, inner_report) = Channel::pair().map_err(CellError::Channels)?;
        let (output, inner_output) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|error| CellError::Channels(error.into()))?;
        let ends = InsideEnds { control: inner_control, report: inner_report, output: inner_output };
        let init = match system::clone(plan.flags()).map_err(CellError::Start)? {
            Forked::Child => init::run(ends, plan, outside, refused),
            Forked::Parent(init) => init,
        };
        drop(ends);
        let handle =
            rustix::process::pidfd_open(init, PidfdFlags::empty()).map_err(|error| CellError::Start(error.into()))?;
        let whole = plan.has(Layer::PidNamespace);
        let wanted = wanted.clone();
        let mut cell = Self {
            plan: wanted,
            init,
            handle,
            control,
            report,
            output,
            private: false,
            whole,
            api: None,
            scratch: None,
        };
        match cell.control.receive::<FromInit>() {
            Ok(Some(FromInit::Prepared { unavailable })) => {
                let refused = unavailable.iter().any(|entry| entry.0 == Layer::MountNamespace);
                cell.private = plan.has(Layer::MountNamespace) && !refused;
                Ok(cell)
            }
            Ok(Some(FromInit::Refused { step, why })) => Err(CellError::Refused { step, why }),
            Ok(Some(FromInit::Listening | FromInit::Started | FromInit::Ended(_)) | None) => Err(CellError::Ended),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether this is the sandbox that the job asks for.
    pub(crate) fn fits(&self, job: &Job) -> bool {
        self.plan == Plan::for_job(job)
    }

    /// Hands the order in.
    pub(crate) fn order(&mut self, job: &Job) -> Result<(), CellError> {
        if !self.private {
            // Secrets do not touch a disk: where there is no tmpfs of the job's own, the machine's takes them.
            let place = if job.secrets.is_some() { "/dev/shm/bartizan-job-XXXXXX" } else { "/tmp/bartizan-job-XXXXXX" };
            let made = nix::unistd::mkdtemp(place);
            self.scratch = Some(made.map_err(|errno| CellError::Scratch(errno.into()))?);
        }
        let scratch = self.scratch.as_deref().and_then(Path::to_str).map(str::to_owned);
        let order = ToInit { order: Box::new(job.order.clone()), scratch };
        let theirs = match job.order.api {
            true => {
                let (ours, theirs) = api::pair().map_err(CellError::Channels)?;
                self.api = Some(ours);
                Some(theirs)
            }
            false => None,
        };
        let fds: Vec<_> =
            [Some(job.script.as_fd()), job.plan.as_ref().map(AsFd::as_fd), job.secrets.as_ref().map(AsFd::as_fd)]
                .into_iter()
                .chain([theirs.as_ref().map(AsFd::as_fd)])
                .flatten()
                .collect();
        Ok(self.control.send_with(&order, &fds)?)
    }

    /// Why its init refused, where it did after its preparation.
    pub(crate) fn refusal(&mut self) -> Option<(String, String)> {
        while let Ok(Some((message, _))) = self.control.receive_with::<FromInit>() {
            match message {
                FromInit::Refused { step, why } => return Some((step, why)),
                FromInit::Prepared { .. } | FromInit::Listening | FromInit::Started | FromInit::Ended(_) => {}
            }
        }
        None
    }

    /// Becomes readable when the sandbox's first process has ended.
    pub(crate) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    /// The first process, as seen from here.
    pub(crate) fn init(&self) -> Pid {
        self.init
    }

    /// Ends everything in it at once. Its end still has to be waited for.
    pub(crate) fn kill(&self) {
        // It may have ended already; that is what was wanted.
        let _ended = rustix::process::pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Waits until nothing of it is left, and cleans up.
    pub(crate) fn finish(&mut self) {
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(self.init), WaitOptions::empty()) {}
        if !self.whole {
            crate::descendants::end_all();
        }
        if let Some(scratch) = self.scratch.take() {
            // Nothing of the job runs any more; a directory that it made unreadable stays behind, empty of processes.
            let _best_effort = std::fs::remove_dir_all(scratch);
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.kill();
        self.finish();
    }
}
