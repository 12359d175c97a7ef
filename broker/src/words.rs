//! Every word and emoji that chat sees, here and in `words/`; the table of them is in docs/chat.md.
//!
//! What comes from outside goes through [`code`] or [`escape`] before it gets here or here; a test in the transcripts
//! shows each of them.

pub mod approvals;
pub mod elevation;
pub mod lockdown;
pub mod pause;
pub mod pipeline;
pub mod schedules;

use crate::config::Level;
use crate::gate::channel::Where;
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::text::{code, escape};
use bartizan_proto::worker::{Ending, Usage};
use std::time::Duration;

mod jobs;
pub mod questions;
mod script;

pub use schedules::{in_zone, scheduled, too_late};

pub use jobs::{
    DID_NOT_END, accepted, as_job, ended, fenced, followed, in_use, job_elsewhere, jobs_elsewhere, live, live_over,
    no_job, no_log, no_output_yet, not_followed, overdue_job, past_elsewhere, queued, slow_job, stopping, stopping_for,
    tail,
};
pub use questions::not_given;
pub use script::{
    ASKED_NO_MORE, NO_ANSWER, addressed, answered_by, attached, cancelled_by, does_not_fit, misused, progress,
    question, question_elsewhere, question_ended, subscribed, subscription_over, wanted_answer,
};

/// On a command whose script waits or runs.
pub const RUNNING: &str = "hourglass_flowing_sand";
/// On a command whose script ended with exit code 0.
pub const SUCCEEDED: &str = "white_check_mark";
/// On a command whose script failed.
pub const FAILED: &str = "x";
/// A reaction to a job's live post that stops the job.
pub const STOP: &str = "x";
/// On a command that was refused, and on one whose script was stopped.
pub const REFUSED: &str = "no_entry";

/// What the author of a command that waited too long reacts with, to have it run after all.
pub const WANTED: &str = "white_check_mark";

/// To `!ping`.
pub const PONG: &str = "Pong!";

/// To a banned person, once an hour.
pub const BANNED: &str = "You are banned from using this bot. If that is a mistake, talk to an admin.";

/// To a command that could not be checked with the server.
pub const UNATTESTED: &str =
    "I could not check this command with the Mattermost server, so I did not run it. Please try again.";

/// To a command that was left over by a core that died, twice.
pub const DEADLY: &str = "This command was interrupted: I ended unexpectedly each time that I read it, so I do not try it again. An operator finds the reason in the service's log.";

/// To a command that came while too many others wait.
pub const BUSY: &str = "Too many commands are waiting, so I did not take this one. Please try again in a minute.";

/// To a command that could not be recorded: what cannot be recorded does not happen.
pub const UNRECORDED: &str = "I cannot record this command right now, so I did not run it. An operator finds the reason in the service's log. Please try again later.";

/// To an admin, when the audit log cannot be read.
pub const UNREAD: &str = "I cannot read the audit log right now. An operator finds the reason in the service's log.";

/// A checkpoint of the audit log, as a witness. It is one line of base64, hexadecimal and plain words.
pub fn checkpoint(line: &str) -> String {
    format!("Audit checkpoint, to be held against the log: `bartizan audit verify --checkpoint FILE`\n```\n{line}\n```")
}

/// To a secret that stands where others can read it.
pub const SECRET_HERE: &str = "Never here: others can read it. **Delete your post**, and take another value: this one is not secret any more. It is not kept.";

/// To a secret by direct message, where the configuration does not allow that.
pub const SECRET_OFF: &str = "Secrets are set on the host, with `bartizan secret set NAMESPACE/NAME`, not in chat. **Delete your post**, and take another value. It is not kept.";

/// To a secret that was kept. Its name has only letters, digits, `-`, `_` and one `/`.
pub fn secret_kept(name: &str) -> String {
    format!("{} is kept. **Delete your post now**: who can read this conversation can read the value.", code(name))
}

/// To a secret that was not kept; the sentence is for people.
pub fn secret_not_kept(name: &str, why: &str) -> String {
    format!("{} is not kept: {}. **Delete your post** all the same.", code(name), escape(why))
}

/// To a script whose file or sandbox is not as it must be. The cause is in the service's log.
pub const BROKEN: &str = "This script cannot be run right now: something about its installation is not right. An operator finds the reason in the service's log.";

/// To a command that waited longer than `stale-after`.
pub fn still_wanted(age: Duration) -> String {
    format!(
        "This command is {} old, so I did not run it. Is it still wanted? Then react to this message with ✅: only whoever wrote it can, and once.",
        rough(age)
    )
}

/// To one that was asked about already, and to one when too many are.
pub fn stale(age: Duration) -> String {
    format!("This command is {} old, so I did not run it. Post it again if it is still wanted.", rough(age))
}

/// To a name that is not known, or not for this person: both sound the same.
pub fn unknown(prefix: &str, name: &str, near: Option<&str>) -> String {
    let name = code(&shortened(name));
    let hint = match near {
        Some(near) => format!("Did you mean {}?", code(&format!("{prefix}{near}"))),
        None => format!("{} lists what you can run here.", code(&format!("{prefix}help"))),
    };
    format!("I know no command {name} that you may run. {hint}")
}

/// To a command in the wrong place, for someone who may run it elsewhere.
pub fn not_here(name: &str, wanted: &Where) -> String {
    let place = match wanted {
        Where::Channels(channels) => {
            let channels: Vec<String> = channels.iter().map(|channel| format!("#{}", escape(channel))).collect();
            either(&channels)
        }
        Where::Private => "private channels and in direct messages to me".to_owned(),
        Where::Direct => "direct messages to me".to_owned(),
    };
    format!("{} is not here; it runs in {place}.", code(name))
}

/// To a change of rights that is not made; the sentence is for people.
pub fn denied(why: &str) -> String {
    let mut chars = why.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    escape(&format!("{first}{}.", chars.as_str()))
}

/// To a name that nobody on the server has.
pub fn nobody(who: &str) -> String {
    format!("The server knows no {}.", code(who))
}

/// A level that was given.
pub fn level_given(name: &str, level: Level) -> String {
    format!("{} is **{level}** now.", code(name))
}

/// Somebody who is not listed any more.
pub fn removed(name: &str) -> String {
    format!("{} is not listed any more, and counts as user.", code(name))
}

/// Flags that a person has after they were changed.
pub fn flags_now(name: &str, flags: &[&str]) -> String {
    match flags {
        [] => format!("{} has no flags now.", code(name)),
        flags => format!("{} has the flags {} now.", code(name), code(&flags.join(" "))),
    }
}

/// A ban that was given.
pub fn banned(name: &str, until_ms: Option<u64>, reason: &str) -> String {
    format!("{} is banned {}: {}", code(name), until(until_ms), escape(reason))
}

/// A ban that was ended.
pub fn unbanned(name: &str) -> String {
    format!("{} is not banned any more.", code(name))
}

/// Where everything was so already.
pub fn nothing_to_change(name: &str) -> String {
    format!("Nothing to change: that is so already of {}.", code(name))
}

/// The end of a ban.
pub fn until(until_ms: Option<u64>) -> String {
    until_ms.map_or("for good".to_owned(), |until| format!("until {}", time(until)))
}

/// A time, to the minute.
pub fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or("ever".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// To a command that its script's authorizer does not grant.
pub fn unauthorized(name: &str) -> String {
    format!("You are not authorized to run {} with these arguments.", code(name))
}

/// To a command whose authorizer gave no answer.
pub fn unauthorizable(name: &str) -> String {
    format!("Authorization unavailable: {} was not run. An operator finds the reason in the service's log.", code(name))
}

/// To a command that comes too soon.
pub fn too_fast(wait: Duration) -> String {
    format!("That is too fast. Please wait {}.", rough(wait))
}

/// To arguments that do not fit.
pub fn bad_arguments(error: &str, usage: &str) -> String {
    format!("{}\nUsage: {}", escape(error), code(usage))
}

/// To a command line that cannot be taken apart.
pub fn unreadable(error: &str) -> String {
    format!("I cannot read this command: {}", escape(error))
}

/// To the admins.
pub fn break_glass(user: &str, script: &str, place: &str, reason: &str) -> String {
    format!("BREAK-GLASS: {user} runs {script} without its approvals, in {place}: {reason}")
}

/// With a receipt.
pub fn receipt(name: &str, job: JobId) -> String {
    format!(
        "The receipt of **{}**, job {job}. `bartizan receipt verify FILE --key KEY` says whether it is as it was written.",
        escape(name)
    )
}

/// To a receipt that is not there, or not for this person.
pub fn no_receipt(job: JobId) -> String {
    format!("I have no receipt of job {job} that you may see. There is one when a job has ended.")
}

/// To the admins.
pub fn alert(what: &str, unsaid: u32) -> String {
    let more = match unsaid {
        0 => String::new(),
        1 => " (And one more like it since the last alert.)".to_owned(),
        more => format!(" (And {more} more like it since the last alert.)"),
    };
    format!(":warning: **Alert**: {}.{more} The audit log has the details.", escape(what))
}

/// To `dry-run` of a script whose backend has none.
pub fn no_dry_run(name: &str) -> String {
    format!("there is no dry run of {name}: what it would do is not known before it does it")
}

/// Above a script's output.
pub fn result(name: &str, ending: Ending, usage: Usage) -> String {
    let time = exact(Duration::from_micros(usage.elapsed_us));
    match ending {
        Ending::Ended(ExitStatus::Code(status)) => format!("**{}**: exit {status} in {time}", escape(name)),
        Ending::Ended(ExitStatus::Signal(signal)) => {
            format!("**{}**: ended by {} after {time}", escape(name), signal_name(signal))
        }
        Ending::TimedOut => format!("**{}**: stopped after {time}: it ran out of time", escape(name)),
        Ending::Stopped => format!("**{}**: stopped after {time}", escape(name)),
    }
}

/// After [`result`], when the script printed nothing.
pub const NO_OUTPUT: &str = " (no output)";

/// After [`result`], when the post does not hold all of the output.
pub fn cut(characters: usize, whole: bool) -> String {
    let end = if whole { "all of it is in the file" } else { "the file holds the beginning of it" };
    format!(" · {} characters printed; {end}", thousands(characters))
}

/// To a command whose script waits for the end of a restart.
pub fn waits(name: &str, job: JobId) -> String {
    format!("Bartizan is being restarted. **{}** waits as job {job} and starts when it is back.", escape(name))
}

/// After [`result`], when the script was stopped for the service's sake.
pub fn stopped_by(restart: bool) -> &'static str {
    if restart { ": Bartizan is being restarted" } else { ": Bartizan was told to end" }
}

/// To a command whose script could not be started.
pub fn not_started(name: &str) -> String {
    format!("**{}** could not be started. An operator finds the reason in the service's log.", escape(name))
}

/// To a command whose worker died.
pub fn lost(name: &str) -> String {
    format!("**{}** was interrupted: its worker died. I do not start it again by myself.", escape(name))
}

/// To a command whose script ran when the service ended.
pub fn interrupted(name: &str) -> String {
    format!("**{}** was interrupted: Bartizan was restarted. I do not start it again by myself.", escape(name))
}

/// The same, of a script that may be started again.
pub fn begun_again(name: &str) -> String {
    format!("**{}** was interrupted: Bartizan was restarted. I start it again.", escape(name))
}

/// The emoji for an ending.
pub fn emoji(ending: Ending) -> &'static str {
    match ending {
        Ending::Ended(ExitStatus::Code(0)) => SUCCEEDED,
        Ending::Ended(_) => FAILED,
        Ending::TimedOut | Ending::Stopped => REFUSED,
    }
}

/// A duration for people who compare: `12 ms`, `1.24 s`, `3 min 5 s`.
pub fn exact(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "less than 1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms @ 1000..60_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
        _ => rough(duration),
    }
}

/// Words of ours that name commands as `!NAME`, with the prefix that commands really have.
pub fn prefixed(prefix: &str, text: &str) -> String {
    text.replace("`!", &format!("`{prefix}"))
}

/// A duration for people who wait: `40 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub fn rough(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `SIGKILL`, or the number of a signal that has no name.
fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |name| name.to_string())
}

fn either(items: &[String]) -> String {
    match items {
        [] => "no channel".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A name that someone typed, short enough to repeat.
fn shortened(name: &str) -> String {
    let mut short: String = name.chars().take(40).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(exact(Duration::from_millis(12)), "12 ms");
        assert_eq!(exact(Duration::from_millis(1249)), "1.24 s");
        assert_eq!(exact(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(rough(Duration::from_secs(90_000)), "1 d 1 h");
    }

    #[test]
    fn a_hint_names_every_channel() {
        let channels = ["ops".to_owned(), "deployments".to_owned()];
        assert_eq!(
            not_here("deploy", &Where::Channels(channels.into())),
            "`deploy` is not here; it runs in #ops or #deployments."
        );
    }

    #[test]
    fn what_someone_typed_cannot_leave_its_code_span() {
        assert!(!unknown("!", "a`@all", None)[20..].contains("`@all"));
        assert!(unknown("!", &"x".repeat(500), None).len() < 200);
    }
}
