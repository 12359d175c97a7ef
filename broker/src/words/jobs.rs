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

/// At once, to a command whose script is `async`.
pub fn accepted(name: &str, job: JobId) -> String {
    format!("**{}** runs as job {job}. Its result comes here when it ends.", escape(name))
}
