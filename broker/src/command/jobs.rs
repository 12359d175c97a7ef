//! `jobs` and `job N`: what runs and what waits, as far as this person may see it. Pure: whom a job may be shown to, and
//! where, is [`may_see`] and [`is_here`]; `core/jobs.rs` asks them before it shows or stops anything.

use crate::config::Level;
use crate::gate::permission;
use crate::job::Job;
use crate::policy::{Place, Policy, Requester};
use crate::store::jobs::Intent;
use crate::words;
use bartizan_proto::control::JobState;
use bartizan_proto::ids::{ChannelId, JobId, ScriptName, UserId};
use bartizan_proto::text::{code, escape};
use std::time::Duration;

/// So many are listed; `bartizan ps` on the host lists all.
const SHOWN: usize = 40;

/// What is to be known of a job to say who may see it.
#[derive(Debug)]
pub struct Asked {
    /// Who asked for it.
    pub user: UserId,
    /// Whether in a direct message.
    pub direct: bool,
    /// Whether in a private channel.
    pub private: bool,
    /// Where.
    pub channel: ChannelId,
    /// The script.
    pub script: ScriptName,
}

impl From<&Job> for Asked {
    fn from(job: &Job) -> Self {
        let Intent { user, direct, private, channel, ref script, .. } = job.intent;
        Asked { user, direct, private, channel, script: script.clone() }
    }
}

/// Whether a person may see a job, and stop it: their own; operators those of scripts that they may run themselves, but
/// not what somebody asked in a direct message, nor what was asked in a private channel unless they ask there; admins all.
pub fn may_see(job: &Asked, requester: &Requester, place: &Place, policy: &Policy) -> bool {
    let is_open = !job.direct && (!job.private || job.channel == place.channel);
    let level = policy.level(requester);
    let may_run = || {
        policy
            .config
            .allowlist
            .get(&job.script)
            .is_some_and(|script| permission::may_at(level, script, requester, policy))
    };
    match level {
        Level::Banned => false,
        Level::Admin => true,
        Level::Operator if is_open && may_run() => true,
        Level::Operator | Level::User => job.user == requester.user,
    }
}

/// Whether what a job was asked and what it prints may be shown in this place: where it was asked, or to one person alone.
pub fn is_here(job: &Asked, place: &Place) -> bool {
    place.direct || job.channel == place.channel
}

/// A job's number as people write it: `12` or `#12`.
///
/// # Errors
/// In words.
pub fn number(words: &[super::parse::Word]) -> Result<JobId, String> {
    match words {
        [word] => {
            let digits = word.text.strip_prefix('#').unwrap_or(&word.text);
            digits.parse().map(JobId).map_err(|_| format!("{} is not the number of a job", word.text))
        }
        _none_or_many => Err("the number of one job is wanted".to_owned()),
    }
}

/// The answer to `jobs`: those that have not ended, the oldest first.
pub fn list<'j>(
    jobs: impl Iterator<Item = (JobId, &'j Job)>,
    waiting: impl Fn(JobId) -> Option<usize>,
    place: &Place,
    shown: impl Fn(&str) -> String,
) -> String {
    let (here, elsewhere): (Vec<_>, Vec<_>) = jobs.partition(|(_, job)| is_here(&(*job).into(), place));
    let mut out = match here.len() {
        0 => "**No job runs or waits here.**\n".to_owned(),
        1 => "**1 job**\n".to_owned(),
        more => format!("**{more} jobs**\n"),
    };
    for (id, job) in here.iter().take(SHOWN) {
        let intent = &job.intent;
        out.push_str(&format!(
            "- {id}: **{}** by {}, {}: {}\n",
            escape(intent.script.as_str()),
            code(&intent.user_name),
            state(job, waiting(*id)),
            code(&shown(&intent.command))
        ));
    }
    if here.len() > SHOWN {
        out.push_str(&format!("… and {} more.\n", here.len() - SHOWN));
    }
    if !elsewhere.is_empty() {
        out.push_str(&words::jobs_elsewhere(elsewhere.len()));
    }
    out
}

/// The answer to `job N`.
pub fn one(id: JobId, job: &Job, waiting: Option<usize>, shown: impl Fn(&str) -> String) -> String {
    let intent = &job.intent;
    let mut out = format!("**{}**, job {id}: {}\n", escape(intent.script.as_str()), state(job, waiting));
    let place =
        if intent.direct { "a direct message".to_owned() } else { format!("#{}", escape(&intent.channel_name)) };
    out.push_str(&format!("- asked by {} in {}\n", code(&intent.user_name), place));
    if !intent.command.is_empty() {
        out.push_str(&format!("- command {}\n", code(&shown(&intent.command))));
    }
    if let Some(launched) = &job.launched {
        let hash = &launched.sha256[..launched.sha256.len().min(12)];
        out.push_str(&format!("- script {}…, time limit {}\n", code(hash), words::rough(launched.timeout)));
        out.push_str(&format!(
            "- {} layers of the sandbox in force\n",
            job.layers.iter().filter(|layer| layer.state == bartizan_proto::worker::LayerState::On).count()
        ));
    }
    out
}

/// Where a job is, in words.
fn state(job: &Job, waiting: Option<usize>) -> String {
    let age = words::rough(job.queued.elapsed());
    match (job.state, job.ending) {
        (JobState::Queued, _) => match waiting {
            Some(place) => format!("waits for {age}, number {} in the queue", place + 1),
            None => format!("waits for {age}"),
        },
        (JobState::Starting, _) => format!("starts, after {age}"),
        (JobState::Running, _) => format!("runs for {age}"),
        (JobState::Stopping, _) => format!("is being stopped, after {age}"),
        (JobState::Done, Some(ending)) => words::ended(ending, Duration::from_micros(job.usage.elapsed_us)),
        (JobState::Done, None) => words::DID_NOT_END.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::tests::{house, id};
    use bartizan_proto::Text;

    fn job(letter: &str, script: &str) -> Job {
        let intent = Intent {
            post: id("p"),
            root: id("p"),
            channel: id("c"),
            channel_name: Text::cut("ops"),
            direct: false,
            private: false,
            user: id(letter),
            user_name: Text::cut("somebody"),
            restricted: false,
            script: script.parse().expect("a name"),
            command: Text::cut(script),
            actor: crate::store::jobs::Actor::Person,
            part_of: None,
        };
        Job::queued(intent, 1000)
    }

    fn place(letter: &str, direct: bool) -> Place {
        Place { channel: id(letter), name: Text::cut("somewhere"), direct, private: false }
    }

    fn somebody(letter: &str, restricted: bool) -> Requester {
        Requester { user: id(letter), name: Text::cut("somebody"), restricted }
    }

    #[test]
    fn a_job_is_seen_by_who_asked_by_operators_who_may_run_it_and_by_admins() {
        let house = house();
        let policy = &house.policy;
        let mut job = job("u", "deploy");
        let seen = |job: &Job, who: &str| may_see(&job.into(), &somebody(who, false), &place("d", true), policy);
        assert!(seen(&job, "u") && seen(&job, "o") && seen(&job, "a"));
        assert!(!seen(&job, "v"), "another user");
        assert!(
            !may_see(&(&job).into(), &somebody("o", true), &place("c", false), policy),
            "a restricted account is no operator"
        );
        job.intent.direct = true;
        assert!(seen(&job, "u") && !seen(&job, "o") && seen(&job, "a"), "a direct message");
        job.intent.direct = false;
        job.intent.private = true;
        assert!(seen(&job, "u") && !seen(&job, "o") && seen(&job, "a"), "a private channel, from elsewhere");
        assert!(may_see(&(&job).into(), &somebody("o", false), &place("c", false), policy), "from there");
        job.intent.private = false;
        job.intent.script = "chosen".parse().expect("a name");
        assert!(!seen(&job, "v") && seen(&job, "o"), "for a group that the operator is in");
        job.intent.script = "not-there-any-more".parse().expect("a name");
        assert!(!seen(&job, "o") && seen(&job, "a"), "nobody may run it now");
    }

    #[test]
    fn a_job_is_shown_where_it_was_asked_and_in_direct_messages() {
        let job = job("u", "deploy");
        assert!(is_here(&(&job).into(), &place("c", false)) && !is_here(&(&job).into(), &place("d", false)));
        assert!(is_here(&(&job).into(), &place("d", true)));
    }
}
