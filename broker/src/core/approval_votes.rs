//! A yes or a no to a request, and its end: reactions that egress attests, and the clock.
//!
//! The connector only says that there was a reaction; whose and which is egress's word. Should it say nothing, the posts that
//! wait are looked at every few seconds.

use super::approvals::{request_key, voter};
use super::{Core, CoreError, timers::Timer};
use crate::approvals::{ApprovalId, End, Pending, Voted, Voter};
use crate::audit::Record;
use crate::command::{parse, without_run};
use crate::config::Approval;
use crate::gate::{self, Cause, Refusal, Verdict, approval, attest, file};
use crate::policy::{Place, Requester};
use crate::store::jobs::Intent;
use crate::words;
use bartizan_audit::PersonSignature;
use bartizan_proto::List;
use bartizan_proto::egress::{AttestedReaction, Outcome, QuestionId, Subject, Target};
use bartizan_proto::ids::{PostId, UserId};
use std::time::Duration;

/// How often posts that wait are looked at, and how much longer for each of them.
const LOOK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(100));

impl Core {
    /// One says yes or no. What to tell them, or why it does not count.
    pub(super) fn cast(
        &mut self,
        id: ApprovalId,
        voter: Voter,
        yes: bool,
        how: &'static str,
        reason: &str,
    ) -> Result<Result<String, String>, CoreError> {
        let Some(policy) = &self.policy else { return Ok(Err("I am still starting".to_owned())) };
        // A no counts also then.
        if let (true, Verdict::Refuse(Refusal::LockedDown { by, reason }, _)) = (yes, gate::lockdown::check(policy)) {
            return Ok(Err(format!("nothing is approved while it is locked down by {by}: {reason}")));
        }
        let before = self.approvals.requests.get(id).cloned();
        let script = before.as_ref().and_then(|pending| policy.config.allowlist.get(&pending.intent.script));
        let wanted: Option<Approval> = script.and_then(|script| script.approval.clone());
        let voted = self.approvals.requests.vote(&mut self.store, policy, (id, wanted.as_ref()), &voter, yes)?;
        let by = Some((voter.user, voter.name.to_string()));
        let name = Some(voter.name.as_str());
        let key = voter.signature.as_deref().and_then(key_of);
        Ok(match voted {
            Voted::Counted { agreeing, needed } => {
                let Some(pending) = self.approvals.requests.get(id).cloned() else { return Ok(Ok(String::new())) };
                self.record_vote(&pending, "vote", by, (how, key), None);
                Ok(words::approvals::counted(&pending, agreeing, needed))
            }
            Voted::Again => Ok(words::approvals::again(id)),
            Voted::Approved(pending) => {
                self.record_vote(&pending, "vote", by.clone(), (how, key), None);
                self.record_step(&pending, End::Approved.as_str(), by, how, None);
                self.close_posts(&pending, End::Approved, name, "")?;
                let text = words::approvals::ended(&pending, End::Approved, name, "");
                self.queue_job(pending.intent)?;
                Ok(text)
            }
            Voted::Denied(pending) => Ok(self.tell_end(&pending, End::Denied, by, how, reason)?),
            Voted::Withdrawn(pending) => Ok(self.tell_end(&pending, End::Withdrawn, by, how, reason)?),
            Voted::Expired(pending) => {
                self.tell_end(&pending, End::Expired, None, "", "")?;
                Err(format!("{id} has expired"))
            }
            Voted::Refused(why) => {
                if let Some(pending) =
                    before.filter(|_| how != "reaction" || self.approvals.ignored.insert((id, voter.user)))
                {
                    self.record_vote(&pending, "vote-refused", by, (how, key), Some(why.clone()));
                    if how == "reaction" && why == words::approvals::only_signed(id) {
                        self.tell_how(&pending, &voter)?;
                    }
                }
                Err(why)
            }
        })
    }

    /// A request ended without its script being run: recorded, and told in its thread.
    fn tell_end(
        &mut self,
        pending: &Pending,
        end: End,
        by: Option<(UserId, String)>,
        how: &'static str,
        reason: &str,
    ) -> Result<String, CoreError> {
        let name = by.as_ref().map(|(_, name)| name.clone());
        let why = (!reason.is_empty()).then(|| reason.to_owned());
        self.record_step(pending, end.as_str(), by, how, why);
        let text = words::approvals::ended(pending, end, name.as_deref(), reason);
        let Intent { channel, post, root, .. } = pending.intent;
        self.reply(channel, post, root, "result", text.clone())?;
        self.react(post, words::REFUSED)?;
        self.close_posts(pending, end, name.as_deref(), reason)?;
        Ok(text)
    }

    /// The request's posts tell from now on how it ended, and those who were asked by direct message are told.
    fn close_posts(&mut self, pending: &Pending, end: End, by: Option<&str>, reason: &str) -> Result<(), CoreError> {
        let text = words::approvals::ended(pending, end, by, reason);
        let closing = words::approvals::closed(pending, end, &text, &self.store.story(pending.id)?);
        self.store.put_closing(pending.id, &closing)?;
        for (post, rest) in self.store.protected_family(&request_key(pending))? {
            let user = rest.parse::<UserId>().ok();
            if user.is_some() || rest.is_empty() {
                self.edit_protected(post, &closing)?;
            }
            if let Some(user) = user {
                let key = format!("{}-{user}-end", request_key(pending));
                self.write_protected(Target::Direct(user), Some(post), &key, &text)?;
            }
        }
        Ok(())
    }

    /// A post of the core's own is on the server: it may be that of a request which has ended meanwhile.
    pub(super) fn request_posted(&mut self, post: PostId) -> Result<(), CoreError> {
        let key = self.store.protected_key(post)?.unwrap_or_default();
        let parts: Vec<&str> = key.split('-').collect();
        let ("approval", Some(Ok(asked)), 3 | 4) =
            (parts[0], parts.get(2).map(|part| part.parse::<PostId>()), parts.len())
        else {
            return Ok(());
        };
        match self.store.closing(asked)? {
            Some(closing) => self.edit_protected(post, &closing),
            None => Ok(()),
        }
    }

    /// Somebody who may approve reacted where only signatures count.
    fn tell_how(&mut self, pending: &Pending, voter: &Voter) -> Result<(), CoreError> {
        let text = words::denied(&words::approvals::only_signed(pending.id));
        let Intent { channel, post, root, direct, .. } = pending.intent;
        if !direct {
            return self.reply(channel, post, root, &format!("how-{}", voter.user), text);
        }
        let key = format!("{}-{}-how", request_key(pending), voter.user);
        self.write_protected(Target::Direct(voter.user), None, &key, &text)
    }

    pub(super) fn record_step(
        &mut self,
        pending: &Pending,
        step: &'static str,
        by: Option<(UserId, String)>,
        how: &'static str,
        why: Option<String>,
    ) {
        self.record_vote(pending, step, by, (how, None), why);
    }

    /// `key` is the fingerprint of the key that a vote was signed with.
    fn record_vote(
        &mut self,
        pending: &Pending,
        step: &'static str,
        by: Option<(UserId, String)>,
        (how, key): (&'static str, Option<String>),
        why: Option<String>,
    ) {
        let (intent, digest) = (Box::new(pending.intent.clone()), pending.digest.clone());
        tracing::info!(id = %pending.id, step, ?by, how, ?why, "approval");
        self.record_first(&Record::Approval { id: pending.id.to_string(), step, intent, digest, by, how, key, why });
    }

    /// The connector says that somebody reacted to a post.
    pub(crate) fn on_reacted(&mut self, post: PostId) -> Result<(), CoreError> {
        if self.approvals.requests.is_empty() || self.stopping.is_some() {
            return Ok(());
        }
        let Some(key) = self.store.protected_key(post)? else { return Ok(()) };
        let id = key.strip_prefix("approval-").and_then(|rest| rest.split('-').next()).and_then(|id| id.parse().ok());
        let pending = id.and_then(|id| self.approvals.requests.get(id));
        match pending.filter(|pending| key.starts_with(&request_key(pending))) {
            Some(pending) => self.look_at(pending.id, post),
            None => Ok(()),
        }
    }

    /// Asks egress who reacted.
    fn look_at(&mut self, id: ApprovalId, post: PostId) -> Result<(), CoreError> {
        if !self.supervisor.egress_ready() {
            return Ok(());
        }
        if self.approvals.asked.values().any(|(_, asked)| *asked == post) {
            self.approvals.again.insert(post);
            return Ok(());
        }
        let emoji = [words::approvals::APPROVE].into_iter().chain(words::approvals::DENY);
        let emoji = List::cut(emoji.filter_map(|emoji| emoji.parse().ok()));
        let question = self.ask_egress(Subject::Reactions { post, emoji })?;
        self.approvals.asked.insert(question, (id, post));
        Ok(())
    }

    /// An answer about reactions. `false` when the question is not one of these.
    pub(crate) fn on_votes(&mut self, question: QuestionId, outcome: &Outcome) -> Result<bool, CoreError> {
        let Some((id, post)) = self.approvals.asked.remove(&question) else { return Ok(false) };
        let again = self.approvals.again.remove(&post);
        match outcome {
            Outcome::Reactions(attested) if attested.post == post => {
                self.set_clock(attested.server_ms)?;
                if attested.more {
                    tracing::warn!(%id, "more reactions than can be attested: only commands count");
                } else {
                    self.count(id, &attested.reactions)?;
                }
            }
            no_answer => tracing::warn!(%id, ?no_answer, "the reactions to a request are not known now"),
        }
        if again && self.approvals.requests.get(id).is_some() {
            self.look_at(id, post)?;
        }
        Ok(true)
    }

    /// Takes reactions in, the oldest first: the one that decides is the last that counts.
    fn count(&mut self, id: ApprovalId, reactions: &[AttestedReaction]) -> Result<(), CoreError> {
        for reaction in reactions {
            let yes = reaction.emoji.as_str() == words::approvals::APPROVE;
            if !yes && !words::approvals::DENY.contains(&reaction.emoji.as_str()) {
                continue;
            }
            let Some(policy) = &self.policy else { return Ok(()) };
            let Verdict::Pass(requester) = attest::person(&reaction.user, policy) else { continue };
            let Some(pending) = self.approvals.requests.get(id) else { return Ok(()) };
            if yes && pending.voters.iter().any(|voter| voter.user == requester.user) {
                continue;
            }
            if let Err(why) = self.cast(id, voter(&requester), yes, "reaction", "")? {
                tracing::debug!(%id, user = %requester.user, why, "a reaction that does not count");
            }
        }
        Ok(())
    }

    /// Ends what is overdue, and looks at what waits.
    pub(crate) fn look_at_approvals(&mut self) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        for id in self.approvals.requests.overdue(policy.now_ms()) {
            if let Some(pending) = self.approvals.requests.end(&mut self.store, id, End::Expired)? {
                self.tell_end(&pending, End::Expired, None, "", "")?;
            }
        }
        let waiting = self.approvals.requests.iter().map(|pending| (pending.id, request_key(pending)));
        let waiting: Vec<(ApprovalId, String)> = waiting.collect();
        for (id, key) in waiting {
            for (post, _) in self.store.protected_family(&key)? {
                self.look_at(id, post)?;
            }
        }
        self.plan_approvals();
        Ok(())
    }

    pub(super) fn plan_approvals(&mut self) {
        self.timers.cancel(&Timer::Approvals);
        let count = u32::try_from(self.approvals.requests.iter().count()).unwrap_or(u32::MAX);
        if count > 0 {
            self.timers.after(LOOK.0 + LOOK.1.saturating_mul(count), Timer::Approvals);
        }
    }

    /// There is a new policy: what would not run any more as it was asked for is void. After a restart the others are told
    /// that they still wait.
    pub(crate) fn settle_approvals(&mut self) -> Result<(), CoreError> {
        // What waits goes on waiting until that is over.
        if self.lockdown.is_some() {
            return self.look_at_approvals();
        }
        let restored = std::mem::take(&mut self.approvals.restored);
        let all: Vec<Pending> = self.approvals.requests.iter().cloned().collect();
        for pending in all {
            match self.would_run(&pending) {
                Ok(()) if restored => {
                    let Intent { channel, post, root, .. } = pending.intent;
                    let kind = format!("restart-{}", crate::store::now_ms());
                    self.reply(channel, post, root, &kind, words::approvals::still_waiting(&pending))?;
                }
                Ok(()) => {}
                Err(Cause(cause)) => {
                    tracing::warn!(id = %pending.id, cause, "void");
                    if let Some(pending) = self.approvals.requests.end(&mut self.store, pending.id, End::Voided)? {
                        let why = "what was asked for is not what would run now";
                        self.tell_end(&pending, End::Voided, None, "", why)?;
                    }
                }
            }
        }
        self.look_at_approvals()
    }

    /// Whether a request's command would run now, and as what was asked for.
    fn would_run(&self, pending: &Pending) -> Result<(), Cause> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let intent = &pending.intent;
        let command = parse::command(&intent.command).ok().flatten().map(without_run);
        let command = command.ok_or_else(|| Cause("the stored command".to_owned()))?;
        let requester = Requester { user: intent.user, name: intent.user_name.clone(), restricted: intent.restricted };
        let place = Place {
            channel: intent.channel,
            name: intent.channel_name.clone(),
            direct: intent.direct,
            private: intent.private,
        };
        let decision = gate::decide(&command, &requester, &place, policy);
        let (script, values) = decision.outcome.map_err(|(_, cause)| cause)?;
        let sha256 = match file::check(script, &self.opener) {
            Verdict::Pass(file) => file.sha256,
            Verdict::Refuse(_, cause) => return Err(cause),
        };
        if script.approval.as_ref().is_some_and(|approval| approval.signed) && pending.statement.is_empty() {
            return Err(Cause("signatures are asked for now, and there was nothing to sign".to_owned()));
        }
        let now = approval::digest(intent.post, intent.user, script, &values, &sha256);
        if now == pending.digest { Ok(()) } else { Err(Cause(format!("asked as {}, and now {now}", pending.digest))) }
    }
}

/// The fingerprint of the key that a signature says it was made with.
fn key_of(signature: &str) -> Option<String> {
    PersonSignature::read(signature).ok().map(|signature| signature.key().fingerprint())
}
