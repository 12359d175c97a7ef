//! Long-term memories of scripts, with check-out: whoever has a memory checked out to change it is the only one who can,
//! for a limited time.
//!
//! The lock is in this process only: a restart lets go of everything that is checked out, as the time limit would.

use super::{Brain, BrainError, RecordId, unreserved};
use crate::store::Store;
use bartizan_proto::brain::RecordKind;
use bartizan_proto::ids::{MemoryKey, Namespace};
use bartizan_secret::SecretBytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a memory stays checked out without being checked in.
pub const LOCK_FOR: Duration = Duration::from_secs(30);

/// Most memories that are checked out at once.
pub const MAX_CHECKOUTS: usize = 1024;

/// The right to change one memory: a number that nobody can guess, and that is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket([u8; 16]);

/// What is checked out.
#[derive(Debug, Default)]
pub(super) struct Checkouts(BTreeMap<RecordId, (Ticket, Instant)>);

impl Checkouts {
    fn holder(&mut self, ticket: Ticket, now: Instant) -> Result<RecordId, BrainError> {
        self.0.retain(|_, (_, until)| *until > now);
        let held = self.0.iter().find(|(_, (held, _))| *held == ticket).map(|(id, _)| id.clone());
        held.ok_or_else(|| BrainError::CheckedOut("it is not checked out any more; check it out again".to_owned()))
    }
}

impl Brain {
    /// Reads a memory; `None` where there is none yet. With `to_change` nobody else can until it is checked in, or
    /// [`LOCK_FOR`] is over.
    ///
    /// # Errors
    /// [`BrainError::CheckedOut`] while somebody else has it to change; reading alone never waits for that.
    pub fn check_out(
        &mut self,
        store: &Store,
        namespace: &Namespace,
        key: &MemoryKey,
        to_change: bool,
        now: Instant,
    ) -> Result<(Option<Ticket>, Option<SecretBytes>), BrainError> {
        let id = RecordId::memory(namespace, key);
        unreserved(&id)?;
        let value = match self.get(store, &id) {
            Ok(value) => Some(value),
            Err(BrainError::Missing(_)) => None,
            Err(other) => return Err(other),
        };
        if !to_change {
            return Ok((None, value));
        }
        let held = &mut self.checkouts.0;
        held.retain(|_, (_, until)| *until > now);
        if held.contains_key(&id) {
            return Err(BrainError::CheckedOut(format!("{id} is checked out by somebody else; try again")));
        }
        if held.len() >= MAX_CHECKOUTS {
            return Err(BrainError::CheckedOut("too many memories are checked out; try again".to_owned()));
        }
        let ticket = Ticket(super::seal::random()?);
        held.insert(id, (ticket, now + LOCK_FOR));
        Ok((Some(ticket), value))
    }

    /// Writes a memory that is checked out, and checks it in.
    ///
    /// # Errors
    /// [`BrainError`]; it stays checked out when it could not be written.
    pub fn update(&mut self, store: &mut Store, ticket: Ticket, value: &[u8], now: Instant) -> Result<(), BrainError> {
        let id = self.checkouts.holder(ticket, now)?;
        self.put(store, &id, value)?;
        self.checkouts.0.remove(&id);
        Ok(())
    }

    /// Checks a memory in as it is.
    ///
    /// # Errors
    /// [`BrainError::CheckedOut`] when it was not checked out any more.
    pub fn check_in(&mut self, ticket: Ticket, now: Instant) -> Result<(), BrainError> {
        let id = self.checkouts.holder(ticket, now)?;
        self.checkouts.0.remove(&id);
        Ok(())
    }

    /// Deletes a memory that is checked out.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn delete(&mut self, store: &mut Store, ticket: Ticket, now: Instant) -> Result<(), BrainError> {
        let id = self.checkouts.holder(ticket, now)?;
        match self.remove(store, &id) {
            Ok(()) | Err(BrainError::Missing(_)) => {
                self.checkouts.0.remove(&id);
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// The keys of a namespace's memories.
    ///
    /// # Errors
    /// [`BrainError`].
    pub fn memories(&self, namespace: &Namespace) -> Result<Vec<MemoryKey>, BrainError> {
        let entries = self.open()?.index.entries.keys();
        let own = entries.filter(|id| id.kind == RecordKind::Memory && id.namespace == *namespace);
        Ok(own.map(|id| id.key.clone()).collect())
    }
}
