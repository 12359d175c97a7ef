//! The gates: may this person have this done, here, now?
//!
//! [`decide`] asks them in one fixed order and the first refusal wins. [`clear`] asks all of them again when a job is about
//! to start, opens the script and mints the [`Cleared`] that [`crate::job::launch`] wants; nothing else can make one.
//! What chat sees is a [`Refusal`]; what the log sees is the cause.

pub mod allowlist;
pub mod approval;
pub mod arguments;
pub mod attest;
#[cfg(test)]
mod attest_tests;
pub mod authorizer;
pub mod automatic;
pub mod ban;
pub mod channel;
mod cleared;
pub mod dry_run;
pub mod elevation;
pub mod file;
pub mod follow;
#[cfg(test)]
mod grant_tests;
pub mod lockdown;
pub mod permission;
pub mod rate;
pub mod survey;
#[cfg(test)]
pub(crate) mod tests;
pub mod trigger;

use crate::approvals::Pending;
use crate::argument::Value;
use crate::audit::Gate;
use crate::command::parse::Command;
use crate::config::Script;
use crate::policy::{Place, Policy, Requester};
use crate::store::elevation::Elevated;
use crate::words;
use bartizan_proto::ids::{JobId, PostId, UserId};
use std::time::Duration;

pub use cleared::{Authorizer, Automatic, Cleared, Followed, Interactive};
pub use survey::survey;

/// What one gate says.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict<T = ()> {
    /// Go on to the next gate.
    Pass(T),
    /// The end of it.
    Refuse(Refusal, Cause),
}

/// Why, precisely: for log and audit, never for chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(pub String);

/// What chat is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing at all.
    Silence,
    /// The person is banned.
    Banned,
    /// Nothing is started at all.
    LockedDown {
        /// Who said so.
        by: String,
        /// Why.
        reason: String,
    },
    /// The name is not known, or not for this person; perhaps this one was meant.
    Unknown {
        /// What was typed.
        name: String,
        /// The nearest name that this person may run.
        near: Option<String>,
    },
    /// It works elsewhere.
    NotHere {
        /// The script.
        name: String,
        /// Where it works.
        wanted: channel::Where,
    },
    /// It needs a code of the second factor.
    Elevate {
        /// The script.
        name: String,
    },
    /// It needs a second factor, and there is none.
    NoFactor {
        /// The script.
        name: String,
    },
    /// What the words say.
    Said(String),
    /// A change of rights that is not made, in a sentence.
    Denied(String),
    /// There is no such person.
    Nobody(String),
    /// The script's authorizer says no.
    Unauthorized {
        /// The script.
        name: String,
    },
    /// The script's authorizer gave no answer.
    Unauthorizable {
        /// The script.
        name: String,
    },
    /// It comes too soon.
    TooFast {
        /// So long it is to be waited.
        wait: Duration,
        /// Whether that is to be told.
        tell: bool,
    },
    /// The arguments do not fit.
    Arguments {
        /// What is wrong.
        error: String,
        /// What would be right.
        usage: String,
        /// The argument that is not there, where that is all.
        missing: Option<String>,
    },
    /// The line cannot be taken apart.
    Unreadable(String),
    /// A secret where others can read it.
    SecretHere,
    /// A secret by direct message, which the configuration does not allow.
    SecretOff,
    /// It waited too long.
    Stale(Duration),
    /// The server could not be asked.
    Unattested,
    /// The service ended again and again while it read the command.
    Deadly,
    /// Something that it may not run beside runs.
    InUse {
        /// The script.
        name: String,
        /// What runs or waits.
        by: JobId,
    },
    /// They were asked for an argument, and did not give it.
    NotGiven(NotGiven),
    /// Too much is waiting.
    Busy,
    /// There is no such job, or it is not for this person.
    NoJob(JobId),
    /// No such job that has ended is kept, or it is not for this person.
    NoLog(JobId),
    /// The job was asked in another place.
    JobElsewhere(JobId),
    /// It could not be recorded.
    Unrecorded,
    /// The script's file or sandbox is not as it must be.
    Broken,
}

/// Why somebody did not give an argument that they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGiven {
    /// They said that they would not.
    Cancelled,
    /// They said nothing in time.
    Late,
    /// What they said did not fit, again and again.
    Unfit,
    /// The service ended meanwhile.
    Restarted,
}

impl Refusal {
    /// In words, with the prefix that commands have. `None` for silence.
    pub fn words(&self, prefix: &str) -> Option<String> {
        Some(match self {
            Refusal::Silence => return None,
            Refusal::Banned => words::BANNED.to_owned(),
            Refusal::LockedDown { by, reason } => words::lockdown::refused(by, reason),
            Refusal::Unknown { name, near } => words::unknown(prefix, name, near.as_deref()),
            Refusal::NotHere { name, wanted } => words::not_here(name, wanted),
            Refusal::Elevate { name } => words::prefixed(prefix, &words::elevation::wanted_again(name)),
            Refusal::NoFactor { name } => words::prefixed(prefix, &words::elevation::no_factor(name)),
            Refusal::Said(words) => words.clone(),
            Refusal::Denied(why) => words::denied(why),
            Refusal::Nobody(who) => words::nobody(who),
            Refusal::Unauthorized { name } => words::unauthorized(name),
            Refusal::Unauthorizable { name } => words::unauthorizable(name),
            Refusal::TooFast { wait, .. } => words::too_fast(*wait),
            Refusal::Arguments { error, usage, .. } => words::bad_arguments(error, &format!("{prefix}{usage}")),
            Refusal::Unreadable(error) => words::unreadable(error),
            Refusal::SecretHere => words::SECRET_HERE.to_owned(),
            Refusal::SecretOff => words::SECRET_OFF.to_owned(),
            Refusal::Stale(age) => words::stale(*age),
            Refusal::Unattested => words::UNATTESTED.to_owned(),
            Refusal::Deadly => words::DEADLY.to_owned(),
            Refusal::InUse { name, by } => words::in_use(name, *by),
            Refusal::NotGiven(how) => words::prefixed(prefix, words::not_given(*how)),
            Refusal::Busy => words::BUSY.to_owned(),
            Refusal::NoJob(job) => words::no_job(prefix, *job),
            Refusal::NoLog(job) => words::no_log(prefix, *job),
            Refusal::JobElsewhere(job) => words::job_elsewhere(*job),
            Refusal::Unrecorded => words::UNRECORDED.to_owned(),
            Refusal::Broken => words::BROKEN.to_owned(),
        })
    }
}

/// What the gates come to when a job's turn has come.
#[derive(Debug)]
pub enum Clearance {
    /// It may start.
    Start(Box<Cleared<Interactive>>),
    /// Its elevator or authorizer is to be asked first.
    Ask(authorizer::Kind, Box<Cleared<Authorizer>>),
}

/// How the gates went.
#[derive(Debug)]
pub struct Decision<'p> {
    /// Each gate that was asked, in order.
    pub gates: Vec<Gate>,
    /// The script and its arguments, or the refusal and its cause.
    pub outcome: Result<(&'p Script, Vec<Value>), (Refusal, Cause)>,
}

/// Asks the gates about a script, in their order. Nothing is opened or changed.
pub fn decide<'p>(command: &Command, requester: &Requester, place: &Place, policy: &'p Policy) -> Decision<'p> {
    let mut gates = Vec::with_capacity(7);
    let outcome = ask(command, requester, place, policy, &mut gates);
    Decision { gates, outcome }
}

fn ask<'p>(
    command: &Command,
    requester: &Requester,
    place: &Place,
    policy: &'p Policy,
    gates: &mut Vec<Gate>,
) -> Result<(&'p Script, Vec<Value>), (Refusal, Cause)> {
    // 1. Banned?
    pass("ban", ban::check(requester.user, policy, policy.now_ms()), gates)?;
    // 2. An emergency stop?
    pass("lockdown", lockdown::check(policy), gates)?;
    // 3. On the allowlist?
    let script = pass("allowlist", allowlist::check(command, requester, policy), gates)?;
    // 4. Level and flags?
    pass("permission", permission::check(script, command, requester, policy), gates)?;
    // 5. This channel, or a direct message?
    pass("channel", channel::check(script, place, policy), gates)?;
    // 6. Do the arguments fit?
    let values = pass("arguments", arguments::check(script, command), gates)?;
    // 7. Can it say what it would do, where only that is wanted?
    if command.dry {
        pass("dry-run", dry_run::check(script), gates)?;
    }
    Ok((script, values))
}

/// What others said of a command whose turn has come.
#[derive(Debug, Clone, Copy)]
pub struct Proofs<'a> {
    /// The command's post.
    pub post: PostId,
    /// With whose second factor it was let through.
    pub elevated: Option<Elevated>,
    /// That enough people agreed, if they were asked.
    pub approved: Option<&'a Pending>,
    /// Who gave it with a broken glass, if anybody.
    pub glass: Option<UserId>,
    /// What its elevator and its authorizer said, if they were asked.
    pub grants: &'a [authorizer::Grant],
}

/// Asks every gate again and opens the script: the last thing before a job starts.
///
/// # Errors
/// The refusal and its cause.
pub fn clear(
    command: &Command,
    requester: &Requester,
    place: &Place,
    policy: &Policy,
    opener: &file::Opener,
    proofs: Proofs<'_>,
) -> Result<Clearance, (Refusal, Cause)> {
    let (script, values) = decide(command, requester, place, policy).outcome?;
    // 8. Is its file what it must be?
    let file = match file::check(script, opener) {
        Verdict::Pass(file) => file,
        Verdict::Refuse(refusal, cause) => return Err((refusal, cause)),
    };
    // 9. Did the person give the second factor for it?
    match elevation::check(script, requester.user, proofs.elevated) {
        Verdict::Pass(()) => {}
        Verdict::Refuse(refusal, cause) => return Err((refusal, cause)),
    }
    // 10. Did others agree to this, who still may?
    let asked = (proofs.post, requester.user);
    match approval::check(script, &values, asked, &file.sha256, policy, (proofs.approved, proofs.glass)) {
        Verdict::Pass(()) => {}
        Verdict::Refuse(refusal, cause) => return Err((refusal, cause)),
    }
    // 11. Did the person show in its elevator's way that it is them? 12. Does its authorizer grant it?
    for kind in authorizer::Kind::ALL {
        let given = proofs.grants.iter().any(|grant| grant.holds(kind, policy));
        if kind.named(script).is_some() && !given {
            let asked = (&*command.name, requester, place);
            let cleared = authorizer::clear(kind, script, &values, asked, policy, opener)?;
            return Ok(Clearance::Ask(kind, Box::new(cleared)));
        }
    }
    Ok(Clearance::Start(Box::new(Cleared::of(script, values, file, command.dry, policy))))
}

/// Records one gate's verdict and goes on only after an exact pass.
fn pass<T>(name: &'static str, verdict: Verdict<T>, gates: &mut Vec<Gate>) -> Result<T, (Refusal, Cause)> {
    match verdict {
        Verdict::Pass(value) => {
            gates.push(Gate { name, passed: true });
            Ok(value)
        }
        Verdict::Refuse(refusal, cause) => {
            gates.push(Gate { name, passed: false });
            Err((refusal, cause))
        }
    }
}
