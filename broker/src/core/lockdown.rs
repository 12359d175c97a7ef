//! The emergency stop: begun by an admin in chat or by the host, lifted by the host alone.
//!
//! It is in force, durable and on record before anybody is told of it. What waits is refused at once; what runs goes on
//! unless it is to be stopped.

use super::answers::KILL_GRACE;
use super::obey::not_for;
use super::{Core, CoreError};
use crate::audit::{Gate, Record};
use crate::command::parse::Command;
use crate::command::{Builtin, lockdown};
use crate::gate::Verdict;
use crate::gate::lockdown::{Lockdown, check};
use crate::policy::Requester;
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::Report;
use bartizan_proto::control::{self, Answer, JobState, LockdownState};
use bartizan_proto::ids::{JobId, UserId};

impl Core {
    /// `lockdown "REASON" [--kill]`, of an admin.
    pub(super) fn lockdown_command(
        &mut self,
        report: &Report,
        command: &Command,
        requester: &Requester,
    ) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        if let Some((refusal, cause, gates)) = not_for(Builtin::Lockdown, requester, policy) {
            return self.refuse(report, refusal, &cause, gates);
        }
        let gates = |passed| vec![Gate { name: "permission", passed: true }, Gate { name: "arguments", passed }];
        match lockdown::read(&command.words) {
            Ok((reason, kill)) => {
                let (by, by_name) = (Some(requester.user), requester.name.to_string());
                let text = self.lock_down(reason, kill, by, by_name)?;
                self.answer(report, gates(true), text)
            }
            Err(error) => self.refuse_usage(report, Builtin::Lockdown, error, gates(false)),
        }
    }

    /// The same from the host.
    pub(super) fn lockdown_for_host(&mut self, reason: &str, kill: bool, by: &str) -> Result<Answer, CoreError> {
        match lockdown::reason_of(reason) {
            Ok(reason) => {
                self.lock_down(reason, kill, None, format!("the host ({by})"))?;
                Ok(self.lockdown_answer())
            }
            Err(why) => Ok(Answer::Refused { refusal: control::Refusal::Usage, why: Text::cut(why) }),
        }
    }

    /// Lifts it: for the host alone.
    pub(super) fn end_lockdown(&mut self, by: &str) -> Result<Answer, CoreError> {
        if let Some(Lockdown { reason, .. }) = self.lockdown.take() {
            let by_name = format!("the host ({by})");
            self.store.put_lockdown(None)?;
            self.lockdown_changed();
            tracing::warn!(by, "the lockdown is lifted");
            self.announce(words::lockdown::lifted(&by_name), "the lockdown is lifted")?;
            self.record_first(&Record::Lockdown { on: false, reason, kill: false, by: None, by_name });
            // What waited for approval meanwhile is looked at again.
            if self.policy.is_some() {
                self.settle_approvals()?;
            }
        }
        Ok(self.lockdown_answer())
    }

    /// Puts it in force. One that holds already stays as it is; what runs is stopped all the same where that is wanted.
    fn lock_down(
        &mut self,
        reason: String,
        kill: bool,
        by: Option<UserId>,
        by_name: String,
    ) -> Result<String, CoreError> {
        let before = self.lockdown.clone();
        let lockdown = before.clone().unwrap_or_else(|| {
            let since_ms = crate::store::now_ms();
            Lockdown { reason: reason.clone(), by, by_name: by_name.clone(), since_ms }
        });
        tracing::warn!(by = by_name, reason, kill, "lockdown");
        if before.is_none() {
            self.store.put_lockdown(Some(&lockdown))?;
            self.lockdown = Some(lockdown.clone());
            self.lockdown_changed();
        }
        self.record_first(&Record::Lockdown { on: true, reason, kill, by, by_name });
        let running = self.jobs.running() - self.jobs.asking();
        self.refuse_what_waits()?;
        if kill {
            self.stop_all_jobs(KILL_GRACE)?;
        }
        let text = match before {
            Some(_) => words::lockdown::already(&lockdown, running, kill),
            None => words::lockdown::begun(&lockdown, running, kill),
        };
        if before.is_none() {
            let shown = format!("locked down by {}: {}", lockdown.by_name, lockdown.reason);
            self.announce(text.clone(), &shown)?;
        }
        Ok(text)
    }

    /// Rights that were given under the policy of before count no more.
    pub(super) fn lockdown_changed(&mut self) {
        if let Some(policy) = &mut self.policy {
            policy.lockdown.clone_from(&self.lockdown);
            policy.generation += 1;
        }
    }

    /// Nothing that waits is started: neither in the queue nor behind an authorizer.
    fn refuse_what_waits(&mut self) -> Result<(), CoreError> {
        self.stop_asking(None)?;
        let Some(policy) = &self.policy else { return Ok(()) };
        let Verdict::Refuse(refusal, cause) = check(policy) else { return Ok(()) };
        self.jobs.queue.clear();
        let waiting = self.jobs.all.iter().filter(|(_, entry)| entry.state == JobState::Queued);
        let waiting: Vec<JobId> = waiting.map(|(job, _)| *job).collect();
        for job in waiting {
            self.refuse_job(job, &refusal, &cause)?;
        }
        Ok(())
    }

    /// What `status` shows.
    pub(super) fn lockdown_state(&self) -> Option<LockdownState> {
        self.lockdown.as_ref().map(|lockdown| LockdownState {
            by: Text::cut(lockdown.by_name.as_str()),
            reason: Text::cut(lockdown.reason.as_str()),
            since_ms: lockdown.since_ms,
        })
    }

    fn lockdown_answer(&self) -> Answer {
        let running = u64::try_from(self.jobs.running()).unwrap_or(u64::MAX);
        Answer::Lockdown { lockdown: self.lockdown_state(), running }
    }
}
