//! The core's own posts: approvals, elevation, alerts. They go to egress and not through the connector, which egress keeps
//! from ever changing them.
//!
//! Written down in the turn that decided them, handed to egress after the commit, one after the other, until the server has
//! them. Their ids are kept, and given to each new egress before a connector is attached to it.

use super::timers::Timer;
use super::{Core, CoreError};
use bartizan_proto::egress::{ProtectedAct, ProtectedOutcome, Target, ToEgress, WriteId};
use bartizan_proto::ids::PostId;
use bartizan_proto::{List, Role, Text};
use std::time::Duration;

/// Between two attempts the delay grows from the first to the second.
const DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What egress has of them.
#[derive(Debug, Default)]
pub struct Protected {
    /// The one that egress works on.
    under_way: Option<WriteId>,
    /// Up to this one they may have been done before.
    doubtful: WriteId,
    /// Whether there may be more in the store.
    more: bool,
    /// Attempts in a row that came to nothing.
    failures: u32,
    /// Whether a timer is set for the next.
    paused: bool,
}

impl Protected {
    /// What the last run left over may have been done.
    pub(crate) fn restored(last: WriteId) -> Self {
        Self { doubtful: last, more: true, ..Self::default() }
    }

    /// Something was written down for it.
    pub(super) fn more(&mut self) {
        self.more = true;
    }

    /// Egress is gone: what it worked on may have been done.
    pub(crate) fn egress_lost(&mut self) {
        if let Some(write) = self.under_way.take() {
            self.doubtful = self.doubtful.max(write);
            self.more = true;
        }
    }
}

impl Core {
    /// Posts something of the core's own. `key` is unique for ever among all of them.
    pub(crate) fn write_protected(
        &mut self,
        target: Target,
        root: Option<PostId>,
        key: &str,
        markup: &str,
    ) -> Result<(), CoreError> {
        let act = ProtectedAct::Create { target, root, message: Text::cut(markup), key: Text::cut(key) };
        self.store.write_protected(&act)?;
        self.protected.more = true;
        Ok(())
    }

    /// Has one say something else from now on.
    pub(crate) fn edit_protected(&mut self, post: PostId, markup: &str) -> Result<(), CoreError> {
        self.store.write_protected(&ProtectedAct::Edit { post, message: Text::cut(markup) })?;
        self.protected.more = true;
        Ok(())
    }

    /// Hands egress the next one. Only what is durable is in the store's answer.
    pub(crate) fn pump_protected(&mut self) -> Result<(), CoreError> {
        let Protected { under_way, more, paused, .. } = self.protected;
        if !more || paused || under_way.is_some() || !self.supervisor.egress_ready() {
            return Ok(());
        }
        match self.store.next_protected()? {
            Some((write, act)) => {
                self.protected.under_way = Some(write);
                let again = write <= self.protected.doubtful;
                let order = ToEgress::Protected { write, act: Box::new(act), again };
                self.supervisor.say(Role::Egress, &order, Vec::new())
            }
            None => {
                self.protected.more = false;
                Ok(())
            }
        }
    }

    /// Egress says what became of one.
    pub(crate) fn on_protected(&mut self, write: WriteId, outcome: ProtectedOutcome) -> Result<(), CoreError> {
        if self.protected.under_way != Some(write) {
            tracing::warn!(write = write.0, "an outcome of a post that was not ordered; passed over");
            return Ok(());
        }
        self.protected.under_way = None;
        match outcome {
            ProtectedOutcome::Posted { post, channel } => {
                self.protected.failures = 0;
                self.store.protected_posted(write, post, channel)?;
                self.schedule_posted(post, channel)?;
                self.request_posted(post)?;
                self.asked_elsewhere(post, channel)?;
                self.question_posted(post)
            }
            ProtectedOutcome::Done => {
                self.protected.failures = 0;
                Ok(self.store.protected_ended(write)?)
            }
            ProtectedOutcome::Rejected { status, why } => {
                tracing::error!(write = write.0, status, %why, "the server does not take a post of the core's");
                let key = self.store.unwritten_key(write)?;
                self.store.protected_ended(write)?;
                match key {
                    Some(key) => {
                        self.not_asked_elsewhere(&key, &why)?;
                        self.schedule_not_posted(&key, &why)
                    }
                    None => Ok(()),
                }
            }
            ProtectedOutcome::Unavailable { why } => {
                let delay = (DELAY.0 * 2u32.saturating_pow(self.protected.failures)).min(DELAY.1);
                tracing::warn!(write = write.0, %why, retry_ms = delay.as_millis(), "a post of the core's is not written yet");
                self.protected.failures += 1;
                self.protected.doubtful = self.protected.doubtful.max(write);
                self.protected.paused = true;
                self.timers.after(delay, Timer::Protected);
                Ok(())
            }
        }
    }

    /// The pause is over.
    pub(crate) fn protected_again(&mut self) {
        self.protected.paused = false;
    }

    /// Tells an egress that has just started which posts are the core's.
    pub(crate) fn protect_again(&mut self) -> Result<(), CoreError> {
        let posts: List<PostId, { bartizan_proto::limits::MAX_PROTECTED }> = self.store.protected_posts()?;
        self.supervisor.say(Role::Egress, &ToEgress::Protect(posts), Vec::new())
    }
}
