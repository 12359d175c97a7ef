//! How many jobs may run beside one another: in all, of one person, of one script, and of scripts that exclude each other.
//!
//! Asked whenever a job could start; what may not start yet stays in the queue and lets others go first.

use crate::config::Script;
use crate::core::{Core, CoreError};
use crate::store::jobs::{Actor, Intent};
use crate::words;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::{JobId, ScriptName, UserId};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// One person is told this often at most that a job of theirs waits: a flood is not answered with another one.
const PAUSE: Duration = Duration::from_secs(5);

/// People who are remembered for that.
const MOST_TOLD: usize = 1000;

/// What runs now.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    users: HashMap<UserId, usize>,
    scripts: HashMap<ScriptName, usize>,
    tags: Vec<String>,
}

impl Taken {
    /// One more.
    fn add(&mut self, intent: &Intent, tag: Option<&String>) {
        *self.users.entry(intent.user).or_default() += 1;
        match self.scripts.get_mut(&intent.script) {
            Some(count) => *count += 1,
            None => drop(self.scripts.insert(intent.script.clone(), 1)),
        }
        self.tags.extend(tag.cloned());
    }

    /// How many jobs of a person run.
    pub(super) fn of(&self, user: UserId) -> usize {
        self.users.get(&user).copied().unwrap_or(0)
    }
}

/// What a job has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Jobs of the same person.
    User,
    /// Jobs of the same script, or of one with the same tag.
    Script,
}

impl Core {
    /// What runs now, counted.
    pub(super) fn taken(&self) -> Taken {
        let mut taken = Taken::default();
        for job in self.jobs.workers.values().filter_map(|worker| worker.job) {
            let Some(entry) = self.jobs.all.get(&job) else { continue };
            taken.add(&entry.intent, self.tag_of(&entry.intent));
        }
        taken
    }

    /// Whether a job would have to wait beside what runs, and for what.
    pub(super) fn blocked(&self, intent: &Intent, taken: &Taken) -> Option<Blocked> {
        if let Some(script) = self.config.allowlist.get(&intent.script) {
            let running = taken.scripts.get(&intent.script).copied().unwrap_or(0);
            let full = script.concurrency.is_some_and(|most| running >= most);
            let locked = |tag: &String| self.jobs.pipelines.tags_beside(intent).any(|held| held == tag);
            let held = script.exclusive.as_ref().is_some_and(|tag| taken.tags.contains(tag) || locked(tag));
            if full || held {
                return Some(Blocked::Script);
            }
        }
        let full = taken.of(intent.user) >= self.config.limits.jobs_per_user;
        (full && intent.actor == Actor::Person).then_some(Blocked::User)
    }

    /// How many of the queue could start now beside what runs, up to `most`.
    pub(super) fn startable(&self, most: usize) -> usize {
        if self.jobs.queue.is_empty() || most == 0 {
            return 0;
        }
        let taken = self.taken();
        let may = |job: &&JobId| {
            let entry = self.jobs.all.get(job);
            entry.is_none_or(|entry| !self.is_held(entry) && self.blocked(&entry.intent, &taken).is_none())
        };
        self.jobs.queue.iter().filter(may).take(most).count()
    }

    /// The job that a new one of a script would have to wait for, where the script says that it is refused then.
    pub(crate) fn refused_as_busy(&self, name: &ScriptName) -> Option<JobId> {
        let script = self.config.allowlist.get(name).filter(|script| script.refused_when_busy)?;
        let open = self.jobs.all.iter().filter(|(_, job)| job.state != JobState::Done);
        let same = open.clone().filter(|(_, job)| job.intent.script == *name).map(|(id, _)| *id);
        let full = script.concurrency.is_some_and(|most| same.clone().count() >= most);
        let beside = |(_, job): &(&JobId, &super::Job)| {
            script.exclusive.is_some() && self.tag_of(&job.intent) == script.exclusive.as_ref()
        };
        if full { same.min() } else { open.clone().find(beside).map(|(id, _)| *id) }
    }

    fn tag_of(&self, intent: &Intent) -> Option<&String> {
        self.config.allowlist.get(&intent.script).and_then(|script: &Script| script.exclusive.as_ref())
    }

    /// The place in line of a job that is about to be queued, or is; none where it starts at once.
    pub(super) fn place_in_line(&self, intent: &Intent, job: Option<JobId>) -> Option<usize> {
        let mut taken = self.taken();
        let ahead = self.ahead(intent, job, &taken);
        let blocked = self.blocked(intent, &taken);
        let mut starting = 0;
        // What waits already and could start does so first.
        for earlier in &ahead {
            if self.blocked(earlier, &taken).is_none() {
                starting += 1;
                taken.add(earlier, self.tag_of(earlier));
            }
        }
        let tag = self.tag_of(intent);
        let same = |other: &&&Intent| other.script == intent.script || (tag.is_some() && self.tag_of(other) == tag);
        match self.blocked(intent, &taken) {
            // Those that go first are not in line any more.
            Some(Blocked::Script) => {
                let waiting = ahead.iter().filter(same).count();
                Some(waiting.saturating_sub(usize::from(blocked.is_none())) + 1)
            }
            Some(Blocked::User) => Some(ahead.iter().filter(|other| other.user == intent.user).count() + 1),
            None => {
                let free = self.config.limits.jobs.saturating_sub(self.jobs.running());
                (starting >= free).then(|| ahead.len() - free.min(starting) + 1)
            }
        }
    }

    /// What goes before a job that is about to be queued, or is, as [`Core::next_in_queue`] will take it: people take turns, each
    /// with the first of theirs. It may still change: what ends and what comes makes others be first.
    fn ahead(&self, intent: &Intent, job: Option<JobId>, taken: &Taken) -> Vec<&Intent> {
        let of_all = self.jobs.queue.iter().filter_map(|id| Some((*id, &self.jobs.all.get(id)?.intent)));
        let mine = of_all.clone().take_while(|(id, _)| Some(*id) != job);
        let earlier = mine.filter(|(_, waiting)| waiting.user == intent.user).count();
        let turn = |user: UserId| self.jobs.turns.get(&user).copied().unwrap_or(0);
        let own = (taken.of(intent.user) + earlier, turn(intent.user));
        let (mut rounds, mut passed) = (HashMap::<UserId, usize>::new(), false);
        let goes_first = |(id, waiting): &(JobId, &Intent)| {
            passed |= Some(*id) == job;
            let round = rounds.entry(waiting.user).or_insert_with(|| taken.of(waiting.user));
            let theirs = (*round, turn(waiting.user));
            *round += 1;
            Some(*id) != job
                && if waiting.user == intent.user { !passed } else { theirs < own || (theirs == own && !passed) }
        };
        of_all.filter(goes_first).map(|(_, waiting)| waiting).collect()
    }

    /// How many jobs go before one that waits; none where it does not wait.
    pub(crate) fn waits_behind(&self, job: JobId) -> Option<usize> {
        let entry = self.jobs.all.get(&job).filter(|_| self.jobs.queue.contains(&job))?;
        Some(self.ahead(&entry.intent, Some(job), &self.taken()).len())
    }

    /// A job that is not `async` still waits: its thread is told.
    pub(crate) fn tell_that_it_waits(&mut self, job: JobId) -> Result<(), CoreError> {
        let Some(entry) = self.jobs.all.get(&job).filter(|entry| entry.state == JobState::Queued) else {
            return Ok(());
        };
        let intent = entry.intent.clone();
        let now = Instant::now();
        let told = self.jobs.told_waiting.get(&intent.user);
        if !self.jobs.queue.contains(&job) || told.is_some_and(|told| now.duration_since(*told) < PAUSE) {
            return Ok(());
        }
        let Some(place) = self.place_in_line(&intent, Some(job)) else { return Ok(()) };
        if self.jobs.told_waiting.len() > MOST_TOLD {
            self.jobs.told_waiting.clear();
        }
        self.jobs.told_waiting.insert(intent.user, now);
        let text = words::queued(intent.script.as_str(), job, place);
        self.reply(intent.channel, intent.post, intent.root, "queued", text)
    }
}
