//! Schedules: what is due is announced in its channel by the core, and what is announced is begun, once.
//!
//! A time that is due is decided in one turn: written down as decided, recorded, and announced by a post of the core's own
//! under a key that is unique for ever. When the server has that post it becomes a job, in the turn that hears of it; the job
//! answers in the post's thread. So neither a crash nor a restart begins a time twice, and none is lost but where the server
//! takes no post for good, which the admins are told. Times go by the server's clock, like everything that gets old.

use super::timers::Timer;
use super::{Core, CoreError, Topic};
use crate::audit::Record;
use crate::config::{Missed, Schedule, When};
use crate::policy::Policy;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::jobs::{Actor, Intent};
use crate::store::schedules::{Pause, Progress};
use crate::words;
use bartizan_proto::Text;
use bartizan_proto::control::JobState;
use bartizan_proto::egress::Target;
use bartizan_proto::ids::{ChannelId, PostId, ScriptName};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// What is begun this late is on time.
const ON_TIME_MS: u64 = 60_000;

/// A clock that went back by more than this was wrong before: what it had decided does not hold.
const BACK_MS: u64 = 25 * 3_600_000;

/// The longest that a clock that jumps goes unnoticed.
const LOOK: Duration = Duration::from_secs(60);

/// So many missed times are counted.
const MOST: usize = 1000;

/// What the keys of announcements begin with.
const KEY: &str = "schedule:";

/// How far they are.
#[derive(Debug, Default)]
pub struct Schedules {
    pub(super) progress: BTreeMap<ScriptName, Progress>,
    pub(super) pauses: BTreeMap<ScriptName, Pause>,
    /// Announced, and not on the server yet.
    announced: HashSet<ScriptName>,
    /// `@start` was begun, since the service started.
    started: bool,
}

impl Schedules {
    /// What the last run left.
    pub(super) fn restored(store: &Store) -> Result<Self, StoreError> {
        let keys = store.unwritten_keys(KEY)?;
        let announced = keys.iter().filter_map(|key| Some(read_key(key)?.0)).collect();
        Ok(Self { progress: store.schedules()?, pauses: store.pauses()?, announced, started: false })
    }
}

impl Core {
    /// Looks at them in the next turn: something may be due, or not any more.
    pub(crate) fn schedules_soon(&mut self) {
        if self.policy.as_ref().is_some_and(|policy| policy.config.allowlist.schedules().next().is_some()) {
            self.timers.cancel(&Timer::Schedules);
            self.timers.after(Duration::ZERO, Timer::Schedules);
        }
    }

    /// Begins what is due, and plans the next look.
    pub(crate) fn look_at_schedules(&mut self) -> Result<(), CoreError> {
        let Some(policy) = self.policy.as_ref().filter(|_| self.stopping.is_none()) else { return Ok(()) };
        let now = policy.now_ms();
        let schedules: Vec<Schedule> = policy.config.allowlist.schedules().cloned().collect();
        let gone: Vec<ScriptName> = self
            .schedules
            .progress
            .keys()
            .filter(|name| !schedules.iter().any(|one| one.name == **name))
            .cloned()
            .collect();
        for name in gone {
            self.schedules.progress.remove(&name);
            self.store.forget_schedule(&name)?;
        }
        self.end_pauses(now)?;
        let mut next: Option<u64> = None;
        for schedule in &schedules {
            self.look_at_schedule(schedule, now)?;
            let due = self.next_time(schedule, now);
            next = next.into_iter().chain(due).min();
        }
        self.schedules.started = true;
        self.timers.cancel(&Timer::Schedules);
        if !schedules.is_empty() {
            let wait = next.map_or(LOOK, |next| Duration::from_millis(next.saturating_sub(now)));
            self.timers.after(wait.min(LOOK).max(Duration::from_millis(5)), Timer::Schedules);
        }
        Ok(())
    }

    /// When one is due next.
    pub(super) fn next_time(&self, schedule: &Schedule, now: u64) -> Option<u64> {
        let progress = self.schedules.progress.get(&schedule.name)?;
        schedule.next(progress.begun_ms, progress.decided_ms.max(now))
    }

    fn look_at_schedule(&mut self, schedule: &Schedule, now: u64) -> Result<(), CoreError> {
        let name = &schedule.name;
        let paused = match (&self.lockdown, self.schedules.pauses.get(name)) {
            (Some(_), _) => Some("locked down".to_owned()),
            (None, Some(pause)) => Some(format!("paused by {}", pause.by_name)),
            (None, None) => None,
        };
        if matches!(schedule.when, When::Start) {
            return match (self.schedules.started, paused) {
                (true, _) => Ok(()),
                (false, None) => self.begin_schedule(schedule, now, now),
                (false, Some(why)) => self.pass_over(schedule, now, 1, &why),
            };
        }
        let rule = schedule.key();
        let known = self.schedules.progress.get(name).filter(|progress| progress.rule == rule);
        let Some(progress) = known.filter(|progress| progress.decided_ms <= now.saturating_add(BACK_MS)).cloned()
        else {
            return self.decided(schedule, Progress { rule, begun_ms: now, decided_ms: now });
        };
        let mut due = Vec::new();
        let mut at = progress.decided_ms;
        while let Some(next) = schedule.next(progress.begun_ms, at).filter(|next| *next <= now && due.len() < MOST) {
            due.push(next);
            at = next;
        }
        let (Some(first), Some(last)) = (due.first().copied(), due.last().copied()) else { return Ok(()) };
        let busy = self.is_busy(name);
        if busy && schedule.missed != Missed::Skip && paused.is_none() {
            // Looked at again when that has ended.
            return Ok(());
        }
        let whole = Progress { decided_ms: now, ..progress.clone() };
        if let Some(why) = paused {
            self.decided(schedule, whole)?;
            return self.pass_over(schedule, last, due.len(), &why);
        }
        match schedule.missed {
            Missed::Skip => {
                self.decided(schedule, whole)?;
                let on_time = now.saturating_sub(last) <= ON_TIME_MS;
                let begin = on_time && !busy;
                let passed = due.len() - usize::from(begin);
                let why = if busy && on_time { "the last one has not ended" } else { "missed" };
                if passed > 0 {
                    self.pass_over(schedule, last, passed, why)?;
                }
                if begin { self.begin_schedule(schedule, last, now) } else { Ok(()) }
            }
            Missed::Once => {
                self.decided(schedule, whole)?;
                if due.len() > 1 {
                    self.pass_over(schedule, first, due.len() - 1, "missed; begun once for all of them")?;
                }
                self.begin_schedule(schedule, last, now)
            }
            Missed::All => {
                self.decided(schedule, Progress { decided_ms: first, ..progress })?;
                self.begin_schedule(schedule, first, now)
            }
        }
    }

    /// Whether it was announced, or runs.
    fn is_busy(&self, name: &ScriptName) -> bool {
        let actor = Actor::Schedule(name.clone());
        let runs = |job: &crate::job::Job| job.state != JobState::Done && job.intent.actor == actor;
        self.schedules.announced.contains(name) || self.jobs.all.values().any(runs)
    }

    fn decided(&mut self, schedule: &Schedule, progress: Progress) -> Result<(), CoreError> {
        self.store.schedule_decided(&schedule.name, &progress)?;
        self.schedules.progress.insert(schedule.name.clone(), progress);
        Ok(())
    }

    fn pass_over(&mut self, schedule: &Schedule, due_ms: u64, count: usize, why: &str) -> Result<(), CoreError> {
        tracing::info!(schedule = %schedule.name, due_ms, count, why, "passed over");
        let why = if count > 1 { format!("{count} times: {why}") } else { why.to_owned() };
        self.record(&self.scheduled(schedule, "passed-over", due_ms, None, Some(why)));
        Ok(())
    }

    fn scheduled(
        &self,
        schedule: &Schedule,
        action: &'static str,
        due_ms: u64,
        by_name: Option<String>,
        error: Option<String>,
    ) -> Record {
        Record::Schedule {
            name: schedule.name.to_string(),
            action,
            command: self.without_secrets(&schedule.line),
            due_ms: Some(due_ms),
            by: None,
            by_name,
            error,
        }
    }

    /// Announces it: recorded and durable first.
    fn begin_schedule(&mut self, schedule: &Schedule, due_ms: u64, now: u64) -> Result<(), CoreError> {
        let Some(channel) = self.policy.as_ref().and_then(|policy| channel_of(&schedule.channel, policy)) else {
            let why = format!("the team has no channel {:?} that the bot can see", schedule.channel);
            return self.pass_over(schedule, due_ms, 1, &why);
        };
        self.record_first(&self.scheduled(schedule, "begin", due_ms, None, None));
        let late = Duration::from_millis(now.saturating_sub(due_ms));
        let line = self.without_secrets(&schedule.line);
        let late = (late > Duration::from_millis(ON_TIME_MS)).then(|| words::in_zone(due_ms, &schedule.zone));
        let text = words::scheduled(schedule.name.as_str(), &line, late.as_deref());
        self.schedules.announced.insert(schedule.name.clone());
        self.write_protected(Target::Channel(channel), None, &format!("{KEY}{}:{due_ms}", schedule.name), &text)
    }

    /// A post of the core's own is on the server: is it an announcement? Then it becomes a job now.
    pub(crate) fn schedule_posted(&mut self, post: PostId, channel: ChannelId) -> Result<(), CoreError> {
        let Some((name, due_ms)) = self.store.protected_key(post)?.as_deref().and_then(read_key) else {
            return Ok(());
        };
        self.schedules.announced.remove(&name);
        // It need not be kept from changes for a month: the job's results are posts of the connector's, too.
        self.store.forget_protected(post)?;
        let Some(policy) = &self.policy else { return Ok(()) };
        let Some(schedule) = policy.config.allowlist.schedule(&name).cloned() else { return Ok(()) };
        let late = policy.now_ms().saturating_sub(due_ms);
        let most = ON_TIME_MS + u64::try_from(policy.config.limits.stale_after.as_millis()).unwrap_or(u64::MAX);
        let (bot, shown) = (policy.bot, policy.channel_name(&schedule.channel).to_owned());
        if late > most && schedule.missed == Missed::Skip {
            self.reply(channel, post, post, "result", words::too_late(schedule.script.as_str()))?;
            return self.pass_over(&schedule, due_ms, 1, "the server took its announcement too late");
        }
        self.schedules_soon();
        self.queue_job(Intent {
            post,
            root: post,
            channel,
            channel_name: Text::cut(shown),
            direct: false,
            private: self.roster.is_private(channel),
            user: bot,
            user_name: Text::cut(format!("{KEY}{name}")),
            restricted: true,
            script: schedule.script.clone(),
            command: Text::cut(schedule.line.as_str()),
            actor: Actor::Schedule(name),
            part_of: None,
        })
    }

    /// The server takes no post of this key, for good.
    pub(crate) fn schedule_not_posted(&mut self, key: &str, why: &str) -> Result<(), CoreError> {
        let Some((name, due_ms)) = read_key(key) else { return Ok(()) };
        self.schedules.announced.remove(&name);
        let schedule = self.policy.as_ref().and_then(|policy| policy.config.allowlist.schedule(&name).cloned());
        if let Some(schedule) = schedule {
            self.pass_over(&schedule, due_ms, 1, &format!("the server does not take its announcement: {why}"))?;
        }
        self.schedules_soon();
        self.alert(
            Topic::Schedule,
            &format!("schedule {name} did not run: the server takes no post in its channel ({why})"),
        )
    }

    /// Ends the pauses whose time is over.
    fn end_pauses(&mut self, now: u64) -> Result<(), CoreError> {
        let over = self.schedules.pauses.iter().filter(|(_, pause)| pause.until_ms.is_some_and(|until| until <= now));
        let over: Vec<(ScriptName, u64)> =
            over.map(|(name, pause)| (name.clone(), pause.until_ms.unwrap_or(now))).collect();
        for (name, until) in over {
            self.schedules.pauses.remove(&name);
            self.store.resume(&name)?;
            let found = self.policy.as_ref().and_then(|policy| policy.config.allowlist.schedule(&name).cloned());
            if let Some(schedule) = found {
                let rule = schedule.key();
                // What was due while it was paused is decided: it is not begun now.
                if let Some(progress) = self.schedules.progress.get(&name).filter(|progress| progress.rule == rule) {
                    let progress = Progress { decided_ms: progress.decided_ms.max(until), ..progress.clone() };
                    self.decided(&schedule, progress)?;
                }
                self.record(&self.scheduled(&schedule, "resume", now, Some("the clock".to_owned()), None));
            }
        }
        Ok(())
    }
}

/// A channel of the configuration, by name or id.
pub(super) fn channel_of(name_or_id: &str, policy: &Policy) -> Option<ChannelId> {
    policy.channels.get(name_or_id).copied().or_else(|| name_or_id.parse().ok())
}

fn read_key(key: &str) -> Option<(ScriptName, u64)> {
    let (name, due) = key.strip_prefix(KEY)?.rsplit_once(':')?;
    Some((name.parse().ok()?, due.parse().ok()?))
}
