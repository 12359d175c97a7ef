//! What chat is told of jobs: that they are accepted, how they go on, how they ended.

use super::{exact, rough, signal_name};
use bartizan_proto::ids::JobId;
use bartizan_proto::launcher::ExitStatus;
use bartizan_proto::text::{code, escape};
use bartizan_proto::worker::Ending;
use std::time::Duration;

/// How a job ended, where it is spoken of later.
pub fn ended(ending: Ending, after: Duration) -> String {
    let time = exact(after);
    match ending {
        Ending::Ended(ExitStatus::Code(status)) => format!("ended with exit {status} in {time}"),
        Ending::Ended(ExitStatus::Signal(signal)) => format!("was ended by {} after {time}", signal_name(signal)),
        Ending::TimedOut => format!("was stopped after {time}: it ran out of time"),
        Ending::Stopped => format!("was stopped after {time}"),
    }
}

/// The same of a job that was refused at its start, lost or interrupted.
pub const DID_NOT_END: &str = "did not run to its end";

/// To a number of a job that is not there, or not for this person: both sound the same.
pub fn no_job(prefix: &str, job: JobId) -> String {
    format!("I know no job {job} that you may see. {} lists those that run.", code(&format!("{prefix}jobs")))
}

/// The same for a job that has ended.
pub fn no_log(prefix: &str, job: JobId) -> String {
    format!(
        "I keep no job {job} that has ended and that you may see. {} lists them.",
        code(&format!("{prefix}history"))
    )
}

/// To somebody who may see a job, but not here.
pub fn job_elsewhere(job: JobId) -> String {
    format!("Job {job} was asked in another place. Ask me there, or in a direct message.")
}

/// Below the jobs of a place.
pub fn jobs_elsewhere(count: usize) -> String {
    let jobs = if count == 1 { "job runs or waits" } else { "jobs run or wait" };
    format!("{count} more {jobs} in other places: ask me in a direct message.\n")
}

/// Below the ended jobs of a place.
pub fn past_elsewhere(count: usize) -> String {
    format!("{count} more ended in other places: ask me in a direct message.\n")
}

/// To `kill`.
pub fn stopping(name: &str, job: JobId) -> String {
    format!("I stop **{}**, job {job}. Its end is told where it was asked.", escape(name))
}

/// In its thread, to a ❌ on its live post.
pub fn stopping_for(name: &str, job: JobId, by: &str) -> String {
    format!("{} stops **{}**, job {job}.", code(by), escape(name))
}

/// What every live post of a job says of it, and of no other one.
pub fn as_job(job: JobId) -> String {
    format!(" as job {job}")
}

/// Above the end of a job's output.
pub fn tail(name: &str, job: JobId) -> String {
    format!("**{}**, job {job}, printed last:", escape(name))
}

/// To `tail`, when there is nothing.
pub fn no_output_yet(name: &str, job: JobId) -> String {
    format!("**{}**, job {job}, has printed nothing so far.", escape(name))
}

/// Above what a job has printed so far, while it runs.
pub fn live(name: &str, job: JobId, age: Duration) -> String {
    format!("**{}** runs as job {job}, for {} now. Its result comes here when it ends.", escape(name), rough(age))
}

/// In the place of that, when it has ended.
pub fn live_over(name: &str, job: JobId) -> String {
    format!("**{}** ran as job {job}. Its result is below.", escape(name))
}

/// At once, to a command whose script is `async`; with its place, where it has to wait.
pub fn accepted(name: &str, job: JobId, place: Option<usize>) -> String {
    match place {
        None => format!("**{}** runs as job {job}. Its result comes here when it ends.", escape(name)),
        Some(place) => queued(name, job, place),
    }
}

/// To a command whose script has to wait for others.
pub fn queued(name: &str, job: JobId, place: usize) -> String {
    let name = escape(name);
    format!("**{name}** is queued as job {job}, {} in line. Its result comes here when it ends.", ordinal(place))
}

/// To a command whose script is not to run beside another job.
pub fn in_use(name: &str, by: JobId) -> String {
    format!("{} does not run now: job {by} has to end first.", code(name))
}

/// To the operators, of a job that takes long; with the end of what it printed below, where that may be shown.
pub fn slow_job(name: &str, job: JobId, by: &str, place: &str, age: Duration) -> String {
    format!(":hourglass: **{}**, job {job} of {} in {place}, runs for {} now.", escape(name), code(by), rough(age))
}

/// To the operators, of a job that ran out of its time.
pub fn overdue_job(name: &str, job: JobId, by: &str, place: &str, age: Duration) -> String {
    format!(
        ":no\\_entry: **{}**, job {job} of {} in {place}, was stopped after {}: it ran out of time.",
        escape(name),
        code(by),
        rough(age)
    )
}

/// Raw text inside a fence that it cannot break.
pub fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
fn ordinal(number: usize) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// To a command whose work went on while the service was away.
pub fn followed(name: &str) -> String {
    format!(
        "**{}** goes on: Bartizan was restarted, and its job on the cluster was not. I follow it again.",
        escape(name)
    )
}

/// The same, where it cannot be followed.
pub fn not_followed(name: &str, why: &str) -> String {
    format!(
        "**{}** goes on on the cluster, and I cannot follow it any more: {}. An operator has to look after it there.",
        escape(name),
        escape(why)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_line_read_as_people_say_them() {
        let said: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].into_iter().map(ordinal).collect();
        assert_eq!(said, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }

    #[test]
    fn output_does_not_get_out_of_its_fence() {
        assert_eq!(fenced("a\n```\n@all\n"), "````text\na\n```\n@all\n````");
    }
}
