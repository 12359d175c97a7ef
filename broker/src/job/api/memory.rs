//! `remember`, `recall` and `checkout`. A script's memories are in a namespace of its own, its name: no call names another one.

use super::refused;
use crate::brain::BrainError;
use crate::brain::record::RESERVED;
use crate::brain::short::{Place, ShortKey};
use crate::core::{Core, CoreError};
use bartizan_proto::Text;
use bartizan_proto::ids::{JobId, MemoryKey, Namespace};
use bartizan_proto::script::{Answer, Scope};
use bartizan_proto::worker::CallId;
use std::time::Instant;

/// Lasting memories of one script.
const MOST_KEYS: usize = 200;

impl Core {
    pub(super) fn remember_for(
        &mut self,
        job: JobId,
        call: CallId,
        key: MemoryKey,
        value: &str,
        scope: Scope,
    ) -> Result<(), CoreError> {
        let answer = match self.short_key(job, &key, scope) {
            Some(short) if is_reserved(&short) => refused(BrainError::Reserved.to_string()),
            Some(short) => {
                // What a command in a channel remembers is known in its own thread, too.
                let thread =
                    self.jobs.all.get(&job).map(|entry| Place::Thread(entry.intent.channel, entry.intent.root));
                let in_thread = matches!(short.place, Place::Channel(_)).then_some(thread).flatten();
                let places = in_thread.into_iter().chain([short.place.clone()]);
                let keys: Vec<ShortKey> = places.map(|place| ShortKey { place, ..short.clone() }).collect();
                let now = Instant::now();
                let done: Result<(), _> =
                    keys.into_iter().try_for_each(|key| self.jobs.memories.remember(key, value, now));
                match done {
                    Ok(()) => Answer::Done,
                    Err(error) => refused(error.to_string()),
                }
            }
            None => self.remember_for_good(job, &key, value)?,
        };
        self.answer_call(job, call, answer)
    }

    pub(super) fn recall_for(
        &mut self,
        job: JobId,
        call: CallId,
        key: &MemoryKey,
        scope: Scope,
    ) -> Result<(), CoreError> {
        let answer = match self.short_key(job, key, scope) {
            Some(short) if is_reserved(&short) => refused(BrainError::Reserved.to_string()),
            Some(short) => match self.jobs.memories.recall(&short, Instant::now()) {
                Some(value) => Answer::Value(Text::cut(value)),
                None => nothing(),
            },
            None => self.lasting(job, key, false)?,
        };
        self.answer_call(job, call, answer)
    }

    pub(super) fn check_out_for(&mut self, job: JobId, call: CallId, key: MemoryKey) -> Result<(), CoreError> {
        let answer = self.lasting(job, &key, true)?;
        self.answer_call(job, call, answer)
    }

    pub(super) fn check_in_for(&mut self, job: JobId, call: CallId, key: &MemoryKey) -> Result<(), CoreError> {
        let ticket = self.jobs.all.get_mut(&job).and_then(|entry| entry.api.tickets.remove(key));
        let answer = match ticket.map(|ticket| self.brain.check_in(ticket, Instant::now())) {
            Some(Ok(())) => Answer::Done,
            Some(Err(error)) => refused(error.to_string()),
            None => refused(format!("this job has not checked out {key}")),
        };
        self.answer_call(job, call, answer)
    }

    /// The job is over.
    pub(super) fn check_all_in(&mut self, job: JobId) {
        let Some(entry) = self.jobs.all.get_mut(&job) else { return };
        for ticket in std::mem::take(&mut entry.api.tickets).into_values() {
            // Its time may have been over already.
            let _free = self.brain.check_in(ticket, Instant::now());
        }
    }

    /// The key of a memory that does not last; `None` for one that does.
    fn short_key(&self, job: JobId, key: &MemoryKey, scope: Scope) -> Option<ShortKey> {
        let intent = &self.jobs.all.get(&job)?.intent;
        let user = match scope {
            Scope::Lasting => return None,
            Scope::Mine => Some(intent.user),
            Scope::Shared => None,
        };
        let place = match (intent.direct, intent.root == intent.post) {
            (true, _) => Place::Direct(intent.channel),
            (false, true) => Place::Channel(intent.channel),
            (false, false) => Place::Thread(intent.channel, intent.root),
        };
        Some(ShortKey { namespace: self.namespace_of(job)?, place, user, key: key.clone() })
    }

    /// What may be a script's name may be a namespace, but for the bot's own, which the brain refuses.
    fn namespace_of(&self, job: JobId) -> Option<Namespace> {
        self.jobs.all.get(&job)?.intent.script.as_str().parse().ok()
    }

    fn lasting(&mut self, job: JobId, key: &MemoryKey, to_change: bool) -> Result<Answer, CoreError> {
        let Some(space) = self.namespace_of(job) else { return Ok(nothing()) };
        let held = self.jobs.all.get(&job).is_some_and(|entry| entry.api.tickets.contains_key(key));
        if to_change && held {
            return Ok(refused(format!("this job has checked out {key} already")));
        }
        let (ticket, value) = match self.brain.check_out(&self.store, &space, key, to_change, Instant::now()) {
            Ok(found) => found,
            Err(error) => return answer_of(error),
        };
        if let (Some(ticket), Some(entry)) = (ticket, self.jobs.all.get_mut(&job)) {
            entry.api.tickets.insert(key.clone(), ticket);
        }
        Ok(match value.as_ref().map(|value| std::str::from_utf8(value.expose())) {
            Some(Ok(text)) => Answer::Value(Text::cut(text)),
            Some(Err(_)) => refused(format!("{key} is no text")),
            None => nothing(),
        })
    }

    fn remember_for_good(&mut self, job: JobId, key: &MemoryKey, value: &str) -> Result<Answer, CoreError> {
        let Some(space) = self.namespace_of(job) else { return Ok(nothing()) };
        let now = Instant::now();
        let own = self.jobs.all.get_mut(&job).and_then(|entry| entry.api.tickets.remove(key));
        let ticket = match own {
            Some(ticket) => ticket,
            None => {
                match self.brain.memories(&space) {
                    Ok(keys) if keys.len() >= MOST_KEYS && !keys.contains(key) => {
                        return Ok(refused(format!("the script remembers {MOST_KEYS} things already")));
                    }
                    Ok(_) => {}
                    Err(error) => return answer_of(error),
                }
                match self.brain.check_out(&self.store, &space, key, true, now) {
                    Ok((Some(ticket), _)) => ticket,
                    Ok((None, _)) => return Ok(refused("it cannot be changed now")),
                    Err(error) => return answer_of(error),
                }
            }
        };
        let done = match value.is_empty() {
            true => self.brain.delete(&mut self.store, ticket, now),
            false => self.brain.update(&mut self.store, ticket, value.as_bytes(), now),
        };
        match done {
            Ok(()) => Ok(Answer::Done),
            Err(error) => answer_of(error),
        }
    }
}

/// The bot's own, as the brain has it: no script's, whatever it is called.
fn is_reserved(key: &ShortKey) -> bool {
    key.namespace.as_str() == RESERVED
}

/// Nothing to say about it either: a script asks for what may not be there.
fn nothing() -> Answer {
    Answer::Nothing(Text::default())
}

/// What the script is told; a database that fails ends the service, as everywhere.
fn answer_of(error: BrainError) -> Result<Answer, CoreError> {
    match error {
        BrainError::Store(error) => Err(error.into()),
        other => Ok(refused(other.to_string())),
    }
}
