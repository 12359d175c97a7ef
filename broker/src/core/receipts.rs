//! Receipts: begun in the turn that starts a job, signed in the turn that ends it, shown to those who may see the job.
//!
//! What is secret or may be is in a receipt as a digest or a keyed hash only: docs/receipts.md has every field.

use super::{Core, CoreError};
use crate::approvals::Voter;
use crate::audit::{Ran, hex};
use crate::command::Builtin;
use crate::command::jobs::{is_here, may_see, number};
use crate::command::parse::Command;
use crate::gate::Refusal;
use crate::job::Job;
use crate::job::pipeline::asked_by;
use crate::policy::{Place, Requester};
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_audit::{PersonSignature, sha512};
use bartizan_proto::connector::{Attachment, Body, Report};
use bartizan_proto::control::{self, Answer};
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::{Ending, Profile, Usage};
use bartizan_proto::{Bytes, Text, text};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

/// What is known of a job that is about to start.
#[derive(Debug)]
pub(crate) struct Started<'a> {
    pub(crate) intent: &'a Intent,
    pub(crate) arguments: &'a [(String, String)],
    pub(crate) profile: &'a Profile,
    pub(crate) sha256: &'a str,
    pub(crate) elevator: Option<&'a str>,
    pub(crate) ran: &'a Ran,
}

impl Core {
    /// A job is about to start. Arguments are as the audit log has them: sensitive ones as keyed hashes.
    pub(crate) fn begin_receipt(&mut self, job: JobId, started: &Started<'_>) -> Result<(), CoreError> {
        let Started { intent, arguments, profile, sha256, elevator, ran } = started;
        let approved = self.store.approved(intent.post)?;
        let elevated = self.store.elevated(asked_by(&self.jobs.pipelines, intent))?;
        let glass = self.store.broken_glass(intent.post)?;
        let arguments = json!(arguments).to_string();
        let approval = approved.map(|approved| {
            let voters: Vec<Json> = approved.voters.iter().map(|voter| approver(voter, &approved.statement)).collect();
            json!({ "id": approved.id.to_string(), "digest": approved.digest, "by": voters })
        });
        let elevation = elevated.map(|elevated| if elevated.alone { "always" } else { "window" });
        let schedule = match &intent.actor {
            // The requester's name is the trigger's.
            Actor::Person | Actor::Trigger(_) => None,
            Actor::Schedule(name) => Some(name.as_str()),
        };
        let draft = json!({
            "job": job.0,
            "script": intent.script,
            "scriptSha256": sha256,
            "argumentsSha256": sha256_of(arguments.as_bytes()),
            "profileSha256": sha256_of(json!(profile).to_string().as_bytes()),
            "requester": person(intent.user.as_str(), &intent.user_name),
            "requestPost": intent.post,
            "channel": intent.channel,
            "schedule": schedule,
            "pipeline": intent.part_of.map(|whole| whole.0),
            "elevation": elevation,
            "elevator": elevator,
            "ran": ran.json(),
            "approval": approval,
            "breakGlass": glass.map(|(_, reason)| text::printable(&reason)),
            "started": now(),
        });
        Ok(self.store.begin_receipt(job, intent, &draft.to_string())?)
    }

    /// It has ended, however it did.
    pub(crate) fn end_receipt(
        &mut self,
        job: JobId,
        entry: Option<&Job>,
        (ending, usage, error): (Option<Ending>, Usage, Option<&str>),
    ) -> Result<(), CoreError> {
        let Some(draft) = self.store.receipt_draft(job)? else { return Ok(()) };
        let mut fields: Map<String, Json> = serde_json::from_str(&draft).unwrap_or_default();
        let shown = entry.map(|entry| entry.shown(entry.output.is_cut(usage.output)));
        let layers: Map<String, Json> = entry
            .iter()
            .flat_map(|entry| &entry.layers)
            .map(|layer| (json!(layer.layer).as_str().unwrap_or_default().to_owned(), json!(layer.state)))
            .collect();
        let code = match ending {
            Some(Ending::Ended(ExitStatus::Code(code))) => Some(code),
            Some(Ending::Ended(ExitStatus::Signal(_)) | Ending::TimedOut | Ending::Stopped) | None => None,
        };
        for (name, value) in [
            ("ended", json!(now())),
            ("layers", Json::Object(layers)),
            ("ending", json!(ending)),
            ("exitCode", json!(code)),
            ("durationMs", json!(usage.elapsed_us / 1000)),
            ("outputBytes", json!(usage.output)),
            ("shownOutputSha256", json!(shown.map(|shown| sha256_of(shown.as_bytes())))),
            ("error", json!(error.map(text::printable))),
        ] {
            fields.insert(name.to_owned(), value);
        }
        if let Some(hosts) = entry.map(|entry| entry.api.hosts.named()).filter(|hosts| !hosts.is_empty()) {
            let shown = |(outcome, count, names): (&str, usize, Vec<&str>)| json!({ "outcome": outcome, "count": count, "names": names });
            fields.insert("hosts".to_owned(), hosts.into_iter().map(shown).collect());
        }
        let receipt = self.audit.seal_receipt(fields);
        Ok(self.store.end_receipt(job, &receipt)?)
    }

    /// `receipt NUMBER`: for those who may see the job, where it may be shown.
    pub(super) fn receipt_command(
        &mut self,
        report: &Report,
        command: &Command,
        requester: &Requester,
        place: &Place,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let id = match number(&command.words) {
            Ok(id) => id,
            Err(error) => return self.refuse_usage(report, Builtin::Receipt, error, Vec::new()),
        };
        let found = self.store.receipt(id)?.filter(|(asked, _)| may_see(asked, requester, place, policy));
        let Some((asked, receipt)) = found else {
            let cause = format!("there is no receipt of job {id}, or not for {}", requester.user);
            return self.refuse(report, Refusal::Said(words::no_receipt(id)), &cause, Vec::new());
        };
        if !is_here(&asked, place) {
            let cause = format!("job {id} was asked in another place");
            return self.refuse(report, Refusal::JobElsewhere(id), &cause, Vec::new());
        }
        self.record_decision(report, &report.text, None, Vec::new());
        self.store.decided(report.post)?;
        let body = Body::Markup(Text::cut(words::receipt(asked.script.as_str(), id)));
        let attachment = Bytes::new(format!("{receipt}\n").into_bytes())
            .ok()
            .map(|content| Attachment { name: Text::cut(format!("receipt-{id}.json")), content });
        self.reply_with(report.channel, report.post, report.root.unwrap_or(report.post), "answer", body, attachment)
    }

    /// One for the host.
    pub(super) fn receipt_for_host(&self, job: JobId) -> Result<Answer, CoreError> {
        Ok(match self.store.receipt(job)? {
            Some((_, receipt)) => Answer::Receipt(Box::new(Text::cut(receipt))),
            None => Answer::Refused {
                refusal: control::Refusal::NotFound,
                why: Text::cut(format!("there is no receipt of job {job}: it has not ended, or was never started")),
            },
        })
    }
}

fn person(user: &str, name: &str) -> Json {
    json!({ "id": user, "name": text::printable(name) })
}

/// Somebody who agreed, with what they signed outside of chat: the signature, its key, and the hash of what it is of, which is all
/// that is needed to verify it.
fn approver(voter: &Voter, statement: &str) -> Json {
    let mut json = person(voter.user.as_str(), &voter.name);
    let signature = voter.signature.as_deref().and_then(|signature| PersonSignature::read(signature).ok());
    if let Some((signature, of)) = signature.and_then(|signature| Some((signature.clone(), signature.of(statement)?))) {
        json["key"] = json!(signature.key().as_str());
        json["signature"] = json!(signature.as_str());
        json["signedSha512"] = json!(sha512(&of));
    }
    json
}

fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
