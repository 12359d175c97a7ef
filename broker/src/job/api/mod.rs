//! The script API: what a job's script asks of the core while it runs. Everything in a call was chosen by the script; which job
//! it is for is known by the worker's channel alone, so no job can speak for another one.
//!
//! A call passes, in this order: was its verb granted by the script's entry, is it within its limits, then the verb's own file.
//! Nothing here waits: a post that comes too early is kept and made later, and its call is answered then.

mod ask;
mod ask_others;
mod card;
mod hosts;
mod memory;
mod posts;
mod progress;
mod values;

pub use ask::Questions;
pub use hosts::Rest;
pub use posts::Pace;
pub use progress::Progress;

use super::Job;
use crate::brain::memory::Ticket;
use crate::core::{Core, CoreError, Effect, Topic};
use crate::gate::Cleared;
use crate::output::redact::{self, Cut};
use crate::output::strip::strip;
use crate::peer::Outgoing;
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::ids::{JobId, MemoryKey};
use bartizan_proto::launcher::ChildId;
use bartizan_proto::limits::MAX_CALLS;
use bartizan_proto::script::{Answer, Call, Verb};
use bartizan_proto::worker::{CallId, ToWorker};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A worker lets its script make 20 calls a second; one that hands on more than this in a second is not the program that it
/// should be.
const MOST_A_SECOND: u32 = 200;

/// What is known of a job for its script's calls.
#[derive(Default)]
pub struct Api {
    /// What its entry grants.
    granted: Vec<Verb>,
    /// Its arguments by name.
    params: Vec<(String, String)>,
    /// Its posts.
    posts: posts::Posts,
    /// How far it says that it is.
    pub progress: Option<Progress>,
    /// What it has checked out.
    tickets: BTreeMap<MemoryKey, Ticket>,
    /// Its machines, and what became of them.
    pub hosts: hosts::Hosts,
    /// Cards for its end.
    at_end: Vec<card::Waiting>,
    /// Lines that it wrote into the log.
    logged: u32,
    /// Calls since when, for [`MOST_A_SECOND`].
    counted: Option<(Instant, u32)>,
}

impl std::fmt::Debug for Api {
    /// Without the arguments, of which some may be sensitive.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("granted", &self.granted).field("posts", &self.posts).finish_non_exhaustive()
    }
}

impl Api {
    /// Of a job that is about to be started.
    pub fn of<K>(cleared: &Cleared<K>) -> Self {
        let mut granted = cleared.script().api.clone();
        granted.extend(crate::job::backend::of(cleared.script()).events());
        // Kept only where they can be asked for.
        let params = match granted.contains(&Verb::Param) {
            true => cleared.values().iter().map(|value| (value.name.clone(), value.text.clone())).collect(),
            false => Vec::new(),
        };
        let hosts = match granted.contains(&Verb::Hosts) {
            true => hosts::Hosts::of(cleared.script().targets.narrowed(&cleared.script().arguments, cleared.values())),
            false => hosts::Hosts::default(),
        };
        Self { granted, params, hosts, ..Self::default() }
    }

    /// Whether another call makes too many.
    fn floods(&mut self, now: Instant) -> bool {
        let (since, count) = self.counted.get_or_insert((now, 0));
        if now.saturating_duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count > MOST_A_SECOND
    }
}

impl Job {
    /// What its script wants to have seen, as it may be: without control characters, its secrets masked.
    fn cleaned(&self, said: &str) -> String {
        redact::redact(strip(said.as_bytes()), self.secrets.as_ref(), Cut::None)
    }
}

impl Core {
    /// A job's script calls, through its own worker.
    pub(crate) fn on_call(&mut self, job: JobId, child: ChildId, call: CallId, what: Call) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        let verb = what.verb();
        if entry.api.floods(Instant::now()) || entry.api.posts.waiting() > MAX_CALLS {
            self.alert(Topic::Worker, "worker dropped: it handed on more calls than its script can make")?;
            return self.drop_worker(child);
        }
        if !entry.api.granted.contains(&verb) {
            let why = not_granted(entry.intent.script.as_str(), &entry.api.granted, verb);
            return self.answer_call(job, call, Answer::Refused(Text::cut(why)));
        }
        match what {
            Call::Attach { at_end: true, .. } => self.attach_at_end(job, call, what),
            Call::Say { .. }
            | Call::Reply { .. }
            | Call::File { .. }
            | Call::Table { .. }
            | Call::Ask { .. }
            | Call::Subscribe { .. }
            | Call::Attach { .. } => self.post_or_wait(job, call, what),
            Call::Unsubscribe => {
                self.unsubscribe(job)?;
                self.answer_call(job, call, Answer::Done)
            }
            Call::Progress { percent, text } => self.progressed(job, call, percent, &text),
            Call::Param { name } => {
                let answer = values::param(&entry.api.params, &name);
                self.answer_call(job, call, answer)
            }
            Call::Log { text } => {
                let answer = values::log(job, entry, &text);
                self.answer_call(job, call, answer)
            }
            Call::Remember { key, value, scope } => self.remember_for(job, call, key, &value, scope),
            Call::Recall { key, scope } => self.recall_for(job, call, &key, scope),
            Call::Checkout { key, back: false } => self.check_out_for(job, call, key),
            Call::Checkout { key, back: true } => self.check_in_for(job, call, &key),
            Call::Add { part, command } => self.add_for(job, call, part, &command),
            Call::Exclusive { tag, wait } => self.exclusive_for(job, call, &tag, wait),
            Call::Hosts(told) => self.told_of_hosts(job, call, told),
        }
    }

    /// Who made a call is gone.
    pub(crate) fn on_hangup(&mut self, job: JobId, call: CallId) -> Result<(), CoreError> {
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.api.posts.forget(call);
        }
        self.jobs.pipelines.forget_waiting(job, Some(call));
        self.question_dropped(job, Some(call))
    }

    /// Its script sent what is no call, again and again: it is stopped, and its thread is told why.
    pub(crate) fn on_misused(&mut self, job: JobId, why: &str) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return Ok(()) };
        tracing::warn!(job = job.0, script = %entry.intent.script, why, "its script misused the script API; stopped");
        entry.output.push(format!("\n{}\n", words::misused(why)).as_bytes());
        self.stop_job(job, Duration::ZERO)
    }

    /// The job is over: what it held is free.
    pub(crate) fn api_over(&mut self, job: JobId) -> Result<(), CoreError> {
        self.check_all_in(job);
        if let Some(entry) = self.jobs.all.get_mut(&job) {
            entry.api = Api::default();
        }
        self.jobs.pipelines.forget_waiting(job, None);
        self.question_dropped(job, None)
    }

    /// Answers a call, after the commit.
    pub(super) fn answer_call(&mut self, job: JobId, call: CallId, answer: Answer) -> Result<(), CoreError> {
        if let Some(child) = self.jobs.all.get(&job).and_then(|entry| entry.worker) {
            let answer = Outgoing::new(&ToWorker::Answer { call, answer }, Vec::new())?;
            self.effects.push(Effect::Worker(child, answer));
        }
        Ok(())
    }
}

/// The line to add, in words that can be pasted.
fn not_granted(script: &str, granted: &[Verb], verb: Verb) -> String {
    if verb.is_drivers() {
        return format!("{verb} is for Bartizan's own drivers");
    }
    let mut all: Vec<String> = granted.iter().map(|verb| format!("\"{verb}\"")).collect();
    all.push(format!("\"{verb}\""));
    format!("{script} is not granted the verb {verb}; its entry in the allowlist can: api = [{}]", all.join(", "))
}

pub(super) fn refused(why: impl Into<String>) -> Answer {
    Answer::Refused(Text::cut(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_that_is_not_granted_is_answered_with_the_line_that_grants_it() {
        let why = not_granted("deploy", &[Verb::Progress], Verb::Say);
        assert_eq!(
            why,
            "deploy is not granted the verb say; its entry in the allowlist can: api = [\"progress\", \"say\"]"
        );
    }

    #[test]
    fn a_drivers_verb_is_no_line_to_add() {
        assert_eq!(not_granted("deploy", &[], Verb::Hosts), "hosts is for Bartizan's own drivers");
    }

    #[test]
    fn more_calls_than_a_worker_lets_through_are_a_flood_and_a_second_later_none() {
        let mut api = Api::default();
        let now = Instant::now();
        assert!((0..MOST_A_SECOND).all(|_| !api.floods(now)));
        assert!(api.floods(now));
        assert!(!api.floods(now + Duration::from_secs(1)));
    }

    #[test]
    fn what_is_kept_for_calls_is_not_shown_with_the_rest_of_a_job() {
        let api = Api { params: vec![("pin".to_owned(), "4711".to_owned())], ..Api::default() };
        assert!(!format!("{api:?}").contains("4711"));
    }
}
