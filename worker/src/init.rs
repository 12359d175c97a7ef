//! The first process of a job's sandbox: pid 1 of its PID namespace.
//!
//! It prepares, waits for the order, starts the script, reaps whatever is orphaned inside, and says how the script ended, in
//! the kernel's words. When it ends, the kernel ends everything else in the namespace.

use crate::cell::InsideEnds;
use crate::confine::namespaces::{Outside, Plan};
use crate::confine::{self, ConfineError, Inside, fds, identity, network};
use crate::order::Job;
use crate::report::{FromInit, ToInit};
use crate::system::{self, Forked};
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::Layer;
use rustix::process::{Pid, PidfdFlags, WaitOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Runs in the new process and never returns into the supervisor's code.
pub(crate) fn run(ends: InsideEnds, plan: &Plan, outside: &Outside, unavailable: Vec<(Layer, String)>) -> ! {
    let mut ends = ends;
    let code = match serve(&mut ends, plan, outside, unavailable) {
        Ok(()) => 0,
        Err(error) => {
            let refused = FromInit::Refused { step: error.step().to_owned(), why: error.to_string() };
            // The supervisor may be gone, and then nobody is left to tell.
            let _gone = ends.control.send(&refused);
            1
        }
    };
    system::leave(code)
}

fn serve(
    ends: &mut InsideEnds,
    plan: &Plan,
    outside: &Outside,
    unavailable: Vec<(Layer, String)>,
) -> Result<(), ConfineError> {
    // 1. Only what belongs in here, and no life without the supervisor.
    fds::keep_only(&[ends.control.as_fd(), ends.report.as_fd(), ends.output.as_fd()])
        .map_err(ConfineError::Descriptors)?;
    bartizan_confine::process::die_with_parent().map_err(|error| ConfineError::Process(io::Error::other(error)))?;
    if !plan.has(Layer::PidNamespace) {
        adopt_orphans()?;
    }

    // 2. What needs no order.
    let mut inside = Inside::prepare(plan, outside, unavailable)?;
    ends.control.send(&FromInit::Prepared { unavailable: inside.unavailable.clone() })?;

    // 3. The order. Its supervisor has checked it.
    let Some((ToInit { order, scratch }, mut fds)) = ends.control.receive_with::<ToInit>()? else { return Ok(()) };
    let api = if order.api { fds.pop() } else { None };
    let secrets = if order.secrets.is_empty() { None } else { fds.pop() };
    let plan = if order.plan { fds.pop() } else { None };
    let Some(script) = fds.pop() else { return Err(ConfineError::Descriptors(io::ErrorKind::NotFound.into())) };
    let job = Job { order: *order, script: script.into(), secrets, plan, api };
    inside.admit(&job, scratch.as_deref().map(Path::new))?;
    if job.network() && inside.has_network_of_its_own() {
        let control = &mut ends.control;
        let granted = job.destinations();
        let relayed = network::listen(&granted, |listeners| {
            let fds: Vec<_> = listeners.iter().map(OwnedFd::as_fd).collect();
            Ok(control.send_with(&FromInit::Listening, &fds)?)
        })?;
        inside.relayed = Some((relayed, granted.len()));
    }
    let job = match job.order.sealed && !inside.private {
        true => job.sealed_in_memory().map_err(|source| ConfineError::Seal { source })?,
        false => job,
    };

    // 4. The script.
    let script = match system::fork().map_err(ConfineError::Process)? {
        Forked::Child => {
            let error = confine::become_script(&job, &inside, &ends.output, &mut ends.report);
            let _gone = ends
                .report
                .send(&crate::report::FromScript::Refused { step: error.step().to_owned(), why: error.to_string() });
            system::leave(126)
        }
        Forked::Parent(script) => script,
    };
    let handle = rustix::process::pidfd_open(script, PidfdFlags::empty())
        .map_err(|error| ConfineError::Process(error.into()))?;
    ends.control.send_with(&FromInit::Started, &[handle.as_fd()])?;

    // 5. From here on it only waits: no pipe or socket of the script's held open, no capability, no file of the job.
    inside.secrets.clear();
    drop((job, handle));
    fds::keep_only(&[ends.control.as_fd()]).map_err(ConfineError::Descriptors)?;
    identity::drop_capabilities()?;
    let status = wait_for(script).map_err(ConfineError::Process)?;
    ends.control.send(&FromInit::Ended(status))?;
    Ok(())
}

/// Without a PID namespace: what the script leaves behind becomes this process's child, and later the supervisor's.
pub(crate) fn adopt_orphans() -> Result<(), ConfineError> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| ConfineError::Process(error.into()))
}

/// Reaps orphans until the script has ended. The script itself is not reaped: until this process ends, its number belongs to
/// nobody else, so that a late signal cannot hit a stranger.
fn wait_for(script: Pid) -> io::Result<ExitStatus> {
    loop {
        let (ended, status) = system::first_ended()?;
        if ended == script {
            return Ok(status);
        }
        rustix::process::waitpid(Some(ended), WaitOptions::empty())?;
    }
}
