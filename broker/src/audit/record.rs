//! What is recorded, as types; the names of the fields stand here and nowhere else.
//! More than 400 lines, because every field of every record stands in this one place.

use crate::gate::authorizer::Kind;
use bartizan_proto::ids::{ChannelId, JobId, PostId, ScriptName, TargetName, UserId};
use bartizan_proto::worker::{Ending, InForce, Usage};
use bartizan_proto::{Role, text};
use serde_json::{Map, Value, json};

pub use super::fields::Gate;
pub use super::fields::Ran;
use super::fields::{name_of, put_end, put_intent, put_stop, state_of};
use super::hex;
use crate::brain::Checkpoint;
use crate::store::jobs::Intent;

/// Everything that is recorded.
#[derive(Debug)]
pub enum Record {
    /// The service started.
    Start {
        /// How it runs.
        mode: &'static str,
    },
    /// The service ended in order.
    Stop,
    /// A command was decided on.
    Decision {
        /// The post, its attested author and channel.
        post: String,
        /// Its attested author.
        user: String,
        /// Its attested channel.
        channel: String,
        /// The command line, hidden characters shown.
        command: String,
        /// Whether it was let through.
        allowed: bool,
        /// The gates that were asked, in order.
        gates: Vec<Gate>,
        /// The precise cause of a refusal.
        cause: Option<String>,
    },
    /// A script is about to be started: written and made durable before the order is given.
    JobStart {
        /// The job.
        job: JobId,
        /// What was asked for, and by whom.
        intent: Box<Intent>,
        /// The arguments as the script gets them, by name.
        arguments: Vec<(String, String)>,
        /// SHA-256 of the script's file.
        sha256: String,
        /// Where, where not here.
        ran: Ran,
    },
    /// A job's elevator or authorizer is about to be asked.
    Authorizing {
        /// Which of them.
        kind: Kind,
        /// The job.
        job: JobId,
        /// What is to be authorized.
        intent: Box<Intent>,
        /// Its name.
        authorizer: String,
        /// SHA-256 of its file.
        sha256: String,
    },
    /// It has answered, or not.
    Authorized {
        /// Which of them.
        kind: Kind,
        /// The job.
        job: JobId,
        /// Whether it said yes.
        granted: bool,
        /// What it printed, or the cause of a refusal.
        why: String,
    },
    /// A step of a request for approval.
    Approval {
        /// Its number.
        id: String,
        /// `requested`, `vote`, `vote-refused`, or how it ended.
        step: &'static str,
        /// What is asked for, and by whom.
        intent: Box<Intent>,
        /// What is agreed to.
        digest: String,
        /// Who took the step, with their name then; nobody for the clock and the service.
        by: Option<(UserId, String)>,
        /// By what: `command`, `reaction`, `signature`, or nothing.
        how: &'static str,
        /// The fingerprint of the key that it was signed with, if it was.
        key: Option<String>,
        /// A reason, or why it does not count.
        why: Option<String>,
    },
    /// The host registers a key for signed approvals, or takes one away.
    PersonKey {
        /// Whose.
        user: UserId,
        /// Their name then.
        name: String,
        /// `added` or `removed`.
        step: &'static str,
        /// Its fingerprint.
        key: String,
    },
    /// A command is run without the approvals that it needs.
    BreakGlass {
        /// What, and by whom.
        intent: Box<Intent>,
        /// Why.
        reason: String,
    },
    /// A step of somebody's second factor. Never with a code.
    Elevation {
        /// Whose.
        user: UserId,
        /// Their name then.
        name: String,
        /// `enrolment-begun`, `enrolled`, `elevated`, `refused`, `burned`, `locked`, `ended`, `recovery-renewed`, `reset`.
        step: &'static str,
        /// By what: `code`, `recovery code`, `chat`, `channel`, `host`.
        how: &'static str,
        /// Why not, where it was refused.
        why: Option<String>,
    },
    /// A script runs.
    JobRunning {
        /// The job.
        job: JobId,
        /// What is in force.
        layers: Vec<InForce>,
    },
    /// What goes on outside of the service is followed again; nothing is begun.
    JobFollowed {
        /// The job.
        job: JobId,
        /// What it is.
        intent: Box<Intent>,
    },
    /// A job ended.
    JobEnd {
        /// The job.
        job: JobId,
        /// What it was.
        intent: Box<Intent>,
        /// How; `None` when nobody saw it end.
        ending: Option<Ending>,
        /// What it used.
        usage: Usage,
        /// How many of its machines went how; empty for what runs here.
        hosts: Vec<(&'static str, usize)>,
        /// Why it could not run, or what became of it.
        error: Option<String>,
    },
    /// What became of a job on one of its machines.
    JobHost {
        /// The job.
        job: JobId,
        /// Its script.
        script: ScriptName,
        /// The machine.
        host: TargetName,
        /// In a word.
        outcome: &'static str,
        /// The exit code there.
        exit: Option<i32>,
        /// So long, in ms.
        duration_ms: Option<u64>,
        /// Why, or what else there is to say.
        why: Option<String>,
    },
    /// A post was one that a trigger waits for.
    Trigger {
        /// `trigger:NAME`.
        actor: String,
        /// The post, and who wrote it where, as attested.
        post: PostId,
        /// Its author: the account that made the webhook, where it is one's.
        user: UserId,
        /// Its channel.
        channel: ChannelId,
        /// Whether a webhook wrote it.
        is_webhook: bool,
        /// The command line that it makes.
        command: String,
        /// Why nothing was begun.
        error: Option<String>,
    },
    /// Something about a schedule.
    Schedule {
        /// Which.
        name: String,
        /// `begin`, `passed-over`, `pause`, `resume`.
        action: &'static str,
        /// Its command line.
        command: String,
        /// The time that is meant: when it was due, until when it is paused.
        due_ms: Option<u64>,
        /// Who; nobody for the clock.
        by: Option<UserId>,
        /// Their name.
        by_name: Option<String>,
        /// Why it was passed over.
        error: Option<String>,
    },
    /// Somebody has a job stopped, or wanted to.
    JobStop {
        /// The job.
        job: JobId,
        /// What it is.
        intent: Box<Intent>,
        /// Who; nobody for the host's operator.
        by: Option<UserId>,
        /// Their name, or what it was.
        by_name: String,
        /// By what: `command`, `reaction`, `host`.
        how: &'static str,
        /// Why it does not count.
        error: Option<String>,
    },
    /// A process of the service ended.
    ChildLost {
        /// Its role.
        role: Role,
        /// How.
        why: String,
    },
    /// Somebody's rights were changed.
    Person {
        /// Whose.
        user: UserId,
        /// Their name then.
        name: String,
        /// Level and flags before; nothing where they were not listed.
        before: Option<String>,
        /// And after.
        after: Option<String>,
        /// By whom; nobody for the host's operator and the configuration.
        by: Option<UserId>,
        /// Their name, or what it was.
        by_name: String,
    },
    /// A ban was given or ended.
    Ban {
        /// Whose.
        user: UserId,
        /// Their name then.
        name: String,
        /// Whether they are banned now.
        banned: bool,
        /// Until when, ms since 1970; for ever where there is nothing.
        until_ms: Option<u64>,
        /// Why.
        reason: Option<String>,
        /// By whom; nobody for the host's operator, the configuration, and for its time being over.
        by: Option<UserId>,
        /// Their name, or what it was.
        by_name: String,
    },
    /// An emergency stop begins or ends.
    Lockdown {
        /// Which of both.
        on: bool,
        /// Why it began.
        reason: String,
        /// Whether what runs is stopped.
        kill: bool,
        /// By whom; nobody for the host's operator.
        by: Option<UserId>,
        /// Their name, or what it was.
        by_name: String,
    },
    /// A pause begins or ends: what is asked for waits.
    Pause {
        /// Which of both.
        on: bool,
        /// Why it began; may be empty.
        reason: String,
        /// The host's operator.
        by_name: String,
    },
    /// The configuration was read again.
    Reload {
        /// What changed, one line each.
        differences: Vec<String>,
        /// Why nothing changed.
        error: Option<String>,
    },
    /// How far the log is, and how far the brain: signed, and shown to witnesses.
    Checkpoint {
        /// The lines before this one.
        count: u64,
        /// The hash of the last of them.
        head: String,
        /// The brain's epoch and root, where there is one.
        brain: Option<Checkpoint>,
    },
    /// The file was full or old: this is the first line of the next.
    Rotation {
        /// The name of the file before.
        previous_file: String,
    },
    /// Old lines are about to be removed.
    Prune {
        /// The last of them.
        through: u64,
        /// Its hash.
        head: String,
        /// Lines before this time, RFC 3339.
        before: String,
        /// Who asked for it.
        by: String,
    },
    /// Another key signs from the next line on.
    KeyRotation {
        /// It.
        new: String,
        /// What it signed to prove itself.
        proof: String,
        /// Who asked for it.
        by: String,
    },
    /// Something was done with the brain. Never with a value, or with a digest of one.
    Brain {
        /// What: `secret-set`, `token-rotated`, `rekey` …
        what: &'static str,
        /// Which record, where it was about one.
        name: Option<String>,
        /// Who: `uid 1000`, a user id, or `service`.
        by: String,
        /// Why it was not done.
        error: Option<String>,
    },
    /// The brain's newest state in the database, after the database has it: an older one is noticed by this.
    BrainCheckpoint(Checkpoint),
    /// Something that a person should look at.
    Alert {
        /// What.
        what: String,
    },
}

impl Record {
    /// The line's fields, in order, but those that seal it.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        match self {
            Record::Start { mode } => {
                put("event", json!("start"));
                put("mode", json!(mode));
                put("version", json!(env!("CARGO_PKG_VERSION")));
            }
            Record::Stop => put("event", json!("stop")),
            Record::Decision { post, user, channel, command, allowed, gates, cause } => {
                put("event", json!("decision"));
                put("postId", json!(post));
                put("userId", json!(user));
                put("channelId", json!(channel));
                put("command", json!(text::printable(command)));
                put("success", json!(allowed));
                let gates: Map<String, Value> = gates
                    .iter()
                    .map(|g| (g.name.to_owned(), json!(if g.passed { "pass" } else { "refuse" })))
                    .collect();
                put("gates", Value::Object(gates));
                put("error", json!(cause));
            }
            Record::JobStart { job, intent, arguments, sha256, ran } => {
                put("event", json!("job-start"));
                put_intent(&mut put, *job, intent);
                let arguments: Map<String, Value> =
                    arguments.iter().map(|(name, value)| (name.clone(), json!(text::printable(value)))).collect();
                put("arguments", Value::Object(arguments));
                put("scriptSha256", json!(sha256));
                ran.put(&mut put);
            }
            Record::Authorizing { kind, job, intent, authorizer, sha256 } => {
                put("event", json!(format!("{}-start", kind.as_str())));
                put_intent(&mut put, *job, intent);
                put(kind.as_str(), json!(authorizer));
                put("scriptSha256", json!(sha256));
            }
            Record::Authorized { kind, job, granted, why } => {
                put("event", json!(format!("{}-end", kind.as_str())));
                put("executionId", json!(job.0));
                put("success", json!(granted));
                put("error", json!(text::printable(why)));
            }
            Record::Approval { id, step, intent, digest, by, how, key, why } => {
                put("event", json!("approval"));
                put("approvalId", json!(id));
                put("action", json!(step));
                put("scriptName", json!(intent.script));
                put("userId", json!(intent.user));
                put("userName", json!(text::printable(&intent.user_name)));
                put("channelId", json!(intent.channel));
                put("postId", json!(intent.post));
                put("digest", json!(digest));
                put("by", json!(by.as_ref().map(|(user, _)| user)));
                put("byName", json!(by.as_ref().map(|(_, name)| text::printable(name))));
                put("how", json!(how));
                put("key", json!(key));
                put("error", json!(why.as_deref().map(text::printable)));
            }
            Record::PersonKey { user, name, step, key } => {
                put("event", json!("approval-key"));
                put("action", json!(step));
                put("userId", json!(user));
                put("userName", json!(text::printable(name)));
                put("key", json!(key));
            }
            Record::BreakGlass { intent, reason } => {
                put("event", json!("break-glass"));
                put("scriptName", json!(intent.script));
                put("userId", json!(intent.user));
                put("userName", json!(text::printable(&intent.user_name)));
                put("channelId", json!(intent.channel));
                put("postId", json!(intent.post));
                put("reason", json!(text::printable(reason)));
            }
            Record::Elevation { user, name, step, how, why } => {
                put("event", json!("elevation"));
                put("action", json!(step));
                put("userId", json!(user));
                put("userName", json!(text::printable(name)));
                put("how", json!(how));
                put("error", json!(why.as_deref().map(text::printable)));
            }
            Record::JobRunning { job, layers } => {
                put("event", json!("job-running"));
                put("executionId", json!(job.0));
                let layers: Map<String, Value> =
                    layers.iter().map(|layer| (name_of(&layer.layer), json!(state_of(layer.state)))).collect();
                put("layers", Value::Object(layers));
            }
            Record::JobFollowed { job, intent } => {
                put("event", json!("job-follow"));
                put_intent(&mut put, *job, intent);
            }
            Record::JobHost { job, script, host, outcome, exit, duration_ms, why } => {
                put("event", json!("job-host"));
                put("executionId", json!(job.0));
                put("scriptName", json!(script));
                put("host", json!(host));
                put("success", json!(matches!(*outcome, "ok" | "changed" | "skipped")));
                put("outcome", json!(outcome));
                put("exitCode", json!(exit));
                put("durationMs", json!(duration_ms));
                put("error", json!(why.as_deref().map(text::printable)));
            }
            Record::JobEnd { job, intent, ending, usage, hosts, error } => {
                put("event", json!("job-end"));
                put_intent(&mut put, *job, intent);
                if !hosts.is_empty() {
                    let counts: Map<String, Value> =
                        hosts.iter().map(|(outcome, count)| ((*outcome).to_owned(), json!(count))).collect();
                    put("hosts", Value::Object(counts));
                }
                put_end(&mut put, *ending, *usage, error.as_deref());
            }
            Record::Trigger { actor, post, user, channel, is_webhook, command, error } => {
                put("event", json!("trigger"));
                put("actor", json!(actor));
                put("postId", json!(post));
                put("authorId", json!(user));
                put("channelId", json!(channel));
                put("webhook", json!(is_webhook));
                put("command", json!(text::printable(command)));
                put("success", json!(error.is_none()));
                put("error", json!(error.as_deref().map(text::printable)));
            }
            Record::Schedule { name, action, command, due_ms, by, by_name, error } => {
                put("event", json!("schedule"));
                put("actor", json!(format!("schedule:{name}")));
                put("action", json!(action));
                put("command", json!(text::printable(command)));
                put("dueMs", json!(due_ms));
                put("by", json!(by));
                put("byName", json!(by_name.as_deref().map(text::printable)));
                put("success", json!(error.is_none()));
                put("error", json!(error.as_deref().map(text::printable)));
            }
            Record::JobStop { job, intent, by, by_name, how, error } => {
                put("event", json!("job-stop"));
                put_intent(&mut put, *job, intent);
                put_stop(&mut put, by.as_ref(), by_name, how, error.as_deref());
            }
            Record::ChildLost { role, why } => {
                put("event", json!("child-lost"));
                put("role", json!(role));
                put("error", json!(why));
            }
            Record::Person { user, name, before, after, by, by_name } => {
                put("event", json!("person-change"));
                put("userId", json!(user));
                put("userName", json!(text::printable(name)));
                put("before", json!(before));
                put("after", json!(after));
                put("changedBy", json!(by));
                put("changedByName", json!(text::printable(by_name)));
            }
            Record::Ban { user, name, banned, until_ms, reason, by, by_name } => {
                put("event", json!(if *banned { "ban" } else { "unban" }));
                put("userId", json!(user));
                put("userName", json!(text::printable(name)));
                put("untilMs", json!(until_ms));
                put("reason", json!(reason.as_deref().map(text::printable)));
                put("changedBy", json!(by));
                put("changedByName", json!(text::printable(by_name)));
            }
            Record::Lockdown { on, reason, kill, by, by_name } => {
                put("event", json!(if *on { "lockdown" } else { "lockdown-end" }));
                put("reason", json!(text::printable(reason)));
                put("stopsJobs", json!(kill));
                put("userId", json!(by));
                put("userName", json!(text::printable(by_name)));
            }
            Record::Pause { on, reason, by_name } => {
                put("event", json!(if *on { "pause" } else { "resume" }));
                put("reason", json!(text::printable(reason)));
                put("userName", json!(text::printable(by_name)));
            }
            Record::Reload { differences, error } => {
                put("event", json!("config-reload"));
                put("success", json!(error.is_none()));
                put("differences", json!(differences));
                put("error", json!(error));
            }
            Record::Checkpoint { count, head, brain } => {
                put("event", json!(bartizan_audit::CHECKPOINT));
                put("count", json!(count));
                put("headHash", json!(head));
                put("brainEpoch", json!(brain.as_ref().map(|brain| brain.epoch)));
                put("brainRoot", json!(brain.as_ref().map(|brain| hex(&brain.root))));
            }
            Record::Rotation { previous_file } => {
                put("event", json!(bartizan_audit::ROTATION));
                put("previousFile", json!(previous_file));
            }
            Record::Prune { through, head, before, by } => {
                put("event", json!(bartizan_audit::PRUNE));
                put("through", json!(through));
                put("headHash", json!(head));
                put("before", json!(before));
                put("userId", json!(by));
            }
            Record::KeyRotation { new, proof, by } => {
                put("event", json!(bartizan_audit::KEY_ROTATION));
                put("newPublicKey", json!(new));
                put("newSignature", json!(proof));
                put("userId", json!(by));
            }
            Record::Brain { what, name, by, error } => {
                put("event", json!("brain"));
                put("action", json!(what));
                put("name", json!(name));
                put("by", json!(by));
                put("success", json!(error.is_none()));
                put("error", json!(error.as_deref().map(text::printable)));
            }
            Record::BrainCheckpoint(Checkpoint { epoch, root }) => {
                put("event", json!(super::last::BRAIN));
                put("brainEpoch", json!(epoch));
                put("brainRoot", json!(hex(root)));
            }
            Record::Alert { what } => {
                put("event", json!("alert"));
                put("error", json!(text::printable(what)));
            }
        }
        map
    }
}
