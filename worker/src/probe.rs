//! Which layers this kernel gives this user, found by making a real sandbox and running `true` in it: for `bartizan-worker
//! --probe`, and for the core at the service's start.

use crate::cell::{Cell, CellError};
use crate::confine::namespaces::{Outside, Plan};
use crate::init;
use crate::order::{Job, OrderError};
use crate::report::FromScript;
use bartizan_proto::ids::{JobId, ScriptName};
use bartizan_proto::worker::{Endpoint, Given, InForce, Limits, Order, Profile};
use bartizan_proto::{List, Text};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};

/// No sandbox could be made, or nothing runs in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// First steps.
    #[error(transparent)]
    Harden(#[from] bartizan_confine::process::HardenError),
    /// `/bin/true` cannot be opened, or the answer not be written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The order that this makes for itself.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The sandbox.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// It refused.
    #[error("{step}: {why}")]
    Refused {
        /// The step.
        step: String,
        /// Why.
        why: String,
    },
}

/// What is printed, as JSON.
#[derive(Debug, Serialize)]
struct Answer {
    layers: List<InForce, 32>,
    given: List<Given, 32>,
}

/// Prints the layers and guarantees of this machine.
pub(crate) fn print() -> Result<(), ProbeError> {
    bartizan_confine::process::harden_entry()?;
    init::adopt_orphans().map_err(io::Error::other)?;
    let outside = Outside::here(false);
    let job = job(false)?;
    let mut cell = Cell::start(Plan::for_job(&job), &outside)?;
    cell.order(&job)?;
    let answer = match cell.report.receive::<FromScript>() {
        Ok(Some(FromScript::Ready { layers, given })) => Answer { layers, given },
        Ok(Some(FromScript::Refused { step, why })) => return Err(ProbeError::Refused { step, why }),
        Ok(None) | Err(_) => match cell.refusal() {
            Some((step, why)) => return Err(ProbeError::Refused { step, why }),
            None => return Err(CellError::Ended.into()),
        },
    };
    drop(cell);
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &answer).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// The least job: `true`, with nothing required, and nothing granted but what makes it a job with a network.
pub(crate) fn job(network: bool) -> Result<Job, OrderError> {
    let path = std::fs::canonicalize("/bin/true").map_err(OrderError::Nothing)?;
    let invalid = |error: &dyn std::fmt::Display| OrderError::Nothing(io::Error::other(error.to_string()));
    let nowhere = Endpoint { host: Text::cut("127.0.0.1"), port: 1, addresses: List::default() };
    let order = Order {
        job: JobId(0),
        name: "probe".parse::<ScriptName>().map_err(|error| invalid(&error))?,
        path: Text::new(path.to_string_lossy()).map_err(|error| invalid(&error))?,
        arguments: List::default(),
        environment: List::default(),
        secrets: List::default(),
        alone: false,
        api: false,
        sealed: false,
        sockets: false,
        plan: false,
        daemon: None,
        profile: Profile {
            read: List::default(),
            write: List::default(),
            exec: List::default(),
            network: List::cut(if network { vec![nowhere] } else { Vec::new() }),
            limits: Limits::default(),
        },
        require: List::default(),
        timeout_ms: 10_000,
        grace_ms: 0,
        max_output: 0,
        without: List::default(),
    };
    Job::check(order, File::open(path).map_err(OrderError::Nothing)?, None)
}
