//! Requests for approval: what waits, who agreed, and the one end that each of them has.
//!
//! Everything that happens to one goes through here and into the database in the same turn. Whoever comes first has decided:
//! what is not pending any more cannot be decided again, and only [`Voted::Approved`] lets a job be queued, once.

#[cfg(test)]
mod tests;

use crate::config::Approval;
use crate::gate::approval;
use crate::policy::Policy;
use crate::store::jobs::Intent;
use crate::store::{Store, StoreError, now_ms as host_ms};
use bartizan_proto::Text;
use bartizan_proto::ids::{PostId, UserId};
use bartizan_proto::limits::MAX_NAME;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Most that wait at once, and most of one person.
const MOST: usize = 200;
const MOST_OF_ONE: usize = 10;

/// The number of a request: `a3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApprovalId(pub u64);

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0)
    }
}

impl FromStr for ApprovalId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix(['a', 'A']).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok());
        number.map(ApprovalId).ok_or_else(|| "that is not the number of a request; write it like a3".to_owned())
    }
}

/// Somebody who says yes or no, as attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Who.
    pub user: UserId,
    /// Their name then.
    pub name: Text<MAX_NAME>,
    /// A guest or a remote account.
    pub restricted: bool,
    /// What they signed the request with outside of chat, in base64, if they did.
    pub signature: Option<String>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub id: ApprovalId,
    /// What is asked for, and by whom.
    pub intent: Intent,
    /// What is agreed to.
    pub digest: String,
    /// The text that is signed by those who approve; empty where signatures were not asked for.
    pub statement: String,
    /// Until when, in ms since 1970 by the server's clock.
    pub expires_ms: u64,
    /// The same by the host's clock. Whichever comes first ends it: a server that tells no time keeps nothing open.
    pub host_expires_ms: u64,
    /// Who agreed so far.
    pub voters: Vec<Voter>,
}

impl Pending {
    /// Whether its time is over by the server's clock, which says `now_ms`, or by the host's.
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.expires_ms || host_ms() >= self.host_expires_ms
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Enough people agreed.
    Approved,
    /// Somebody said no.
    Denied,
    /// Its time was over.
    Expired,
    /// Whoever asked took it back.
    Withdrawn,
    /// It would not run what was asked for any more.
    Voided,
}

impl End {
    /// Every one.
    pub const ALL: [End; 5] = [End::Approved, End::Denied, End::Expired, End::Withdrawn, End::Voided];

    /// Its word in the database and in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Approved => "approved",
            End::Denied => "denied",
            End::Expired => "expired",
            End::Withdrawn => "withdrawn",
            End::Voided => "voided",
        }
    }
}

/// What became of a yes or a no.
#[derive(Debug, PartialEq, Eq)]
pub enum Voted {
    /// It counts, and more are needed.
    Counted {
        /// So many agree.
        agreeing: usize,
        /// Of so many.
        needed: u8,
    },
    /// This account said so before.
    Again,
    /// Enough agree: it is to be queued now.
    Approved(Box<Pending>),
    /// It was denied.
    Denied(Box<Pending>),
    /// It was taken back.
    Withdrawn(Box<Pending>),
    /// Its time was over before: this is the first time that it is noticed.
    Expired(Box<Pending>),
    /// It does not count, and why.
    Refused(String),
}

/// Every request that waits.
#[derive(Debug, Default)]
pub struct Approvals {
    pending: BTreeMap<ApprovalId, Pending>,
}

impl Approvals {
    /// What the database has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn restore(store: &Store) -> Result<Self, StoreError> {
        let pending = store.pending_approvals()?.into_iter().map(|pending| (pending.id, pending)).collect();
        Ok(Self { pending })
    }

    /// Those that wait, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// One that waits.
    pub fn get(&self, id: ApprovalId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Whether this person may ask for one more.
    pub fn has_room(&self, user: UserId) -> bool {
        let of_one = self.iter().filter(|pending| pending.intent.user == user).count();
        self.pending.len() < MOST && of_one < MOST_OF_ONE
    }

    /// A new request. `None` when its post has one already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn ask(
        &mut self,
        store: &mut Store,
        intent: Intent,
        digest: String,
        (now_ms, wait_ms): (u64, u64),
    ) -> Result<Option<&Pending>, StoreError> {
        let (expires_ms, host_expires_ms) = (now_ms.saturating_add(wait_ms), host_ms().saturating_add(wait_ms));
        let times = (now_ms, expires_ms, host_expires_ms);
        let Some(id) = store.ask_approval(&intent, &digest, times)? else { return Ok(None) };
        let pending =
            Pending { id, intent, digest, statement: String::new(), expires_ms, host_expires_ms, voters: Vec::new() };
        Ok(Some(self.pending.entry(id).or_insert(pending)))
    }

    /// What is to be signed by those who approve.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn state(&mut self, store: &mut Store, id: ApprovalId, statement: &str) -> Result<(), StoreError> {
        if let Some(pending) = self.pending.get_mut(&id) {
            store.put_statement(id, statement)?;
            statement.clone_into(&mut pending.statement);
        }
        Ok(())
    }

    /// Somebody says yes or no. `wanted` is what the script asks for now; nothing where it is gone, or needs none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn vote(
        &mut self,
        store: &mut Store,
        policy: &Policy,
        (id, wanted): (ApprovalId, Option<&Approval>),
        voter: &Voter,
        yes: bool,
    ) -> Result<Voted, StoreError> {
        let now = policy.now_ms();
        let Some(pending) = self.pending.get_mut(&id) else { return not_pending(store, id) };
        if pending.is_over(now) {
            return Ok(self.end(store, id, End::Expired)?.map_or_else(gone, Voted::Expired));
        }
        let asker = pending.intent.user;
        let banned = policy.people.ban(voter.user, now).is_some();
        if !yes && voter.user == asker && !banned {
            return Ok(self.end(store, id, End::Withdrawn)?.map_or_else(gone, Voted::Withdrawn));
        }
        let Some(approval) = wanted else {
            return Ok(Voted::Refused("its script is not there any more, or needs no approval now".to_owned()));
        };
        // Who may approve may deny; a second account of the one who asks may do neither.
        if let Err(why) = approval::may(approval, voter, asker, policy) {
            return Ok(Voted::Refused(why.to_owned()));
        }
        if !yes {
            return Ok(self.end(store, id, End::Denied)?.map_or_else(gone, Voted::Denied));
        }
        // One whose key was taken away since may sign with another.
        let counts = |known: &Voter| approval::signed(approval, known, pending, policy).is_ok();
        if pending.voters.iter().any(|known| known.user == voter.user && counts(known)) {
            return Ok(Voted::Again);
        }
        if pending.voters.iter().any(|known| known.user != voter.user && policy.same_person(known.user, voter.user)) {
            return Ok(Voted::Refused("you and one who approved it already are one person".to_owned()));
        }
        if let Err(why) = approval::signed(approval, voter, pending, policy) {
            return Ok(Voted::Refused(why));
        }
        store.put_vote(id, voter, now)?;
        pending.voters.retain(|known| known.user != voter.user);
        pending.voters.push(voter.clone());
        let agreeing = approval::agreeing(approval, pending, policy);
        if agreeing < usize::from(approval.count) {
            return Ok(Voted::Counted { agreeing, needed: approval.count });
        }
        Ok(self.end(store, id, End::Approved)?.map_or_else(gone, Voted::Approved))
    }

    /// Ends one that waits; nothing where it does not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn end(&mut self, store: &mut Store, id: ApprovalId, end: End) -> Result<Option<Box<Pending>>, StoreError> {
        let Some(pending) = self.pending.remove(&id) else { return Ok(None) };
        store.end_approval(id, end)?;
        Ok(Some(Box::new(pending)))
    }

    /// Those whose time is over by now.
    pub fn overdue(&self, now_ms: u64) -> Vec<ApprovalId> {
        self.iter().filter(|pending| pending.is_over(now_ms)).map(|pending| pending.id).collect()
    }

    /// The request of a command's post.
    pub fn of_post(&self, post: PostId) -> Option<&Pending> {
        self.iter().find(|pending| pending.intent.post == post)
    }
}

fn gone() -> Voted {
    Voted::Refused("it is not waiting any more".to_owned())
}

/// One that does not wait: how it ended, if there ever was one.
fn not_pending(store: &Store, id: ApprovalId) -> Result<Voted, StoreError> {
    Ok(Voted::Refused(match store.approval_end(id)? {
        Some(end) => format!("{id} was {} already", end.as_str()),
        None => format!("nothing waits under the number {id}"),
    }))
}
