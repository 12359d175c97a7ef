//! What the scheduler says of a job. The forms of `squeue --json` and `sacct --json` have changed over the years (a state was a word and
//! is a list; numbers were numbers and are tables): all of them since Slurm 21.08 are read, and of the answer, which has all jobs of the
//! cluster, one job is kept.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::io::Read;

/// Longest name of nodes, and longest reason, that is shown, in characters.
const MAX_NODES: usize = 100;
const MAX_REASON: usize = 100;

/// Most jobs of one name that are kept.
const MAX_SAME: usize = 16;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It was submitted, and not seen yet.
    Submitted,
    /// It waits for its turn.
    Waits,
    /// It runs.
    Runs,
    /// Some other state, by its name.
    Other(String),
    /// It is over, by the name of how.
    Over(String),
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: u64,
    pub(super) name: String,
    /// Whose; the accounting does not say it.
    pub(super) user: Option<u32>,
    pub(super) state: State,
    pub(super) nodes: String,
    /// How often it was begun anew.
    pub(super) restarts: u64,
    reason: String,
    code: Option<u64>,
    signal: Option<u64>,
}

impl Seen {
    /// One that is not known to have been seen.
    pub(super) fn submitted(id: u64) -> Self {
        let (name, nodes, reason) = (String::new(), String::new(), String::new());
        Self { id, name, user: None, state: State::Submitted, nodes, restarts: 0, reason, code: None, signal: None }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    pub(super) fn lost_its_node(&self) -> bool {
        matches!(&self.state, State::Over(how) if how == "NODE_FAIL" || how == "BOOT_FAIL")
    }

    /// Its nodes.
    pub(super) fn place(&self) -> &str {
        if self.nodes.is_empty() { "its node" } else { &self.nodes }
    }

    /// Where it is, in words.
    pub(super) fn words(&self) -> String {
        let again = match self.restarts {
            0 => String::new(),
            1 => ", begun anew once".to_owned(),
            times => format!(", begun anew {times} times"),
        };
        let nodes = if self.nodes.is_empty() { String::new() } else { format!(" on {}", self.nodes) };
        match &self.state {
            State::Submitted => "submitted".to_owned(),
            State::Waits if self.reason.is_empty() || self.reason == "None" => format!("waits{again}"),
            State::Waits => format!("waits ({}){again}", self.reason),
            State::Runs => format!("runs{nodes}{again}"),
            State::Other(name) => format!("is {name}{nodes}{again}"),
            State::Over(how) => {
                let exit = match (self.signal, self.code) {
                    (Some(signal), _) => format!(", signal {signal}"),
                    (None, Some(code)) => format!(", exit {code}"),
                    (None, None) => String::new(),
                };
                format!("{how}{nodes}{exit}{again}")
            }
        }
    }

    /// As a shell would say it; 1 at least where it did not end well.
    pub(super) fn exit_code(&self) -> u8 {
        let own = match (self.signal, self.code) {
            (Some(signal), _) => u8::try_from(128 + signal.min(127)).unwrap_or(u8::MAX),
            (None, Some(code)) => u8::try_from(code).unwrap_or(1),
            (None, None) => 0,
        };
        match &self.state {
            State::Over(how) if how == "COMPLETED" => own,
            State::Over(how) if how == "CANCELLED" => super::CANCELLED,
            // As `timeout(1)` has it.
            State::Over(how) if how == "TIMEOUT" || how == "DEADLINE" => 124,
            State::Over(_) | State::Other(_) | State::Runs | State::Waits | State::Submitted => own.max(1),
        }
    }
}

/// The first job of an answer that is wanted; the lowest number, where there are several.
pub(super) fn first(answer: impl Read, wanted: &dyn Fn(&Seen) -> bool) -> Result<Option<Seen>, String> {
    Ok(all(answer, wanted)?.into_iter().next())
}

/// Those that are wanted, the lowest number first; so many at most.
pub(super) fn all(answer: impl Read, wanted: &dyn Fn(&Seen) -> bool) -> Result<Vec<Seen>, String> {
    struct Answer<'w>(&'w dyn Fn(&Seen) -> bool);
    struct Jobs<'w>(&'w dyn Fn(&Seen) -> bool);
    impl<'de> Visitor<'de> for Answer<'_> {
        type Value = Vec<Seen>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an answer with jobs")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Seen>, A::Error> {
            let mut found = Vec::new();
            while let Some(key) = map.next_key::<String>()? {
                match key.as_str() {
                    "jobs" => found = map.next_value_seed(Jobs(self.0))?,
                    // A controller that does not answer is an error in here, beside an empty list, and the exit code is 0 (Slurm 22.05).
                    "errors" => {
                        if let Some(error) = map.next_value::<Option<Vec<Value>>>()?.unwrap_or_default().first() {
                            return Err(serde::de::Error::custom(complaint(error)));
                        }
                    }
                    _ => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(found)
        }
    }
    impl<'de> serde::de::DeserializeSeed<'de> for Jobs<'_> {
        type Value = Vec<Seen>;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Seen>, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    impl<'de> Visitor<'de> for Jobs<'_> {
        type Value = Vec<Seen>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of jobs")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Seen>, A::Error> {
            let mut found: Vec<Seen> = Vec::new();
            while let Some(job) = list.next_element::<Job>()? {
                let seen = job.seen();
                if seen.id != 0 && self.0(&seen) {
                    found.insert(found.partition_point(|other| other.id <= seen.id), seen);
                    found.truncate(MAX_SAME);
                }
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_reader(Ascii(answer));
    deserializer.deserialize_map(Answer(wanted)).map_err(|error| error.to_string())
}

/// What one entry of `errors` says, in a line.
fn complaint(error: &Value) -> String {
    let words = ["source", "error", "description"].map(|name| text(&error[name]));
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let line = if words.is_empty() { error.to_string() } else { words.join(": ") };
    line.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

/// An answer without the bytes that may be no text: before Slurm 23.02 it has the jobs of everybody, and anybody may put such bytes into
/// a name of theirs. Nothing that is looked for has one.
struct Ascii<R>(R);

impl<R: Read> Read for Ascii<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(into)?;
        into.iter_mut().take(read).filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        Ok(read)
    }
}

/// What `sbatch --parsable` prints: a number, and after a semicolon its cluster.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().split(';').next()?.parse().ok().filter(|id| *id > 0)
}

/// A job as either of them writes it.
#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    job_id: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    user_id: Value,
    #[serde(default)]
    job_state: Value,
    #[serde(default)]
    state: Value,
    #[serde(default)]
    state_reason: Value,
    #[serde(default)]
    nodes: Value,
    #[serde(default)]
    restart_cnt: Value,
    #[serde(default)]
    exit_code: Value,
}

impl Job {
    fn seen(&self) -> Seen {
        let (code, signal) = ended(&self.exit_code);
        let state = match &self.job_state {
            Value::Null => state(&self.state["current"]),
            known => state(known),
        };
        let nodes = text(&self.nodes);
        Seen {
            id: number_in(&self.job_id).unwrap_or(0),
            name: text(&self.name),
            user: number_in(&self.user_id).and_then(|user| u32::try_from(user).ok()),
            state,
            nodes: if nodes == "None assigned" { String::new() } else { nodes.chars().take(MAX_NODES).collect() },
            restarts: number_in(&self.restart_cnt).unwrap_or(0),
            reason: text(if self.state_reason.is_null() { &self.state["reason"] } else { &self.state_reason })
                .chars()
                .take(MAX_REASON)
                .collect(),
            code,
            signal,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `7`, or `{"set": true, "number": 7}`.
fn number_in(value: &Value) -> Option<u64> {
    match value {
        Value::Object(table) if table.get("set") == Some(&Value::Bool(false)) => None,
        Value::Object(table) => table.get("number")?.as_u64(),
        other => other.as_u64(),
    }
}

/// A word, or a list of them: the state itself, and what it is about to become.
fn state(value: &Value) -> State {
    let words: Vec<&str> = match value {
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    // It is not over before nothing of it is left.
    if let Some(still) = words.iter().find(|word| matches!(**word, "COMPLETING" | "REQUEUED" | "STAGE_OUT")) {
        return State::Other((*still).to_owned());
    }
    match words.first().copied().unwrap_or_default() {
        "PENDING" => State::Waits,
        "RUNNING" => State::Runs,
        over @ ("COMPLETED" | "FAILED" | "CANCELLED" | "TIMEOUT" | "NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED"
        | "DEADLINE" | "OUT_OF_MEMORY" | "REVOKED") => State::Over(over.to_owned()),
        other => State::Other(other.chars().take(40).collect()),
    }
}

/// A status of `wait(2)`, or a table with its parts.
fn ended(value: &Value) -> (Option<u64>, Option<u64>) {
    if let Some(status) = value.as_u64() {
        let signal = Some(status & 0x7f).filter(|signal| *signal != 0);
        return (Some((status >> 8) & 0xff), signal);
    }
    let signal = &value["signal"];
    let signal = number_in(&signal["id"]).or_else(|| number_in(&signal["signal_id"])).filter(|signal| *signal != 0);
    (number_in(&value["return_code"]), signal)
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
