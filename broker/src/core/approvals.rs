//! Commands that others must agree to: the request is a post of the core's own, and a yes or a no is an attested reaction to
//! it, or an attested command.
//!
//! Everything is decided in [`crate::approvals`], within the turn that writes it down; `approval_votes.rs` brings it there.

use super::{Core, CoreError};
use crate::approvals::{ApprovalId, Approvals, Pending, Voter};
use crate::argument::Value;
use crate::audit::Gate;
use crate::command::{Builtin, parse::Command};
use crate::config::{Approval, Script};
use crate::gate::{Refusal, Verdict, approval, file};
use crate::policy::{Policy, Requester};
use crate::store::jobs::Intent;
use crate::store::{Store, StoreError};
use crate::words;
use bartizan_audit::PersonSignature;
use bartizan_proto::connector::Report;
use bartizan_proto::egress::{QuestionId, Target};
use bartizan_proto::ids::{PostId, ScriptName, UserId};
use bartizan_proto::text::shown;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Longest request, in characters: what an approver is not shown whole is not asked for.
const LONGEST: usize = 12_000;

/// Most people who are asked by direct message.
const MOST_ASKED: usize = 16;

/// Longest reason for a no, in bytes.
const MAX_REASON: usize = 500;

/// What waits, and what egress is asked about it.
#[derive(Debug, Default)]
pub struct Waiting {
    pub(super) requests: Approvals,
    pub(super) asked: HashMap<QuestionId, (ApprovalId, PostId)>,
    /// Posts that were reacted to while egress was asked about them.
    pub(super) again: HashSet<PostId>,
    /// Reactions that do not count and were recorded once.
    pub(super) ignored: HashSet<(ApprovalId, UserId)>,
    /// Whether those that the last run left are still to be told about.
    pub(super) restored: bool,
    host: String,
}

impl Waiting {
    /// What the last run left. Called before the core gives up looking around.
    pub(super) fn restored(store: &Store) -> Result<Self, StoreError> {
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy().into_owned();
        Ok(Self { requests: Approvals::restore(store)?, restored: true, host, ..Self::default() })
    }

    /// Egress is gone: it is asked again when it is time.
    pub(crate) fn egress_lost(&mut self) {
        self.asked.clear();
        self.again.clear();
    }
}

impl Core {
    /// Whether others must agree to this.
    pub(super) fn is_approval_wanted(&self, script: &ScriptName, values: &[Value]) -> bool {
        self.config_of(script).is_some_and(|script| approval::wanted(script, values).is_some())
    }

    fn config_of(&self, script: &ScriptName) -> Option<&Script> {
        self.policy.as_ref().and_then(|policy| policy.config.allowlist.get(script))
    }

    /// Asks those who may approve: one post that nobody but the core can have written.
    pub(super) fn ask_approval(
        &mut self,
        report: &Report,
        intent: Intent,
        values: &[Value],
        mut gates: Vec<Gate>,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let Some(script) = policy.config.allowlist.get(&intent.script).cloned() else { return Ok(()) };
        let Some(approval) = approval::wanted(&script, values) else { return Ok(()) };
        gates.push(Gate { name: "approval", passed: false });
        if !self.approvals.requests.has_room(intent.user) {
            return self.refuse(report, Refusal::Busy, "too many requests wait for approval", gates);
        }
        let sha256 = match file::check(&script, &self.opener) {
            Verdict::Pass(file) => file.sha256,
            Verdict::Refuse(refusal, cause) => return self.refuse(report, refusal, &cause.0, gates),
        };
        let digest = approval::digest(intent.post, intent.user, &script, values, &sha256);
        let (now, wait) = (policy.now_ms(), policy.config.approvals.expires_after);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = now.saturating_add(wait_ms);
        let targets = targets(&intent, approval, policy);
        if targets.is_empty() {
            let why = "there is nobody who could approve this".to_owned();
            return self.refuse(report, Refusal::Denied(why.clone()), &why, gates);
        }
        let values: Vec<Value> = values
            .iter()
            .map(|value| match value.sensitive {
                true => Value { text: self.audit.keyed_hash(&value.text), ..value.clone() },
                false => value.clone(),
            })
            .collect();
        // How it looks does not depend on its number: it is measured before anything is written.
        let id = ApprovalId(u64::MAX);
        let mut draft = Pending {
            id,
            intent,
            digest,
            statement: String::new(),
            expires_ms,
            host_expires_ms: expires_ms,
            voters: Vec::new(),
        };
        let shown = words::approvals::Shown {
            script: &script,
            approval,
            values: &values,
            sha256: &sha256,
            host: &self.approvals.host,
            wait,
            prefix: &self.config.bot.prefix,
        };
        if approval.signed {
            draft.statement = words::approvals::statement(&draft, &shown);
        }
        if words::approvals::request(&draft, &shown).chars().count() > LONGEST {
            let why = "its arguments are too long to be shown to those who would approve it".to_owned();
            return self.refuse(report, Refusal::Denied(why.clone()), &why, gates);
        }
        let Pending { intent, digest, .. } = draft;
        let asked = self.approvals.requests.ask(&mut self.store, intent, digest, (now, wait_ms))?;
        let Some(mut pending) = asked.cloned() else { return Ok(self.store.decided(report.post)?) };
        let shown = words::approvals::Shown { host: &self.approvals.host, prefix: &self.config.bot.prefix, ..shown };
        if approval.signed {
            pending.statement = words::approvals::statement(&pending, &shown);
            self.approvals.requests.state(&mut self.store, pending.id, &pending.statement)?;
        }
        let text = words::approvals::request(&pending, &shown);
        self.store.put_story(pending.id, &words::approvals::story(&pending, &shown))?;
        self.record_decision(report, &pending.intent.command, None, gates);
        self.record_step(&pending, "requested", None, "", None);
        self.store.decided(report.post)?;
        for (target, root) in targets {
            let key = match target {
                Target::Channel(_) => request_key(&pending),
                Target::Direct(user) => format!("{}-{user}", request_key(&pending)),
            };
            self.write_protected(target, root, &key, &text)?;
        }
        if pending.intent.direct {
            let text = words::prefixed(&self.config.bot.prefix, &words::approvals::asked(&pending));
            let Intent { channel, post, root, .. } = pending.intent;
            self.reply(channel, post, root, "asked", text)?;
        }
        self.plan_approvals();
        Ok(())
    }

    /// `approve`, `deny`, `withdraw`.
    pub(super) fn approval_command(
        &mut self,
        report: &Report,
        builtin: Builtin,
        command: &Command,
        requester: &Requester,
    ) -> Result<(), CoreError> {
        let read = read(builtin, command);
        let (id, reason) = match read {
            Ok(read) => read,
            Err(error) => return self.refuse_usage(report, builtin, error, Vec::new()),
        };
        let asked = self.approvals.requests.get(id).map(|pending| (pending.intent.user, pending.intent.root));
        let (asker, thread) = asked.unzip();
        if builtin == Builtin::Withdraw && asker.is_some_and(|asker| asker != requester.user) {
            let why = "only the one who asked can withdraw it".to_owned();
            return self.refuse(report, Refusal::Denied(why.clone()), &why, Vec::new());
        }
        let signed = builtin == Builtin::Approve && !reason.is_empty();
        let (how, yes) = (if signed { "signature" } else { "command" }, builtin == Builtin::Approve);
        let voter = Voter { signature: signed.then(|| reason.clone()), ..voter(requester) };
        match self.cast(id, voter, yes, how, if signed { "" } else { &reason })? {
            // It is told in the request's thread, which is here.
            Ok(_) if thread.is_some() && thread == report.root && self.approvals.requests.get(id).is_none() => {
                let gates = vec![Gate { name: "approval", passed: true }];
                self.record_decision(report, &report.text, None, gates);
                self.store.decided(report.post)?;
                self.react(report.post, words::SUCCEEDED)
            }
            Ok(text) => self.answer(report, vec![Gate { name: "approval", passed: true }], text),
            Err(why) => {
                let gates = vec![Gate { name: "approval", passed: false }];
                self.refuse(report, Refusal::Denied(why.clone()), &format!("{id}: {why}"), gates)
            }
        }
    }

    /// What this person asked for, and what they may approve.
    pub(super) fn list_approvals(&self, requester: &Requester) -> String {
        let Some(policy) = &self.policy else { return String::new() };
        let voter = voter(requester);
        let theirs = |pending: &&Pending| {
            let approval =
                policy.config.allowlist.get(&pending.intent.script).and_then(|script| script.approval.as_ref());
            let asker = pending.intent.user;
            asker == requester.user
                || approval.is_some_and(|approval| approval::may(approval, &voter, asker, policy).is_ok())
        };
        words::approvals::list(&self.approvals.requests.iter().filter(theirs).collect::<Vec<_>>())
    }
}

/// What a request's posts are written under. The post that asked is in it: numbers begin anew with a new database, and who
/// agreed to a request of the old one has not agreed to this.
pub(super) fn request_key(pending: &Pending) -> String {
    format!("approval-{}-{}", pending.id, pending.intent.post)
}

pub(super) fn voter(requester: &Requester) -> Voter {
    let Requester { user, name, restricted } = requester.clone();
    Voter { user, name, restricted, signature: None }
}

/// Where a request is posted: in the command's thread; of a direct message in the channel for that, or else to each of those
/// who may approve.
fn targets(intent: &Intent, approval: &Approval, policy: &Policy) -> Vec<(Target, Option<PostId>)> {
    if !intent.direct {
        return vec![(Target::Channel(intent.channel), Some(intent.root))];
    }
    let named = policy.config.approvals.channel.as_ref();
    if let Some(channel) = named.and_then(|name| policy.channels.get(name).copied().or_else(|| name.parse().ok())) {
        return vec![(Target::Channel(channel), None)];
    }
    let members = approval.groups.iter().filter_map(|group| policy.groups.get(group)).flatten().copied();
    let people: BTreeSet<UserId> = policy.people.listed().chain(members).collect();
    let may = |user: &UserId| {
        let voter = Voter { user: *user, name: bartizan_proto::Text::default(), restricted: false, signature: None };
        approval::may(approval, &voter, intent.user, policy).is_ok()
    };
    people.into_iter().filter(may).take(MOST_ASKED).map(|user| (Target::Direct(user), None)).collect()
}

/// The number, and a reason or a signature where one may be given.
fn read(builtin: Builtin, command: &Command) -> Result<(ApprovalId, String), String> {
    let (number, reason) = command.words.split_first().ok_or("the number of a request is missing")?;
    let id = number.text.parse()?;
    let reason = reason.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if builtin == Builtin::Approve && !reason.is_empty() {
        let signature = PersonSignature::read(&reason).map_err(|error| error.to_string())?;
        return Ok((id, signature.as_str().to_owned()));
    }
    if builtin == Builtin::Withdraw && !reason.is_empty() {
        return Err("only a number is wanted".to_owned());
    }
    if reason.len() > MAX_REASON {
        return Err(format!("the reason is longer than {MAX_REASON} bytes"));
    }
    if let Some(hidden) = reason.chars().find(|c| bartizan_proto::text::is_hidden(*c)) {
        return Err(format!("the reason has the invisible character {}", shown(hidden)));
    }
    Ok((id, reason))
}
