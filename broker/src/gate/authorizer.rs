//! Does the script's authorizer grant it, and does its elevator say that it is the person themself? Asked last, when the job's turn
//! has come, by running the one and then the other in a sandbox of its own.
//!
//! Only the exit code that says so grants: 7, which no program gives by accident (Gopherbot's Success). 1 is a no. All else,
//! 0 too, is no answer: a time-out, a signal, a worker that died or refused. What is granted holds for this one job, under
//! the policy that it was asked under, and for a minute; an elevator's for as long as an authorizer may take besides.

use super::{Authorizer, Cause, Cleared, Refusal, Verdict, file};
use crate::argument::Value;
use crate::config::Script;
use crate::policy::{Place, Policy, Requester};
use crate::words;
use bartizan_proto::ids::ScriptName;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::Ending;
use std::time::{Duration, Instant};

/// The exit code that grants.
pub const GRANTED: i32 = 7;

/// The exit code that says no.
pub const REFUSED: i32 = 1;

/// Who is asked: the elevator first, as it may bother a person, whom the authorizer may know more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `elevator`: whether it is the person themself who asks.
    Elevator,
    /// `authorizer`: whether they may.
    Authorizer,
}

impl Kind {
    /// Both, in the order in which they are asked.
    pub const ALL: [Kind; 2] = [Kind::Elevator, Kind::Authorizer];

    /// The one that a script names.
    pub fn named(self, script: &Script) -> Option<&ScriptName> {
        match self {
            Kind::Elevator => script.elevator.as_ref(),
            Kind::Authorizer => script.authorizer.as_ref(),
        }
    }

    /// Its word in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Elevator => "elevator",
            Kind::Authorizer => "authorizer",
        }
    }

    /// How long what it said is good for.
    fn good_for(self) -> Duration {
        match self {
            Kind::Elevator => Duration::from_secs(150),
            Kind::Authorizer => Duration::from_secs(60),
        }
    }

    /// What chat is told where it says no.
    fn no(self, script: &str) -> Refusal {
        match self {
            Kind::Elevator => Refusal::Said(words::elevation::not_shown(script)),
            Kind::Authorizer => Refusal::Unauthorized { name: script.to_owned() },
        }
    }

    /// What chat is told where it gives no answer.
    pub(crate) fn no_answer(self, script: &str) -> Refusal {
        match self {
            Kind::Elevator => Refusal::Said(words::elevation::not_asked(script)),
            Kind::Authorizer => Refusal::Unauthorizable { name: script.to_owned() },
        }
    }
}

/// That one of them said yes. Made by [`judge`] only.
#[derive(Debug)]
pub struct Grant {
    kind: Kind,
    generation: u64,
    at: Instant,
}

impl Grant {
    /// Whether it still counts, as that.
    pub(super) fn holds(&self, kind: Kind, policy: &Policy) -> bool {
        self.kind == kind && self.generation == policy.generation && self.at.elapsed() < kind.good_for()
    }
}

/// What the end of one of them means for the script of that name. `generation` is the policy's that it was asked under.
pub fn judge(kind: Kind, script: &str, ending: Option<Ending>, generation: u64, why: &str) -> Verdict<Grant> {
    match ending {
        Some(Ending::Ended(ExitStatus::Code(GRANTED))) => Verdict::Pass(Grant { kind, generation, at: Instant::now() }),
        Some(Ending::Ended(ExitStatus::Code(REFUSED))) => {
            Verdict::Refuse(kind.no(script), Cause(format!("the {} of {script} said no{why}", kind.as_str())))
        }
        other => Verdict::Refuse(
            kind.no_answer(script),
            Cause(format!("the {} of {script} gave no answer: {other:?}{why}", kind.as_str())),
        ),
    }
}

/// The right to start the elevator or authorizer of a script that everything else has let through: it gets the script, its group, the
/// command and the arguments, and who asks where in its environment.
pub(super) fn clear(
    kind: Kind,
    script: &Script,
    values: &[Value],
    (command, requester, place): (&str, &Requester, &Place),
    policy: &Policy,
    opener: &file::Opener,
) -> Result<Cleared<Authorizer>, (Refusal, Cause)> {
    let broken = |cause: String| (kind.no_answer(script.name.as_str()), Cause(cause));
    let word = kind.as_str();
    let name = kind.named(script).ok_or_else(|| broken(format!("there is no {word} to ask")))?;
    let listed = match kind {
        Kind::Elevator => policy.config.allowlist.elevator(name),
        Kind::Authorizer => policy.config.allowlist.authorizer(name),
    };
    let authorizer = listed.ok_or_else(|| broken(format!("there is no {word} {name}")))?;
    let file = match file::check(authorizer, opener) {
        Verdict::Pass(file) => file,
        Verdict::Refuse(_, cause) => return Err(broken(format!("{word} {name}: {}", cause.0))),
    };
    let own = |name: &str, text: &str| Value { name: name.to_owned(), text: text.to_owned(), sensitive: false };
    let mut given =
        vec![own("script", script.name.as_str()), own("group", &script.authorizer_group), own("command", command)];
    given.extend(values.iter().cloned());
    let flags: Vec<&str> = policy
        .people
        .person(requester.user)
        .into_iter()
        .flat_map(|(person, _)| &person.flags)
        .filter(|flag| policy.has_flag(requester, flag))
        .map(bartizan_proto::ids::FlagName::as_str)
        .collect();
    let environment = [
        ("BARTIZAN_USER_ID", requester.user.to_string()),
        ("BARTIZAN_USER_NAME", requester.name.to_string()),
        ("BARTIZAN_LEVEL", policy.level(requester).to_string()),
        ("BARTIZAN_FLAGS", flags.join(" ")),
        ("BARTIZAN_CHANNEL_ID", place.channel.to_string()),
        ("BARTIZAN_CHANNEL_NAME", place.name.to_string()),
    ];
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Cleared::of(authorizer, given, file, false, policy).with_environment(environment))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// How an authorizer ends that grants.
    pub fn granting() -> Option<Ending> {
        Some(Ending::Ended(ExitStatus::Code(GRANTED)))
    }

    /// Attack row 20: only an exact yes passes.
    #[test]
    fn row_20_only_the_one_exit_code_grants() {
        let ended = |code| Some(Ending::Ended(ExitStatus::Code(code)));
        for code in -1..=255 {
            let verdict = judge(Kind::Authorizer, "deploy", ended(code), 1, "");
            match code {
                GRANTED => assert!(matches!(verdict, Verdict::Pass(_))),
                REFUSED => assert!(matches!(verdict, Verdict::Refuse(Refusal::Unauthorized { .. }, _))),
                _ => assert!(matches!(verdict, Verdict::Refuse(Refusal::Unauthorizable { .. }, _)), "{code}"),
            }
        }
        for ending in [None, Some(Ending::TimedOut), Some(Ending::Stopped), Some(Ending::Ended(ExitStatus::Signal(7)))]
        {
            assert!(matches!(
                judge(Kind::Authorizer, "deploy", ending, 1, ""),
                Verdict::Refuse(Refusal::Unauthorizable { .. }, _)
            ));
        }
    }
}
