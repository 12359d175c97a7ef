//! What admins are told without asking: one record in the audit log, one post that the connector cannot touch, one line in
//! `bartizan status`.
//!
//! The post goes to the channel of `[alerts]`, or else to each admin as a direct message. Of one topic one post in
//! [`PAUSE`]: what repeats is counted, and the next post says how often it did. The audit log has every one.

use super::{Core, CoreError};
use crate::audit::Record;
use crate::store::now_ms;
use crate::words;
use bartizan_proto::control::AlertRow;
use bartizan_proto::egress::Target;
use bartizan_proto::{List, Text};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Between two posts of one topic.
const PAUSE: Duration = Duration::from_secs(300);

/// Alerts that `status` shows, for a day.
const SHOWN: usize = 8;
const SHOWN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Alerts that wait until it is known who the admins are.
const MAX_WAITING: usize = 16;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The connector lied, or broke the rules of its sockets.
    Connector,
    /// Egress did.
    Egress,
    /// A worker did.
    Worker,
    /// The service itself ends again and again.
    Crash,
    /// Something that is no person spoke like one.
    Impostor,
    /// The bot's account can do more than it should.
    BotAccount,
    /// The audit log is not as it was written.
    Audit,
    /// Somebody's second factor: enrolled, locked, taken away.
    SecondFactor,
    /// A key that somebody signs approvals with: registered, taken away. Told each time.
    ApprovalKey,
    /// A schedule did not run.
    Schedule,
    /// Somebody ran something without its approvals: told each time.
    BreakGlass,
    /// A file would take the last admin's rights away.
    LastAdmin,
}

/// What was said when.
#[derive(Debug, Default)]
pub struct Alerts {
    told: HashMap<Topic, Told>,
    waiting: Vec<String>,
    shown: VecDeque<(Instant, String)>,
    count: u64,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    unsaid: u32,
}

impl Alerts {
    /// Whether a post about this is due, and how many were kept back since the last.
    fn due(&mut self, topic: Topic, now: Instant) -> Option<u32> {
        match self.told.get_mut(&topic).filter(|_| !matches!(topic, Topic::BreakGlass | Topic::ApprovalKey)) {
            Some(told) if now.duration_since(told.at) < PAUSE => {
                told.unsaid += 1;
                None
            }
            _ => self.told.insert(topic, Told { at: now, unsaid: 0 }).map_or(Some(0), |before| Some(before.unsaid)),
        }
    }

    /// For `status`, the newest first.
    pub fn rows<const MAX: usize>(&self) -> List<AlertRow, MAX> {
        let young = self.shown.iter().rev().filter(|(at, _)| at.elapsed() < SHOWN_FOR);
        List::cut(young.map(|(at, what)| AlertRow { age_s: at.elapsed().as_secs(), what: Text::cut(what.as_str()) }))
    }
}

impl Core {
    /// Something that a person should look at.
    pub(crate) fn alert(&mut self, topic: Topic, what: &str) -> Result<(), CoreError> {
        tracing::warn!(?topic, what, "alert");
        self.record(&Record::Alert { what: what.to_owned() });
        self.tell(topic, what)
    }

    /// The same for what is on record already.
    pub(crate) fn tell(&mut self, topic: Topic, what: &str) -> Result<(), CoreError> {
        self.metrics.alerted(topic.label());
        let now = Instant::now();
        if self.alerts.shown.len() == SHOWN {
            self.alerts.shown.pop_front();
        }
        self.alerts.shown.push_back((now, what.to_owned()));
        let Some(unsaid) = self.alerts.due(topic, now) else { return Ok(()) };
        if self.alerts.waiting.len() < MAX_WAITING {
            self.alerts.waiting.push(words::alert(what, unsaid));
        }
        self.tell_alerts()
    }

    /// Tells the admins something that is on record, in words of its own, and each time.
    pub(crate) fn announce(&mut self, text: String, shown: &str) -> Result<(), CoreError> {
        if self.alerts.shown.len() == SHOWN {
            self.alerts.shown.pop_front();
        }
        self.alerts.shown.push_back((Instant::now(), shown.to_owned()));
        self.alerts.waiting.push(text);
        self.tell_alerts()
    }

    /// Writes the alerts that wait, once it is known to whom.
    pub(crate) fn tell_alerts(&mut self) -> Result<(), CoreError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let channel = policy.config.alerts.as_ref().and_then(|name| policy.channels.get(name));
        let targets: Vec<Target> = match channel {
            Some(channel) => vec![Target::Channel(*channel)],
            None => policy.admins().map(Target::Direct).collect(),
        };
        for text in std::mem::take(&mut self.alerts.waiting) {
            for target in &targets {
                self.alerts.count += 1;
                let key = format!("alert-{}-{}", now_ms(), self.alerts.count);
                self.write_protected(*target, None, &key, &text)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_topic_is_posted_once_in_a_while_and_what_was_kept_back_is_counted() {
        let mut alerts = Alerts::default();
        let start = Instant::now();
        assert_eq!(alerts.due(Topic::Connector, start), Some(0));
        assert_eq!(alerts.due(Topic::Impostor, start), Some(0), "another topic");
        assert_eq!(alerts.due(Topic::Connector, start + PAUSE / 2), None);
        assert_eq!(alerts.due(Topic::Connector, start + PAUSE / 2), None);
        assert_eq!(alerts.due(Topic::Connector, start + PAUSE), Some(2));
        assert_eq!(alerts.due(Topic::Connector, start + PAUSE * 2), Some(0));
    }
}
