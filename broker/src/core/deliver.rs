//! What chat is to be shown: written to the outbox in the turn that decided it, handed to the connector after the commit,
//! taken off when the server has it.

use super::timers::Timer;
use super::{Core, CoreError};
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_proto::connector::{Act, Attachment, Body, Cursor, Delivered, Delivery, DeliveryId, Report, ToConnector};
use bartizan_proto::ids::{ChannelId, EmojiName, JobId, PostId};
use bartizan_proto::{Role, Text};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// Deliveries that the connector works on at once.
const WINDOW: usize = 64;

/// How long the news that a delivery ended may wait to be written down with something else. If it is lost, the
/// delivery is looked for in its thread before it is made again.
const SETTLE: Duration = Duration::from_millis(250);

/// What the connector has and what it has done.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Handed to the connector, and not reported yet.
    handed: BTreeSet<DeliveryId>,
    /// The last one that was written.
    pub(crate) written: DeliveryId,
    /// The last one that was handed out.
    last: DeliveryId,
    /// Up to this one they may have been sent by an earlier connector.
    again: DeliveryId,
    /// Reported, and not written down yet.
    settled: Vec<DeliveryId>,
    /// Jobs that run, not written down yet: a job that is `starting` is treated like them after a crash.
    running: Vec<JobId>,
    /// How far channels have been read, not written down yet.
    cursors: HashMap<ChannelId, Cursor>,
    /// Whether a timer is set to write those down.
    due: bool,
    /// Whether there may be more in the store.
    more: bool,
}

impl Outbox {
    /// What the last run left over may have been sent by it.
    pub(crate) fn restored(last: DeliveryId) -> Self {
        Self { written: last, again: last, more: true, ..Self::default() }
    }

    /// How many deliveries are under way.
    pub fn undelivered(&self) -> u64 {
        u64::try_from(self.handed.len()).unwrap_or(u64::MAX)
    }

    /// Whether everything was delivered.
    pub fn is_empty(&self) -> bool {
        self.handed.is_empty() && !self.more
    }

    /// Another connector: everything unreported is to be handed out again, with a look whether it is there already.
    pub(crate) fn begin_again(&mut self) {
        self.again = self.again.max(self.last);
        self.last = DeliveryId(0);
        self.handed.clear();
        self.more = true;
    }
}

impl Core {
    /// Answers a command in its thread. One that was found by catching up may have been answered before.
    pub(crate) fn reply_to(&mut self, report: &Report, markup: String) -> Result<(), CoreError> {
        self.reply_body(report, Body::Markup(Text::cut(markup)))
    }

    /// The same with output.
    pub(crate) fn reply_body(&mut self, report: &Report, body: Body) -> Result<(), CoreError> {
        let reply_id = Text::cut(format!("{}:answer", report.post));
        let (channel, root) = (report.channel, report.root.unwrap_or(report.post));
        self.send(&Act::Reply { channel, root, reply_id, body, attachment: None }, report.caught_up)
    }

    /// Tells what became of a job of an earlier run, unless its result was told then; with what it printed.
    pub(crate) fn reply_late(&mut self, intent: &Intent, head: String, printed: String) -> Result<(), CoreError> {
        let reply_id = Text::cut(format!("{}:result", intent.post));
        let body = if printed.is_empty() {
            Body::Markup(Text::cut(head))
        } else {
            Body::Output { head: Text::cut(head), output: Text::cut(printed) }
        };
        let act = Act::Reply { channel: intent.channel, root: intent.root, reply_id, body, attachment: None };
        self.send(&act, true)
    }

    /// Replies in the thread of a command. `kind` makes the reply's id unique among those to this post.
    pub(crate) fn reply(
        &mut self,
        channel: ChannelId,
        post: PostId,
        root: PostId,
        kind: &str,
        markup: String,
    ) -> Result<(), CoreError> {
        self.reply_with(channel, post, root, kind, Body::Markup(Text::cut(markup)), None)
    }

    /// Replies with output, and perhaps a file.
    pub(crate) fn reply_with(
        &mut self,
        channel: ChannelId,
        post: PostId,
        root: PostId,
        kind: &str,
        body: Body,
        attachment: Option<Attachment>,
    ) -> Result<(), CoreError> {
        let reply_id = Text::cut(format!("{post}:{kind}"));
        self.send(&Act::Reply { channel, root, reply_id, body, attachment }, false)
    }

    /// Replies, unless the same reply was made in an earlier run: then that one is what was delivered.
    pub(crate) fn reply_again(&mut self, intent: &Intent, kind: &str, markup: String) -> Result<(), CoreError> {
        let reply_id = Text::cut(format!("{}:{kind}", intent.post));
        let body = Body::Markup(Text::cut(markup));
        self.send(&Act::Reply { channel: intent.channel, root: intent.root, reply_id, body, attachment: None }, true)
    }

    /// Reacts to a post.
    pub(crate) fn react(&mut self, post: PostId, emoji: &'static str) -> Result<(), CoreError> {
        let emoji = emoji_name(emoji)?;
        self.send(&Act::React { post, emoji }, false)
    }

    /// Replaces the reaction of a running command by that of a finished one.
    pub(crate) fn react_finally(&mut self, intent: &Intent, emoji: &'static str) -> Result<(), CoreError> {
        // That of a pipeline stands at its end.
        let goes_on = intent.part_of.is_some() || self.jobs.pipelines.began_with(intent.post);
        if goes_on || matches!(intent.actor, Actor::Schedule(_)) {
            return Ok(());
        }
        self.react(intent.post, emoji)?;
        self.unreact(intent.post, words::RUNNING)
    }

    /// Takes a reaction back.
    pub(crate) fn unreact(&mut self, post: PostId, emoji: &'static str) -> Result<(), CoreError> {
        let emoji = emoji_name(emoji)?;
        self.send(&Act::Unreact { post, emoji }, false)
    }

    pub(crate) fn send(&mut self, act: &Act, again: bool) -> Result<(), CoreError> {
        self.outbox.written = DeliveryId(self.outbox.written.0 + 1);
        self.store.send(self.outbox.written, act, again)?;
        self.outbox.more = true;
        Ok(())
    }

    /// The connector reports that a delivery ended. One that it was not given is a lie.
    pub(crate) fn on_delivered(&mut self, delivery: DeliveryId, outcome: &Delivered) -> Result<(), CoreError> {
        if !self.outbox.handed.remove(&delivery) {
            return self.drop_connector(&format!("it reported delivery {}, which it was not given", delivery.0));
        }
        if let Delivered::Rejected { status, why } = outcome {
            tracing::warn!(delivery = delivery.0, status, %why, "the server does not take it");
        }
        self.elevation.said(delivery);
        self.outbox.settled.push(delivery);
        self.settle_soon();
        self.live_delivered(delivery, outcome)?;
        self.pipeline_delivered(delivery, outcome)?;
        Ok(())
    }

    /// A job runs: written down with the next thing that is.
    pub(crate) fn job_runs(&mut self, job: JobId) {
        self.outbox.running.push(job);
        self.settle_soon();
    }

    /// A job is over: that it ran need not be written down any more.
    pub(crate) fn job_ran(&mut self, job: JobId) {
        self.outbox.running.retain(|running| *running != job);
    }

    /// A channel has been read so far: written down now and then.
    ///
    /// # Errors
    /// [`CoreError`].
    pub(crate) fn channel_seen(&mut self, cursor: Cursor) -> Result<(), CoreError> {
        // Where a channel begins is written down before anything in it is obeyed.
        if cursor.begun_ms > 0 {
            self.store.seen(cursor)?;
            return Ok(());
        }
        let kept = self.outbox.cursors.entry(cursor.channel).or_insert(cursor);
        kept.seen_ms = kept.seen_ms.max(cursor.seen_ms);
        self.settle_soon();
        Ok(())
    }

    fn settle_soon(&mut self) {
        if !std::mem::replace(&mut self.outbox.due, true) {
            self.timers.after(SETTLE, Timer::Settle);
        }
    }

    /// Writes down which deliveries ended: when it is time, or when something is written anyway.
    pub(crate) fn settle_deliveries(&mut self, now: bool) -> Result<(), CoreError> {
        if now || self.store.is_writing() {
            for delivery in std::mem::take(&mut self.outbox.settled) {
                self.store.delivered(delivery)?;
            }
            for job in std::mem::take(&mut self.outbox.running) {
                self.store.job_running(job)?;
            }
            // Cursors move with every post: they wait for their time also when something else is written.
            if now {
                for cursor in std::mem::take(&mut self.outbox.cursors).into_values() {
                    self.store.seen(cursor)?;
                }
            }
            self.outbox.due = !self.outbox.cursors.is_empty();
        }
        Ok(())
    }

    /// Hands the connector what it has room for. Only what is durable is in the store's answer.
    pub(crate) fn pump_outbox(&mut self) -> Result<(), CoreError> {
        let room = WINDOW.saturating_sub(self.outbox.handed.len());
        if !self.outbox.more || room == 0 || !self.supervisor.connector_running() {
            return Ok(());
        }
        let unsent = self.store.unsent(self.outbox.last, room)?;
        self.outbox.more = unsent.len() == room;
        for (delivery, act, again) in unsent {
            self.outbox.last = delivery;
            if self.outbox.settled.contains(&delivery) {
                continue;
            }
            self.outbox.handed.insert(delivery);
            let again = again || delivery <= self.outbox.again;
            let act = self.elevation.really(delivery, act);
            let order = ToConnector::Deliver(Box::new(Delivery { delivery, again, act }));
            self.supervisor.say(Role::Connector, &order, Vec::new())?;
        }
        Ok(())
    }
}

fn emoji_name(emoji: &'static str) -> Result<EmojiName, CoreError> {
    emoji.parse().map_err(|_| CoreError::Start(format!("{emoji:?} is not the name of an emoji")))
}
