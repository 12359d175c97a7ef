//! `hosts`: what became of a job on each of its machines, as its driver tells it: one record in the audit log for each, as soon as it is
//! told, and at the job's end one for each that was not told about. So every machine of a job that ended has exactly one.
//!
//! Trusted is nothing of it but who said it: which machines are the job's is the core's own knowledge, each is told about once, and
//! what a machine gave as a reason is cleaned like everything that a job says.

use super::refused;
use crate::audit::Record;
use crate::config::Target;
use crate::core::{Core, CoreError};
use bartizan_proto::hosts::{HostOutcome, HostsTold};
use bartizan_proto::ids::{JobId, TargetName};
use bartizan_proto::script::Answer;
use bartizan_proto::worker::{CallId, Ending};
use std::collections::BTreeSet;

/// Names of machines in a receipt: it has a limit, and the log has all of them.
const NAMED: usize = 200;

/// Outcomes as they are counted, the worst first. The last two are the core's own.
const OUTCOMES: [&str; 10] = [
    "wrong-host-key",
    "refused",
    "failed",
    "unreachable",
    "unknown",
    "stopped",
    "not-begun",
    "skipped",
    "changed",
    "ok",
];

/// The machines of one job.
#[derive(Debug, Default)]
pub struct Hosts {
    /// Not told about yet.
    open: BTreeSet<TargetName>,
    /// What became of the others, in the order in which it was told.
    told: Vec<(TargetName, &'static str)>,
}

/// What is written of the machines that nothing was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Its driver was not begun.
    NotBegun,
    /// Its driver was stopped: whether it had begun there is not known.
    Stopped,
    /// Nobody knows.
    Unknown,
}

impl Rest {
    /// Of a job that ended like this.
    pub fn of(ending: Option<Ending>) -> Self {
        match ending {
            Some(Ending::Stopped | Ending::TimedOut) => Self::Stopped,
            Some(Ending::Ended(_)) | None => Self::Unknown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::NotBegun => "not-begun",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }

    fn why(self) -> Option<String> {
        match self {
            Self::NotBegun => None,
            Self::Stopped => Some("the job was stopped before its driver told of it".to_owned()),
            Self::Unknown => Some("the job ended, and its driver did not tell of it".to_owned()),
        }
    }
}

impl Hosts {
    /// Of these targets.
    pub(super) fn of(targets: Vec<&Target>) -> Self {
        Self { open: targets.iter().filter_map(|target| target.name.parse().ok()).collect(), told: Vec::new() }
    }

    /// Whether this is the first that is told of that machine, and it is one of the job's.
    fn take(&mut self, host: &TargetName, word: &'static str) -> bool {
        let first = self.open.remove(host);
        if first {
            self.told.push((host.clone(), word));
        }
        first
    }

    /// How many went how, the worst first; empty where there are no machines.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let count = |word: &'static str| (word, self.told.iter().filter(|(_, told)| *told == word).count());
        OUTCOMES.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    /// The same with the machines' names, so many in all.
    pub fn named(&self) -> Vec<(&'static str, usize, Vec<&str>)> {
        let mut left = NAMED;
        let names = |(word, count): (&'static str, usize)| {
            let of = self.told.iter().filter(|(_, told)| *told == word).map(|(host, _)| host.as_str());
            let names: Vec<&str> = of.take(left).collect();
            left -= names.len();
            (word, count, names)
        };
        self.counts().into_iter().map(names).collect()
    }
}

/// As the log has it.
fn word(outcome: HostOutcome) -> &'static str {
    match outcome {
        HostOutcome::Ok => "ok",
        HostOutcome::Changed => "changed",
        HostOutcome::Failed => "failed",
        HostOutcome::Refused => "refused",
        HostOutcome::Unreachable => "unreachable",
        HostOutcome::WrongHostKey => "wrong-host-key",
        HostOutcome::Skipped => "skipped",
        HostOutcome::NotBegun => "not-begun",
    }
}

impl Core {
    /// A driver tells. What it may not tell is left out, and it is told so.
    pub(super) fn told_of_hosts(&mut self, job: JobId, call: CallId, told: HostsTold) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let script = entry.intent.script.clone();
        let (mut records, mut odd) = (Vec::new(), None);
        for one in told.into_vec() {
            let outcome = word(one.outcome);
            if !entry.api.hosts.take(&one.host, outcome) {
                odd = Some(one.host);
                continue;
            }
            let why = entry.cleaned(&one.why).split_whitespace().collect::<Vec<_>>().join(" ");
            records.push(Record::JobHost {
                job,
                script: script.clone(),
                host: one.host,
                outcome,
                exit: one.exit,
                duration_ms: one.duration_ms,
                why: Some(why).filter(|why| !why.is_empty()),
            });
        }
        for record in &records {
            self.record(record);
        }
        let answer = match odd {
            None => Answer::Done,
            Some(host) => {
                tracing::warn!(job = job.0, %script, %host, "its driver told of a machine that is none of the job's, or twice");
                refused(format!("{host} is no target of this job, or was told about before"))
            }
        };
        self.answer_call(job, call, answer)
    }

    /// The job is over: this is written of the machines that nothing was told of.
    pub(crate) fn hosts_over(&mut self, job: JobId, rest: Rest) {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return };
        let script = entry.intent.script.clone();
        for host in std::mem::take(&mut entry.api.hosts.open) {
            if let Some(entry) = self.jobs.all.get_mut(&job) {
                entry.api.hosts.told.push((host.clone(), rest.word()));
            }
            self.record(&Record::JobHost {
                job,
                script: script.clone(),
                host,
                outcome: rest.word(),
                exit: None,
                duration_ms: None,
                why: rest.why(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> TargetName {
        format!("web-{n}").parse().expect("a name")
    }

    fn hosts(count: usize) -> Hosts {
        Hosts { open: (0..count).map(name).collect(), told: Vec::new() }
    }

    #[test]
    fn a_machine_is_told_about_once_and_one_that_is_not_the_jobs_never() {
        let mut hosts = hosts(2);
        assert!(hosts.take(&name(0), "failed"));
        assert!(!hosts.take(&name(0), "ok"), "what was told stands");
        assert!(!hosts.take(&name(7), "ok"), "another job's");
        assert_eq!(hosts.counts(), [("failed", 1)]);
        assert_eq!(hosts.open.len(), 1);
    }

    #[test]
    fn every_outcome_is_counted_and_a_receipt_names_so_many_machines_the_worst_first() {
        use HostOutcome::{Changed, Failed, NotBegun, Ok, Refused, Skipped, Unreachable, WrongHostKey};
        let all = [Ok, Changed, Failed, Refused, Unreachable, WrongHostKey, Skipped, NotBegun];
        let words: Vec<_> = all.into_iter().map(word).chain([Rest::Stopped.word(), Rest::Unknown.word()]).collect();
        assert!(words.iter().all(|word| OUTCOMES.contains(word)) && words.len() == OUTCOMES.len());
        let mut hosts = hosts(512);
        for n in 0..512 {
            assert!(hosts.take(&name(n), if n % 2 == 0 { "ok" } else { "unreachable" }));
        }
        let named = hosts.named();
        let sizes: Vec<_> = named.iter().map(|(word, count, names)| (*word, *count, names.len())).collect();
        assert_eq!(sizes, [("unreachable", 256, NAMED), ("ok", 256, 0)]);
    }
}
