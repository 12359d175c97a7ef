//! A job whose script has an authorizer, or an elevator, which is asked in the same way: it is asked when the job's turn has come, and the job waits in its place.
//!
//! The job stays `queued` in the database meanwhile. After a crash it is gated again, and its authorizer asked again.

use super::{launch, watch};
use crate::audit::Record;
use crate::core::{Core, CoreError, Effect, Timer};
use crate::gate::{Authorizer, Cleared, Verdict, authorizer};
use crate::peer::{Outgoing, worker};
use bartizan_proto::control::JobState;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ChildId;
use bartizan_proto::text::printable;
use bartizan_proto::worker::{Ending, FromWorker, ToWorker};
use std::time::Duration;

/// How much later than its time and grace allow an authorizer may be told to have ended.
const TO_GIVE_UP: Duration = Duration::from_secs(4);

/// Of what an authorizer prints, so many bytes go into the record.
const MOST_SAID: usize = 200;

/// An authorizer that is being asked.
#[derive(Debug)]
pub struct Asking {
    /// For which job.
    pub job: JobId,
    kind: authorizer::Kind,
    generation: u64,
    /// What it printed; nothing where that might repeat a sensitive argument.
    said: Option<Vec<u8>>,
}

impl Core {
    /// Asks: recorded, then ordered like a job of its own.
    pub(super) fn ask_authorizer(
        &mut self,
        job: JobId,
        child: ChildId,
        kind: authorizer::Kind,
        cleared: &Cleared<Authorizer>,
    ) -> Result<(), CoreError> {
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get(&job)) else { return Ok(()) };
        let intent = entry.intent.clone();
        let launch = match launch::order((job, intent.post), cleared, policy, None, &self.opener, None) {
            Ok(launch) => launch,
            Err(error) => {
                let cause = crate::gate::Cause(format!("its {}: {error}", kind.as_str()));
                return self.refuse_job(job, &kind.no_answer(intent.script.as_str()), &cause);
            }
        };
        let (name, sha256) = (cleared.script().name.to_string(), cleared.file().sha256.clone());
        let timeout = launch.launched.timeout;
        let secret = cleared.values().iter().any(|value| value.sensitive);
        self.record_first(&Record::Authorizing { kind, job, intent: Box::new(intent), authorizer: name, sha256 });
        if let Some(worker) = self.jobs.workers.get_mut(&child) {
            worker.asking =
                Some(Asking { job, kind, generation: cleared.generation(), said: (!secret).then(Vec::new) });
            worker.phase = worker::Phase::Ordered;
        }
        self.timers.after(timeout + launch::GRACE + TO_GIVE_UP, Timer::Overdue(child));
        let order = ToWorker::Order(Box::new(launch.order));
        self.effects.push(Effect::Worker(child, Outgoing::new(&order, launch.descriptors)?));
        Ok(())
    }

    /// An authorizer's worker speaks, in a phase where it may.
    pub(super) fn on_authorizer(&mut self, child: ChildId, message: FromWorker) -> Result<(), CoreError> {
        let Some(worker) = self.jobs.workers.get_mut(&child) else { return Ok(()) };
        worker.phase = watch::next_phase(worker.phase, &message);
        let Some(asking) = &mut worker.asking else { return Ok(()) };
        let (ending, why) = match message {
            FromWorker::Running { .. } | FromWorker::Inspected { .. } => return Ok(()),
            // It was given no descriptor to call through.
            FromWorker::Call { .. } | FromWorker::Hangup(_) | FromWorker::Misused(_) => {
                return self.drop_worker(child);
            }
            FromWorker::Output(bytes) => {
                if let Some(said) = &mut asking.said {
                    said.extend(bytes.iter().take(MOST_SAID.saturating_sub(said.len())));
                }
                return Ok(());
            }
            FromWorker::Refused { step, why } => (None, format!("{step}: {why}")),
            FromWorker::Finished { ending, .. } => (Some(ending), String::new()),
        };
        let asking = worker.asking.take();
        self.drop_worker(child)?;
        match asking {
            Some(asking) => self.authorized(asking, ending, &why),
            None => Ok(()),
        }
    }

    /// An authorizer has ended, however it did.
    pub(super) fn authorized(&mut self, asking: Asking, ending: Option<Ending>, why: &str) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&asking.job).filter(|entry| entry.state == JobState::Queued) else {
            return Ok(());
        };
        // The service ends: the job stays queued, and is asked about again by the next run.
        if self.stopping.is_some() {
            return Ok(());
        }
        let said = printable(&String::from_utf8_lossy(&asking.said.unwrap_or_default()));
        let said = [why, said.trim()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        let said = if said.is_empty() { said } else { format!(" ({said})") };
        let script = entry.intent.script.to_string();
        match authorizer::judge(asking.kind, &script, ending, asking.generation, &said) {
            Verdict::Pass(grant) => {
                entry.grants.push(grant);
                self.record(&Record::Authorized { kind: asking.kind, job: asking.job, granted: true, why: said });
                self.jobs.queue.push_front(asking.job);
                Ok(())
            }
            Verdict::Refuse(refusal, cause) => {
                self.record(&Record::Authorized {
                    kind: asking.kind,
                    job: asking.job,
                    granted: false,
                    why: cause.0.clone(),
                });
                self.refuse_job(asking.job, &refusal, &cause)
            }
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn stop_asking(&mut self, job: Option<JobId>) -> Result<(), CoreError> {
        let about = |asking: &Asking| job.is_none_or(|job| asking.job == job);
        let asked = self.jobs.workers.iter().filter(|(_, worker)| worker.asking.as_ref().is_some_and(about));
        let children: Vec<ChildId> = asked.map(|(child, _)| *child).collect();
        for child in children {
            if let Some(worker) = self.jobs.workers.get_mut(&child) {
                worker.asking = None;
            }
            self.drop_worker(child)?;
        }
        Ok(())
    }
}
