//! Step 14, from the start: a worker prepares a sandbox, waits for its order, hands it in, and supervises what runs
//! (`supervise.rs`).

use crate::cell::Cell;
use crate::confine::namespaces::{Outside, Plan};
use crate::init;
use crate::link::{Link, LinkError};
use crate::order::{Job, OrderError};
use crate::supervise::Supervisor;
use bartizan_confine::unit;
use bartizan_proto::channel::Channel;
use bartizan_proto::worker::FromWorker;
use bartizan_proto::{FrameError, Role, Text};
use rustix::process::Resource;
use std::ffi::OsString;
use std::io;

/// The worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The first steps of every process.
    #[error(transparent)]
    Harden(#[from] bartizan_confine::process::HardenError),
    /// How it was started.
    #[error(transparent)]
    Unit(#[from] unit::UnitError),
    /// Descriptors, or waiting for events.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The socket to the core.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The first message was not an order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The core is gone, or spoke out of turn.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// A whole life: from the start to the end of one job, or to the end of the core.
///
/// # Errors
/// [`RunError`]; nothing of a job is left running in any case.
pub fn serve(arguments: impl Iterator<Item = OsString>) -> Result<(), RunError> {
    let mut arguments = arguments.peekable();
    let unit = arguments.peek().is_some();

    // 1. Nothing inherited but the channel and the log; see confine/src/process.rs.
    bartizan_confine::process::close_from(3)?;
    bartizan_confine::process::harden()?;
    let mut channel = unit::channel(Role::Worker, arguments)?;
    // Whatever a job without a PID namespace leaves behind comes to this process, and is ended.
    init::adopt_orphans().map_err(|error| RunError::Io { what: "subreaper", source: io::Error::other(error) })?;

    // 2. Who is there.
    channel.greet(Role::Worker, Role::Core)?;

    // 3. Room for the listeners and connections of a network grant; the script gets its own limit later.
    let mut files = rustix::process::getrlimit(Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(Resource::Nofile, files)
        .map_err(|error| RunError::Io { what: "the limit of descriptors", source: error.into() })?;

    // 4. A sandbox, before there is anything to put into it.
    let outside = Outside::here(unit);
    let prepared = Cell::start(Plan::usual(), &outside);

    // 5. The order.
    let job = match Job::receive(&mut channel) {
        Ok(Some(job)) => job,
        Ok(None) => return Ok(()),
        Err(error @ (OrderError::Frame(_) | OrderError::WrongPhase(_))) => return Err(error.into()),
        Err(error) => return Ok(refuse(&mut channel, "order", &error.to_string())?),
    };

    // 6. Another sandbox, where the order needs one; the order into it.
    let cell = match prepared {
        Ok(cell) if cell.fits(&job) => Ok(cell),
        other => {
            drop(other);
            Cell::start(Plan::for_job(&job), &outside)
        }
    };
    let cell = cell.and_then(|mut cell| cell.order(&job).map(|()| cell));
    let cell = match cell {
        Ok(cell) => cell,
        Err(error) => return Ok(refuse(&mut channel, error.step(), &error.to_string())?),
    };

    // 7. To the end of it.
    Supervisor::new(Link::new(channel), cell, &job, outside.namespaces).run()
}

fn refuse(channel: &mut Channel, step: &str, why: &str) -> Result<(), FrameError> {
    channel.send(&FromWorker::Refused { step: Text::cut(step), why: Text::cut(why) })
}
