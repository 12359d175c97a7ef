//! `slurm`: the script itself, on nodes of a cluster. What runs here is `bartizan-driver`, which has the cluster's own commands submit it
//! under a name made of the job's key, follows it, and cancels it. It goes on when the driver does not.

use super::{Backend, Launch, LaunchError, Right, contents};
use crate::config::{Backend as Chosen, Slurm as Settings};
use bartizan_proto::driver::{Batch, Work};
use bartizan_proto::frame;
use bartizan_proto::script::Verb;
use bartizan_proto::worker::{Daemon, Endpoint, Limits, Order, Profile};
use bartizan_proto::{Bytes, List, Text};
use std::path::Path;
use std::time::Duration;

/// What the driver is called.
const DRIVER: &str = "bartizan-driver";

/// To cancel a job: the scheduler answers within ten seconds, or not at all.
const TO_CANCEL: Duration = Duration::from_secs(20);

/// What variables would not reach the script, but the programs that submit it.
const NOT_FOR_PROGRAMS: [&str; 8] = ["SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "MUNGE_", "LD_"];

/// Nothing about it is different from job to job.
pub(super) struct Slurm;

impl Backend for Slurm {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn submit(&self, right: &Right<'_>) -> Result<Launch, LaunchError> {
        launch(right, true, 0)
    }

    fn reattach(&self, right: &Right<'_>, logs: u64, begins: bool) -> Result<Option<Launch>, LaunchError> {
        // What may run twice is submitted where it is not found; anything else is looked for, and no more.
        launch(right, begins && right.script.idempotent, logs).map(Some)
    }

    fn outlives(&self) -> bool {
        true
    }

    fn events(&self) -> &'static [Verb] {
        &[Verb::Progress, Verb::Say]
    }

    fn cancel(&self) -> Duration {
        TO_CANCEL
    }
}

fn launch(right: &Right<'_>, submits: bool, logs: u64) -> Result<Launch, LaunchError> {
    let Chosen::Slurm(settings) = &right.script.backend else {
        return Err(LaunchError::Program("it is another backend's".to_owned()));
    };
    let cluster = &settings.cluster;
    let there = right.order()?;
    let work = Work::Batch(Box::new(batch(right, settings, &there, submits, logs)?));
    let plan = frame::encode(&work).map_err(|error| LaunchError::Program(error.to_string()))?;
    let (program, path) = right.program(DRIVER)?;
    let too_long = |what| move |source| LaunchError::TooLong { what, source };
    let text = |path: &Path| Text::new(path.display().to_string()).map_err(too_long("path"));
    let folder = cluster.config.parent().unwrap_or(Path::new("/"));
    let controller = |to: &Endpoint| to.host == cluster.controller && to.port == cluster.port;
    let elsewhere = (!cluster.programs.starts_with("/usr")).then(|| text(&cluster.programs)).transpose()?;
    let order = Order {
        path: Text::new(path).map_err(too_long("path"))?,
        arguments: List::default(),
        environment: List::default(),
        alone: true,
        sealed: false,
        api: true,
        sockets: true,
        plan: true,
        daemon: Some(Daemon { folder: text(&cluster.munge)?, user: cluster.user.clone(), id: cluster.user_id }),
        // What an entry's profile grants would be granted here, and its script runs elsewhere.
        profile: Profile {
            read: List::cut([text(folder)?]),
            write: List::cut([text(&cluster.output)?]),
            exec: List::cut(elsewhere),
            network: List::cut(there.profile.network.iter().filter(|to| controller(to)).cloned()),
            limits: Limits::default(),
        },
        grace_ms: u32::try_from(TO_CANCEL.as_millis()).unwrap_or(u32::MAX),
        ..there
    };
    right.launch_with(order, program.into(), &plan)
}

pub(super) fn batch(
    right: &Right<'_>,
    settings: &Settings,
    there: &Order,
    submits: bool,
    logs: u64,
) -> Result<Batch, LaunchError> {
    let odd = |error: &dyn std::fmt::Display| LaunchError::Program(error.to_string());
    let cluster = &settings.cluster;
    let path = |path: &Path| Text::new(path.display().to_string()).map_err(|error| odd(&error));
    if let Some((name, _)) =
        there.environment.iter().find(|(name, _)| NOT_FOR_PROGRAMS.iter().any(|start| name.starts_with(start)))
    {
        return Err(odd(&format_args!("the variable {name} means something to the programs that submit it")));
    }
    let script = if submits { contents(&right.file.fd)? } else { Vec::new() };
    Ok(Batch {
        name: Text::new(format!("bartizan-{}-{}", right.script.name, right.key())).map_err(|error| odd(&error))?,
        submits,
        output_from: logs,
        comment: Text::cut(format!("job {} of Bartizan", right.job)),
        programs: path(&cluster.programs)?,
        config: path(&cluster.config)?,
        output: path(&cluster.output)?,
        script: Bytes::new(script).map_err(|error| odd(&error))?,
        arguments: there.arguments.clone(),
        environment: there.environment.clone(),
        resources: settings.resources(right.values).map_err(|why| odd(&why))?,
    })
}
