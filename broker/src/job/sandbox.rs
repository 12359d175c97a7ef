//! What this machine can give a script, before anything else is started: the first worker makes an empty sandbox and says
//! what is in force in it. Where that gives a required guarantee by no layer, the service does not start.
//!
//! Each job is checked again, by its own worker, and refused where something is missing.

use super::watch;
use crate::config::Config;
use crate::core::{Core, CoreError, Effect, Timer};
use crate::peer::Outgoing;
use crate::supervise::State;
use bartizan_proto::Role;
use bartizan_proto::control::Mode;
use bartizan_proto::launcher::ChildId;
use bartizan_proto::worker::{FromWorker, Given, Guarantee, InForce, LayerState, ToWorker};
use std::time::Duration;

/// How long the first worker may take.
const TO_TRY: Duration = Duration::from_secs(20);

impl Core {
    /// Orders the first worker, and beside it the two processes that will bring commands: they start, and are given nothing before
    /// it has answered.
    pub(crate) fn try_sandbox(&mut self) -> Result<(), CoreError> {
        self.jobs.trying = Some(self.order_worker()?);
        self.timers.after(TO_TRY, Timer::Sandbox);
        self.start_peer(Role::Egress)?;
        self.start_peer(Role::Connector)
    }

    /// It is there: it is asked.
    pub(super) fn ask_sandbox(&mut self, child: ChildId) -> Result<(), CoreError> {
        let network = self.config.grants_network();
        if let Some(worker) = self.jobs.workers.get_mut(&child) {
            worker.phase = crate::peer::worker::Phase::Ordered;
        }
        self.effects.push(Effect::Worker(child, Outgoing::new(&ToWorker::Probe { network }, Vec::new())?));
        Ok(())
    }

    /// It answers, in a phase where it may.
    pub(super) fn on_sandbox(&mut self, child: ChildId, message: FromWorker) -> Result<(), CoreError> {
        if let Some(worker) = self.jobs.workers.get_mut(&child) {
            worker.phase = watch::next_phase(worker.phase, &message);
        }
        let network = self.config.grants_network();
        match message {
            FromWorker::Running { layers, given, .. } => {
                (self.layers, self.given) = (layers.into_vec(), given.into_vec());
                if let Some(why) = lacks(&self.config, &self.given, &self.layers) {
                    return Err(CoreError::Sandbox(why));
                }
                for missing in missing(&self.given, &Guarantee::ALL) {
                    tracing::warn!(guarantee = %missing, "nothing here gives it, and the configuration does without");
                }
                Ok(())
            }
            FromWorker::Refused { step, why } => {
                let remedy = remedy(self.mode, step.as_str(), network);
                Err(CoreError::Sandbox(format!("a script's sandbox cannot be made here: {step}: {why}{remedy}")))
            }
            FromWorker::Output(_)
            | FromWorker::Inspected { .. }
            | FromWorker::Call { .. }
            | FromWorker::Hangup(_)
            | FromWorker::Misused(_) => Ok(()),
            FromWorker::Finished { .. } => {
                self.jobs.trying = None;
                self.timers.cancel(&Timer::Sandbox);
                self.drop_worker(child)?;
                if self.supervisor.egress.state == State::Greeted {
                    self.equip_egress()?;
                }
                self.keep_spare_workers()
            }
        }
    }

    /// It is gone, or its time is over, and nothing is known.
    pub(crate) fn sandbox_unknown(&self, why: &str) -> Result<(), CoreError> {
        match self.stopping {
            Some(_) => Ok(()),
            None => Err(CoreError::Start(format!("a script's sandbox could not be tried out: {why}"))),
        }
    }
}

/// What to do about a sandbox that cannot be made, where that is known.
fn remedy(mode: Mode, step: &str, network: bool) -> &'static str {
    match (mode, step, network) {
        (Mode::Systemd, "network", true) => {
            "; a profile grants network addresses, and the worker's unit has none: `systemctl edit bartizan-worker@.service`, \
             docs/operations.md has the lines"
        }
        (Mode::Systemd | Mode::Setuid | Mode::SingleUser, _, _) => "",
    }
}

/// Why a configuration cannot be in force on this machine, in one line.
pub(crate) fn lacks(config: &Config, given: &[Given], layers: &[InForce]) -> Option<String> {
    let missing = missing(given, &config.require);
    if missing.is_empty() {
        return None;
    }
    let names: Vec<&str> = missing.iter().map(|guarantee| guarantee.as_str()).collect();
    let off = layers.iter().filter(|layer| layer.state != LayerState::On);
    let off: Vec<String> = off.map(|layer| format!("{}: {}", layer.layer, layer.detail)).collect();
    Some(format!(
        "nothing on this machine gives {}, which [sandbox] require names; `bartizan doctor` has the table, docs/privsep.md what to do ({})",
        names.join(", "),
        off.join("; ")
    ))
}

fn missing(given: &[Given], require: &[Guarantee]) -> Vec<Guarantee> {
    let is_given = |wanted: &Guarantee| given.iter().any(|one| one.guarantee == *wanted && !one.by.is_empty());
    require.iter().copied().filter(|wanted| !is_given(wanted)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_unit_has_no_network_to_give_the_line_says_how_it_gets_one() {
        assert!(remedy(Mode::Systemd, "network", true).contains("systemctl edit bartizan-worker@.service"));
        for (mode, step, network) in
            [(Mode::Setuid, "network", true), (Mode::Systemd, "seccomp", true), (Mode::Systemd, "network", false)]
        {
            assert_eq!(remedy(mode, step, network), "");
        }
    }
}
