//! `bz subscribe`: from then on what is written in the job's thread runs the job's script again, with the text as its one
//! argument, as if its author had typed the command.
//!
//! So it gives nobody a right: each post is attested, and passes every gate for whoever wrote it. Only the script that subscribes is
//! run by it, never another one, and only people who may run it are heard; what they write for the bot itself (a command, a
//! code, the answer to a question) stays what it is. `-` ends it. It is kept over restarts, and ends by itself.

use super::obey::Given;
use super::{Core, CoreError};
use crate::command::parse::{self, Command, Word};
use crate::context;
use crate::gate::{Refusal, permission};
use crate::policy::{Place, Policy, Requester};
use crate::store::Store;
use crate::store::jobs::Actor;
use crate::store::subscriptions::Subscription;
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::connector::{Body, Listen, Report};
use bartizan_proto::ids::JobId;
use std::time::Duration;

/// Threads at once.
const MOST: usize = 200;
/// The longest that one is subscribed to.
const LONGEST: u32 = 7 * 24 * 3600;

/// All of them, those that end first at the beginning.
#[derive(Debug, Default)]
pub struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    /// What the database has.
    pub(super) fn restored(store: &Store) -> Result<Self, crate::store::StoreError> {
        store.subscriptions().map(Self)
    }

    /// Where it is listened.
    pub(super) fn threads(&self) -> impl Iterator<Item = Listen> {
        self.0.iter().map(|one| Listen { channel: one.channel, root: one.root, user: one.user })
    }

    /// The one that a post is for, as far as its place and its author tell.
    fn of(&self, report: &Report) -> Option<&Subscription> {
        let root = report.root?;
        self.0.iter().find(|one| {
            one.root == root && one.channel == report.channel && one.user.is_none_or(|user| user == report.author)
        })
    }
}

impl Core {
    /// Whether a post may be one that a script is subscribed to: in such a thread, and not written for the bot itself.
    pub(super) fn is_subscribed(&self, report: &Report) -> bool {
        let Some(policy) = &self.policy else { return false };
        let Some(one) = self.subscriptions.of(report) else { return false };
        one.until_ms > policy.now_ms() && !is_for_the_bot(&report.text, policy)
    }

    /// A job's script subscribes to its thread. `Err` is for the script.
    pub(crate) fn subscribe(
        &mut self,
        job: JobId,
        anybody: bool,
        seconds: u32,
    ) -> Result<Result<Body, String>, CoreError> {
        let (Some(policy), Some(entry)) = (&self.policy, self.jobs.all.get(&job)) else {
            return Ok(Err("there is no such job".to_owned()));
        };
        let intent = &entry.intent;
        let others = self.subscriptions.0.iter().filter(|one| one.root != intent.root).count();
        if others >= MOST {
            return Ok(Err(format!("{MOST} threads are subscribed to; try again")));
        }
        let time = Duration::from_secs(seconds.clamp(1, LONGEST).into());
        let user = match anybody || intent.actor != Actor::Person {
            true => None,
            false => Some(intent.user),
        };
        let one = Subscription {
            root: intent.root,
            channel: intent.channel,
            script: intent.script.clone(),
            user,
            until_ms: policy.now_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        };
        let whose = user.is_some().then_some(intent.user_name.as_str());
        let text = words::subscribed(intent.script.as_str(), whose, time);
        self.store.put_subscription(&one)?;
        self.subscriptions.0.retain(|other| other.root != one.root);
        self.subscriptions.0.push(one);
        self.subscriptions.0.sort_by_key(|one| one.until_ms);
        self.listen()?;
        Ok(Ok(Body::Markup(Text::cut(text))))
    }

    /// It does not any more.
    pub(crate) fn unsubscribe(&mut self, job: JobId) -> Result<(), CoreError> {
        match self.jobs.all.get(&job).map(|entry| entry.intent.root) {
            Some(root) => self.end_subscription(root),
            None => Ok(()),
        }
    }

    fn end_subscription(&mut self, root: bartizan_proto::ids::PostId) -> Result<(), CoreError> {
        self.subscriptions.0.retain(|one| one.root != root);
        self.store.drop_subscription(root)?;
        self.listen()
    }

    /// Those whose time is over.
    pub(super) fn forget_old_subscriptions(&mut self) -> Result<(), CoreError> {
        let now = self.policy.as_ref().map_or_else(crate::store::now_ms, Policy::now_ms);
        let old: Vec<_> = self.subscriptions.0.iter().filter(|one| one.until_ms <= now).map(|one| one.root).collect();
        for root in old {
            self.end_subscription(root)?;
        }
        Ok(())
    }

    /// Whether an attested post is what a script is subscribed to, and is done with.
    pub(super) fn runs_subscribed(
        &mut self,
        report: &Report,
        requester: &Requester,
        place: &Place,
    ) -> Result<bool, CoreError> {
        if !self.is_subscribed(report) {
            return Ok(false);
        }
        let (Some(policy), Some(one)) = (&self.policy, self.subscriptions.of(report)) else { return Ok(false) };
        let script = policy.config.allowlist.get(&one.script);
        if !script.is_some_and(|script| permission::may(script, requester, policy)) {
            return Ok(false);
        }
        let (name, root, text) = (one.script.to_string(), one.root, report.text.trim().to_owned());
        if text == "-" {
            self.end_subscription(root)?;
            self.record_decision(report, &format!("(ends the subscription of {name})"), None, Vec::new());
            self.store.decided(report.post)?;
            self.reply_to(report, words::subscription_over(&name))?;
            return Ok(true);
        }
        let command = Command { name, words: vec![Word { text, bare: 0 }], dry: false };
        // It is stored and shown as a command is.
        match context::line(&command) {
            Some(line) => {
                self.run((report, &line), &command, requester.clone(), place.clone(), Given::default())?;
            }
            None => {
                let error = "it is not one line of plain text, or too long".to_owned();
                self.refuse(report, Refusal::Unreadable(error.clone()), &error, Vec::new())?;
            }
        }
        Ok(true)
    }
}

/// A command, also where the prefix may be left out elsewhere.
fn is_for_the_bot(text: &str, policy: &Policy) -> bool {
    parse::addressed(text, &policy.config.bot.prefix, &policy.bot_name, false).is_some()
}
