//! What several records write in the same way.

use crate::argument::Value as Argument;
use crate::config::{Backend, Script};
use crate::store::jobs::{Actor, Intent};
use bartizan_proto::ids::{JobId, UserId};
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::text;
use bartizan_proto::worker::{Ending, LayerState, Usage};
use serde_json::{Value, json};

/// One gate's verdict on one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Its name.
    pub name: &'static str,
    /// Whether it let the command pass.
    pub passed: bool,
}

/// A job, and who asked for it where.
pub(super) fn put_intent(put: &mut impl FnMut(&str, Value), job: JobId, intent: &Intent) {
    put("executionId", json!(job.0));
    put("scriptName", json!(intent.script));
    if intent.actor == Actor::Person {
        put("userId", json!(intent.user));
        put("userName", json!(text::printable(&intent.user_name)));
    } else {
        // Nobody asked for it, and nobody's rights did it.
        put("userId", Value::Null);
        put("userName", Value::Null);
        put("actor", json!(intent.actor.label()));
    }
    put("channelId", json!(intent.channel));
    put("postId", json!(intent.post));
    if let Some(whole) = intent.part_of {
        put("pipeline", json!(whole.0));
    }
}

/// Where a job runs that does not run here, and whether it only says what it would do.
#[derive(Debug, Default)]
pub struct Ran {
    backend: Option<&'static str>,
    targets: Vec<String>,
    dry: bool,
}

impl Ran {
    /// Of a script with these arguments.
    pub fn of(script: &Script, values: &[Argument], dry: bool) -> Self {
        let backend = (script.backend != Backend::Local).then(|| script.backend.name());
        let targets = script.whereabouts(values).into_iter().map(str::to_owned).collect();
        Self { backend, targets, dry }
    }

    /// As one value, for receipts.
    pub fn json(&self) -> Value {
        match (self.backend, self.dry) {
            (None, false) => Value::Null,
            (backend, dry) => json!({ "backend": backend, "targets": self.targets, "dryRun": dry }),
        }
    }

    /// Nothing is written of what runs here.
    pub(super) fn put(&self, put: &mut impl FnMut(&str, Value)) {
        if let Some(backend) = self.backend {
            put("backend", json!(backend));
            put("targets", json!(self.targets));
        }
        if self.dry {
            put("dryRun", json!(true));
        }
    }
}

/// The name of a layer, as elsewhere in JSON.
pub(super) fn name_of(layer: &impl serde::Serialize) -> String {
    json!(layer).as_str().unwrap_or_default().to_owned()
}

/// A layer's state in a word.
pub(super) fn state_of(state: LayerState) -> &'static str {
    match state {
        LayerState::On => "on",
        LayerState::Unavailable => "unavailable",
        LayerState::Off => "off",
    }
}

/// How a job ended, and what it used.
pub(super) fn put_end(put: &mut impl FnMut(&str, Value), ending: Option<Ending>, usage: Usage, error: Option<&str>) {
    put("success", json!(ending == Some(Ending::Ended(ExitStatus::Code(0)))));
    let code = match ending {
        Some(Ending::Ended(ExitStatus::Code(code))) => Some(code),
        _ => None,
    };
    put("exitCode", json!(code));
    put("ending", json!(ending));
    put("durationMs", json!(usage.elapsed_us / 1000));
    put("userUs", json!(usage.user_us));
    put("systemUs", json!(usage.system_us));
    put("maxRss", json!(usage.max_rss));
    put("outputBytes", json!(usage.output));
    put("error", json!(error));
}

/// Who stopped a job, how, and why it was not done.
pub(super) fn put_stop(
    put: &mut impl FnMut(&str, Value),
    by: Option<&UserId>,
    by_name: &str,
    how: &str,
    error: Option<&str>,
) {
    put("by", json!(by));
    put("byName", json!(text::printable(by_name)));
    put("how", json!(how));
    put("success", json!(error.is_none()));
    put("error", json!(error));
}
