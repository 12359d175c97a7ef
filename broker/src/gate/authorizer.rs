//! Does the script's authorizer grant it? Asked last, when the job's turn has come, by running the authorizer in a sandbox
//! of its own.
//!
//! Only the exit code that says so grants: 7, which no program gives by accident (Gopherbot's Success). 1 is a no. All else,
//! 0 too, is no answer: a time-out, a signal, a worker that died or refused. What is granted holds for this one job, under
//! the policy that it was asked under, and for a minute.

use super::{Authorizer, Cause, Cleared, Refusal, Verdict, file};
use crate::argument::Value;
use crate::config::Script;
use crate::policy::{Place, Policy, Requester};
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::worker::Ending;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The exit code that grants.
pub const GRANTED: i32 = 7;

/// The exit code that says no.
pub const REFUSED: i32 = 1;

/// How long a grant is good for.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// That an authorizer said yes. Made by [`judge`] only.
#[derive(Debug)]
pub struct Grant {
    generation: u64,
    at: Instant,
}

impl Grant {
    /// Whether it still counts.
    pub(super) fn holds(&self, policy: &Policy) -> bool {
        self.generation == policy.generation && self.at.elapsed() < GOOD_FOR
    }
}

/// What an authorizer's end means for the script of that name. `generation` is the policy's that it was asked under.
pub fn judge(script: &str, ending: Option<Ending>, generation: u64, why: &str) -> Verdict<Grant> {
    match ending {
        Some(Ending::Ended(ExitStatus::Code(GRANTED))) => Verdict::Pass(Grant { generation, at: Instant::now() }),
        Some(Ending::Ended(ExitStatus::Code(REFUSED))) => Verdict::Refuse(
            Refusal::Unauthorized { name: script.to_owned() },
            Cause(format!("the authorizer of {script} said no{why}")),
        ),
        other => Verdict::Refuse(
            Refusal::Unauthorizable { name: script.to_owned() },
            Cause(format!("the authorizer of {script} gave no answer: {other:?}{why}")),
        ),
    }
}

/// The right to start the authorizer of a script that everything else has let through: it gets the script, its group, the
/// command and the arguments, and who asks where in its environment.
pub(super) fn clear(
    script: &Script,
    values: &[Value],
    (command, requester, place): (&str, &Requester, &Place),
    policy: &Policy,
    opener: &file::Opener,
) -> Result<Cleared<Authorizer>, (Refusal, Cause)> {
    let broken = |cause: String| {
        let name = script.name.to_string();
        (Refusal::Unauthorizable { name }, Cause(cause))
    };
    let name = script.authorizer.as_ref().ok_or_else(|| broken("there is no authorizer to ask".to_owned()))?;
    let authorizer = policy.config.allowlist.authorizer(name);
    let authorizer = authorizer.ok_or_else(|| broken(format!("there is no authorizer {name}")))?;
    let file = match file::check(authorizer, opener) {
        Verdict::Pass(file) => file,
        Verdict::Refuse(_, cause) => return Err(broken(format!("authorizer {name}: {}", cause.0))),
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
    Ok(Cleared {
        script: authorizer.clone(),
        values: given,
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        file,
        generation: policy.generation,
        kind: PhantomData,
    })
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
            let verdict = judge("deploy", ended(code), 1, "");
            match code {
                GRANTED => assert!(matches!(verdict, Verdict::Pass(_))),
                REFUSED => assert!(matches!(verdict, Verdict::Refuse(Refusal::Unauthorized { .. }, _))),
                _ => assert!(matches!(verdict, Verdict::Refuse(Refusal::Unauthorizable { .. }, _)), "{code}"),
            }
        }
        for ending in [None, Some(Ending::TimedOut), Some(Ending::Stopped), Some(Ending::Ended(ExitStatus::Signal(7)))]
        {
            assert!(matches!(judge("deploy", ending, 1, ""), Verdict::Refuse(Refusal::Unauthorizable { .. }, _)));
        }
    }
}
